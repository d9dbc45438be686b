"""Detections as columns, and the geometry of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ferflow.options import AnalyzeOptions
from ferflow.types import Float32Array, Int8Array

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
"""Order of the five points; the person's right, which is on the left in the picture."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces of one frame, as columns.

    xyxy: float32 (N, 4), source pixels, upright; x2 and y2 exclusive; a box may extend past the frame.
    score: float32 (N,) in [0, 1].
    landmarks: float32 (N, 5, 2), x and y in source pixels; NaN where the detector gives none.
    region: int8 (N,), number of the region in which the face was looked for, see `faces.regions`.
    """

    xyxy: Float32Array
    score: Float32Array
    landmarks: Float32Array
    region: Int8Array = field(default_factory=lambda: np.zeros(0, np.int8))

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if not len(self.region):
            object.__setattr__(self, "region", np.zeros(n, np.int8))
        shapes = self.xyxy.shape, self.score.shape, self.landmarks.shape, self.region.shape
        if shapes != (wanted := ((n, 4), (n,), (n, 5, 2), (n,))):
            names = "xyxy", "score", "landmarks", "region"
            name, shape, expected = next(
                part for part in zip(names, shapes, wanted, strict=True) if part[1] != part[2]
            )
            raise ValueError(f"{name} must have shape {expected}, got {shape}")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Detections:
        return Detections(self.xyxy[rows], self.score[rows], self.landmarks[rows], self.region[rows])

    @classmethod
    def empty(cls) -> Detections:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    @classmethod
    def concatenate(cls, several: Sequence[Detections]) -> Detections:
        """The faces of several frames, one after the other."""
        return cls(
            np.concatenate([faces.xyxy for faces in several]),
            np.concatenate([faces.score for faces in several]),
            np.concatenate([faces.landmarks for faces in several]),
            np.concatenate([faces.region for faces in several]),
        )

    def unknown(self) -> Detections:
        """As many faces, of which nothing is known: NaN."""
        n = len(self)
        box, score, marks = (np.full(shape, np.nan, np.float32) for shape in ((n, 4), n, (n, 5, 2)))
        return Detections(box, score, marks, self.region)

    def replaced(self, rows: npt.NDArray[np.intp], others: Detections) -> Detections:
        """Some faces replaced by others, of which it takes as many; regions stay."""
        xyxy, score, landmarks = self.xyxy.copy(), self.score.copy(), self.landmarks.copy()
        xyxy[rows], score[rows], landmarks[rows] = others.xyxy, others.score, others.landmarks
        return Detections(xyxy, score, landmarks, self.region)

    def moved(self, x: float, y: float, *, region: int) -> Detections:
        """The same faces in a picture whose part at (x, y) they were found in."""
        shift = np.array([x, y], np.float32)
        return Detections(
            self.xyxy + np.tile(shift, 2),
            self.score,
            self.landmarks + shift,
            np.full(len(self), region, np.int8),
        )

    def largest(self, count: int) -> Detections:
        """The `count` faces of the largest area, in their order."""
        if len(self) <= count:
            return self
        # Stable, so that of equally large faces the same ones are chosen on every machine.
        order = np.argsort(-areas(self.xyxy), kind="stable")[:count]
        return self[np.sort(order)]


def areas(xyxy: Float32Array) -> Float32Array:
    """Box areas in square pixels, float32 (N,); 0 where x2 < x1 or y2 < y1."""
    sides: Float32Array = np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None)
    return sides[:, 0] * sides[:, 1]


def iou(a: Float32Array, b: Float32Array) -> Float32Array:
    """Overlap of every box in `a` with every box in `b`.

    Args:
        a: float32 (N, 4), xyxy in pixels.
        b: float32 (M, 4), xyxy in pixels.

    Returns:
        float32 (N, M) in [0, 1]; 0 where a box has no area.
    """
    shared = _shared_areas(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    # The minimum only avoids a warning about divisions by zero; `where` replaces their results.
    return np.where(union > 0, shared / np.maximum(union, 1e-9), 0).astype(np.float32)


def overlap_of_smaller(a: Float32Array, b: Float32Array) -> Float32Array:
    """Area that two boxes share, as a share of the smaller one; shapes as of `iou`."""
    smaller = np.minimum(areas(a)[:, None], areas(b)[None, :])
    return np.where(smaller > 0, _shared_areas(a, b) / np.maximum(smaller, 1e-9), 0).astype(np.float32)


def _shared_areas(a: Float32Array, b: Float32Array) -> Float32Array:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides: Float32Array = np.clip(high - low, 0, None)
    return sides[..., 0] * sides[..., 1]


def min_face_height(options: AnalyzeOptions, width: int, height: int) -> int:
    """Height in source pixels of the smallest face to detect, for a frame of this size."""
    return options.min_face or usual_min_face_height(width, height)


def usual_min_face_height(width: int, height: int) -> int:
    """As `min_face_height` with default options."""
    return max(24, min(width, height) // 15)
