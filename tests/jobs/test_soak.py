"""Nights of work: memory stays flat, and no thread, file or process is left behind."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ferflow.jobs.benchmarks.memory import write_repeated
from tests.conftest import face_frames, write_video

MIB = 1 << 20


class Watch:
    """What a process and its workers hold together, looked at again and again while it runs."""

    def __init__(self, process: psutil.Process) -> None:
        self.rss: list[int] = []
        self.threads: list[int] = []
        self.files: list[int] = []
        self.processes: list[int] = []
        self.at: list[int] = []
        """Events seen when it was looked at."""
        self._process = process

    def look(self, n_events: int) -> None:
        held = list(filter(None, map(_measure, [self._process, *self._process.children(recursive=True)])))
        for values, sizes in zip((self.rss, self.threads, self.files), zip(*held, strict=True), strict=True):
            values.append(sum(sizes))
        self.processes.append(len(held))
        self.at.append(n_events)

    def reported(self) -> str:
        early, late = self.early_and_late(self.rss)
        return (
            f"resident {early / MIB:.0f} -> {late / MIB:.0f} MiB (most {max(self.rss) / MIB:.0f}), "
            f"threads {self.early_and_late(self.threads)}, files {self.early_and_late(self.files)}, "
            f"processes {self.early_and_late(self.processes)}"
        )

    def early_and_late(self, values: list[int]) -> tuple[float, float]:
        """Medians of the second and of the last fifth; the first fifth warms up."""
        fifth = len(values) // 5
        return statistics.median(values[fifth : 2 * fifth]), statistics.median(values[-fifth:])


def _measure(process: psutil.Process) -> tuple[int, int, int] | None:
    try:
        with process.oneshot():
            return process.memory_info().rss, process.num_threads(), process.num_fds()
    except psutil.Error:  # it has just ended
        return None


def soaked(arguments: list[object], every: int) -> Watch:
    """Run ferflow and look at its process at each `every`-th event that has ended or progressed."""
    command = [sys.executable, "-m", "ferflow", "analyze", *map(str, arguments), "--progress", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        watch = Watch(psutil.Process(process.pid))
        n_events = 0
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] in ("ended", "progress"):
                n_events += 1
                if n_events % every == 0:
                    watch.look(n_events)
            assert event["event"] != "failed", event
    assert process.returncode == 0
    return watch


def check_flat(watch: Watch) -> None:
    print(watch.reported())
    assert statistics.median(watch.processes) >= 2  # the video is read in a worker, and its memory counts
    early, late = watch.early_and_late(watch.rss)
    assert late <= 1.05 * early, watch.reported()
    for values in (watch.threads, watch.files, watch.processes):
        early, late = watch.early_and_late(values)
        # One that happens to be under way when it is looked at; a leak would be one for each video, or for each event.
        assert late <= early + 1, watch.reported()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_five_hundred_short_videos_take_no_more_memory_than_fifty(tmp_path):
    n_videos = int(os.environ.get("FERFLOW_SOAK_VIDEOS", "500"))
    clip = write_video(tmp_path / "clip.mp4", face_frames(25, size=(320, 240)))
    (tmp_path / "in").mkdir()
    for number in range(n_videos):
        os.link(clip, tmp_path / "in" / f"{number:03d}.mp4")
    watch = soaked([tmp_path / "in", "-o", tmp_path / "out", "--workers", "1"], every=5)
    assert len(list((tmp_path / "out" / "reports").glob("*.html"))) == n_videos
    assert not list((tmp_path / "out").rglob("*.tmp"))
    check_flat(watch)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_three_hours_of_video_take_no_more_memory_than_one(tmp_path):
    hours = float(os.environ.get("FERFLOW_SOAK_HOURS", "3"))
    pts = range(0, 50 * 200, 200)  # five frames a second
    clip = write_video(tmp_path / "clip.mp4", face_frames(50, size=(160, 120), step=1), pts=list(pts))
    write_repeated(clip, tmp_path / "long.mp4", hours * 3600)
    watch = soaked([tmp_path / "long.mp4", "-o", tmp_path / "out", "--no-report"], every=5)
    check_flat(watch)


@pytest.mark.slow
def test_runs_in_one_process_leave_no_thread_file_or_process(tmp_path):
    """For a program that calls `ferflow.run` all day."""
    from ferflow.jobs.run import run

    clip = write_video(tmp_path / "clip.mp4", face_frames(5, size=(128, 96)))
    process, held = psutil.Process(), []
    for number in range(12):
        run([clip], tmp_path / f"out{number}", pages=False, workers=1)
        (tmp_path / "b.mp4").write_bytes(clip.read_bytes())
        run([clip, tmp_path / "b.mp4"], tmp_path / f"out{number}", pages=False, workers=2)
        time.sleep(0.2)
        held.append((threading.active_count(), process.num_fds(), len(process.children(recursive=True))))
    print(held)
    assert held[-1][0] <= held[3][0]
    assert held[-1][1] <= held[3][1]
    assert held[-1][2] <= held[3][2]
    assert not list(Path(tmp_path).rglob("*.tmp"))
