"""Progress for programs: each line on stderr is an event of the documented schema."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
from pathlib import Path

import jsonschema
import pytest

from ferflow.jobs.job import Job
from ferflow.jobs.progress import JsonLines, format_summary
from ferflow.jobs.run import run_events
from ferflow.jobs.run_events import Ended, Finished, Planned, Progressed, Started
from ferflow.store.run_manifest import TaskReport, VideoTask
from tests.cli.test_cli import ROOT
from tests.conftest import face_frames, write_video

SCHEMA = json.loads((ROOT / "docs" / "progress.schema.json").read_text(encoding="utf-8"))


def events_of(stderr: str) -> list[dict]:
    """Every line as an event; a line that is none, or of no known shape, fails the test."""
    events = [json.loads(line) for line in stderr.splitlines()]
    for event in events:
        jsonschema.validate(event, SCHEMA, jsonschema.Draft202012Validator)
    return events


def test_the_schema_is_one_and_covers_what_is_documented():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    named = {shape["properties"]["event"]["const"] for shape in SCHEMA["oneOf"]}
    assert named == set(SCHEMA["properties"]["event"]["enum"])
    docs = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in docs for name in named)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"event": "started", "time": "now"}, SCHEMA)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_run_is_told_event_by_event(tmp_path, face_video, workers, ferflow):
    other = write_video(tmp_path / "other.mp4", face_frames(12))
    (tmp_path / "notes.mp4").write_text("Dear diary")
    inputs = [face_video, other, tmp_path / "notes.mp4"]
    out = tmp_path / "out"
    done = ferflow("analyze", *inputs, "-o", out, "--no-report", "--progress", "json", "--workers", workers)
    assert done.code == 10
    events = events_of(done.stderr)
    assert done.stdout == ""
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("planned", "finished")
    assert (events[0]["n_inputs"], events[0]["n_pending"]) == (3, 3)
    for video in (face_video, other):
        mine = [event for event in events if event.get("source") == str(video)]
        assert [event["event"] for event in mine][:2] == ["started", "progress"]
        assert mine[-1]["event"] == "ended"
        assert (mine[-1]["status"], mine[-1]["n_faces"]) == ("done", mine[-1]["n_frames"])
        seconds = [event["seconds"] for event in mine if event["event"] == "progress"]
        assert seconds == sorted(set(seconds))
        assert 0 < seconds[-1] <= mine[-1]["duration_s"]
    assert events[-1]["counts"] == {"done": 2, "failed": 1}
    assert events[-1]["exit_code"] == 10
    again = events_of(ferflow("analyze", face_video, "-o", out, "--no-report", "--progress", "json").stderr)
    assert [event["event"] for event in again] == ["planned", "ended", "finished"]
    assert again[1]["status"] == "skipped"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_program_gets_the_same_events_as_objects(tmp_path, face_video, workers):
    other = write_video(tmp_path / "other.mp4", face_frames(12))
    job = Job(inputs=(str(face_video), str(other)), out=tmp_path / "out", workers=workers, pages=False)
    first, *middle, last = run_events(job)
    assert isinstance(first, Planned)
    assert [task.source for task in first.tasks] == [face_video, other]
    for task in first.tasks:
        kinds = [type(event) for event in middle if event.task == task]
        assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == (Started, {Progressed}, Ended)
    assert isinstance(last, Finished)
    assert [video.status for video in last.report.videos] == ["done", "done"]
    assert last.report.exit_code == 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_closing_the_events_ends_the_run_and_leaves_nothing_half_done(tmp_path, face_video, workers):
    other = write_video(tmp_path / "other.mp4", face_frames(40))
    out, before = tmp_path / "out", set(multiprocessing.active_children())
    job = Job(inputs=(str(face_video), str(other)), out=out, workers=workers, pages=False)
    events = run_events(job)
    assert any(isinstance(event, Progressed) for event in events)  # stops at the first of them
    events.close()
    assert set(multiprocessing.active_children()) <= before
    assert not list(out.rglob("*.tmp"))
    # The other worker may have finished its video by then.
    frames, faces = ({path.name for path in (out / table).glob("*")} for table in ("frames", "faces"))
    assert frames == faces
    assert len(frames) < workers
    *_, last = run_events(job)  # the folder is not locked
    assert [video.status for video in last.report.videos] == ["done", "done"]


def test_what_stops_a_run_is_the_last_event(tmp_path, face_video, ferflow):
    out = tmp_path / "out"
    done = ferflow("analyze", face_video, "-o", out, "--model", "nonsense", "--progress", "json")
    (event,) = events_of(done.stderr)
    assert (event["event"], event["exit_code"], done.code) == ("failed", 4, 4)
    assert "'nonsense' is not a model" in event["message"]


def test_hostile_names_and_warnings_stay_inside_their_line():
    stream = io.StringIO()
    lines = JsonLines(stream)
    logger = logging.Logger("ferflow.test")
    logger.addHandler(lines)
    logger.warning("two\nlines \u2028 and a %s", "name\udcff")
    report = TaskReport(source="a\nb\udcff.mp4", status="failed", error="no\r\n", failure="input")
    lines.show(Ended(VideoTask(Path(report.source), None), report))
    reported = events_of(stream.getvalue())
    assert stream.getvalue().isascii()
    assert reported[0]["message"].startswith("two\nlines")
    assert reported[1]["source"] == "a\nb\udcff.mp4"


def test_the_log_file_is_appended_to_and_holds_what_the_screen_does_not(tmp_path, face_video, ferflow):
    log = tmp_path / "run.log"
    (tmp_path / "notes.mp4").write_text("Dear diary")
    for _ in range(2):
        done = ferflow(
            "analyze", face_video, tmp_path / "notes.mp4", "-o", tmp_path / "out", "--log-file", log, "-q"
        )
        assert len(done.stderr.splitlines()) == 1
    lines = log.read_text().splitlines()
    assert sum("2 inputs" in line for line in lines) == 2
    assert sum(f"started {face_video}" in line for line in lines) == 1
    assert sum("failed" in line and "not a video" in line for line in lines) == 2
    assert all(Path(line.split()[0]) for line in lines)


def test_a_fault_of_ours_is_one_line_and_its_trace_is_in_the_log(tmp_path, face_video):
    import subprocess
    import sys

    log = tmp_path / "run.log"
    argv = ["ferflow", "analyze", str(face_video), "-o", str(tmp_path / "out"), "--log-file", str(log)]
    code = (
        "import sys, ferflow.jobs.run as r\n"
        "def plan_job(job): raise RuntimeError('a bug')\n"
        f"r.plan_job = plan_job\nsys.argv = {argv!r}\n"
        "from ferflow.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "unexpected RuntimeError: a bug" in done.stderr.splitlines()[-1]
    assert "Traceback" in log.read_text()


def test_the_summary_names_each_status_as_run_json_does():
    videos = [
        TaskReport(source="a.mp4", status="done_with_gaps"),
        TaskReport(source="b.mp4", status="not_started"),
    ]
    lines = format_summary(videos).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["done_with_gaps", "not_started"]
