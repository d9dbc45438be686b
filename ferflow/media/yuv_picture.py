"""A picture that may be drawn on, as an encoder takes it: 8-bit planes, chroma of half the width and height.

>>> picture = YuvPicture.of(frame.planes, frame.planes.size)
>>> picture.y[:20] = picture.luma_of(255, 255, 255)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import av
import av.video.plane
import cv2
import numpy as np

from ferflow.media.planes import Planes, luma_weights
from ferflow.types import UInt8Array

NO_CHROMA = 128


@dataclass(frozen=True, slots=True)
class YuvPicture:
    """A picture in memory of its own.

    y: uint8 (H, W). u, v: uint8 (H / 2, W / 2); of a picture with an odd side, (H, W), since chroma of half the size
    cannot have its edges.
    """

    frame: av.VideoFrame
    """What the planes are views of."""
    y: UInt8Array
    u: UInt8Array
    v: UInt8Array
    full_range: bool
    matrix: int
    """See `Planes.matrix`."""

    @classmethod
    def of(cls, planes: Planes, size: tuple[int, int]) -> YuvPicture:
        """A copy of planes.

        Args:
            planes: of any subsampling.
            size: (width, height) of the copy.
        """
        width, height = size
        frame = av.VideoFrame(width, height, pixel_format(size))
        y, u, v = (_view(plane) for plane in frame.planes)
        _fit(planes.y, y)
        for source, target in ((planes.u, u), (planes.v, v)):
            if source is None:
                target[:] = NO_CHROMA
            else:
                _fit(source, target)
        return cls(frame, y, u, v, planes.full_range, planes.matrix)

    @property
    def planes(self) -> Planes:
        """Views of the same memory."""
        return Planes(self.y, self.u, self.v, self.full_range, self.matrix)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.y.shape[1], self.y.shape[0]

    @property
    def chroma_step(self) -> int:
        """Pixels of luma per pixel of chroma, in both directions."""
        return 1 if self.u.shape == self.y.shape else 2

    def colour(self, bgr: tuple[int, int, int]) -> tuple[int, int, int]:
        """Y, U and V of a colour, 0-255, in this picture's matrix and range."""
        return _yuv_of(bgr, self.matrix, self.full_range)


def pixel_format(size: tuple[int, int]) -> str:
    """FFmpeg's name of the format for pictures of a size."""
    return "yuv420p" if size[0] % 2 == size[1] % 2 == 0 else "yuv444p"


def _view(plane: av.video.plane.VideoPlane) -> UInt8Array:
    # FFmpeg pads rows to `line_size` bytes.
    rows: UInt8Array = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _fit(source: UInt8Array, target: UInt8Array) -> None:
    if source.shape == target.shape:
        np.copyto(target, source)
        return
    is_smaller = target.shape[0] <= source.shape[0] and target.shape[1] <= source.shape[1]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    np.copyto(
        target, cv2.resize(source, target.shape[::-1], interpolation=method).astype(np.uint8, copy=False)
    )


@lru_cache(maxsize=256)
def _yuv_of(bgr: tuple[int, int, int], matrix: int, full_range: bool) -> tuple[int, int, int]:
    """By ITU-T H.273, 8.3."""
    blue, green, red = (value / 255 for value in bgr)
    of_red, of_blue = luma_weights(matrix)
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = (blue - luma) / (2 * (1 - of_blue)), (red - luma) / (2 * (1 - of_red))
    low, luma_steps, chroma_steps = (0, 255, 255) if full_range else (16, 219, 224)
    return (
        round(low + luma_steps * luma),
        *(min(round(NO_CHROMA + chroma_steps * part), 255) for part in chroma),
    )  # type: ignore[return-value]
