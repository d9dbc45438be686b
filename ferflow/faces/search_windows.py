"""The windows of a picture in which a detector looks for faces that are expected there, in one mosaic.

A mosaic holds several windows of one picture, packed into one input of a network, so that one call searches all of
them. Windows begin at the network's grid: the same pixels then lie in the same cells as in a search of all of the
picture, and the answers are nearly the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from ferflow.types import BoolArray, Float32Array, Int64Array

MARGIN = 0.2
"""How far beyond the box of an expected face is searched, in heights of the box."""

_CONTEXT = 16
"""Least distance in pixels of the network's input from a place to the sides of its window. The network sees more than a
face: with 8, and a grid of 16 pixels in place of 32, boxes agreed less (median IoU 0.91 to 0.97, in place of 0.98)."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a detector looks for faces.

    xyxy: float32 (N, 4), pixels; they may extend past the picture.
    is_reduced: bool (N,), whether the picture may be reduced to half the size there, as the face is large.
    """

    xyxy: Float32Array
    is_reduced: BoolArray

    def __len__(self) -> int:
        return len(self.xyxy)

    def moved(self, x: float, y: float) -> Places:
        """The same places in a picture whose upper left corner lies at (-x, -y)."""
        return Places(self.xyxy + np.array([x, y, x, y], np.float32), self.is_reduced)


def grow(boxes: Float32Array, margin: Float32Array | float) -> Float32Array:
    """Boxes, xyxy, float32 (N, 4), with a margin on each side in heights of the box, a number or float32 (N, 1)."""
    border = margin * (boxes[:, 3:] - boxes[:, 1:2])
    return np.concatenate([boxes[:, :2] - border, boxes[:, 2:] + border], axis=1, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Windows:
    """Parts of a picture to search.

    xywh: int64 (N, 4): x, y, width, height in pixels, inside of the picture.
    zoom: int64 (N,): 1, or 2 where the window is searched at half the size.
    """

    xywh: Int64Array
    zoom: Int64Array

    @classmethod
    def around(cls, places: Places, width: int, height: int, *, factor: int, stride: int) -> Windows:
        """Windows around places; places that lie near to each other share one, a place outside of the picture has none.

        Args:
            places: in pixels of the picture.
            width: of the picture.
            height: of the picture.
            factor: pixels of the picture per pixel of the network's input.
            stride: pixels of the input per cell of the network's coarsest level.
        """
        boxes: dict[int, list[_Box]] = {1: [], 2: []}
        # In plain Python: there are few places, and NumPy takes longer for each step than for its work.
        for (x1, y1, x2, y2), reduce in zip(places.xyxy.tolist(), places.is_reduced.tolist(), strict=True):
            zoom = 2 if reduce else 1
            step, margin = factor * zoom * stride, factor * zoom * _CONTEXT
            left, top = (max(math.floor((side - margin) / step), 0) * step for side in (x1, y1))
            right, bottom = (math.ceil((side + margin) / step) * step for side in (x2, y2))
            box = left, top, min(right, width), min(bottom, height)
            if box[0] < box[2] and box[1] < box[3]:
                boxes[zoom].append(box)
        merged = [(box, zoom) for zoom in boxes for box in _merge(boxes[zoom])]
        xywh = [(x1, y1, x2 - x1, y2 - y1) for (x1, y1, x2, y2), _ in merged]
        return cls(np.array(xywh, np.int64).reshape(-1, 4), np.array([zoom for _, zoom in merged], np.int64))


_Box = tuple[int, int, int, int]


def _merge(boxes: list[_Box]) -> list[_Box]:
    """Replace pairs of boxes, xyxy, by one box around both wherever that is not larger than the two."""
    merged: list[_Box] = []
    for box in boxes:
        while True:
            near = next(
                (other for other in merged if _area(_around(box, other)) <= _area(box) + _area(other)), None
            )
            if near is None:
                break
            merged.remove(near)
            box = _around(box, near)
        merged.append(box)
    return merged


def _around(a: _Box, b: _Box) -> _Box:
    return (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _area(box: _Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Where each of N windows lies in one picture.

    corners: int64 (N, 2), x and y in the mosaic.
    sizes: int64 (N, 2), width and height.
    """

    width: int
    height: int
    corners: Int64Array
    sizes: Int64Array

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    @classmethod
    def pack(cls, sizes: Sequence[tuple[int, int]]) -> Mosaic:
        """Place windows of these widths and heights side by side, in rows; of several widths the smallest mosaic."""
        widths = accumulate(sorted((width for width, _ in sizes), reverse=True))
        return min((cls._in_rows(sizes, width) for width in widths), key=lambda mosaic: mosaic.area)

    @classmethod
    def _in_rows(cls, sizes: Sequence[tuple[int, int]], width: int) -> Mosaic:
        corners = np.zeros((len(sizes), 2), np.int64)
        x = top = bottom = 0
        # By height, so that little is left empty below the lower windows of a row.
        for number in sorted(range(len(sizes)), key=lambda number: -sizes[number][1]):
            if x + sizes[number][0] > width:
                x, top = 0, bottom
            corners[number] = x, top
            x, bottom = x + sizes[number][0], max(bottom, top + sizes[number][1])
        return cls(width, bottom, corners, np.array(sizes, np.int64).reshape(-1, 2))

    def move_back(
        self, rows: Float32Array, corners: Float32Array, zoom: Float32Array, size: Float32Array
    ) -> Float32Array:
        """Move faces from the mosaic to the picture that the windows were cut from.

        A face that reaches past a side of its window, other than a side of the picture, is left out: a part of it was
        not searched, or it consists of two windows.

        Args:
            rows: float32 (F, 15) as of `yunet`: score, x, y, width, height, five points.
            corners: float32 (N, 2): upper left corners of the windows in the picture.
            zoom: float32 (N,): pixels of the picture per pixel of each window.
            size: float32 (2,): width and height of the picture.

        Returns:
            float32 (G, 15), G <= F.
        """
        if not len(rows):
            return rows
        low, high = rows[:, 1:3], rows[:, 1:3] + rows[:, 3:5]
        centre = (low + high) / 2
        ends = self.corners + self.sizes
        is_in: BoolArray = np.all((centre[:, None] >= self.corners) & (centre[:, None] < ends), axis=2)
        window = is_in.argmax(axis=1)
        # A side of a window that is a side of the picture cuts nothing off.
        least = np.where(corners > 0, self.corners - _TOLERANCE, -np.inf)
        most = np.where(corners + zoom[:, None] * self.sizes < size, ends + _TOLERANCE, np.inf)
        is_whole: BoolArray = (low >= least[window]) & (high <= most[window])
        keep = is_in.any(axis=1) & is_whole.all(axis=1)
        window = window[keep]
        moved: Float32Array = rows[keep]
        factor, origin = zoom[window, None], self.corners[window].astype(np.float32)
        # Position, size and five points, each x and y.
        pairs = moved[:, 1:].reshape(-1, 7, 2)
        sizes = pairs[:, 1] * factor
        pairs = (pairs - origin[:, None]) * factor[:, None] + corners[window][:, None]
        pairs[:, 1] = sizes
        moved[:, 1:] = pairs.reshape(-1, 14)
        return moved


_TOLERANCE = 2.0
"""Pixels by which a face may reach past its window."""
