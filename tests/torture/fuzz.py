"""A mutation loop over everything that ferflow reads, in child processes, so that a native crash is seen too.

    python -m tests.torture.fuzz video --n 1000 --seed 7     # a thousand cases in a child, watched
    python -m tests.torture.fuzz video --seed 7 --case 123   # one again, here; its input is kept

A case is decided by (target, seed, number). Each must end in a result or in a FerflowError, in time, and within
the child's memory. What there is to spoil is listed in `targets`.
"""

from __future__ import annotations

import argparse
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from ferflow.errors import FerflowError
from tests.torture.mutate import mutated
from tests.torture.targets import CONTROL, TARGETS

SECONDS_PER_CASE = 60
MOST_MEMORY = 8 << 30
"""Address space of a child, bytes."""


@cache
def seeds_of(name: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].seeds(Path(folder))


def case_of(name: str, seed: int, number: int) -> bytes:
    """The input that (target, seed, number) stand for."""
    if name == CONTROL:
        return b"ffdfsfef"[number % 8 : number % 8 + 1]
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed, number])
    seeds = seeds_of(name)
    content = mutated(seeds[number % len(seeds)], seeds, rng)
    return content.decode(errors="ignore").encode() if TARGETS[name].is_text else content


def run_here(name: str, seed: int, numbers: Sequence[int], folder: Path) -> None:
    """In the child: say what is tried, and what went wrong with it."""
    target = TARGETS[name]
    path = folder / f"case{target.suffix}"
    for number in numbers:
        print("case", number, flush=True)
        path.write_bytes(case_of(name, seed, number))
        try:
            target.read(path)
        except FerflowError as error:
            if "\n" in str(error) or len(str(error)) > 1500:
                print("wrong", number, f"message of {len(str(error))} characters", flush=True)
        except BaseException:
            print("wrong", number, traceback.format_exc().replace("\n", " | ")[-600:], flush=True)
    # Not `ru_maxrss`: it begins with the size of the process that started this one.
    peak_kib = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print("peak", int(peak_kib) // 1024, flush=True)


@dataclass
class Findings:
    """What a run of a target came to."""

    n_cases: int = 0
    wrong: list[str] = field(default_factory=list)
    """One line per crash, hang, or error that is none of ferflow's."""
    peak_mib: int = 0


def fuzz(
    name: str, seed: int, n: int, *, per_child: int = 500, seconds: float = SECONDS_PER_CASE
) -> Findings:
    """Run `n` cases in children; one that dies or is silent for too long is reported with its case, and replaced."""
    found, number = Findings(), 0
    while number < n:
        number = _child(name, seed, number, min(number + per_child, n), found, seconds)
    return found


def _child(name: str, seed: int, start: int, stop: int, found: Findings, seconds: float) -> int:
    """Returns the number of the next case."""
    where = ["--seed", str(seed), "--range", str(start), str(stop)]
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.torture.fuzz", name, *where]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as child:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        at = start - 1
        try:
            while line := lines.get(timeout=seconds):
                word, value, *rest = line.split(" ", 2)
                if word == "case":
                    at, found.n_cases = int(value), found.n_cases + 1
                elif word == "wrong":
                    found.wrong.append(f"{name} --seed {seed} --case {value}: {rest[0].strip()}")
                elif word == "peak":
                    found.peak_mib = max(found.peak_mib, int(value))
        except queue.Empty:
            child.kill()
            found.wrong.append(f"{name} --seed {seed} --case {at}: hangs")
            return at + 1
        if child.wait() != 0 and at < start:
            raise RuntimeError(f"{' '.join(command)} does not start")
        if child.returncode != 0:
            found.wrong.append(f"{name} --seed {seed} --case {at}: ended by {child.returncode}")
            return at + 1
    return stop


def _pump(stream: Iterable[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--case", type=int)
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        folder = Path(tempfile.mkdtemp())
        run_here(asked.target, asked.seed, [asked.case], folder)
        print(*folder.iterdir())
    elif asked.range:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        with tempfile.TemporaryDirectory() as folder:
            run_here(asked.target, asked.seed, range(*asked.range), Path(folder))
    else:
        found = fuzz(asked.target, asked.seed, asked.n)
        print(*found.wrong, sep="\n")
        print(
            f"{found.n_cases} cases of {asked.target}, seed {asked.seed}: "
            f"{len(found.wrong)} wrong, peak {found.peak_mib} MiB"
        )


if __name__ == "__main__":
    main()
