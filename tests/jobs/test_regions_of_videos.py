"""Regions in the session list: which part of which video is analysed, and when it is analysed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.session_list import read_sessions
from ferflow.dashboards import last_options
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.regions import split_regions
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video

OPTIONS = AnalyzeOptions(every=5)
SOURCES = {"a-1": "/in/a.mp4", "b-1": "/in/b.mp4"}


@pytest.mark.parametrize(
    ("cell", "regions"),
    [
        ("", ()),
        ("left", ("left",)),
        ("left right", ("left", "right")),
        ("left;Ann Lee = right", ("left", "Ann Lee = right")),
        ("10%, 20%, 320, 90", ("10%, 20%, 320, 90",)),
        ("10%,0,50%,50% 0,0,20,20", ("10%,0,50%,50%", "0,0,20,20")),
        ("Ann=left Ben=right;", ("Ann=left", "Ben=right")),
        ("Lee, Ann=left", ("Lee, Ann=left",)),
        ("auto", ("auto",)),
    ],
)
def test_a_cell_has_regions_apart_by_semicolons_or_spaces(cell, regions):
    assert split_regions(cell) == regions


@pytest.mark.parametrize("cell", ["middle", "left middle", "auto left", "left;left"])
def test_a_cell_that_is_no_region_is_refused(cell):
    with pytest.raises(OptionsError):
        split_regions(cell)


def listed(tmp_path: Path, *rows: str, columns: str = "video,participant,region"):
    path = tmp_path / "sessions.csv"
    path.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_region_without_a_name_is_named_after_the_participant_of_the_row(tmp_path):
    rows = read_sessions(listed(tmp_path, "a,Ada,left", "b,Ben,face=right"), SOURCES).rows
    assert rows["a-1"].region == ("Ada=left",)
    assert rows["b-1"].region == ("face=right",)
    rows = read_sessions(listed(tmp_path, "a,,left", "b,Ben,auto"), SOURCES).rows
    assert [row.region for row in rows.values()] == [("left",), ("auto",)]


def test_participants_who_share_a_video_have_a_row_each(tmp_path):
    sessions = read_sessions(listed(tmp_path, "a,Ada,left", "a.mp4,Ben,right", "a,Ada,left"), SOURCES)
    row = sessions.of("a-1")
    assert row.region == ("Ada=left", "Ben=right")
    assert row.participant is None
    assert row.participants == ("Ada", "Ben")
    assert "repeats another" in sessions.warnings[0]


@pytest.mark.parametrize(
    ("columns", "rows", "why"),
    [
        ("video,participant,region", ("a,Ada,left", "a,Ben,"), "listed twice"),
        ("video,participant,region", ("a,Ada,left", "a,,right"), "listed twice"),
        ("video,participant,region", ("a,Ada,left", "a,Ada,right"), "two regions are called 'Ada'"),
        (
            "video,participant,region,stimulus",
            ("a,Ada,left,x", "a,Ben,right,y"),
            "their stimulus differs",
        ),
        ("video,participant,region", ("a,Ada,nowhere",), "line 2: region must be"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path, columns, rows, why):
    with pytest.raises(OptionsError, match=why):
        read_sessions(listed(tmp_path, *rows, columns=columns), SOURCES)


@pytest.fixture
def two(tmp_path) -> tuple[list[Path], OutputFolder]:
    """Two videos of two faces side by side, and an output folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    left = face_frames(30)
    images = [np.hstack([one, one[:, ::-1]]) for one in left]
    videos = [write_video(tmp_path / "in" / f"{name}.mp4", images[k:]) for k, name in enumerate("ab")]
    return videos, OutputFolder(tmp_path / "out")


def ids(folder: OutputFolder) -> list[str]:
    return sorted(folder.finished_ids())


def test_a_video_is_analysed_in_its_own_regions_and_again_when_they_change(two):
    videos, folder = two
    listed(folder.path, "a,Ada,left", "a,Ben,right", "b,,")
    assert run(videos, folder.path, OPTIONS).exit_code == 0
    a, b = ids(folder)
    faces = {video_id: pd.read_parquet(folder.video(video_id).faces) for video_id in (a, b)}
    assert set(faces[a].region.astype(str)) == {"Ada", "Ben"}
    assert (faces[a][faces[a].region == "Ada"].x2 <= 320).all()
    assert faces[b].region.isna().all()
    footers = {video_id: read_metadata(folder.video(video_id).faces) for video_id in (a, b)}
    assert footers[b].options_digest == OPTIONS.digest()
    assert footers[a].options_digest == AnalyzeOptions(every=5, region=("Ada=left", "Ben=right")).digest()
    assert [task.is_finished for task in plan(videos, folder.path, OPTIONS)] == [True, True]
    page = folder.video(a).report.read_text(encoding="utf-8")
    assert "Ada" in page
    assert "Ben" in page

    listed(folder.path, "a,Ada,left", "b,Cem,right")
    assert [task.is_finished for task in plan(videos, folder.path, OPTIONS)] == [False, False]
    listed(folder.path, "a,Ada,left", "b,,")
    # A run of the other video does not mind.
    assert run(videos[1:], folder.path, OPTIONS).videos[0].status == "skipped"
    assert [one.status for one in run(videos, folder.path, OPTIONS).videos] == ["done", "skipped"]
    assert set(pd.read_parquet(folder.video(a).faces).region.astype(str)) == {"Ada"}


def test_other_options_than_a_region_of_the_list_are_still_refused(two):
    videos, folder = two
    listed(folder.path, "a,Ada,left", "b,,")
    run(videos, folder.path, OPTIONS, pages=False)
    for other in (AnalyzeOptions(every=4), AnalyzeOptions(every=5, score=0.9)):
        with pytest.raises(RecordsError, match="other options"):
            plan(videos, folder.path, other)
    folder.session_list.unlink()
    with pytest.raises(RecordsError, match="other options"):
        plan(videos, folder.path, OPTIONS)


def test_a_region_of_the_list_replaces_that_of_the_options_in_its_video_only(two):
    videos, folder = two
    listed(folder.path, "a,,right", "b,,")
    options = AnalyzeOptions(every=5, region=("player=left",))
    assert [task.options(options).region for task in plan(videos, folder.path, options)] == [
        ("right",),
        ("player=left",),
    ]


def test_a_list_that_is_given_is_remembered_and_one_that_cannot_be_used_is_refused_before_any_work(
    two, tmp_path
):
    videos, folder = two
    path = listed(tmp_path, "a,Ada,left")
    report = run(videos[:1], folder.path, OPTIONS, sessions=path)
    assert report.exit_code == 0
    assert last_options(folder.path).sessions == path
    assert read_metadata(folder.video(ids(folder)[0]).faces).options.region == ("Ada=left",)
    with pytest.raises(OptionsError, match="cannot be read"):
        run(videos, folder.path, OPTIONS, sessions=tmp_path / "gone.csv")
    listed(tmp_path, "a,Ada,nowhere")
    with pytest.raises(OptionsError, match="region must be"):
        run(videos, folder.path, OPTIONS, sessions=path)
    listed(tmp_path, "a,Ada,left")
    with pytest.raises(OptionsError, match="cannot be combined"):
        run(videos, folder.path, OPTIONS.updated(participants=2), sessions=path, overwrite=True)


def test_a_broken_list_without_regions_costs_no_analysis(two):
    videos, folder = two
    folder.session_list.write_text("nothing that is a list\n")
    assert run(videos[:1], folder.path, OPTIONS, pages=False).exit_code == 0


def test_title_logo_and_session_list_are_arguments_of_run_and_keys_of_a_job(two, tmp_path):
    videos, folder = two
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>')
    run(videos[:1], folder.path, OPTIONS, title="Pilot study", logo=logo)
    page = folder.video(ids(folder)[0]).report.read_text(encoding="utf-8")
    assert "Pilot study" in page
    assert "data:image/svg+xml" in page
    with pytest.raises(OptionsError, match="title"):
        run(videos[:1], folder.path, OPTIONS, title=" ")
    (tmp_path / "job.toml").write_text('inputs = "a.mp4"\nout = "out"\nsessions = "s.csv"\n')
    assert Job.from_toml(tmp_path / "job.toml").additions.sessions == Path("s.csv")
