"""A decoder that crashes costs the video that it read: users have a worker process, also with one worker."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import pytest

from ferflow.errors import OptionsError, VideoError
from ferflow.system.child_process import call_in_child
from tests.conftest import face_frames, portrait, write_video

pytestmark = pytest.mark.isolated

CRASH = """
import os, signal, sys

def crash_on_one_file(event, arguments):
    if event != "import" or arguments[0] != "ferflow.media.video":
        return
    from ferflow.media import container
    real = container.open_container

    def open_container(path, *others, **named):
        if path.name == "crash.mp4":
            os.kill(os.getpid(), signal.SIGSEGV)
        return real(path, *others, **named)

    container.open_container = open_container

sys.addaudithook(crash_on_one_file)
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """Of a Python in which a decoder crashes on `crash.mp4`."""
    folder = tmp_path / "crashing"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CRASH)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def ten_videos(folder: Path) -> Path:
    folder.mkdir()
    video = write_video(folder.with_suffix(".mp4"), face_frames(5)).read_bytes()
    for name in ("crash", *map(str, range(9))):
        # A few bytes after the end make contents differ.
        (folder / f"{name}.mp4").write_bytes(video + name.encode())
    return folder


def test_a_video_that_crashes_the_decoder_costs_none_of_nine_others(tmp_path, environment):
    videos = ten_videos(tmp_path / "videos")
    ended = subprocess.run(
        [sys.executable, "-m", "ferflow", "analyze", videos, "-o", tmp_path / "out", "--workers", "1", "--no-report"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 10, ended.stderr
    assert "crash.mp4" in ended.stdout + ended.stderr
    assert "SIGSEGV" in ended.stdout + ended.stderr
    videos = json.loads((tmp_path / "out" / "run.json").read_text())["videos"]
    states = {Path(video["source"]).name: video["status"] for video in videos}
    assert states == {"crash.mp4": "failed", **{f"{number}.mp4": "done" for number in range(9)}}
    assert len(list((tmp_path / "out" / "faces").glob("*.parquet"))) == 9
    assert not list((tmp_path / "out").rglob(".*.tmp"))


def test_a_script_without_a_guard_may_run_and_its_process_loads_no_decoder(tmp_path, face_video):
    script = tmp_path / "script.py"
    script.write_text(
        "import ferflow, sys\n"
        f"report = ferflow.run([{str(face_video)!r}], {str(tmp_path / 'out')!r})\n"
        "print('started')\n"
        "heavy = {'av', 'cv2', 'onnxruntime', 'tensorflow'}\n"
        "print(report.exit_code, sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["started", "0 []"]
    assert (tmp_path / "out" / "index.html").exists()


def test_a_run_in_this_process_writes_what_a_worker_writes(tmp_path, face_video):
    import pyarrow.parquet as pq

    from ferflow.jobs.run import run

    for workers in (0, 1):
        run([face_video], tmp_path / str(workers), workers=workers, pages=False)
    for name in ("frames", "faces", "timeline"):
        (here,), (there,) = (list((tmp_path / str(n) / name).glob("*.parquet")) for n in (0, 1))
        assert pq.read_table(here).equals(pq.read_table(there))


def divide(dividend: int, divisor: int) -> float:
    if divisor < 0:
        raise OptionsError("negative") from OSError(28, "No space left on device")
    if divisor == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return dividend / divisor


def test_a_call_in_a_child_returns_its_result_and_raises_its_errors_with_their_causes():
    assert call_in_child(divide, 1, 2) == 0.5
    with pytest.raises(OptionsError, match="negative") as caught:
        call_in_child(divide, 1, -1)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == 28


def test_a_child_that_crashes_is_an_error_and_the_next_call_has_another_child():
    with pytest.raises(VideoError, match=r"crashed \(SIGSEGV\)"):
        call_in_child(divide, 1, 0)
    assert call_in_child(divide, 3, 2) == 1.5


@pytest.mark.slow
def test_a_crash_while_a_thumbnail_is_read_costs_the_thumbnails_of_that_video(
    tmp_path, face_video, environment
):
    (tmp_path / "videos").mkdir()
    shutil.copy(face_video, tmp_path / "videos" / "crash.mp4")
    command = [sys.executable, "-m", "ferflow"]
    done = subprocess.run(
        [*command, "analyze", tmp_path / "videos", "-o", tmp_path / "out", "--quiet"], check=False
    )
    assert done.returncode == 0
    ended = subprocess.run(
        [*command, "people", tmp_path / "out", "--thumbnails"], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode in (0, 10), ended.stderr
    assert "SIGSEGV" in ended.stderr
    assert "crash" in ended.stderr


def warn(name: str) -> None:
    logging.getLogger("ferflow.test").warning("%s is odd", name)


def test_what_a_child_logs_is_logged_here(caplog):
    call_in_child(warn, "this")
    assert [record.getMessage() for record in caplog.records] == ["this is odd"]


def test_a_picture_that_crashes_the_decoder_is_one_line_of_explain(tmp_path, face_video, environment):
    shutil.copy(face_video, tmp_path / "crash.mp4")
    ended = subprocess.run(
        [sys.executable, "-m", "ferflow", "explain", "crash.mp4", "-o", "page.html"], cwd=tmp_path,
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ferflow: crash.mp4: the process that read it crashed (SIGSEGV)")
    assert not (tmp_path / "page.html").exists()


def test_a_picture_that_crashes_the_decoder_costs_none_of_the_others_of_predict(tmp_path, environment):
    for name in ("first.mp4", "crash.mp4", "last.mp4"):  # what a file holds decides, not its suffix
        (tmp_path / name).write_bytes(cv2.imencode(".png", portrait()[..., ::-1])[1].tobytes())
    ended = subprocess.run(
        [sys.executable, "-m", "ferflow", "predict", "first.mp4", "crash.mp4", "last.mp4", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 10
    first, crashed, last = map(json.loads, ended.stdout.splitlines())
    assert first["faces"] == last["faces"]
    assert crashed["error"].startswith("crash.mp4: the process that read it crashed (SIGSEGV)")


@pytest.mark.parametrize(
    ("device", "has_driver", "workers", "processes"),
    [
        ("auto", False, 1, 1), ("auto", False, None, 1), ("auto", True, 1, 0), ("auto", True, None, 0),
        ("gpu", False, 1, 0), ("cpu", True, 1, 1), ("auto", True, 2, 2), ("auto", False, 0, 0),
    ],
)  # fmt: skip
def test_only_a_gpu_keeps_a_single_worker_in_the_process_of_the_run(
    monkeypatch, device, has_driver, workers, processes
):
    from ferflow.jobs import processing
    from ferflow.jobs.job import Job
    from ferflow.options import AnalyzeOptions

    monkeypatch.setattr("ferflow.system.runtime.has_nvidia_driver", lambda: has_driver)
    monkeypatch.setattr(processing, "available_cpus", lambda: 2)
    job = Job(inputs=("a",), out=Path("out"), options=AnalyzeOptions(device=device), workers=workers)
    assert processing.choose_n_workers(5, job) == processes


def test_a_child_that_ended_with_the_thread_that_started_it_is_no_crash_of_the_next_call():
    thread = threading.Thread(target=call_in_child, args=(divide, 1, 2))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert call_in_child(divide, 3, 2) == 1.5
