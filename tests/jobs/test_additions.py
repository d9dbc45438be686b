"""Signals on their way into an output folder: which file, which start, what fails and what does not."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.additions import add_to_all, add_to_video, check_additions
from ferflow.jobs.job import Additions, Job
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import read_signals_metadata
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video
from tests.made_cohort import write_run
from tests.made_records import Made, write_session
from tests.media.test_creation_time import stamped

NOON = datetime(2024, 5, 12, 12, 0, 0, tzinfo=UTC)
CLOCKED = "timestamp,health\n2024-05-12T12:00:05Z,90\n2024-05-12T12:00:06Z,80\n"


@pytest.fixture
def filmed(tmp_path) -> tuple[OutputFolder, Path]:
    """Two finished videos of 20 s that lie where they were analysed."""
    out, videos = tmp_path / "out", tmp_path / "in"
    videos.mkdir()
    for name in "ab":
        video = write_video(videos / f"{name}.mp4", face_frames(3))
        write_session(out, Made(seconds=20, video_id=name, source={"path": str(video), "name": video.name}))
    write_run(out, ["a", "b"])
    return OutputFolder(out), videos


def stored(folder: OutputFolder, video_id: str) -> list[tuple[str, float, float]]:
    table = pd.read_parquet(folder.video(video_id).signals)
    return list(zip(table.name.astype(str), table.time_s, table.value, strict=True))


def test_the_file_next_to_a_video_is_its_own_and_one_given_is_for_all(filmed, tmp_path):
    folder, videos = filmed
    (videos / "b.signals.csv").write_text("time_s,health\n0,1\n")
    assert add_to_all(folder.path, Additions()) == {}
    assert not folder.video("a").signals.exists()
    assert stored(folder, "b") == [("health", 0.0, 1.0)]
    shared = tmp_path / "shared.jsonl"
    shared.write_text('{"time_s": 0, "score": 2}\n')
    assert add_to_all(folder.path, Additions(signals=shared)) == {}
    assert stored(folder, "a") == stored(folder, "b") == [("score", 0.0, 2.0)]


def test_signals_outlive_their_file_and_a_removed_video(filmed):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text("time_s,health\n0,1\n")
    add_to_all(folder.path, Additions())
    (videos / "a.signals.csv").unlink()
    add_to_all(folder.path, Additions())
    folder.video("a").remove()
    folder.remove_leftovers()
    assert stored(folder, "a") == [("health", 0.0, 1.0)]


def start_of(folder: OutputFolder, video_id: str) -> tuple[datetime, str]:
    start = read_signals_metadata(folder.video(video_id).signals).start
    return start.time, start.origin


def test_the_start_is_the_one_given_then_that_of_the_list_then_that_of_the_file(filmed, caplog):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text(CLOCKED)
    stamped(videos / "a.mp4", creation_time="2024-05-12T12:00:04Z")
    with caplog.at_level(logging.INFO):
        assert add_to_all(folder.path, Additions()) == {}
    assert stored(folder, "a") == [("health", 1.0, 90.0), ("health", 2.0, 80.0)]
    assert start_of(folder, "a") == (NOON + timedelta(seconds=4), "video file")
    # A guess is said aloud.
    (said,) = [record for record in caplog.records if "recording started" in record.message]
    assert said.levelno == logging.WARNING
    assert "2024-05-12 12:00:04+00:00 (creation time in the video file)" in said.message
    folder.session_list.write_text("video,recording_start\na,2024-05-12T12:00:03Z\nb,\n")
    assert add_to_all(folder.path, Additions()) == {}
    assert start_of(folder, "a") == (NOON + timedelta(seconds=3), "session list")
    assert add_to_all(folder.path, Additions(signals_start=NOON)) == {}
    assert start_of(folder, "a") == (NOON, "option")
    assert stored(folder, "a")[0] == ("health", 5.0, 90.0)


def test_a_start_that_was_given_once_holds_until_another_is_given(filmed):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text(CLOCKED)
    stamped(videos / "a.mp4", creation_time="2024-05-12T12:00:04Z")
    add_to_all(folder.path, Additions(signals_start=NOON))
    add_to_all(folder.path, Additions())
    assert start_of(folder, "a") == (NOON, "option")
    (videos / "a.signals.csv").write_text(CLOCKED + "2024-05-12T12:00:07Z,70\n")
    add_to_all(folder.path, Additions())
    assert stored(folder, "a")[-1] == ("health", 7.0, 70.0)
    folder.session_list.write_text("video,recording_start\na,2024-05-12T12:00:03Z\n")
    add_to_all(folder.path, Additions())
    assert start_of(folder, "a") == (NOON + timedelta(seconds=3), "session list")


def test_a_damaged_table_of_signals_is_replaced(filmed):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text("time_s,health\n0,1\n")
    add_to_all(folder.path, Additions())
    folder.video("a").signals.write_bytes(b"PAR1")
    assert add_to_all(folder.path, Additions()) == {}
    assert stored(folder, "a") == [("health", 0.0, 1.0)]


def test_an_assumed_time_zone_is_said(filmed, caplog, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    folder, videos = filmed
    (videos / "a.signals.csv").write_text("timestamp,health\n2024-05-12T14:00:05,90\n")
    stamped(videos / "a.mp4", creation_time="2024-05-12T12:00:04Z")
    try:
        assert add_to_all(folder.path, Additions()) == {}
    finally:
        monkeypatch.undo()
        time.tzset()
    assert stored(folder, "a") == [("health", 1.0, 90.0)]
    assert "creation time in the video file; times without a zone are taken as UTC+02:00" in caplog.text
    assert read_signals_metadata(folder.video("a").signals).assumed_zone == "UTC+02:00"


def test_an_unknown_start_is_an_error_that_says_what_to_give(filmed):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text(CLOCKED)
    (videos / "b.signals.csv").write_text("time_s,health\n0,1\n")
    failed = add_to_all(folder.path, Additions())
    assert list(failed) == ["a"]
    assert "--signals-start TIME, or a column recording_start in the session list" in failed["a"]
    assert stored(folder, "b") == [("health", 0.0, 1.0)]


def test_a_start_in_the_list_that_is_no_time_is_an_error(filmed):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text(CLOCKED)
    folder.session_list.write_text("video,recording_start\na,noon\n")
    assert "recording_start of a.mp4: 'noon' is no date" in add_to_all(folder.path, Additions())["a"]


def test_columns_without_numbers_are_named(filmed, caplog):
    folder, videos = filmed
    (videos / "a.signals.csv").write_text("time_s,level,health\n0,cave,1\n")
    add_to_all(folder.path, Additions())
    assert (
        "a.mp4: signals of a.signals.csv: columns without usable numbers are left out (level)."
        in caplog.messages
    )


def test_what_is_wrong_with_signals_or_markers_does_not_prevent_the_other(filmed):
    folder, videos = filmed
    files, source = folder.video("a"), videos / "a.mp4"
    (videos / "a.signals.csv").write_text("time_s,health\nsoon,1\n")
    (videos / "a.markers.csv").write_text("time_s,label\n1,boom\n")
    with pytest.raises(OptionsError, match=r"a\.signals\.csv, line 2"):
        add_to_video(source, files, Additions())
    assert pd.read_parquet(files.markers).label.tolist() == ["boom"]
    (videos / "a.signals.csv").write_text("time_s,health\n0,1\n")
    (videos / "a.markers.csv").write_text("time_s,label\nsoon,boom\n")
    with pytest.raises(OptionsError, match=r"a\.markers\.csv, line 2"):
        add_to_video(source, files, Additions())
    assert stored(folder, "a") == [("health", 0.0, 1.0)]


def test_a_broken_file_for_all_is_refused_before_any_work(tmp_path):
    shared = tmp_path / "shared.csv"
    shared.write_text("nothing")
    with pytest.raises(OptionsError, match="no column of times"):
        check_additions(Additions(signals=shared))
    with pytest.raises(OptionsError, match="no column of times"):
        run([tmp_path], tmp_path / "out", signals=shared)
    assert not (tmp_path / "out").exists()


def test_a_job_file_names_signals_and_a_start_in_the_forms_of_toml(tmp_path):
    path = tmp_path / "job.toml"
    for written in ('"2024-05-12T12:00:00Z"', "2024-05-12T12:00:00Z"):
        path.write_text(f'inputs = "a.mp4"\nout = "out"\nsignals = "s.csv"\nsignals_start = {written}\n')
        job = Job.from_toml(path)
        assert (job.signals, job.signals_start) == (Path("s.csv"), NOON)
        assert job.additions == Additions(signals=Path("s.csv"), signals_start=NOON)
    path.write_text('inputs = "a.mp4"\nout = "out"\nsignals_start = "noon"\n')
    with pytest.raises(OptionsError, match="'noon' is no date with a time of day"):
        Job.from_toml(path)
    path.write_text('inputs = "a.mp4"\nout = "out"\nsignals_start = 5\n')
    with pytest.raises(OptionsError, match="signals_start must be of type datetime, got 5"):
        Job.from_toml(path)


def test_a_run_stores_signals_and_a_second_one_leaves_them(tmp_path, face_video):
    video = tmp_path / "in" / "face.mp4"
    video.parent.mkdir()
    video.write_bytes(face_video.read_bytes())
    clocked = tmp_path / "play.csv"
    clocked.write_text("timestamp,health\n2024-05-12T12:00:00.2Z,90\n")
    out, options = OutputFolder(tmp_path / "out"), AnalyzeOptions(every=5)
    report = run([video], out.path, options, signals=clocked, signals_start=NOON)
    assert report.exit_code == 0
    files = out.video(report.videos[0].video_id)
    assert stored(out, files.video_id) == [("health", pytest.approx(0.2), 90.0)]
    before = files.signals.stat().st_mtime_ns
    assert run([video], out.path, options, signals=clocked, signals_start=NOON).exit_code == 0
    assert files.signals.stat().st_mtime_ns == before


def test_the_command_line_takes_a_start_and_refuses_what_is_none(filmed, tmp_path, ferflow):
    folder, _ = filmed
    shared = tmp_path / "shared.csv"
    shared.write_text(CLOCKED)
    done = ferflow("report", folder.path, "--signals", shared, "--signals-start", "2024-05-12T12:00:00Z")
    assert done.code == 0, done.stderr
    assert stored(folder, "b")[0] == ("health", 5.0, 90.0)
    refused = ferflow("report", folder.path, "--signals", shared, "--signals-start", "noon")
    assert refused.code == 2
    assert "is no date with a time of day" in re.sub(r"[\s│]+", " ", refused.stderr)
