"""A command in a folder of its own, and what it leaves there."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import duckdb
import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pympi
import pytest

from ferflow.store.output_folder import LOCKS
from tests.faults.kinds import Command

h5py = pytest.importorskip("h5py", reason="training is among the commands: needs ferflow[train]")
onnx = pytest.importorskip("onnx")
pytest.importorskip("uvicorn", reason="the web application is among the commands: needs ferflow[app]")

Run = Callable[..., dict]


class Case:
    """A command in a folder of its own."""

    def __init__(self, command: Command, folder: Path, videos: Path, results: Path, run: Run) -> None:
        self.out, self.scratch = folder / "out", folder / "scratch"
        self.scratch.mkdir(parents=True)
        self._run, self._folder, self._videos = run, folder, videos
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
            case "shards":
                shard = ["analyze", str(videos), "-o", str(self.out), "--threads", "1", "--shard"]
                for number in ("1/2", "2/2"):
                    assert run([*shard, number, "--workers", "0"], self.out)["code"] == 0
                (self.out / "run.json").unlink()
            case "thumbnails":
                assert run(["people", str(self.out), "--thumbnails"], self.out)["code"] == 0

    def run(self, fault: str | None = None, at: int = 0) -> dict:
        """Carry it out; how it ended, and its output."""
        return self._run(self.argv, self._folder, fault, at)

    def run_again(self) -> dict:
        """Carry it out after a fault."""
        listed = self.scratch / "list.csv"
        if listed.exists():  # an existing list is refused, since names may be in it
            listed.unlink()
        return self.run()

    def check_answers(self) -> str:
        """What is wrong with what it has answered to others; empty: nothing."""
        return ""

    def check_whole(self) -> None:
        """No half file has a name that somebody would read; raises whatever reading one raises."""
        for path in self._folder.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                read_normal(path)

    def contents(self) -> dict[str, object]:
        """Every file by its name, but for what may differ: times, and who ran it."""
        return {
            path.relative_to(self._folder).as_posix(): read_normal(path)
            for path in sorted(self._folder.rglob("*"))
            if path.is_file() and path.name not in LOCKS
        }

    def compare(self, wanted: dict[str, object]) -> str:
        """What is other than an undisturbed run has left; empty: nothing."""
        found = self.contents()
        differ = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        return f"other files: {differ[:6]}" if differ else ""


def read_normal(path: Path) -> object:  # noqa: C901 - a case per kind of file
    """What a file says, without times of runs; and that it is whole."""
    match path.suffix:
        case ".parquet":
            return pq.read_table(path).to_pydict()
        case ".json":
            if path.parent.name == ".pages":
                return "digests"
            read = json.loads(_without_job(path.read_text()))
            if path.name == "forgotten.json":  # the rest is a salt, and hashes of it
                return len(read["videos"])
            if path.name == "dataset.json":
                return {name: read[name] for name in read if name != "finished"}
            if path.name != "run.json" and path.parent.name != "shards":
                return _without_speed(read)
            for video in read["videos"]:
                for name in ("seconds", "attempts", "frames_per_second"):
                    video.pop(name, None)
            return {name: read[name] for name in read if name not in ("started", "finished", "host")}
        case ".html":
            text = _without_job(path.read_text())
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


def _without_job(text: str) -> str:
    """Without the random name of the folder of an upload."""
    return re.sub("uploads/[0-9a-f]{16}", "uploads/job", text)


def _without_speed(read: object) -> object:
    """JSON without measured times, and without digests, which differ with them."""
    if isinstance(read, dict):
        left_out = ("faces_per_second", "seconds", "minutes", "sha256", "trained")
        return {name: _without_speed(value) for name, value in read.items() if name not in left_out}
    return [_without_speed(value) for value in read] if isinstance(read, list) else read
