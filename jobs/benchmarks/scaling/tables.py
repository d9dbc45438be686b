"""What is printed: Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ferflow.jobs.benchmarks.scaling.costs import cost_of_hour, pack_gpu
from ferflow.jobs.benchmarks.scaling.model import Assumptions, Measured, MeasuredRun, Scenario
from ferflow.jobs.benchmarks.scaling.runs import SimulatedRun, simulate_measured

_STAGES = {"decode": ("decode",), "detect": ("planes", "detect"), "classify": ("classify",)}
"""Columns of the costs; `other` has the rest."""


def print_measured(measured: Measured) -> None:
    """Print what the simulation knows about the machine, and how close it comes to measured runs."""
    print(f"Measured on {measured.date}: {measured.machine}, load before {measured.load:.1f}\n")
    _print_table(
        ["measured", "value"],
        [
            ["start of a command, s", f"{measured.start_s:.2f}"],
            ["each video besides its frames, CPU s", f"{measured.video_cpu_s:.3f}"],
            ["each video, waiting for the disk, s", f"{measured.publish_s:.3f}"],
            ["listing an input, ms", f"{measured.list_s * 1e3:.2f}"],
            ["the id of an input, ms", f"{measured.identify_s * 1e3:.2f}"],
            ["CPU time with all CPUs busy, over one", f"{measured.full_node_factor:.3f}"],
        ],
    )
    scene = measured.run_scene.name
    print(f"{measured.run_videos} videos of {measured.run_video_s:g} s, {scene}, start included:\n")
    simulated = simulate_measured(measured)
    first = measured.runs[0], simulated[measured.runs[0].workers]
    _print_table(
        [
            "workers", "seconds, measured", "simulated", "CPU seconds, measured", "simulated", "speed-up, measured",
            "simulated",
        ],
        [_compare(run, simulated[run.workers], first) for run in measured.runs],
    )  # fmt: skip


def _compare(run: MeasuredRun, simulated: SimulatedRun, first: tuple[MeasuredRun, SimulatedRun]) -> list[str]:
    seconds = simulated.outcome.seconds
    return [
        f"{run.workers}", f"{run.wall_s:.1f}", f"{seconds:.1f}", f"{run.cpu_s:.1f}", f"{simulated.busy_s:.1f}",
        f"{first[0].wall_s / run.wall_s:.2f}", f"{first[1].outcome.seconds / seconds:.2f}",
    ]  # fmt: skip


def print_assumptions(assumed: Assumptions) -> None:
    """Print what was not measured."""
    rows = ([name, f"{value:g}", meaning] for name, value, meaning in assumed.rows())
    _print_table(["assumed", "value", "meaning"], rows)


def print_runs(runs: Iterable[SimulatedRun]) -> list[SimulatedRun]:
    """Print a line per simulated run as soon as it has ended; returns all."""
    head = [
        "policy", "workers", "videos", "hours of video", "hours to finish", "efficiency", "lost CPU", "retries",
        "copies", "reading", "store used", "limit", "largest loss",
    ]  # fmt: skip
    _print_head(head)
    done = []
    for run in runs:
        outcome, (loss, share) = run.outcome, run.largest_loss
        _print_cells(
            [
                run.policy, f"{run.n_workers:,}", f"{len(run.videos):,}", f"{run.videos.hours.sum():,.0f}",
                f"{outcome.seconds / 3600:.2f}", f"{run.efficiency:.3f}", _percent(outcome.lost_share),
                f"{outcome.n_retries:,}", f"{outcome.n_copies:,}", _percent(run.share("reading")),
                _percent(run.store_busy), run.limit, f"{loss} {_percent(share)}",
            ]
        )  # fmt: skip
        done.append(run)
    print()
    return done


def print_costs(scenario: Scenario, run: SimulatedRun) -> None:
    """Print what an hour of video costs, by scene, at the efficiency of a simulated run."""
    print(f"An hour of video, at the efficiency of {run.n_workers:,} workers ({run.policy}):\n")
    scenes = (replace(scenario, scene=scene) for scene in scenario.measured.scenes)
    _print_table(
        ["scene", "CPU s", *_STAGES, "other", "GB read", "MB written", "money"],
        (_show_cost(each, run) for each in scenes),
    )


def _show_cost(scenario: Scenario, run: SimulatedRun) -> list[str]:
    scene = scenario.scene
    cost = cost_of_hour(scenario, run.videos, efficiency=run.efficiency)
    stages = [
        sum(scene.stages_cpu_ms[name] for name in names) / 1e3 * scene.frames_per_hour
        for names in _STAGES.values()
    ]
    return [
        scene.name, f"{cost.cpu_s:,.0f}", *(f"{seconds:,.0f}" for seconds in stages),
        f"{cost.cpu_s - sum(stages):,.0f}", f"{cost.read_bytes / 1e9:.2f}", f"{cost.written_bytes / 1e6:.1f}",
        f"{cost.money:.4f}",
    ]  # fmt: skip


def print_packing(measured: Measured, assumed: Assumptions) -> None:
    """Print how many CPUs one GPU could serve."""
    print(
        f"One GPU that classifies {assumed.gpu_faces_per_s:,.0f} faces/s (an assumption; no GPU was measured), and "
        f"{assumed.cpus_per_node:g} CPUs that do the rest:\n"
    )
    cells = []
    for scene in measured.scenes:
        packed = pack_gpu(scene, assumed)
        cells.append(
            [
                scene.name, f"{packed.faces_per_cpu_s:,.0f}", f"{packed.cpus_per_gpu:,.0f}", _percent(packed.gpu_busy),
                f"{packed.times_as_fast:.2f}", f"{packed.worth:.2f}", f"{packed.worth_full:.2f}",
            ]
        )  # fmt: skip
    _print_table(
        [
            "scene", "faces/s of a CPU", "CPUs that one GPU serves", "GPU used", "times as fast as without",
            f"price of a GPU-hour that pays, with CPUs at {assumed.cpu_price:g}", "if it is fully used",
        ],
        cells,
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    _print_head(head)
    for row in rows:
        _print_cells(row)
    print()


def _print_head(head: Sequence[str]) -> None:
    _print_cells(head)
    print(f"|{'---|' * len(head)}")


def _print_cells(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)
