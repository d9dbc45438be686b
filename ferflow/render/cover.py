"""Ways to make a face unrecognisable, on the planes of a picture.

>>> cover(picture, xyxy, "blur")

What is under a cover is computed from so few values that no features are left. Each stronger level leaves less, up to
one value for the whole face.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ferflow.media.yuv_picture import NO_CHROMA, YuvPicture
from ferflow.options import CoverName
from ferflow.types import UInt8Array

STRONGEST = 2
"""The last level."""

_CELLS = {"blur": (2, 1, 1), "pixelate": (3, 2, 1)}
"""Values across the shorter side of a cover, by level."""
_SIDE, _ABOVE, _BELOW = 0.30, 0.40, 0.25
"""How much larger than the detector's box a cover is, in widths and heights of the box: it has hair, ears and chin."""
_GROWTH = 0.35
"""How much more of it each level covers."""
_BLACK, _GRAY = 0.06, 0.5
"""Luma of covers of one colour, of 1; not quite black, which would look like a hole."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Cover:
    """A place to cover."""

    xyxy: Box
    """Of the face, pixels."""
    level: int = 0
    is_certain: bool = True
    """Whether what was found here, or before and after, is a face for certain. A cover that is not certain leaves the
    faces that stay visible: it may be of a hand before them."""
    has_margin: bool = True
    """Whether it is larger than the face; without, only as its level asks for."""

    def scaled(self, across: float, down: float) -> Cover:
        """In a picture of another size."""
        x1, y1, x2, y2 = self.xyxy
        return replace(self, xyxy=(x1 * across, y1 * down, x2 * across, y2 * down))

    def dilated(self) -> Box:
        """The part of the picture that is covered; larger with each level."""
        x1, y1, x2, y2 = self.xyxy
        width, height, more = x2 - x1, y2 - y1, self.has_margin + _GROWTH * self.level
        return (
            x1 - more * _SIDE * width,
            y1 - more * _ABOVE * height,
            x2 + more * _SIDE * width,
            y2 + more * _BELOW * height,
        )


def draw_cover(picture: YuvPicture, cover: Cover, method: CoverName) -> None:
    """Cover a place."""
    height, width = picture.y.shape
    x1, y1, x2, y2 = cover.dilated()
    left, top = max(int(np.floor(x1)), 0), max(int(np.floor(y1)), 0)
    right, bottom = min(int(np.ceil(x2)), width), min(int(np.ceil(y2)), height)
    if left >= right or top >= bottom:
        return
    low, steps = (0, 255) if picture.full_range else (16, 219)
    for plane, step, value in _planes(picture):
        rows, columns = slice(top // step, -(-bottom // step)), slice(left // step, -(-right // step))
        part = plane[rows, columns]
        if method in ("solid", "mask"):
            shade = _BLACK if method == "solid" else _GRAY
            new = np.full_like(part, NO_CHROMA if value else round(low + steps * shade))
        else:
            new = _coarse(part, _CELLS[method][min(cover.level, STRONGEST)], smooth=method == "blur")
        if method in ("solid", "pixelate") or cover.level >= STRONGEST:
            part[:] = new
        else:
            inside = _ellipse(
                part.shape, [side / step for side in (x1 - left, y1 - top, x2 - left, y2 - top)]
            )
            part[inside] = new[inside]


def _planes(picture: YuvPicture) -> Iterator[tuple[UInt8Array, int, bool]]:
    """Each plane, pixels of luma per pixel of it, and whether it is chroma."""
    yield picture.y, 1, False
    yield picture.u, picture.chroma_step, True
    yield picture.v, picture.chroma_step, True


def _coarse(part: UInt8Array, cells: int, *, smooth: bool) -> UInt8Array:
    """The part made of few values."""
    height, width = part.shape
    side = max(min(height, width) / cells, 1.0)
    size = max(1, round(width / side)), max(1, round(height / side))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return cv2.resize(small, (width, height), interpolation=method).astype(np.uint8, copy=False)


def _ellipse(shape: tuple[int, ...], xyxy: list[float]) -> np.typing.NDArray[np.bool_]:
    """The ellipse around a rectangle's box of the face: it touches the sides of the rectangle."""
    x1, y1, x2, y2 = xyxy
    down = (np.arange(shape[0]) + 0.5 - (y1 + y2) / 2) / max((y2 - y1) / 2, 0.5)
    across = (np.arange(shape[1]) + 0.5 - (x1 + x2) / 2) / max((x2 - x1) / 2, 0.5)
    inside: np.typing.NDArray[np.bool_] = down[:, None] ** 2 + across[None] ** 2 <= 1
    return inside
