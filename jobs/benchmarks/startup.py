"""What a process of its own for one worker costs at start-up: short runs with and without, in turns.

    python -m ferflow.jobs.benchmarks.startup [--rounds 15] [--frames 5]

Each run analyses the first frames of the sample clip into a new folder, without pages, so that nearly all of it is
start-up. Of each setting the least and the median time are printed: other load on the machine can only add time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ferflow.demo_clip import draw_sample


def measure_seconds(clip: Path, out: Path, workers: int, frames: int) -> float:
    """Wall seconds of one run."""
    command = [
        sys.executable, "-m", "ferflow", "analyze", str(clip), "-o", str(out), "-q", "--no-report",
        "--workers", str(workers), "--end", f"{frames}f",
    ]  # fmt: skip
    started = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - started
    shutil.rmtree(out)
    return seconds


def main() -> None:
    """Print a line per setting, and the difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=5)
    arguments = parser.parse_args()
    settings = {"in the command's process": 0, "one worker": 1}
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        draw_sample(clip, seconds=2)
        for _ in range(arguments.rounds):
            for name, workers in settings.items():
                seconds[name].append(measure_seconds(clip, Path(folder) / "out", workers, arguments.frames))
    for name, values in seconds.items():
        print(f"{name:26} least {min(values):.2f} s, median {statistics.median(values):.2f} s")
    without, with_worker = seconds.values()
    print(
        f"a worker adds least {min(with_worker) - min(without):+.2f} s, median "
        f"{statistics.median(with_worker) - statistics.median(without):+.2f} s"
    )


if __name__ == "__main__":
    main()
