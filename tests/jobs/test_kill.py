"""What is finished stays finished, whichever process is killed, at whichever file operation."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import face_frames, write_video

KILLS = [("run", 0), ("run", 1), ("worker", 2), ("worker", 1), ("run", 2)]
"""What is killed, and the workers of the run: 0 is a run in one process."""


@pytest.fixture(scope="module")
def forker(tmp_path_factory):
    """Runs over six small videos, each in a process of its own: `forker(out, pages=, workers=, kill=, at=)`."""
    folder = tmp_path_factory.mktemp("six")
    videos = [
        write_video(folder / f"{name}.mp4", face_frames(4 + n, size=(128, 96)))
        for n, name in enumerate("abcdef")
    ]
    command = [sys.executable, "-m", "tests.jobs.killing", *map(str, videos)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:

        def ask(out: Path, *, pages: bool, workers: int = 1, kill: str = "nobody", at: int = 0) -> dict:
            order = {"out": str(out), "pages": pages, "workers": workers, "kill": kill, "at": at}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


def contents(out: Path) -> dict[str, object]:
    """Every file of a folder by its name, but for what may differ: times, and who ran it."""
    found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    run = json.loads(found["run.json"].read_text())
    for name in ("started", "finished", "host"):
        assert run.pop(name)
    run["videos"] = {
        video["source"]: {name: value for name, value in video.items() if name not in ("seconds", "attempts")}
        for video in run["videos"]
    }
    read = {name: path.read_bytes() for name, path in found.items()} | {"run.json": run}
    read |= {name: b"" for name in read if name.startswith(".pages/")}  # digests that hold times of files
    if "index.html" in read:
        read["index.html"] = re.sub(rb"run of [\d -]+:\d\d", b"", read["index.html"])
    return read


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Which file marks each finished video."""
    stats = {path.name: path.stat() for path in (out / "faces").glob("*.parquet")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def in_memory(tmp_path) -> Iterator[Path]:
    """A folder whose disk is memory where there is such: a kill needs no disk, and 40 runs flush it 3,000 times."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="ferflow-kill-") as folder:
        yield Path(folder)


@pytest.mark.timeout(900)  # 20 s of work; a busy machine takes its time
@pytest.mark.parametrize("n_kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_each_followed_by_a_resume_leave_what_an_undisturbed_run_leaves(in_memory, forker, n_kills):
    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    n_operations, wanted = {}, {}
    for pages in (True, False):
        whole = in_memory / f"whole-{pages}"
        ended = forker(whole, pages=pages)
        assert ended["code"] == 0
        n_operations[pages], wanted[pages] = ended["n_operations"], contents(whole)
        assert sum(name.startswith("faces/") for name in wanted[pages]) == 6
        assert sum(name.startswith("reports/") for name in wanted[pages]) == 6 * pages
    n_finished_at_kill = []
    for number in range(n_kills):
        kill, workers = KILLS[number % len(KILLS)]
        pages = number % 7 == 0  # they take most of the time
        at = draw.randint(1, n_operations[pages])
        reported = f"seed {seed}, kill {number}: {kill} of {workers} at operation {at}"
        out = in_memory / f"out{number}"
        ended = forker(out, pages=pages, workers=workers, kill=kill, at=at)
        assert ended["code"] == (-9 if kill == "run" else 0), reported
        deadline = time.monotonic() + 5
        while any(map(is_alive, ended["workers"])) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not any(map(is_alive, ended["workers"])), reported
        before = finished(out)
        n_finished_at_kill.append(len(before))
        assert forker(out, pages=pages, workers=workers)["code"] == 0, reported
        assert contents(out) == wanted[pages], reported
        assert before.items() <= finished(out).items(), f"{reported}: a finished video was analysed again"
    assert min(n_finished_at_kill) < 6  # else nothing was cut short
