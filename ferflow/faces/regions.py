"""The parts of a frame in which faces are looked for, as frames of their own.

A region is treated like a picture of its own: the smallest face follows from its size, its cuts are looked for apart
(a game behind the picture of a player may cut as it likes), and no track leads from one region to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.regions import Region
from ferflow.types import UInt8Array

_STEP = 4
"""Regions begin at multiples of it, so that they begin with a whole pixel of chroma, too (4:1:1 has the fewest)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a frame."""

    frame: Frame
    x: int
    y: int
    """Its upper left corner in the whole frame, in pixels."""


def split_frame(frame: Frame, regions: Sequence[Region]) -> list[Part]:
    """The regions of a frame, in their order; the whole frame where there are none.

    Raises:
        VideoError: a region is outside of the picture.
    """
    if not regions:
        return [Part(frame, 0, 0)]
    size = (frame.planes.width, frame.planes.height)
    return [cut_part(frame, *region.pixels(*size)) for region in regions]


def cut_part(frame: Frame, x: int, y: int, width: int, height: int) -> Part:
    """A rectangle of a frame, in pixels, which must be inside of it; views of its planes."""
    planes = frame.planes
    left, top = x // _STEP * _STEP, y // _STEP * _STEP
    right, bottom = x + width, y + height

    def cut(plane: UInt8Array) -> UInt8Array:
        rows, columns = round(planes.height / plane.shape[0]), round(planes.width / plane.shape[1])
        return plane[top // rows : -(-bottom // rows), left // columns : -(-right // columns)]

    u, v = (None if plane is None else cut(plane) for plane in (planes.u, planes.v))
    part = Planes(planes.y[top:bottom, left:right], u, v, planes.full_range, planes.matrix)
    return Part(replace(frame, planes=part), left, top)
