"""Draw mutants by a seed, run each against the tests that reach its line, and print who survives.

    python -m tests.mutation [--count 200] [--seed 1] [--seconds 60] [--processes 2] [--only faces/tracker.py ...]

Needs `build/mutants/coverage` and `build/mutants/durations`, which `make mutants` makes. What is done is in
`build/mutants/SEED.jsonl`; the same command continues there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.fork import run_pytest
from tests.mutation.mutants import Mutant, read_mutants
from tests.mutation.reach import Reach

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
MODULES = (
    "ferflow/faces/tracker.py", "ferflow/faces/track_interpolation.py", "ferflow/faces/crops.py",
    "ferflow/faces/head_pose.py", "ferflow/faces/shot_detector.py", "ferflow/faces/links.py",
    "ferflow/faces/stitching.py", "ferflow/faces/detections.py", "ferflow/media/video.py", "ferflow/media/clock.py",
    "ferflow/media/frame_skipping.py", "ferflow/analytics/timeline.py", "ferflow/analytics/tally.py",
    "ferflow/analytics/peaks.py", "ferflow/analytics/local_peaks.py", "ferflow/analytics/persons.py",
    "ferflow/analytics/person_faces.py", "ferflow/analytics/expressions.py", "ferflow/analytics/measures.py",
    "ferflow/analytics/coverage.py", "ferflow/analytics/cohort.py", "ferflow/analytics/shared_clock.py",
    "ferflow/store/run_manifest.py", "jobs/run.py", "jobs/plan.py", "jobs/processing.py",
    "jobs/shard_inputs.py", "jobs/shard_join.py", "jobs/merge.py", "jobs/engines/worker_pool.py",
    "jobs/engines/ray_engine.py",
)  # fmt: skip
"""What decides numbers, identities and the record of a run."""
_TREE = (
    "ferflow",
    "jobs",
    "dashboards",
    "tests",
    "pyproject.toml",
    "README.md",
    "docs",
    "MODEL_CARD.md",
    "Makefile",
)
TIME_OVER = "time over"
_MOST_TESTS = 400
"""On one command line."""
_SECONDS_OF_A_TEST = 20.0
"""One that takes longer counts as hanging."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a mutant fared: `killed`, `survived`, or `unreached` by any test."""

    module: str
    mutant: str
    outcome: str
    seconds: float
    by: str = ""
    """The test that failed; of a survivor, `TIME_OVER` where not all tests were run."""


def main() -> int:
    """Print a line per mutant and a table; 0 if enough were killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="most time for one mutant")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=MODULES, help="modules, relative to the project")
    parser.add_argument("--least", type=float, default=0.85, help="share of mutants that must be killed")
    parser.add_argument("--write-coverage-settings", action="store_true", help="for the run that records")
    chosen = parser.parse_args()
    if chosen.write_coverage_settings:
        write_coverage_settings(chosen.only)
        return 0
    reach = Reach.load(BUILD / "coverage", BUILD / "durations")
    for module in chosen.only:
        if (ROOT / module).stat().st_mtime > (BUILD / "coverage").stat().st_mtime:
            print(f"{module} was changed after coverage was recorded: its lines may be others")
    drawn = draw(chosen.only, chosen.count, chosen.seed)
    record = BUILD / f"{chosen.seed}.jsonl"
    results = run_all(drawn, reach, record, seconds=chosen.seconds, processes=chosen.processes)
    print_table(results)
    killed = sum(result.outcome == "killed" for result in results)
    return 0 if killed >= chosen.least * len(results) else 1


def write_coverage_settings(modules: Sequence[str]) -> None:
    """Settings of a run that records these modules alone: to trace all of ferflow takes twice the time."""
    lines = ["[run]", f"data_file = {BUILD / 'coverage'}", "include ="]
    lines += [f"    {ROOT / module}" for module in modules]
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "settings.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(modules: Sequence[str], count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Mutants of some modules; each module's part is in proportion to the square root of its number of mutants."""
    chance = random.Random(seed)
    by_module = {module: read_mutants(ROOT / module) for module in modules}
    weights = [len(found) ** 0.5 for found in by_module.values()]
    drawn: set[tuple[str, Mutant]] = set()
    most = sum(map(len, by_module.values()))
    while len(drawn) < min(count, most):
        (module,) = chance.choices(list(by_module), weights)
        drawn.add((module, chance.choice(by_module[module])))
    return sorted(drawn)


def run_all(
    drawn: Sequence[tuple[str, Mutant]], reach: Reach, record: Path, *, seconds: float, processes: int
) -> list[Result]:
    """Results of all mutants; those in the record are not run again."""
    known = {(result.module, result.mutant): result for result in _read(record)}
    with tempfile.TemporaryDirectory() as folder, record.open("a") as out:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(processes):
            trees.put(_copy_tree(Path(folder) / str(number)))

        def run_one(item: tuple[str, Mutant]) -> Result:
            module, mutant = item
            if (module, mutant.describe()) in known:
                return known[module, mutant.describe()]
            tree = trees.get()
            try:
                result = try_mutant(module, mutant, reach.tests(ROOT / module, mutant), tree, seconds)
            finally:
                trees.put(tree)
            print(f"{result.outcome:9} {result.seconds:5.1f} s  {module} {result.mutant}", flush=True)
            out.write(json.dumps(asdict(result)) + "\n")
            out.flush()
            return result

        with ThreadPoolExecutor(processes) as pool:
            return list(pool.map(run_one, drawn))


def try_mutant(module: str, mutant: Mutant, tests: Sequence[str], tree: Path, seconds: float) -> Result:
    """Put a mutant into a copy of the project and run tests until one fails or the time is over.

    A test counts only if it passes without the mutant: others fail in the copy, or for lack of time, whatever the code.
    """
    if not tests:
        return Result(module, mutant.describe(), "unreached", 0.0)
    source = (ROOT / module).read_text(encoding="utf-8")
    started, left = time.monotonic(), list(tests[:_MOST_TESTS])
    while True:
        try:
            _write_source(tree / module, mutant.apply(source))
            by = _first_failure(left, tree, seconds - (time.monotonic() - started))
        finally:
            _write_source(tree / module, source)
        if by not in left or _passes(by, tree):
            break
        left.remove(by)
    outcome = "survived" if by in ("", TIME_OVER) else "killed"
    return Result(module, mutant.describe(), outcome, round(time.monotonic() - started, 1), by)


_KNOWN_TO_PASS: dict[str, bool] = {}


def _passes(test: str, tree: Path) -> bool:
    """Whether a test passes in a copy of the project without a mutant."""
    if test not in _KNOWN_TO_PASS:
        _KNOWN_TO_PASS[test] = _first_failure([test], tree, _SECONDS_OF_A_TEST * 2) == ""
    return _KNOWN_TO_PASS[test]


_TIMES = itertools.count(1_000_000_000)


def _write_source(path: Path, source: str) -> None:
    # Python knows stale bytecode by size and whole seconds, and two mutants may have both in common.
    path.write_text(source, encoding="utf-8")
    os.utime(path, (time_s := next(_TIMES), time_s))


def _first_failure(tests: Sequence[str], tree: Path, seconds: float) -> str:
    """The test that fails; empty if none does, or `TIME_OVER`. A test that hangs fails."""
    if not tests or seconds <= 0:
        return TIME_OVER if tests else ""
    arguments = [
        "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", f"--timeout={_SECONDS_OF_A_TEST:.0f}",
        "-o", "timeout_func_only=true",  # fixtures may take long
        "-m", "not slow", *tests,
    ]  # fmt: skip
    code, output = run_pytest(tree, arguments, seconds)
    if code is None:
        return TIME_OVER
    if code in (0, 5):
        return ""
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not failed:
        return f"exit code {code}"
    name = failed[0].partition(" ")[2]  # and the message; names may have spaces
    return max((test for test in tests if name.startswith(test)), key=len, default=name)


def _copy_tree(tree: Path) -> Path:
    tree.mkdir(parents=True)
    for name in _TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, tree / name)
    return tree


def _read(record: Path) -> list[Result]:
    if not record.exists():
        return []
    return [Result(**json.loads(line)) for line in record.read_text().splitlines()]


def print_table(results: Sequence[Result]) -> None:
    """A row per module, and the survivors."""
    counts = Counter((result.module, result.outcome) for result in results)
    print(f"\n{'module':40} killed survived unreached")
    for module in sorted({result.module for result in results}):
        row = [counts[module, outcome] for outcome in ("killed", "survived", "unreached")]
        print(f"{module:40} {row[0]:6} {row[1]:8} {row[2]:9}")
    killed = sum(result.outcome == "killed" for result in results)
    print(f"killed {killed} of {len(results)} ({killed / max(len(results), 1):.0%})")
    for result in results:
        if result.outcome != "killed":
            print(f"{result.outcome:9} {result.module} {result.mutant}  {result.by}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
