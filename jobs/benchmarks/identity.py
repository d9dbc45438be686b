"""How well identities hold: IDF1, identity switches and MOTA against boxes that were checked by hand.

python -m ferflow.jobs.benchmarks.identity clips/*.gif --truth clips/gt

The truth of `walk.gif` is `walk.txt` in the MOT format: `frame (from 1), id, x, y, width, height, use`, more
columns ignored. A row with `use` 0 is neither to be found nor wrong to be found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import motmetrics
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ferflow.faces.detections import iou
from ferflow.faces.detector import Detector, make_detector
from ferflow.faces.shot_detector import ShotCutDetector
from ferflow.faces.tracker import Tracker
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, Int32Array

LEAST_IOU = 0.5
"""Overlap from which a predicted box is the true one (MOT Challenge)."""

_METRICS = ["idf1", "num_switches", "mota", "recall", "precision", "num_false_positives", "num_misses"]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one frame and whose they are."""

    xyxy: Float32Array
    ids: Int32Array

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> Boxes:
        return Boxes(self.xyxy[rows], self.ids[rows])


@dataclass(frozen=True, slots=True)
class Identity:
    """Quality of the identities of one clip; ratios in [0, 1], MOTA may be negative."""

    idf1: float
    n_switches: int
    mota: float
    recall: float
    precision: float
    n_false: int
    n_missed: int


def track_faces(clip: Path, detector: Detector, tracker: Tracker) -> Iterator[Boxes]:
    """Find and track the faces of every frame of a clip."""
    cuts = ShotCutDetector()
    with open_video(clip) as video:
        for frame in video.frames(Selection()):
            is_cut = cuts.update(frame.planes.y)
            found = detector.detect([frame])[0]
            ids = tracker.update(found, frame.time_s, is_cut=is_cut)
            yield Boxes(found.xyxy, ids)[ids != UNTRACKED]


def read_truth(path: Path) -> dict[int, tuple[Boxes, Boxes]]:
    """Boxes to be found, and boxes to be ignored, by 0-based frame."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    xyxy = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
    boxes, frame = Boxes(xyxy, rows[:, 1].astype(np.int32)), rows[:, 0].astype(np.int32) - 1
    used = rows[:, 6] != 0
    return {int(i): (boxes[(frame == i) & used], boxes[(frame == i) & ~used]) for i in np.unique(frame)}


def score(found: Sequence[Boxes], truth: dict[int, tuple[Boxes, Boxes]]) -> Identity:
    """Compare the boxes of all frames of a clip, in order, with the truth."""
    nothing = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    events = motmetrics.MOTAccumulator()
    for index, boxes in enumerate(found):
        wanted, ignored = truth.get(index, (nothing, nothing))
        boxes = _drop_ignored(boxes, wanted, ignored)
        # Its own overlap function calls what numpy 2 no longer has.
        distances = 1 - iou(wanted.xyxy, boxes.xyxy).astype(np.float64)
        distances[distances > 1 - LEAST_IOU] = np.nan
        events.update(wanted.ids, boxes.ids, distances, frameid=index)
    table = motmetrics.metrics.create().compute(events, metrics=_METRICS)
    values = {name: table[name].iloc[0] for name in _METRICS}
    return Identity(
        idf1=float(values["idf1"]),
        n_switches=int(values["num_switches"]),
        mota=float(values["mota"]),
        recall=float(values["recall"]),
        precision=float(values["precision"]),
        n_false=int(values["num_false_positives"]),
        n_missed=int(values["num_misses"]),
    )


def _drop_ignored(boxes: Boxes, wanted: Boxes, ignored: Boxes) -> Boxes:
    overlap = iou(boxes.xyxy, np.concatenate([wanted.xyxy, ignored.xyxy]))
    rows, columns = linear_sum_assignment(np.where(overlap >= LEAST_IOU, -overlap, 0.0))
    keep = np.ones(len(boxes.ids), np.bool_)
    keep[rows] = (columns < len(wanted.ids)) | (overlap[rows, columns] < LEAST_IOU)
    return boxes[keep]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--truth", type=Path, required=True, metavar="FOLDER", help="<clip>.txt per clip")
    parser.add_argument("--min-face", type=int, help="as of `ferflow analyze`")
    chosen = parser.parse_args(arguments)
    detector = make_detector(AnalyzeOptions().updated(min_face=chosen.min_face))
    print(f"{'clip':40} {'IDF1':>6} {'switches':>8} {'MOTA':>6} {'recall':>6} {'precision':>9}")
    for clip in chosen.clips:
        found = list(track_faces(clip, detector, Tracker()))
        result = score(found, read_truth(chosen.truth / f"{clip.stem}.txt"))
        print(
            f"{clip.stem[-40:]:40} {result.idf1:6.3f} {result.n_switches:8d} {result.mota:6.3f} "
            f"{result.recall:6.3f} {result.precision:9.3f}"
        )


if __name__ == "__main__":
    main()
