"""Boxes whose persons are known, in the MOT format: `frame (from 1), id, x, y, width, height, use`, then anything.

A row with `use` 0 is neither to be found nor wrong to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferflow.types import Float32Array, Int32Array


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one frame and whose they are: float32 (N, 4), xyxy in pixels, and int32 (N,)."""

    xyxy: Float32Array
    ids: Int32Array

    def __getitem__(self, rows: npt.NDArray[np.bool_]) -> Boxes:
        return Boxes(self.xyxy[rows], self.ids[rows])

    @classmethod
    def empty(cls) -> Boxes:
        """No box."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))

    @classmethod
    def concatenate(cls, several: Sequence[Boxes]) -> Boxes:
        """The boxes of several parts of one frame."""
        boxes = [cls.empty(), *several]
        return cls(np.concatenate([b.xyxy for b in boxes]), np.concatenate([b.ids for b in boxes]))


Truth = dict[int, tuple[Boxes, Boxes]]
"""Boxes to be found, and boxes to be ignored, by 0-based frame."""


def read_truth(path: Path) -> Truth:
    """Read the truth of a clip."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    xyxy = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
    boxes, frame = Boxes(xyxy, rows[:, 1].astype(np.int32)), rows[:, 0].astype(np.int32) - 1
    used = rows[:, 6] != 0
    return {int(i): (boxes[(frame == i) & used], boxes[(frame == i) & ~used]) for i in np.unique(frame)}


def write_truth(path: Path, frames: Sequence[tuple[Boxes, Boxes]]) -> None:
    """Write the truth of a clip.

    Args:
        path: the file.
        frames: per frame, boxes to be found, and boxes to be ignored.
    """
    lines = [
        f"{index + 1},{person},{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},{use}\n"
        for index, (wanted, ignored) in enumerate(frames)
        for use, boxes in ((1, wanted), (0, ignored))
        for person, (x1, y1, x2, y2) in zip(boxes.ids.tolist(), boxes.xyxy.tolist(), strict=True)
    ]
    path.write_text("".join(lines))
