"""How fast `ferflow live` answers: a drawn 720p video of 30 frames per second, played in real time and recorded.

    python -m ferflow.jobs.benchmarks.live [--seconds 60] [--video FILE]

Once alone, and once while another process keeps one core busy. The first two seconds are left out of rates and
latencies: a recording of minutes does not depend on them. Memory is that of the process after a quarter of the time,
and at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.jobs.benchmarks.memory import write_repeated

_DRAWN_S = 20.0
_LEFT_OUT_S = 2.0
_SECONDS_BETWEEN_SIZES = 0.5


@dataclass(frozen=True, slots=True)
class Measured:
    """One session."""

    per_second: float
    """Analysed frames."""
    median_ms: float
    slow_ms: float
    """Latency that 95 of 100 frames do not exceed."""
    worst_ms: float
    n_dropped: int
    early_mib: float
    end_mib: float


def measure(video: Path, out: Path, seconds: float) -> Measured:
    """Analyse and record a video that is played in real time, in a process of its own."""
    command = [sys.executable, "-m", "ferflow", "live", str(video), "--json", "--record", str(out), "-q"]
    with subprocess.Popen(
        [*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        sizes: list[float] = []
        sampler = threading.Thread(target=_sample_sizes, args=(process, sizes), daemon=True)
        sampler.start()
        assert process.stdout is not None
        lines, n_sizes = [], 0
        for line in process.stdout:
            # Samples after the last line are of the report, which is drawn once the session is over.
            n_sizes = len(sizes)
            lines.append(json.loads(line))
    sampler.join()
    if process.returncode:
        raise SystemExit(f"ferflow live ended with {process.returncode}")
    return _sum_up(lines, sizes[:n_sizes])


def _sum_up(lines: list[dict[str, float]], sizes: list[float]) -> Measured:
    counted = [line for line in lines if line["time_s"] >= _LEFT_OUT_S]
    latencies = np.array([line["latency_ms"] for line in counted])
    took_s = counted[-1]["time_s"] - counted[0]["time_s"]
    median, slow = np.percentile(latencies, [50, 95]).tolist()
    return Measured(
        per_second=(len(counted) - 1) / took_s,
        median_ms=median,
        slow_ms=slow,
        worst_ms=float(latencies.max()),
        n_dropped=int(counted[-1]["dropped"]),
        early_mib=sizes[len(sizes) // 4],
        end_mib=sizes[-1],
    )


def _sample_sizes(process: subprocess.Popen[str], sizes: list[float]) -> None:
    watched = psutil.Process(process.pid)
    with contextlib.suppress(psutil.Error):
        while process.poll() is None:
            sizes.append(watched.memory_info().rss / (1 << 20))
            threading.Event().wait(_SECONDS_BETWEEN_SIZES)


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Print a line per case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each session")
    parser.add_argument("--video", type=Path, help="a video at least that long, in place of the drawn one")
    given = parser.parse_args()
    load = psutil.getloadavg()[0]
    print(f"{psutil.cpu_count()} CPUs, load before {load:.2f}, {given.seconds:g} s each")
    print(
        f"{'':16}{'frames/s':>9}{'median ms':>11}{'95 % ms':>9}{'worst ms':>10}{'dropped':>9}{'MiB':>7}{'at end':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        video = given.video or _draw(Path(folder), given.seconds)
        for name, busy in (("alone", contextlib.nullcontext()), ("one core busy", busy_core())):
            with busy:
                one = measure(video, Path(folder) / name.replace(" ", "-"), given.seconds)
            print(
                f"{name:16}{one.per_second:9.2f}{one.median_ms:11.1f}{one.slow_ms:9.1f}{one.worst_ms:10.1f}"
                f"{one.n_dropped:9}{one.early_mib:7.0f}{one.end_mib:8.0f}",
                flush=True,
            )


def _draw(folder: Path, seconds: float) -> Path:
    clip, video = folder / "clip.mp4", folder / "video.mp4"
    draw_clip(clip, SCENES["720p"], min(_DRAWN_S, seconds))
    write_repeated(clip, video, seconds + 2)
    return video


if __name__ == "__main__":
    main()
