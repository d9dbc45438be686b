"""A live recording: what was complete on the disk when it was disturbed is in the tables of the folder afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.cases import Case

_SAME = ("frame_index", "track_id", "x1", "y2", "score", "yaw", "prob_happy", "label", "face_px")
"""Of FACES; `tests/jobs/live` compares the same with what `analyze` finds."""


class LiveCase(Case):
    """`ferflow live --record`, into a folder of finished videos.

    After a fault a copy of it is repaired, and in the folder itself the same command runs again before the repair.
    """

    _lost_in_copy = ""
    _before: dict[str, list[int]] = {}  # noqa: RUF012 - replaced, never changed

    def run_again(self) -> dict:
        """Record once more next to the interrupted recording, then finish that as the documentation says."""
        self._before = _read_recorded(self.out)
        copy = self._folder.parent / "copy"
        shutil.copytree(self.out, copy)
        repaired = self._repair(copy)
        if repaired["code"] == 0:
            self._lost_in_copy = self._compare_recordings(copy)
        shutil.rmtree(copy)
        if repaired["code"] != 0:
            return repaired
        again = self.run()
        return again if again["code"] != 0 else self._repair(self.out)

    def _repair(self, out: Path) -> dict:
        return self._run(["doctor", str(out), "--repair"], out)

    def contents(self) -> dict[str, object]:
        """All but recordings, of which each run makes another one, and what shows them."""
        recorded = {path.stem for path in self.out.glob("faces/a-????????-*.parquet")}
        shows_all = {"index.html", "run.json"}
        return {
            name: content
            for name, content in super().contents().items()
            if not any(video_id in name for video_id in recorded) and Path(name).name not in shows_all
        }

    def compare(self, wanted: dict[str, object]) -> str:
        """The rest of the folder is as it was, and each recording has its tables, a page and an entry."""
        if self._lost_in_copy:
            return f"repaired at once, {self._lost_in_copy}"
        return super().compare(wanted) or self._compare_recordings(self.out)

    def _compare_recordings(self, out: Path) -> str:
        reference = self._analyze()
        listed = {video["video_id"] for video in json.loads((out / "run.json").read_text())["videos"]}
        found = {path.stem: path for path in out.glob("faces/a-????????-*.parquet")}
        for video_id, frames in self._before.items():
            if frames and video_id not in found:
                return f"{video_id} is lost, of which {len(frames)} frames were on the disk"
            if frames and _read_frames(out, video_id)[: len(frames)] != frames:
                return f"{video_id} lacks frames that were on the disk"
        for video_id, path in found.items():
            missing = [
                name
                for name in (f"timeline/{video_id}.parquet", f"reports/{video_id}.html")
                if not (out / name).is_file()
            ]
            if missing or video_id not in listed:
                return f"{video_id} has no {missing or 'entry in run.json'}"
            if any(row not in reference for row in _list_faces(pq.read_table(path))):
                return f"{video_id} has other faces than the video"
        return "segments that were to be removed" if any(out.glob("live/*")) else ""

    def _analyze(self) -> list[tuple]:
        """The faces of all frames of the video, by another command."""
        out = self._folder.parent / "reference"
        if not out.exists():
            argv = ["analyze", self.argv[1], "-o", str(out), "--threads", "1", "--workers", "0"]
            assert self._run([*argv, "--detect", "full", "--no-report"], self._folder)["code"] == 0
        (path,) = out.glob("faces/*.parquet")
        return _list_faces(pq.read_table(path))


def _read_recorded(out: Path) -> dict[str, list[int]]:
    """Frames of each recording that are on the disk, in complete tables, whether it was finished or not."""
    found = {path.stem: _read_frames(out, path.stem) for path in out.glob("faces/a-????????-*.parquet")}
    for place in out.glob("live/*"):
        segments = [segment for segment in sorted(place.iterdir()) if any(segment.glob("faces/*.parquet"))]
        frames = [index for segment in segments for index in _read_frames(segment, place.name)]
        found.setdefault(place.name, frames)
    return found


def _read_frames(out: Path, video_id: str) -> list[int]:
    return pq.read_table(out / "frames" / f"{video_id}.parquet").column("frame_index").to_pylist()


def _list_faces(table: pa.Table) -> list[tuple]:
    return list(zip(*(table.column(name).to_pylist() for name in _SAME), strict=True))
