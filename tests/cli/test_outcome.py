"""What a run prints at its end, for people and for programs, and with which code it exits."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ferflow.cli import app
from tests.conftest import face_frames, write_video

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture
def analyze(tmp_path, face_video):
    """Analyse a good video and others that the test names."""
    (tmp_path / "out").mkdir()
    (tmp_path / "notes.mp4").write_text("Dear diary")

    def call(*names: str, options: tuple[str, ...] = (), good: bool = True):
        inputs = [str(face_video)] * good + [str(tmp_path / name) for name in names]
        command = ["analyze", *inputs, "-o", str(tmp_path / "out"), "--no-report", "--workers", "1", *options]
        return CliRunner().invoke(app, command)

    return call


def test_quiet_prints_nothing_of_what_went_well(analyze):
    done = analyze(options=("--quiet",))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_quiet_prints_errors_and_no_warnings(analyze, tmp_path):
    # The second file is the first one once more, of which a run warns.
    (tmp_path / "copy.mp4").write_bytes(write_video(tmp_path / "one.mp4", face_frames(5)).read_bytes())
    loud = analyze("one.mp4", "copy.mp4", "notes.mp4", options=("--dry-run",))
    assert "copy" in loud.stderr
    done = analyze("one.mp4", "copy.mp4", "notes.mp4", options=("--quiet",))
    assert (done.exit_code, done.stdout) == (10, "")
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert "notes.mp4" in line


def test_without_quiet_there_is_a_summary_with_where_the_data_is(analyze, tmp_path):
    done = analyze()
    assert done.exit_code == 0
    assert "1 done." in done.stdout
    assert str(tmp_path / "out" / "run.json") in done.stdout
    assert "GDPR" in done.stderr


@pytest.mark.parametrize(
    ("names", "good", "code", "counts"),
    [
        ((), True, 0, {"done": 1}),
        (("notes.mp4",), True, 10, {"done": 1, "failed": 1}),
        (("notes.mp4",), False, 3, {"failed": 1}),
    ],
)
def test_programs_read_the_exit_code_in_the_last_event(analyze, names, good, code, counts):
    done = analyze(*names, options=("--progress", "json"), good=good)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["exit_code"], last["counts"]) == ("finished", code, counts)
    assert done.exit_code == code
    assert done.stdout == ""


def test_programs_read_the_exit_code_of_a_run_that_cannot_begin(analyze, tmp_path):
    (tmp_path / "out" / "run.json").write_text("{")
    done = analyze(options=("--progress", "json"))
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("failed", done.exit_code)
    assert done.exit_code not in (0, 1)
    assert "--repair" in last["message"]


@pytest.mark.parametrize(
    ("names", "good", "code"), [((), True, 0), (("gone.mp4",), False, 3), (("gone.mp4",), True, 10)]
)
@pytest.mark.parametrize("progress", [(), ("--progress", "json")])
def test_a_dry_run_exits_as_a_run_in_which_the_same_inputs_fail(analyze, names, good, code, progress):
    dry = analyze(*names, good=good, options=("--dry-run", *progress))
    assert dry.exit_code == code
    assert analyze(*names, good=good, options=progress).exit_code == code
