"""Worker processes across videos: the same files, and a death that costs its own video only."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from ferflow.errors import ModelError
from ferflow.jobs import processing
from ferflow.jobs.engines import worker_pool, worker_start
from ferflow.jobs.finished_video import report_dead_worker
from ferflow.jobs.job import Job
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Progressed, Started
from ferflow.options import AnalyzeOptions
from ferflow.store.run_manifest import VideoTask
from ferflow.system.memory import WORKER_BYTES, default_workers
from tests.conftest import face_frames, write_video
from tests.jobs.observed import observed_run


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No waiting between attempts."""
    monkeypatch.setattr(processing, "RETRY_AFTER_SECONDS", 0.0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Four short videos, of different lengths."""
    folder = tmp_path_factory.mktemp("four")
    return [write_video(folder / f"{n}.mp4", face_frames(n, size=(128, 96))) for n in (4, 200, 12, 8)]


def job_for(options: AnalyzeOptions) -> Job:
    return Job(inputs=(), out=Path("out"), options=options, pages=False)


class Seen:
    """Notes what happens, and kills the worker of one video when it reports progress."""

    def __init__(self, victim: str = "", times: int = 0) -> None:
        self.started: list[str] = []
        self.progressed: set[str] = set()
        self.pids: set[int] = set()
        self._victim, self._times = victim, times

    def __call__(self, event):
        if isinstance(event, Started):
            self.started.append(event.task.source.name)
            self.pids |= {process.pid for process in workers_of(os.getpid())}
        elif isinstance(event, Progressed):
            self._progressed(event.task)

    def _progressed(self, task):
        self.progressed.add(task.source.name)
        if task.source.name == self._victim and self._times:
            # Of two workers, the one that writes this video's tables.
            for process in workers_of(os.getpid()):
                with contextlib.suppress(psutil.Error):
                    if any(f"/.{Path(self._victim).stem}-" in file.path for file in process.open_files()):
                        process.kill()
                        self._times -= 1


def workers_of(pid: int) -> list[psutil.Process]:
    """Worker processes, without Python's own helper, those that have just died, and children for other purposes."""
    found = []
    others = {child.pid for child in multiprocessing.active_children() if child.name != "ferflow-worker"}
    for child in psutil.Process(pid).children():
        if child.pid in others:
            continue
        with contextlib.suppress(psutil.Error):
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
    return found


def tables(out: Path) -> dict[str, object]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.parquet")}


def test_two_workers_write_what_this_process_writes_and_leave_no_process(tmp_path, videos):
    seen = Seen()
    (tmp_path / "notes.mp4").write_text("Dear diary")
    inputs = [*videos, tmp_path / "notes.mp4"]
    options = AnalyzeOptions(threads=2)
    reports = {
        workers: observed_run(observer, inputs, tmp_path / str(workers), options, workers=workers)
        for workers, observer in ((1, print), (2, seen))
    }
    assert [video.status for video in reports[2].videos] == ["done"] * 4 + ["failed"]
    for ours, theirs in zip(reports[1].videos, reports[2].videos, strict=True):
        assert (ours.source, ours.n_faces, ours.report) == (theirs.source, theirs.n_faces, theirs.report)
    one, two = tables(tmp_path / "1"), tables(tmp_path / "2")
    assert len(one) == 12
    assert one.keys() == two.keys()
    for name in one:  # footers say how many threads a worker had, so the tables are compared
        assert pq.read_table(tmp_path / "1" / name) == pq.read_table(tmp_path / "2" / name)
    reported = [json.loads((tmp_path / name / "run.json").read_text())["videos"] for name in "12"]
    for entry in (*reported[0], *reported[1]):
        del entry["seconds"]
    assert reported[0] == reported[1]  # in the order of the inputs, whoever was first
    assert seen.started[0] == "200.mp4"  # the longest first
    assert "200.mp4" in seen.progressed
    assert len(seen.pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in seen.pids)


def test_a_killed_worker_costs_an_attempt_of_its_own_video_only(tmp_path, videos):
    seen = Seen(victim="200.mp4", times=1)
    report = observed_run(
        seen, videos, tmp_path / "out", AnalyzeOptions(chunk_frames=2), workers=2, pages=False
    )
    assert [video.status for video in report.videos] == ["done"] * 4
    assert [video.attempts for video in report.videos] == [1, 2, 1, 1]
    assert seen.started.count("200.mp4") == 2
    assert len(seen.started) == 5
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_a_video_that_kills_every_worker_fails_and_the_others_are_done(tmp_path, videos):
    seen = Seen(victim="200.mp4", times=2)
    report = observed_run(
        seen, videos, tmp_path / "out", AnalyzeOptions(chunk_frames=2), workers=2, pages=False
    )
    assert [video.status for video in report.videos] == ["done", "failed", "done", "done"]
    (failed,) = report.failed
    assert (failed.failure, failed.attempts) == ("transient", 2)
    assert "its worker was killed by signal 9" in failed.error
    assert report.exit_code == 10


def test_workers_end_with_a_run_that_is_killed(tmp_path, videos):
    code = (
        "import sys\nfrom ferflow.jobs.run import run\n"
        "if __name__ == '__main__': run(sys.argv[2:], sys.argv[1], workers=2, pages=False)"
    )
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "out"), *map(str, videos)]
    process = subprocess.Popen(command)
    while len(workers := workers_of(process.pid)) < 2:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def test_a_model_that_cannot_be_loaded_is_one_error_and_not_one_per_worker(tmp_path, videos):
    job = job_for(AnalyzeOptions(model=str(tmp_path / "gone.json")))
    tasks = [VideoTask(video, None) for video in videos]
    with pytest.raises(ModelError, match="is not a model"):
        list(worker_pool.process_in_workers(tasks, job, 2))
    assert not workers_of(os.getpid())


def test_a_pool_that_dies_before_it_starts_is_an_error_and_not_an_endless_loop(tmp_path, videos, monkeypatch):
    monkeypatch.setattr(worker_start, "_work", os.abort)
    tasks = [VideoTask(video, None) for video in videos]
    with pytest.raises(ModelError, match="no worker process could be started"):
        list(worker_pool.process_in_workers(tasks, job_for(AnalyzeOptions()), 2))


@pytest.mark.slow
def test_what_workers_log_reaches_the_log_of_the_run(tmp_path, videos):
    log = tmp_path / "run.log"
    command = [
        sys.executable, "-m", "ferflow", "analyze", *videos[:2], tmp_path / "gone.mp4", "-o", tmp_path / "out",
        "--workers", "2", "--no-report", "--log-file", log, "-q",
    ]  # fmt: skip
    (tmp_path / "gone.mp4").write_text("Dear diary")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 10, done.stderr
    reported = log.read_text()
    assert "3 inputs, 3 to analyse" in reported
    assert reported.count("started ") == 3
    assert reported.count("INFO ferflow.run: done ") == 2
    assert "gone.mp4: not a video" in reported


def test_records_of_a_worker_are_treated_as_ours(caplog):
    from ferflow.system.child_process import handle_record

    with caplog.at_level(logging.INFO, logger="ferflow"):
        handle_record(logging.LogRecord("ferflow.media.video", logging.INFO, "f", 1, "heard", (), None))
        handle_record(logging.LogRecord("ferflow.media.video", logging.DEBUG, "f", 1, "too quiet", (), None))
    assert caplog.messages == ["heard"]


def test_the_largest_file_comes_first_and_a_missing_one_last(tmp_path):
    for name, size in (("a", 10), ("b", 1000), ("c", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "1.png").write_bytes(b"x" * 500)
    tasks = [VideoTask(tmp_path / name, None) for name in ("a", "gone", "b", "shots", "c")]
    assert [task.source.name for task in worker_pool.largest_first(tasks)] == ["b", "shots", "c", "a", "gone"]


@pytest.mark.parametrize(
    ("n_videos", "cpus", "memory", "expected"),
    [(500, 16, 64, 8), (3, 16, 64, 3), (500, 16, 2, 2), (500, 2, 64, 1), (500, 1, 0.1, 1), (0, 8, 64, 1)],
)
def test_the_number_of_workers_follows_videos_cores_and_memory(n_videos, cpus, memory, expected):
    free = int(memory * WORKER_BYTES)
    assert default_workers(n_videos, cpus, free, AnalyzeOptions(device="cpu")) == expected


def test_one_process_uses_a_gpu():
    free = 64 * WORKER_BYTES
    assert default_workers(500, 16, free, AnalyzeOptions(device="gpu", backend="keras")) == 1


@pytest.mark.parametrize(
    ("threads", "workers", "each"), [(8, 4, 2), (16, 3, 5), (2, 2, 1), (2, 5, 1), (7, 1, 7)]
)
def test_threads_are_split_between_workers(threads, workers, each):
    assert worker_pool.threads_per_worker(threads, workers) == each


def test_a_video_whose_worker_died_after_finishing_it_is_done_and_not_analysed_again(tmp_path, videos):
    out = tmp_path / "out"
    run(videos[:1], out, pages=False)
    (task,) = plan(videos[:1], out, AnalyzeOptions())
    marker = task.files.faces.stat()
    killed = replace(task, is_finished=False), "its worker was killed by signal 9."
    report = report_dead_worker(killed[0], job_for(AnalyzeOptions()), killed[1])
    assert (report.status, report.n_frames) == ("done", 4)
    assert task.files.faces.stat() == marker
    other = job_for(AnalyzeOptions(every=2))  # results of another run, about to be overwritten
    report = report_dead_worker(killed[0], other, killed[1])
    assert (report.status, report.failure) == ("failed", "transient")
