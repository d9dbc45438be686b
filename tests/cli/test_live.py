"""`ferflow live` as users and programs run it: lines of JSON, a terminal, keys, signals, errors."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferflow.analytics.markers import read_markers
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table
from tests.command import restore_signals
from tests.jobs.live.ffmpeg_server import needs_ffmpeg

FERFLOW = [sys.executable, "-m", "ferflow"]


def run_live(*arguments: str | Path, stdin: int | None = subprocess.DEVNULL, **choices):
    command = [*FERFLOW, "live", *map(str, arguments)]
    return subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, check=False, timeout=60, **choices
    )


@pytest.fixture(scope="module")
def long_video(face_video, tmp_path_factory) -> Path:
    """The same face for a minute."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    command = ["ffmpeg", "-v", "error", "-stream_loop", "50", "-i", str(face_video), "-c", "copy", str(path)]
    subprocess.run(command, check=True)
    return path


def test_json_is_a_line_per_frame_with_the_promised_keys_alone(face_video, tmp_path):
    done = run_live(face_video, "--json", "--record", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == {"frame_index", "time_s", "latency_ms", "dropped", "faces"} for line in lines)
    keys = {"track_id", "xyxy", "score", "label", "probs", "yaw", "pitch", "roll"}
    assert all(set(face) == keys for line in lines for face in line["faces"])
    assert all(sum(face["probs"].values()) == pytest.approx(1, abs=1e-3) for face in lines[-1]["faces"])
    assert len(lines) + lines[-1]["dropped"] == 30
    # The same frames as in the tables.
    (files,) = OutputFolder(tmp_path / "out").finished_videos()
    frames = read_table(files.frames)
    assert frames.column("frame_index").to_pylist() == [line["frame_index"] for line in lines]
    assert frames.column("n_faces").to_pylist() == [len(line["faces"]) for line in lines]
    assert "have their consent" in done.stderr
    assert "Report: " in done.stderr


@needs_ffmpeg
def test_a_video_that_ffmpeg_pipes_in_is_read(face_video):
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(face_video), "-c", "copy", "-f", "matroska", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as sender:
        done = run_live("-", "--json", stdin=sender.stdout)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) + lines[-1]["dropped"] == 30
    assert any(line["faces"] for line in lines)


def test_the_old_detector_can_be_used(face_video):
    done = run_live(face_video, "--json", "--detector", "haar", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    faces = [face for line in done.stdout.splitlines() for face in json.loads(line)["faces"]]
    assert all(face["yaw"] is None and face["score"] == 1.0 for face in faces)


def test_without_a_terminal_there_are_plain_lines(long_video):
    done = run_live(long_video, "--seconds", "2")
    assert done.returncode == 0, done.stderr
    assert "frames/s analysed" in done.stdout
    assert "analysed in 00:0" in done.stdout.splitlines()[-1]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["99"], 3, "no such device"),
        (["rtsp://user:secret@127.0.0.1:1/a"], 3, "connection refused"),
        (["absent.mp4"], 3, "no such file"),
        (["ftp://127.0.0.1/a"], 2, "no kind of stream"),
        (["0", "--size", "big"], 2, "WxH"),
        (["0", "--key", "bb"], 2, "KEY=LABEL"),
        (["/dev/null"], 3, "not a camera"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_read_is_said_in_one_line(arguments, code, words, tmp_path, ferflow):
    done = ferflow("live", *arguments, cwd=tmp_path)
    assert done.code == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("ferflow: ")
    assert words in line
    assert "secret" not in line
    assert done.stdout == ""


def test_what_is_piped_in_and_is_no_video_is_said_in_one_line():
    done = subprocess.run(
        [*FERFLOW, "live", "-"], input=b"hello", capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (3, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ferflow: ")
    assert "not a video" in line


def test_a_text_file_is_no_video(tmp_path, ferflow):
    (tmp_path / "notes.txt").write_text("hello")
    done = ferflow("live", tmp_path / "notes.txt")
    assert done.code == 3
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_ends_the_session_and_finishes_the_recording(number, long_video, tmp_path):
    out = tmp_path / "out"
    command = [*FERFLOW, "live", str(long_video), "--json", "--record", str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=restore_signals
    ) as process:
        for _ in range(10):
            process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Report: " in errors
    (files,) = OutputFolder(out).finished_videos()
    assert files.report.exists()
    assert read_table(files.frames).num_rows == 10 + len(rest.splitlines())


def test_a_reader_that_has_seen_enough_ends_the_session(long_video):
    command = [*FERFLOW, "live", str(long_video), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == 0
        assert "Traceback" not in process.stderr.read()


def in_terminal(arguments: list[str | Path], keys: list[tuple[str, str]]) -> tuple[int, str]:
    """Run in a terminal, and press each key once its text has appeared; exit code and what was shown."""
    import pty

    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        os.execv(sys.executable, [*FERFLOW, "live", *map(str, arguments)])
    shown, left, end_s = "", list(keys), time.monotonic() + 60
    while time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
        if left and left[0][0] in shown:
            os.write(terminal, left.pop(0)[1].encode())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


def test_a_terminal_shows_people_and_keys_set_markers(long_video, tmp_path):
    out = tmp_path / "out"
    arguments = [long_video, "--record", out, "--key", "b=boss appears"]
    keys = [("#1", "b"), ("marker at", "x"), (": x", "q")]
    code, shown = in_terminal(arguments, keys)
    assert code == 0, shown
    assert "recording" in shown
    assert "frames/s analysed" in shown
    assert "b: boss appears" in shown
    (files,) = OutputFolder(out).finished_videos()
    table = read_markers(out / f"{files.video_id}.markers.csv")
    assert table.column("label").to_pylist() == ["boss appears", "x"]
    times = table.column("time_s").to_pylist()
    assert 0 < times[0] < times[1] < read_table(files.frames).column("time_s")[-1].as_py() + 0.5
    assert "boss appears" in files.report.read_text(encoding="utf-8")


def test_lsl_publishes_faces_and_markers(long_video):
    pylsl = pytest.importorskip("pylsl")
    command = [*FERFLOW, "live", str(long_video), "--json", "--lsl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = json.loads(process.stdout.readline())
        found = pylsl.resolve_byprop("source_id", "ferflow-long-expressions", timeout=10)
        assert len(found) == 1
        inlet = pylsl.StreamInlet(found[0])
        info = inlet.info(timeout=10)
        node, names = info.desc().child("channels").child("channel"), []
        for _ in range(info.channel_count()):
            names.append(node.child_value("label"))
            node = node.next_sibling()
        sample, _ = inlet.pull_sample(timeout=10)
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert "INFO" not in said  # liblsl's own lines about its version and configuration
    values = dict(zip(names, sample, strict=True))
    assert values["frame_index"] > first["frame_index"]
    assert values["track_id"] == 1
    assert sum(values[f"prob_{label}"] for label in first["faces"][0]["probs"]) == pytest.approx(1, abs=1e-3)


def test_without_lsl_one_line_says_what_to_install(face_video, tmp_path):
    (tmp_path / "pylsl.py").write_text("raise ImportError('absent')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = run_live(face_video, "--lsl", env=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "ferflow: --lsl needs the Lab Streaming Layer. Run: pip install"
    )
