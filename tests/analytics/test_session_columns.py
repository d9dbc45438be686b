"""The columns of the session list about times, files and parts; truth by arithmetic and with pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.markers import load_markers
from ferflow.analytics.session_list import read_sessions
from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.errors import OptionsError
from ferflow.jobs.additions import add_to_all
from ferflow.jobs.job import Additions
from ferflow.options import AnalyzeOptions
from ferflow.store.video_files import VideoFiles
from tests.made_records import Made, write_session

SOURCES = {"a-1": "/films/a.mp4", "b-1": "/films/b.mp4"}


def read(tmp_path, text: str):
    path = tmp_path / "sessions.csv"
    path.write_text(text, encoding="utf-8")
    return read_sessions(path, SOURCES)


def test_all_columns_are_read(tmp_path):
    listed = read(
        tmp_path,
        "video,participant,group,stimulus,part,offset_s,start,end,markers,recording_start,age\n"
        "a.mp4,Ada,x,film,2,-1.5,0:10,1:30.5,marks/a.csv,2024-05-12T12:00:03Z,31\n",
    )
    row = listed.of("a-1")
    assert (row.participant, row.stimulus, row.part, row.offset_s) == ("Ada", "film", 2, -1.5)
    assert (row.start_s, row.end_s, row.markers) == (10.0, 90.5, "marks/a.csv")
    assert listed.columns == ("participant", "group", "stimulus", "age")


@pytest.mark.parametrize("missing", ["", "NA", "n/a", "NaN", "null"])
def test_missing_cells_are_as_if_the_column_were_not_there(tmp_path, missing):
    names = ["group", "stimulus", "part", "offset_s", "start", "end", "markers"]
    listed = read(tmp_path, f"video,participant,{','.join(names)}\na,NA{f',{missing}' * len(names)}\n")
    row = listed.of("a-1")
    assert row.participant == "NA"
    assert (row.stimulus, row.part, row.offset_s, row.start_s, row.end_s, row.markers) == (
        None, None, 0.0, 0.0, math.inf, None,
    )  # fmt: skip
    assert listed.group("a-1", "group") is None


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("video,start\na,soon\n", "line 2: start: 'soon' is not a time"),
        ("video,end\na,1e9\n", "line 2: end: "),
        ("video,start,end\na,20,10\n", "line 2: end (10) must lie after start (20)"),
        ("video,end\na,0\n", "must lie after start (0)"),
        ("video,start\na,2024-05-12T12:00:03Z\n", "into column recording_start"),
        ("video,part,participant\na,first,Ada\n", "part must be auto or a whole number from 1, got 'first'"),
        ("video,part,participant\na,0,Ada\n", "whole number from 1"),
        ("video,part\na,1\n", "part 1 of whom? Give the participant"),
        ("video,part,participant\na,1,Ada\nb,1,Ada\n", "line 3: part 1 of Ada is listed twice"),
    ],
)
def test_wrong_cells_are_refused_with_file_line_and_remedy(tmp_path, text, reported):
    with pytest.raises(OptionsError) as refused:
        read(tmp_path, text)
    message = str(refused.value)
    assert message.startswith(str(tmp_path / "sessions.csv"))
    assert reported in message
    assert "\n" not in message


def test_parts_of_several_stimuli_or_participants_do_not_clash(tmp_path):
    for rows in ("a,1,Ada,x\nb,1,Ada,y\n", "a,1,Ada,x\nb,1,Bo,x\n", "a,1,Ada,x\nb,2,Ada,x\n"):
        assert len(read(tmp_path, f"video,part,participant,stimulus\n{rows}").rows) == 2


def test_only_the_part_between_start_and_end_counts(tmp_path):
    """From 5.5 to 25 s: of bin 5 the second half, which in bins of half a second is one of its own."""
    write_session(tmp_path, Made(seconds=40, video_id="a"))
    write_session(tmp_path, Made(seconds=40, video_id="b"))
    (tmp_path / "sessions.csv").write_text("video,participant,start,end\na,Ada,5.5,25\nb,Bo,,\n")
    cohort = load_folder(tmp_path, PageOptions()).cohort
    ada, bo = cohort.participants
    fine = tmp_path / "fine"
    write_session(fine, Made(seconds=40, video_id="a"), options=AnalyzeOptions(bin_seconds=0.5))
    bins = pd.read_parquet(fine / "timeline" / "a.parquet")
    bins = bins[bins.person_id.notna() & (bins.bin_start_s >= 5.5) & (bins.bin_start_s < 25)]
    truth = np.average(bins.valence, weights=bins.readable_s)
    assert ada.mean("valence") == pytest.approx(truth, abs=1e-6)
    assert (ada.length_s, bo.length_s) == (19.5, pytest.approx(40, abs=0.3))


def test_a_stretch_after_the_end_of_the_video_is_named_as_the_reason(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a"))
    write_session(tmp_path, Made(seconds=40, video_id="b"))
    (tmp_path / "sessions.csv").write_text("video,participant,start\na,Ada,90\nb,Bo,\n")
    folder = load_folder(tmp_path, PageOptions())
    assert [one.reason for one in folder.cohort.left_out] == ["outside"]
    (warning,) = folder.warnings
    assert "a.mp4: start and end in the session list leave nothing" in warning


# --- Markers -----------------------------------------------------------------------------------------------------


def labels(tmp_path, video_id: str) -> list[str]:
    return load_markers(VideoFiles(tmp_path, video_id)).column("label").to_pylist()


def test_the_list_names_a_file_of_markers_for_each_video(tmp_path):
    for name in ("a", "b", "c"):
        write_session(tmp_path, Made(seconds=20, video_id=name))
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "for a.csv").write_text("time_s,label\n1,one\n")
    full = tmp_path / "b.csv"
    full.write_text("time_s,label\n2,two\n")
    (tmp_path / "sessions.csv").write_text(f"video,markers\na,marks\\for a.csv\nb,{full}\nc,\n")
    assert add_to_all(tmp_path, Additions()) == {}
    assert [labels(tmp_path, name) for name in "abc"] == [["one"], ["two"], []]
    given = tmp_path / "all.csv"
    given.write_text("time_s,label\n3,all\n")
    assert add_to_all(tmp_path, Additions(markers=given)) == {}
    assert labels(tmp_path, "a") == ["all"]


def test_a_missing_file_of_markers_costs_its_own_video_only(tmp_path):
    for name in ("a", "b"):
        write_session(tmp_path, Made(seconds=20, video_id=name))
    (tmp_path / "b.csv").write_text("time_s,label\n2,two\n")
    (tmp_path / "sessions.csv").write_text("video,markers\na,gone.csv\nb,b.csv\n")
    failed = add_to_all(tmp_path, Additions())
    assert list(failed) == ["a"]
    assert "markers of a.mp4: no file gone.csv. Give its path" in failed["a"]
    assert labels(tmp_path, "b") == ["two"]
