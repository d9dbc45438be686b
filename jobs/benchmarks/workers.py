"""How much faster several workers are: the same videos with one worker of one thread, and with several.

    python -m ferflow.jobs.benchmarks.workers [--workers 1 2] [--videos 8] [--seconds 20] [--size 640x360] [--rounds 3]

The videos are copies of one sample clip. Each setting is limited to as many CPUs as it has threads: a worker of one
thread still decodes in another, and would use two CPUs. The settings take turns and the median of the rounds is
printed, so that other load on the machine affects all of them. Start-up is part of the time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ferflow.demo_clip import draw_sample


class Run(NamedTuple):
    """Seconds of one run, all its processes together."""

    wall_s: float
    cpu_s: float


Setting = tuple[int, int]
"""Workers, and threads of all of them."""


def measure_run(videos: Path, out: Path, workers: int, threads: int) -> Run:
    """Analyse the videos of a folder into a new output folder, without pages, on as many CPUs as threads."""
    command = [
        sys.executable, "-m", "ferflow", "analyze", str(videos), "-o", str(out), "-q", "--no-report",
        "--workers", str(workers), "--threads", str(threads),
    ]  # fmt: skip
    started, before = time.perf_counter(), os.times()
    with on_cpus(threads):
        subprocess.run(command, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.perf_counter() - started, cpu)


def measure_settings(
    clip: Path, n_videos: int, settings: Sequence[Setting], *, rounds: int
) -> dict[Setting, list[Run]]:
    """Analyse copies of a clip with each setting in turn, several times."""
    runs: dict[Setting, list[Run]] = {setting: [] for setting in settings}
    with tempfile.TemporaryDirectory() as folder:
        videos, out = Path(folder) / "videos", Path(folder) / "out"
        copy_clip(clip, n_videos, videos)
        for _ in range(rounds):
            for setting in settings:
                runs[setting].append(measure_run(videos, out, *setting))
                shutil.rmtree(out)
    return runs


def copy_clip(clip: Path, n_videos: int, folder: Path) -> None:
    """Fill a new folder with copies of a clip."""
    folder.mkdir()
    for number in range(n_videos):
        shutil.copy(clip, folder / f"{number}.mp4")


@contextmanager
def on_cpus(number: int) -> Iterator[None]:
    """Limit this process, and those that it starts, to a number of CPUs."""
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit("This benchmark pins processes to CPUs, which only Linux allows.")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    """Print a line per number of workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2], help="numbers of workers")
    parser.add_argument("--videos", type=int, default=8, help="number of videos")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each video")
    parser.add_argument("--size", default="640x360", help="width x height, pixels")
    parser.add_argument("--rounds", type=int, default=3, help="times that each setting is measured")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    # (workers, threads of all of them): one thread each; and, to compare with, one worker with the most threads.
    settings = [(workers, workers) for workers in arguments.workers] + [(1, max(arguments.workers))]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        draw_sample(clip, seconds=arguments.seconds, size=(width, height))
        measured = measure_settings(clip, arguments.videos, settings, rounds=arguments.rounds)
    first = statistics.median(run.wall_s for run in measured[settings[0]])
    for (workers, threads), runs in measured.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"{workers} workers, {threads} threads in total: {wall:6.1f} s, {cpu:6.1f} CPU s, "
            f"{cpu / wall:4.2f} CPUs busy, {first / wall:4.2f} times as fast as the first"
        )


if __name__ == "__main__":
    main()
