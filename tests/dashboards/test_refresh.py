"""Pages made again: only those whose inputs changed, by `ferflow report` and at the end of a run alike."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from unittest.mock import patch

import pandas as pd
import pytest

from ferflow.cli import main
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports import figure_files
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, write_video
from tests.made_cohort import write_run
from tests.made_records import Made, write_session


def state(out) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*.html")}


def report(out, *options: object, **environment: str) -> SimpleNamespace:
    """`ferflow report`, within this process."""
    command = ["ferflow", "report", str(out), *map(str, options)]
    with (
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
        patch.object(sys, "argv", command),
        patch.object(sys.modules["ferflow.cli.report"], "log_to_stderr"),  # it would outlive the test
        patch.dict(os.environ, environment),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return SimpleNamespace(
        returncode=ended.value.code or 0, stdout=stdout.getvalue(), stderr=stderr.getvalue()
    )


def changed(before, after) -> set[str]:
    return {name for name in after if after[name] != before.get(name)}


def test_nothing_changed_nothing_written(two):
    before = state(two)
    done = refresh(two)
    assert (len(done.written), len(done.kept)) == (0, 3)
    assert state(two) == before


def test_tables_are_exported_again_and_other_exports_are_named_when_the_pages_change(two, monkeypatch):
    """PDF and pictures need a browser: here stand-ins are written."""
    folder = OutputFolder(two)
    monkeypatch.setattr(figure_files, "find_chromium", lambda: "chromium")
    monkeypatch.setattr(figure_files, "write_pdf", lambda page, out: write_stand_in(page.with_suffix(".pdf")))
    monkeypatch.setattr(
        figure_files,
        "write_pictures",
        lambda out, options, formats: [write_stand_in(folder.figures / "a.png")],
    )
    assert report(two, "--csv", "--pdf", "--png").stderr == ""
    assert report(two).stderr == ""
    (two / "people.csv").write_text("video_id,track_id,name\na,1,Ada\n")
    done = report(two)
    assert "3 exports of an earlier state of the pages (first: index.pdf)" in done.stderr
    assert "ferflow report" in done.stderr
    assert done.stderr.rstrip().endswith("--pdf --png")
    assert "Ada" in pd.read_csv(folder.csv_tables / "people.csv").name.tolist()
    assert "--png" in report(two, "--pdf").stderr
    assert report(two, "--png").stderr == ""
    (two / "people.csv").unlink()
    assert "3 exports" in report(two).stderr
    assert "Ada" not in pd.read_csv(folder.csv_tables / "people.csv").name.tolist()


def write_stand_in(path):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"made from the pages")
    return path


def test_a_run_without_pages_leaves_no_overview_that_lacks_a_video(tmp_path, face_video, caplog):
    out, other = tmp_path / "out", tmp_path / "other.mp4"
    other.write_bytes(face_video.read_bytes())
    run([face_video], out)
    report(out, "--csv")
    run([face_video], out, pages=False)
    assert (out / "index.html").exists()
    run([other], out, pages=False)
    assert not (out / "index.html").exists()
    assert "1 export of an earlier state of the pages (first: csv)" in caplog.text
    run([other], out)
    assert len(pd.read_csv(out / "csv" / "videos.csv")) == 2


@pytest.mark.slow
def test_a_run_without_pages_warns_of_exports_of_an_earlier_state_also_where_no_overview_is(
    tmp_path, face_video, caplog
):
    out, other = tmp_path / "out", tmp_path / "other.mp4"
    other.write_bytes(face_video.read_bytes())
    run([face_video], out)
    report(out, "--csv")
    (out / "index.html").unlink()
    caplog.clear()
    run([other], out, pages=False)
    assert "of an earlier state of the pages" in caplog.text


def test_a_stretch_at_rest_of_somebody_else_is_not_on_the_page(tmp_path):
    """`--rest NAME=` is stored with every video of a run."""
    for name in "ab":
        write_session(tmp_path, Made(seconds=20, people=1, video_id=name))
    (tmp_path / "people.csv").write_text("video_id,track_id,name\na,1,Ada\nb,1,Ben\n")
    report(tmp_path, "--csv", "--rest", "Ada=0:00-0:07", "--rest", "0:10-0:16")
    segments = pd.read_csv(tmp_path / "csv" / "segments.csv")
    found = {name: set(rows.start_s) for name, rows in segments.groupby("video_id")}
    assert found == {"a": {0.0, 10.0}, "b": {10.0}}
    pages = {name: (tmp_path / "reports" / f"{name}.html").read_text() for name in "ab"}
    assert "00:07.0" in pages["a"]
    assert "00:07.0" not in pages["b"]


def test_a_page_says_which_part_of_the_recording_counts(two):
    before = state(two)
    (two / "sessions.csv").write_text("video,participant,start,end\na,Ada,0:02,15\nb,Ben,,\n")
    refresh(two)
    assert "a.html" in changed(before, state(two))
    said = "All numbers are of this recording from 00:02.0 on and up to 00:15.0"
    assert said in (two / "reports" / "a.html").read_text()
    assert "All numbers are of" not in (two / "reports" / "b.html").read_text()
    before = state(two)
    (two / "sessions.csv").write_text("video,participant,start,end\na,Ada,0:02,\nb,Ben,,\n")
    refresh(two)
    assert "from 00:02.0 on, as the session list says" in (two / "reports" / "a.html").read_text()


def test_stretches_at_rest_have_no_curves_around_them(tmp_path):
    write_session(
        tmp_path, Made(seconds=30, people=1, video_id="a", markers=((12.0, None, "clap", "event"),))
    )
    report(tmp_path, "--csv", "--rest", "0:10-0:16")
    for name in ("around_markers", "marker_curves"):
        assert set(pd.read_csv(tmp_path / "csv" / f"{name}.csv").label) == {"clap"}


def test_a_new_name_updates_its_own_page_and_the_overview_only(two):
    before = state(two)
    (two / "people.csv").write_text("video_id,track_id,name\na,1,Ada\n")
    refresh(two)
    assert changed(before, state(two)) == {"a.html", "index.html"}


def test_a_new_list_of_sessions_updates_the_overview_only(two):
    before = state(two)
    (two / "sessions.csv").write_text("video,group\na,x\nb,y\n")
    refresh(two)
    assert changed(before, state(two)) == {"index.html"}


def test_a_stimulus_that_appears_or_changes_updates_the_overview_only(two):
    (two / "sessions.csv").write_text("video,stimulus\na,ad.mp4\nb,ad.mp4\n")
    refresh(two)
    for content in (b"x", b"longer"):
        before = state(two)
        (two / "ad.mp4").write_bytes(content)
        refresh(two)
        assert changed(before, state(two)) <= {"index.html"}
        assert not refresh(two).written
    (two / "ad.mp4").unlink()
    assert [path.name for path in refresh(two).written] == ["index.html"]


def test_tables_that_were_written_again_update_their_page(two):
    before = state(two)
    write_session(two, Made(seconds=30, people=2, video_id="b"))
    refresh(two)
    assert changed(before, state(two)) == {"b.html", "index.html"}


def test_a_page_that_was_removed_comes_back_the_same(two):
    before = state(two)["a.html"][0]
    VideoFiles(two, "a").report.unlink()
    assert [path.name for path in refresh(two).written] == ["a.html"]
    assert state(two)["a.html"][0] == before


def test_a_theme_is_remembered(two):
    assert len(refresh(two, PageOptions(theme="dark")).written) == 3
    assert all(b'data-theme="dark"' in content for content, _ in state(two).values())
    assert not refresh(two).written


def test_a_broken_timeline_is_written_again_from_the_records(two):
    path = VideoFiles(two, "a").timeline
    before = pd.read_parquet(path), state(two)
    path.write_bytes(b"no parquet")
    done = refresh(two)
    assert not done.failed
    pd.testing.assert_frame_equal(pd.read_parquet(path), before[0])
    assert state(two)["a.html"][0] == before[1]["a.html"][0]


def test_a_broken_table_costs_its_own_page_only(two):
    VideoFiles(two, "a").faces.write_bytes(b"no parquet")
    VideoFiles(two, "b").report.unlink()
    done = refresh(two)
    assert list(done.failed) == ["a"]
    assert VideoFiles(two, "b").report.exists()
    assert report(two, "--csv").returncode == 10
    assert pd.read_csv(two / "csv" / "people.csv").video_id.unique().tolist() == ["b"]


def test_damaged_digests_make_every_page_stale(two):
    for path in (two / ".pages").iterdir():
        path.write_bytes(b"\xff{")
    assert len(refresh(two).written) == 3


def test_a_list_that_a_run_left_out_is_still_refused_by_report(two):
    (two / "sessions.csv").write_text("name\na\n")
    assert "video" in refresh(two, forgiving=True).warnings[0]
    with pytest.raises(OptionsError, match="video"):
        refresh(two)


def test_a_damaged_manifest_is_an_error(two):
    (two / "run.json").write_text("{")
    with pytest.raises(RecordsError, match=r"run\.json"):
        refresh(two)


def test_the_end_of_a_run_follows_the_names_and_the_theme(tmp_path, face_video):
    out = tmp_path / "out"
    video_id = run([face_video], out).videos[0].video_id
    refresh(out, PageOptions(theme="dark"))
    (out / "people.csv").write_text(f"video_id,track_id,name\n{video_id},1,Ada\n")
    run([face_video], out)
    html = VideoFiles(out, video_id).report.read_text(encoding="utf-8")
    assert 'data-theme="dark"' in html
    assert "Ada" in html
    before = state(out)
    run([face_video], out)
    assert changed(before, state(out)) <= {"index.html"}


@pytest.mark.slow
def test_pages_of_workers_are_not_made_twice(tmp_path, face_video):
    other = tmp_path / "other.mp4"
    other.write_bytes(face_video.read_bytes() + b"\0" * 64)
    out = tmp_path / "out"
    run([face_video, other], out, workers=2)
    before = state(out)
    assert [path.name for path in refresh(out).written] == []
    assert state(out) == before


# --- What was asked for the last time ---------------------------------------------------------------------


@pytest.fixture
def listed(two, tmp_path_factory):
    """The folder, and a list of sessions elsewhere that makes teams of its two videos."""
    path = tmp_path_factory.mktemp("lists") / "studie.csv"
    path.write_text("video,team\na,red\nb,blue\n")
    return two, path


def groups(out) -> set[str]:
    html = (out / "index.html").read_text(encoding="utf-8")
    return {team for team in ("red", "blue") if f">{team}</bdi>" in html}


def test_groups_and_the_list_of_sessions_are_remembered(listed):
    out, path = listed
    report(out, "--sessions", path, "--by", "team")
    before = state(out)
    assert groups(out) == {"red", "blue"}
    assert report(out).stdout.startswith("Pages written: 0")
    refresh(out, forgiving=True)  # as at the end of a run
    assert state(out) == before
    path.write_text("video,team\na,red\nb,red\n")
    report(out)
    assert groups(out) == {"red"}


def test_forget_restores_the_defaults(listed):
    out, path = listed
    report(out, "--sessions", path, "--by", "team", "--theme", "dark")
    report(out, "--forget", "--sessions", path)
    assert groups(out) == set()
    assert (out / "index.html").read_text().startswith('<!doctype html>\n<html lang="en">')
    report(out, "--by", "team")  # the list is kept still
    assert groups(out) == {"red", "blue"}
    report(out, "--forget")
    assert groups(out) == set()


def test_a_deleted_list_is_reported_in_one_line_and_costs_nothing_else(listed):
    out, path = listed
    report(out, "--sessions", path, "--by", "team")
    VideoFiles(out, "a").report.unlink()
    path.rename(path.with_suffix(".away"))
    done = report(out, "--csv")
    assert done.returncode == 0
    assert re.fullmatch(r"ferflow: session list .*studie\.csv: no longer there.*--forget\.\n", done.stderr)
    assert VideoFiles(out, "a").report.exists()
    assert (out / "csv" / "videos.csv").exists()
    assert groups(out) == set()
    assert "studie.csv: no longer there" in (out / "index.html").read_text()
    path.with_suffix(".away").rename(path)
    assert report(out).stderr == ""
    assert groups(out) == {"red", "blue"}


def test_a_list_that_does_not_exist_is_refused(listed):
    out, path = listed
    report(out, "--sessions", path, "--by", "team")
    path.unlink()
    done = report(out, "--sessions", path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_missing_column_is_reported(listed):
    out, path = listed
    report(out, "--sessions", path, "--by", "team")
    path.write_text("video,crew\na,red\nb,blue\n")
    done = report(out)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "cannot group by 'team'" in done.stderr
    assert report(out, "--by", "team").returncode == 2


# --- Markers and clips without a new analysis -------------------------------------------------------------


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> bytes:
    """A video of twenty seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_video(path, face_frames(125), pts=[160 * k for k in range(125)]).read_bytes()


@pytest.fixture
def filmed(tmp_path, film):
    """Two videos that lie where they were analysed; made-up faces."""
    out, videos = tmp_path / "out", tmp_path / "in"
    videos.mkdir()
    for name in "ab":
        (video := videos / f"{name}.mp4").write_bytes(film + name.encode())
        source = {"path": str(video), "name": video.name, "size": video.stat().st_size, "time_base": "1/1000"}
        write_session(out, Made(seconds=20, people=2, video_id=name, source=source))
    write_run(out, ["a", "b"])
    refresh(out)
    return out, videos


def test_markers_for_all_videos_are_stored_without_a_new_analysis(filmed, tmp_path):
    out, _ = filmed
    before = state(out)
    file = tmp_path / "film.csv"
    file.write_text("time_s,label\n2,boom\n")
    tables = {
        path: path.read_bytes() for room in ("frames", "faces", "timeline") for path in (out / room).iterdir()
    }
    assert report(out, "--markers", file).stdout.startswith("Pages written: 3; unchanged: 0.")
    assert changed(before, state(out)) == {"a.html", "b.html", "index.html"}
    assert all(b"boom" in state(out)[f"{name}.html"][0] for name in "ab")
    assert report(out, "--markers", file).stdout.startswith("Pages written: 0")
    assert report(out).stdout.startswith("Pages written: 0")  # and they stay
    assert {path: path.read_bytes() for path in tables} == tables


def test_markers_next_to_one_video_update_its_page_and_the_overview_only(filmed):
    out, videos = filmed
    (videos / "b.markers.csv").write_text("time_s,label\n2,boom\n")
    before = state(out)
    done = report(out)
    assert done.returncode == 0
    # The overview pools markers, although those of a single session leave it as it was.
    assert done.stdout.startswith("Pages written: 2")
    assert "b.html" in changed(before, state(out))
    assert "a.html" not in changed(before, state(out))


@pytest.mark.parametrize("content", ["", "nothing", "time_s,label\nsoon,x\n", b"\xff\xfe\x00"])
def test_a_bad_file_of_markers_is_refused_in_one_line_and_nothing_is_done(two, tmp_path, content):
    file = tmp_path / "film.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = state(two)
    done = report(two, "--markers", file, "--theme", "dark")
    assert done.returncode == 2
    assert re.fullmatch(r"ferflow: \S*film\.csv[,:].*\n", done.stderr)
    assert state(two) == before


def test_invalid_markers_next_to_one_video_cost_no_other(filmed):
    out, videos = filmed
    (videos / "a.markers.csv").write_text("time_s,label\nsoon,x\n")
    (videos / "b.markers.csv").write_text("time_s,label\n2,boom\n")
    done = report(out)
    assert done.returncode == 10
    assert re.fullmatch(r"ferflow: a: \S*a\.markers\.csv, line 2: .*\n", done.stderr)
    assert b"boom" in state(out)["b.html"][0]


def test_clips_are_cut_without_a_new_analysis_and_follow_the_peaks(filmed):
    out, videos = filmed
    done = report(out, "--embed-clips")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Pages written: 3")  # the overview says that clips are stored
    assert "Clips around the peaks are stored; they show faces." in done.stderr
    html = state(out)["a.html"][0].decode()
    clips = re.findall(r'<video id="clip-[^>]* src="([^"]+)"', html)
    assert clips
    assert sorted(clips) == sorted(f"a.clips/{path.name}" for path in (out / "reports/a.clips").iterdir())
    assert report(out, "--embed-clips").stdout.startswith("Pages written: 0")
    for path in (out / "reports/a.clips").iterdir():
        path.unlink()
    before = state(out)
    report(out)
    assert changed(before, state(out)) == {"a.html"}
    assert "<figure>" not in state(out)["a.html"][0].decode()
    (videos / "b.mp4").rename(videos / "away.mp4")
    for path in (out / "reports/b.clips").iterdir():
        path.unlink()
    done = report(out, "--embed-clips")
    assert done.returncode == 10
    *notice, line = done.stderr.splitlines()
    assert re.fullmatch(r"ferflow: b: b\.mp4: not where it was analysed.*", line)
    assert "they show faces" in notice[0]  # there were none when it started
    assert "<figure>" in state(out)["a.html"][0].decode()


# --- Pages of older data ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_run_killed_between_timeline_and_page_leaves_no_page_of_the_old_timeline(
    tmp_path, face_video, monkeypatch
):
    out = tmp_path / "out"
    video_id = run([face_video], out).videos[0].video_id
    page = VideoFiles(out, video_id).report
    assert page.exists()

    def die(*_):
        raise Killed

    monkeypatch.setattr("ferflow.dashboards.refresh_session", die)
    with pytest.raises(Killed):
        run([face_video], out, AnalyzeOptions(bin_seconds=0.5))
    assert not page.exists()
    monkeypatch.undo()
    run([face_video], out, AnalyzeOptions(bin_seconds=0.5))
    assert page.exists()


def test_a_run_without_pages_removes_the_page_that_it_made_stale_and_no_other(tmp_path, face_video):
    out, markers = tmp_path / "out", tmp_path / "markers.csv"
    video_id = run([face_video], out).videos[0].video_id
    page = VideoFiles(out, video_id).report
    run([face_video], out, pages=False)
    assert page.exists()
    markers.write_text("time_s,label\n0.1,boom\n")
    run([face_video], out, pages=False, markers=markers)
    assert not page.exists()


def test_a_moved_folder_has_its_links_to_videos_corrected(filmed, tmp_path):
    out, _ = filmed
    moved = tmp_path / "deeper" / "out"
    moved.parent.mkdir()
    out.rename(moved)
    assert {path.name for path in refresh(moved).written} == {"a.html", "b.html"}
    assert 'src="../../../in/a.mp4"' in VideoFiles(moved, "a").report.read_text(encoding="utf-8")


# --- The commands -----------------------------------------------------------------------------------------


def test_report_makes_pages_and_tables_and_says_how_many(two):
    done = report(two, "--csv", "--theme", "light")
    assert done.returncode == 0, done.stderr
    assert "Pages written: 3; unchanged: 0." in done.stdout
    assert {"videos.csv", "marker_curves.csv"} < {path.name for path in (two / "csv").iterdir()}
    assert "unchanged: 3." in report(two).stdout  # the theme holds for the next time


def test_report_refuses_a_folder_that_is_not_ours(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    done = report(tmp_path)
    assert done.returncode == 5
    assert "not an output folder" in done.stderr
    assert (tmp_path / "index.html").read_text() == "mine"


@pytest.mark.parametrize("option", ["--pdf", "--png", "--svg"])
def test_without_chromium_nothing_is_done_and_one_line_says_what_to_do(two, option):
    before = state(two)
    done = report(two, option, "--theme", "dark", FERFLOW_CHROMIUM="/nowhere/chromium")
    assert done.returncode == 2
    assert re.fullmatch(r"ferflow: .*Chromium.*Install one.*\n", done.stderr)
    assert state(two) == before


def test_people_lists_tracks_and_writes_a_list_to_fill_in(two, ferflow):
    done = ferflow("people", two, "--video", "a")
    assert len(re.findall(r"^ +[12]  ", done.stdout, re.M)) == 2
    assert ferflow("people", two, "--csv", two / "people.csv").code == 0
    assert (two / "people.csv").read_text("utf-8-sig").startswith("video_id,track_id,name")
    again = ferflow("people", two, "--csv", two / "people.csv")
    assert again.code == 2
    assert "may hold names" in again.stderr
    assert refresh(two).warnings == ()
