"""Pages made again: only those whose inputs changed, by `ferflow report` and at the end of a run alike."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ferflow.dashboards import PageOptions, refresh
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.run import run
from ferflow.records import RecordPaths
from tests.made_cohort import write_run
from tests.made_records import Made, write_session


@pytest.fixture
def two(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, Made(seconds=20, people=2, video_id=name)) for name in "ab"])
    refresh(tmp_path)
    return tmp_path


def state(out) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*.html")}


def report(out, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ferflow", "report", str(out), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def changed(before, after) -> set[str]:
    return {name for name in after if after[name] != before.get(name)}


def test_nothing_changed_nothing_written(two):
    before = state(two)
    done = refresh(two)
    assert (len(done.written), len(done.kept)) == (0, 3)
    assert state(two) == before


def test_a_name_touches_its_own_page_and_the_overview_only(two):
    before = state(two)
    (two / "people.csv").write_text("video_id,track_id,name\na,1,Ada\n")
    refresh(two)
    assert changed(before, state(two)) == {"a.html", "index.html"}


def test_a_list_of_sessions_touches_the_overview_only(two):
    before = state(two)
    (two / "sessions.csv").write_text("video,group\na,x\nb,y\n")
    refresh(two)
    assert changed(before, state(two)) == {"index.html"}


def test_tables_written_anew_touch_their_page(two):
    before = state(two)
    write_session(two, Made(seconds=30, people=2, video_id="b"))
    refresh(two)
    assert changed(before, state(two)) == {"b.html", "index.html"}


def test_a_page_that_was_removed_comes_back_the_same(two):
    before = state(two)["a.html"][0]
    RecordPaths(two, "a").report.unlink()
    assert [path.name for path in refresh(two).written] == ["a.html"]
    assert state(two)["a.html"][0] == before


def test_a_theme_is_kept_for_the_next_time(two):
    assert len(refresh(two, PageOptions(theme="dark")).written) == 3
    assert all(b'data-theme="dark"' in content for content, _ in state(two).values())
    assert not refresh(two).written


def test_a_broken_table_costs_its_own_page_only(two):
    RecordPaths(two, "a").timeline.write_bytes(b"no parquet")
    RecordPaths(two, "b").report.unlink()
    done = refresh(two)
    assert list(done.failed) == ["a"]
    assert RecordPaths(two, "b").report.exists()
    assert report(two).returncode == 10


def test_broken_notes_make_every_page_new(two):
    for path in (two / ".pages").iterdir():
        path.write_bytes(b"\xff{")
    assert len(refresh(two).written) == 3


def test_a_list_that_a_run_left_out_is_still_refused_when_it_is_asked_for(two):
    (two / "sessions.csv").write_text("name\na\n")
    assert "video" in refresh(two, forgiving=True).warnings[0]
    with pytest.raises(OptionsError, match="video"):
        refresh(two)


def test_a_broken_run_file_is_told(two):
    (two / "run.json").write_text("{")
    with pytest.raises(RecordsError, match=r"run\.json"):
        refresh(two)


def test_the_end_of_a_run_follows_the_names_and_the_theme(tmp_path, face_video):
    out = tmp_path / "out"
    video_id = run([face_video], out).videos[0].video_id
    refresh(out, PageOptions(theme="dark"))
    (out / "people.csv").write_text(f"video_id,track_id,name\n{video_id},1,Ada\n")
    run([face_video], out)
    html = RecordPaths(out, video_id).report.read_text(encoding="utf-8")
    assert 'data-theme="dark"' in html
    assert "Ada" in html
    before = state(out)
    run([face_video], out)
    assert changed(before, state(out)) <= {"index.html"}


def test_pages_of_workers_are_not_made_twice(tmp_path, face_video):
    other = tmp_path / "other.mp4"
    other.write_bytes(face_video.read_bytes() + b"\0" * 64)
    out = tmp_path / "out"
    run([face_video, other], out, workers=2)
    before = state(out)
    assert [path.name for path in refresh(out).written] == []
    assert state(out) == before


# --- The commands -----------------------------------------------------------------------------------------


def test_report_makes_pages_and_tables_and_says_how_many(two):
    done = report(two, "--csv", "--theme", "light")
    assert done.returncode == 0, done.stderr
    assert "Pages written: 3; as they were: 0." in done.stdout
    assert {"videos.csv", "marker_curves.csv"} < {path.name for path in (two / "csv").iterdir()}
    assert "as they were: 3." in report(two).stdout  # the theme holds for the next time


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


def test_people_lists_tracks_and_writes_a_list_to_fill_in(two):
    command = [sys.executable, "-m", "ferflow", "people", str(two)]
    done = subprocess.run([*command, "--video", "a"], capture_output=True, text=True, check=False)
    assert len(re.findall(r"^ +[12]  ", done.stdout, re.M)) == 2
    assert (
        subprocess.run(
            [*command, "--csv", str(two / "people.csv")], check=False, capture_output=True
        ).returncode
        == 0
    )
    assert (two / "people.csv").read_text("utf-8-sig").startswith("video_id,track_id,name")
    again = subprocess.run(
        [*command, "--csv", str(two / "people.csv")], check=False, capture_output=True, text=True
    )
    assert again.returncode == 2
    assert "may hold names" in again.stderr
    assert refresh(two).warnings == ()
