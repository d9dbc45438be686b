"""Cost and time of analysing up to a million videos on up to 1,000 workers: simulated, from measured times.

    python -m ferflow.jobs.benchmarks.scaling [--workers 1 2 8 64 256 1000] [--videos-per-worker 1000]

Prints, as Markdown: what was measured; how the simulation compares with measured runs of 1 and 2 workers; simulated
runs with more; what an hour of video costs, by scene; and how many CPUs one GPU can serve. What was not measured is an
assumption, listed with its meaning and set with `--set NAME=VALUE`. No GPU was measured.

Measured figures come from a stored file. `--measure FILE` writes those of this machine, in two to three minutes, and
`--measured FILE` uses them. Needs SimPy. The docstring of `simulation` says what a simulated worker does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.scaling.measure import STORED, measure, read_measured, write_measured
from ferflow.jobs.benchmarks.scaling.model import Assumptions, Policy, Scenario


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    given = _parse(arguments)
    try:
        _run(given)
    except OptionsError as error:
        raise SystemExit(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name != "simpy":
            raise
        raise SystemExit(
            "The simulation needs SimPy, which is not installed. Run: pip install simpy"
        ) from error


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ferflow.jobs.benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--measured", type=Path, default=STORED, help="file of measured figures")
    source.add_argument(
        "--measure", type=Path, help="measure this machine and write the figures to this file"
    )
    parser.add_argument(
        "--scene", default="720p-camera", help="kind of the simulated videos, a measured scene"
    )
    parser.add_argument("--workers", nargs="+", type=_count, default=[1, 2, 8, 64, 256, 1000], metavar="N")
    number = parser.add_mutually_exclusive_group()
    number.add_argument("--videos-per-worker", type=_count, default=1000, metavar="N")
    number.add_argument(
        "--videos", type=_count, metavar="N", help="the same number for each number of workers"
    )
    parser.add_argument(
        "--policy",
        nargs="+",
        choices=get_args(Policy),
        default=get_args(Policy),
        help="how videos get to workers",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="another value of an assumption"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _run(given: argparse.Namespace) -> None:
    from ferflow.jobs.benchmarks.scaling import tables
    from ferflow.jobs.benchmarks.scaling.runs import simulate_run

    assumed = Assumptions().updated(given.set)
    if given.measure is not None:
        write_measured(given.measure, measure())
    measured = read_measured(given.measure or given.measured)
    scenario = Scenario(
        measured=measured, scene=measured.scene(given.scene), assumed=assumed, seed=given.seed
    )
    tables.print_measured(measured)
    tables.print_assumptions(assumed)
    print(f"Simulated, videos of the scene {given.scene}:\n")
    runs = tables.print_runs(
        simulate_run(policy, n_workers, given.videos or given.videos_per_worker * n_workers, scenario)
        for n_workers in given.workers
        for policy in given.policy
    )
    tables.print_costs(scenario, runs[-1])
    tables.print_packing(measured, assumed)


if __name__ == "__main__":
    main()
