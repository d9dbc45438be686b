"""What `ferflow bench` prints: a Markdown table, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from ferflow.jobs.benchmarks.speed import SAMPLED_FPS, BenchReport
from ferflow.jobs.benchmarks.stages import STAGES


def as_table(reports: Sequence[BenchReport]) -> str:
    """Markdown: a column per video."""
    machine = reports[0]
    rows = {
        "video": [f"{r.video} ({r.width}x{r.height}, {r.codec})" for r in reports],
        "Mbit/s · frames · faces per frame": [
            f"{r.megabits_per_s:.1f} · {r.n_frames} · {r.faces_per_frame:.1f}" for r in reports
        ],
        "decoding alone, frames/s": [f"{r.decode_fps:.0f}" for r in reports],
        "ferflow, frames/s": [f"{r.full_fps:.0f}" for r in reports],
        "ferflow, faces/s": [f"{r.faces_per_s:.0f}" for r in reports],
        "**ferflow / decoding**": [f"**{r.full_over_decode:.2f}**" for r in reports],
        **_rival_rows(reports),
        f"`--fps {SAMPLED_FPS:g}`, times as fast as every frame": [
            f"{r.sampled_over_full:.1f}" for r in reports
        ],
        f"CPU ms per frame: {' · '.join(['decoding', 'ferflow', *machine.rivals])}": [
            " · ".join(
                [
                    f"{r.decode_cpu_ms:.2f}",
                    f"{r.full_cpu_ms:.2f}",
                    *(f"{rival.cpu_ms:.0f}" for rival in r.rivals.values()),
                ]
            )
            for r in reports
        ],
        **{
            f"CPU ms per frame on one thread: {stage}": [f"{r.stages_cpu_ms[stage]:.2f}" for r in reports]
            for stage in STAGES
        },
        "start to first analysed frames, s": [f"{r.first_frame_s:.2f}" for r in reports],
        "`ferflow analyze` with report, s": [f"{r.command_s:.1f}" for r in reports],
        "peak memory, MiB": [f"{r.peak_mib:.0f}" for r in reports],
        "bytes on disk per face row": [f"{r.bytes_per_face:.0f}" for r in reports],
        "load of the machine before": [f"{r.load:.1f}" for r in reports],
    }
    lines = [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    lines.insert(1, "|---|" + "---|" * len(reports))
    title = f"{machine.cpus} CPUs, {machine.machine}; --detect {machine.detect}; median of {machine.rounds} rounds."
    return title + "\n\n" + "\n".join(lines)


def as_json(reports: Sequence[BenchReport]) -> str:
    """A list of objects, fields as of `BenchReport`."""
    return json.dumps([asdict(report) for report in reports], indent=1)


def _rival_rows(reports: Sequence[BenchReport]) -> dict[str, list[str]]:
    rows = {}
    for name in reports[0].rivals:
        found = [report.rivals[name] for report in reports]
        rows[f"{name}, frames/s · faces per frame"] = [
            f"{rival.fps:.1f} · {rival.faces_per_frame:.1f}" for rival in found
        ]
        rows[f"**ferflow / {name}**"] = [f"**{rival.full_over:.0f}**" for rival in found]
    return rows
