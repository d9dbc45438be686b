"""One long video in segments against the same in one go: time and results.

    python -m ferflow.jobs.benchmarks.segments [--scene 480p-six] [--seconds 600] [--minutes 2.5] [--detect full]

Three settings take turns, each `--rounds` times, and medians are printed: one worker of one thread on one CPU, the
defaults without segments on all CPUs, and with segments on all CPUs. Where other programs use the machine, the CPU
seconds say more than the time. The tables of all settings are compared, column by column.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.jobs.benchmarks.workers import Run, on_cpus
from ferflow.system.cpus import available_cpus


def measure(clip: Path, out: Path, n_cpus: int, *more: str) -> Run:
    """Analyse a clip into a new output folder, without pages."""
    command = [
        sys.executable,
        "-m",
        "ferflow",
        "analyze",
        str(clip),
        "-o",
        str(out),
        "-q",
        "--no-report",
        *more,
    ]
    started, before = time.perf_counter(), os.times()
    with on_cpus(n_cpus):
        subprocess.run(command, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.perf_counter() - started, cpu)


def find_differences(one: Path, other: Path) -> list[str]:
    """Columns that differ between the tables of two output folders, `faces.x1` and the like."""
    found = []
    for kind in ("frames", "faces"):
        first, second = (pq.read_table(next((out / kind).glob("*.parquet"))) for out in (one, other))
        if len(first) != len(second):
            found.append(f"rows of {kind}")
            continue
        found += [f"{kind}.{name}" for name in first.column_names if not first[name].equals(second[name])]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clip", type=Path, help="in place of a drawn one")
    parser.add_argument("--scene", choices=sorted(SCENES), default="480p-six")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--minutes", default="2.5", help="of a segment")
    parser.add_argument("--detect", default="full")
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args(arguments)
    cpus = available_cpus()
    settings = {
        "1 worker, 1 thread": (1, ["--workers", "1", "--threads", "1"]),
        f"in one go, {cpus} CPUs": (cpus, []),
        f"in segments, {cpus} CPUs": (cpus, ["--segment", chosen.minutes]),
    }
    runs: dict[str, list[Run]] = {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        clip = chosen.clip
        if clip is None:
            clip = Path(folder) / "long.mp4"
            draw_clip(clip, SCENES[chosen.scene], chosen.seconds)
        outs = {name: Path(folder) / str(number) for number, name in enumerate(settings)}
        for number in range(chosen.rounds):
            for name, (n_cpus, more) in settings.items():
                out = outs[name] if not number else Path(folder) / f"{outs[name].name}.{number}"
                runs[name].append(measure(clip, out, n_cpus, "--detect", chosen.detect, *more))
        first, *others = outs
        differences = {name: find_differences(outs[first], outs[name]) for name in others}
    slowest = statistics.median(run.wall_s for run in runs[first])
    print(f"{'setting':28} {'wall s':>8} {'CPU s':>8} {'speed':>6}  differs in")
    for name, each in runs.items():
        wall_s, cpu_s = (statistics.median(values) for values in zip(*each, strict=True))
        text = ", ".join(differences.get(name, [])) or ("nothing" if name in differences else "")
        print(f"{name:28} {wall_s:8.1f} {cpu_s:8.1f} {slowest / wall_s:6.2f}  {text}")


if __name__ == "__main__":
    main()
