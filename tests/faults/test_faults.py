"""No half file under a real name, the next run ends well, and nothing is lost: at any fault, at any point."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import face_frames, write_video
from tests.faults.app_case import AppCase
from tests.faults.cases import Case, Run
from tests.faults.kinds import CODES, COMMANDS
from tests.faults.live_case import LiveCase

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A folder whose disk is memory where there is such: hundreds of runs would flush it thousands of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="ferflow-faults-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def run(disk: Path) -> Iterator[Run]:
    """`run(argv, watch, fault=, at=)` carries out a command in a fork and returns how it ended, with its output.

    `meanwhile` is called while it runs, with the number of its process and the file of its output.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip

        def ask(
            argv: list[str],
            watch: Path,
            fault: str | None = None,
            at: int = 0,
            *,
            temporary: Path | None = None,
            meanwhile: Callable[[int, Path], None] | None = None,
        ) -> dict:
            output = disk / "output.txt"
            output.unlink(missing_ok=True)
            order = {"argv": argv, "watch": str(watch), "fault": fault, "at": at, "output": str(output)}
            order["temporary"] = temporary and str(temporary)
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            pid = json.loads(process.stdout.readline())["pid"]
            if meanwhile is not None:
                meanwhile(pid, output)
            return {**json.loads(process.stdout.readline()), "output": output.read_text(errors="replace")}

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def videos(disk: Path) -> Path:
    """Three small videos, one with markers."""
    folder = disk / "videos"
    folder.mkdir()
    for number, name in enumerate("abc"):
        write_video(folder / f"{name}.mp4", face_frames(12 + number, size=(160, 120)))
    (folder / "a.markers.csv").write_text("time_s,label\n0.2,start\n")
    write_video(disk / "d.mp4", face_frames(15, size=(160, 120)))  # to be uploaded
    _draw_faces(disk / "faces.npz")
    return folder


def _draw_faces(path: Path) -> None:
    """A data set of noise: what is learnt does not matter."""
    draw = np.random.default_rng(1)
    np.savez(
        path,
        images=draw.integers(0, 255, (42, 48, 48), np.uint8),
        emotion=np.arange(42) % 7,
        usage=np.array(["Training", "Training", "PublicTest"] * 14),
    )


@pytest.fixture(scope="module")
def results(disk: Path, videos: Path, run: Run) -> Path:
    """A finished folder."""
    out = disk / "results"
    done = run(["analyze", str(videos), "-o", str(out), "--threads", "1", "--workers", "0"], out)
    assert done["code"] == 0, done["output"]
    return out


KINDS = {"plain": Case, "live": LiveCase, "app": AppCase}


def make_case(name: str, folder: Path, videos: Path, results: Path, run: Run) -> Case:
    command = COMMANDS[name]
    return KINDS[command.kind](command, folder, videos, results, run)


def undisturbed(name: str, folder: Path, videos: Path, results: Path, run: Run) -> tuple[int, dict]:
    """How many file operations a command makes, and what it leaves."""
    case = make_case(name, folder, videos, results, run)
    ended = case.run()
    assert ended["code"] == 0, (name, ended["output"])
    return ended["n_operations"], case.contents()


N_QUICK = 3
N_SLOW = int(os.environ.get("FERFLOW_TEST_FAULTS", "200"))
CHOSEN = os.environ.get("FERFLOW_TEST_FAULTS_OF", ",".join(COMMANDS)).split(",")


@pytest.mark.parametrize("count", [N_QUICK, pytest.param(N_SLOW, marks=pytest.mark.slow)])
def test_a_fault_at_any_point_of_any_command_leaves_no_half_file_and_the_next_run_ends_well(
    disk, videos, results, run, count
):
    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    known: dict[str, tuple[int, dict]] = {}
    combinations = [
        (name, fault) for name in CHOSEN for fault in CODES if count > N_QUICK or not COMMANDS[name].is_slow
    ]
    draw.shuffle(combinations)
    wrong = []
    for number in range(count):
        name, fault = combinations[number % len(combinations)]
        folder = disk / "case"  # the same for all: pages and run.json hold paths
        if name not in known:
            known[name] = undisturbed(name, folder, videos, results, run)
            shutil.rmtree(folder)
        n_operations, wanted = known[name]
        at = draw.randint(1, n_operations)
        problem = disturb(make_case(name, folder, videos, results, run), fault, at, wanted)
        shutil.rmtree(folder)
        if problem:
            wrong.append(f"{name}, {fault} at {at} of {n_operations}: {problem}")
            print(wrong[-1])
    assert not wrong, f"seed {seed}"


def disturb(case: Case, fault: str, at: int, wanted: dict) -> str:
    """Carry out a case with a fault and again without; what is wrong, or nothing."""
    ended = case.run(fault, at)
    if ended["code"] not in CODES[fault]:
        return f"exit code {ended['code']}: {ended['output'][-400:]}"
    if "Traceback" in ended["output"] or "An error in ferflow" in ended["output"]:
        return ended["output"][-2000:]
    if problem := case.check_answers():
        return problem
    try:
        case.check_whole()
    except Exception as error:
        return f"a half file: {error}"
    again = case.run_again()
    if again["code"] != 0:
        return f"then exit code {again['code']}: {again['output'][-400:]}"
    problem = case.check_answers() or case.compare(wanted)
    return f"then {problem}" if problem else ""
