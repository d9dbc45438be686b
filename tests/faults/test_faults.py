"""No half file under a real name, the next run ends well, and nothing is lost: at any fault, at any point."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import duckdb
import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pympi
import pytest

from tests.conftest import face_frames, write_video
from tests.faults.kinds import CODES, COMMANDS, Command

h5py = pytest.importorskip("h5py", reason="training is among the commands: needs ferflow[train]")
onnx = pytest.importorskip("onnx")

pytestmark = pytest.mark.timeout(1800)

Run = Callable[..., dict]


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A folder whose disk is memory where there is such: hundreds of runs would flush it thousands of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="ferflow-faults-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def run(disk: Path) -> Iterator[Run]:
    """`run(argv, watch, fault=, at=)` carries out a command in a fork and returns how it ended, with its output."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip

        def ask(argv: list[str], watch: Path, fault: str | None = None, at: int = 0) -> dict:
            output = disk / "output.txt"
            order = {"argv": argv, "watch": str(watch), "fault": fault, "at": at, "output": str(output)}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
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


class Case:
    """A command in a folder of its own."""

    def __init__(self, command: Command, folder: Path, videos: Path, results: Path, run: Run) -> None:
        self.out, self.scratch = folder / "out", folder / "scratch"
        self.scratch.mkdir(parents=True)
        self._run, self._folder = run, folder
        places = {
            "out": self.out,
            "videos": videos,
            "scratch": self.scratch,
            "faces": videos.parent / "faces.npz",
        }
        self.argv = [part.format(**places) for part in command.argv]
        if command.needs_results:
            shutil.copytree(results, self.out)
        match command.prepare:
            case "names" | "upload":
                ids = sorted(path.stem for path in (self.out / "faces").glob("*.parquet"))
                rows = [f"{video},1,Person of {video[0]}" for video in ids]
                (self.out / "people.csv").write_text("\n".join(["video_id,track_id,name", *rows, ""]))
                if command.prepare == "upload":
                    (upload := self.out / "uploads" / "0123456789abcdef").mkdir(parents=True)
                    for name in ("a.mp4", "a.markers.csv"):
                        shutil.copy(videos / name, upload / name)
            case "no_manifest":
                (self.out / "run.json").unlink()
            case "thumbnails":
                assert run(["people", str(self.out), "--thumbnails"], self.out)["code"] == 0

    def run(self, fault: str | None = None, at: int = 0) -> dict:
        return self._run(self.argv, self._folder, fault, at)

    def contents(self) -> dict[str, object]:
        """Every file by its name, but for what may differ: times, and who ran it."""
        return {
            path.relative_to(self._folder).as_posix(): _normal(path)
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and path.name != ".ferflow.lock"
        }


def _normal(path: Path) -> object:  # noqa: C901 - a case per kind of file
    """What a file says, without times of runs; and that it is whole."""
    match path.suffix:
        case ".parquet":
            return pq.read_table(path).to_pydict()
        case ".json":
            if path.parent.name == ".pages":
                return "digests"
            read = json.loads(path.read_text())
            if path.name == "forgotten.json":  # the rest is a salt, and hashes of it
                return len(read["videos"])
            if path.name != "run.json":
                return _without_speed(read)
            for video in read["videos"]:
                for name in ("seconds", "attempts", "frames_per_second"):
                    video.pop(name, None)
            return {name: read[name] for name in read if name not in ("started", "finished", "host")}
        case ".html":
            text = path.read_text()
            assert text.rstrip().endswith("</html>"), path
            text = re.sub(r"run of [\d -]+:\d\d", "", text)
            # Speed on the page of scores, seconds on the one of learning curves.
            text = re.sub(r"[\d,]+(\D{0,80}faces per second here)", "", text)
            return re.sub(r'<td class="n">\d+</td></tr>', "", text)
        case ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return list(csv.reader(file))
        case ".jpg":
            assert cv2.imread(str(path)) is not None, path
            return "picture"
        case ".mp4":
            with av.open(str(path)) as container:
                return sum(1 for _ in container.decode(video=0))
        case ".npz":
            with np.load(path) as arrays:
                return sorted(arrays.files)
        case ".onnx":
            onnx.checker.check_model(str(path))
            return "network"
        case ".duckdb":
            with duckdb.connect(str(path), read_only=True) as database:
                return len(database.sql("from timeline").fetchall())
        case ".xlsx":
            return openpyxl.load_workbook(path).sheetnames
        case ".eaf":
            return sorted(pympi.Elan.Eaf(str(path)).get_tier_names())
        case ".h5":
            with h5py.File(path) as file:
                return sorted(file)
        case _:
            return path.read_bytes()


def _without_speed(read: object) -> object:
    """JSON without measured times, and without digests, which differ with them."""
    if isinstance(read, dict):
        left_out = ("faces_per_second", "seconds", "minutes", "sha256", "trained")
        return {name: _without_speed(value) for name, value in read.items() if name not in left_out}
    return [_without_speed(value) for value in read] if isinstance(read, list) else read


def check_whole(folder: Path) -> None:
    """No half file has a name that somebody would read."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            _normal(path)


def undisturbed(name: str, folder: Path, videos: Path, results: Path, run: Run) -> tuple[int, dict]:
    """How many file operations a command makes, and what it leaves."""
    case = Case(COMMANDS[name], folder, videos, results, run)
    ended = case.run()
    assert ended["code"] == 0, (name, ended["output"])
    return ended["n_operations"], case.contents()


N_QUICK = 3
N_SLOW = int(os.environ.get("FERFLOW_TEST_FAULTS", "200"))


@pytest.mark.parametrize("count", [N_QUICK, pytest.param(N_SLOW, marks=pytest.mark.slow)])
def test_a_fault_at_any_point_of_any_command_leaves_no_half_file_and_the_next_run_ends_well(
    disk, videos, results, run, count
):
    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    known: dict[str, tuple[int, dict]] = {}
    combinations = [
        (name, fault)
        for name, command in COMMANDS.items()
        for fault in CODES
        if count > N_QUICK or not command.is_slow
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
        problem = disturb(Case(COMMANDS[name], folder, videos, results, run), fault, at, wanted)
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
    if "Traceback" in ended["output"] or "fault of ferflow" in ended["output"]:
        return ended["output"][-400:]
    try:
        check_whole(case.out)
        check_whole(case.scratch)
    except Exception as error:
        return f"a half file: {error}"
    listed = case.scratch / "list.csv"
    if listed.exists():  # an existing list is refused, since names may be in it
        listed.unlink()
    again = case.run()
    if again["code"] != 0:
        return f"then exit code {again['code']}: {again['output'][-400:]}"
    found = case.contents()
    if found != wanted:
        differ = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        return f"then other files: {differ[:6]}"
    return ""
