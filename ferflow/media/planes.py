"""Pixels as the codec stores them: a full-size luma plane, and chroma planes of any size.

The classifier is grayscale and the detector's input is small, so no frame is converted to RGB at full size for the
analysis: faces are cut from luma, and the detector gets decimated planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import av.video.plane
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

from ferflow.media.hdr import sdr_luma_table
from ferflow.types import UInt8Array

# Formats whose planes are 8-bit Y, U, V already; all others are converted once by FFmpeg's swscale.
_PLANAR_YUV = {
    f"{prefix}{subsampling}p"
    for prefix in ("yuv", "yuvj")
    for subsampling in ("420", "422", "440", "444", "411")
}
_GRAY = {"gray", "gray8"}
_INTERLEAVED = "nv12"
"""8 bit with U and V in turns in one plane, as GPUs and webcams give pictures."""
_FALLBACK = "yuv420p"
# Formats of devices, and the format that has the same samples in another order. swscale rounds the two to 8 bits in
# different ways; in the second one, pictures of a device are those of the software decoder.
_SAME_SAMPLES = {"p010le": "yuv420p10le"}

# ITU-R BT.601, 8 bit, as rows B, G, R over (Y, U, V, 1). The detector gets BT.709 pictures through this matrix as well:
# its input has one matrix for all videos, and the difference of colours does not change what it finds.
_FULL_TO_BGR = np.array(
    [[1, 1.772, 0, -1.772 * 128], [1, -0.344, -0.714, (0.344 + 0.714) * 128], [1, 0, 1.402, -1.402 * 128]]
)
_SCALE = 255 / 219
_LIMITED_TO_BGR = np.array(
    [
        [_SCALE, 2.017, 0, -_SCALE * 16 - 2.017 * 128],
        [_SCALE, -0.392, -0.813, -_SCALE * 16 + (0.392 + 0.813) * 128],
        [_SCALE, 0, 1.596, -_SCALE * 16 - 1.596 * 128],
    ]
)
# Weights of red and blue in luma, by ITU-T H.273 matrix coefficients; others are taken as BT.601, as by FFmpeg.
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
_BT601_WEIGHTS = (0.299, 0.114)
UNSPECIFIED_MATRIX = 2
"""Also of primaries and transfer characteristics."""
_BT601_MATRIX = 6
_SDR_TRANSFER = 1
_SPARSE = 16
"""Every 16th pixel of every 16th row."""
_EXPAND_LIMITED = np.clip(np.round((np.arange(256) - 16) * _SCALE), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, repr=False)
class Planes:
    """One picture, upright.

    y: uint8 (H, W); u, v: uint8 (h, w), h <= H and w <= W, or None where the picture is gray.
    full_range: luma is in 0-255, otherwise in 16-235.
    matrix: conversion from RGB to Y, U, V, as ITU-T H.273 matrix coefficients.
    primaries, transfer: colour primaries and transfer characteristics, as of ITU-T H.273.
    """

    y: UInt8Array
    u: UInt8Array | None
    v: UInt8Array | None
    full_range: bool
    matrix: int = UNSPECIFIED_MATRIX
    primaries: int = UNSPECIFIED_MATRIX
    transfer: int = UNSPECIFIED_MATRIX

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.y.shape[1])

    def __repr__(self) -> str:
        chroma = "gray" if self.u is None else f"chroma {self.u.shape}"
        return (
            f"Planes({self.height}x{self.width}, {chroma}, {'full' if self.full_range else 'limited'} range)"
        )

    def equals(self, other: Planes) -> bool:
        """Whether both have the same pixels and colours, so that nothing computed from them can differ."""
        mine, others = (
            (one.full_range, one.matrix, one.primaries, one.transfer, one.u is None) for one in (self, other)
        )
        pairs = [(self.y, other.y), (self.u, other.u), (self.v, other.v)]
        arrays = [(a, b) for a, b in pairs if a is not None and b is not None]
        # Moving pictures differ in a few pixels already; all are compared only where these are equal. The largest
        # difference takes OpenCV a quarter of the time that NumPy takes to compare.
        return (
            mine == others
            and all(np.array_equal(a[::_SPARSE, ::_SPARSE], b[::_SPARSE, ::_SPARSE]) for a, b in arrays)
            and all(a.shape == b.shape and not cv2.norm(a, b, cv2.NORM_INF) for a, b in arrays)
        )

    def to_full_range(self, luma: UInt8Array) -> UInt8Array:
        """Expand a part of this luma plane to 0-255."""
        return luma if self.full_range else cv2.LUT(luma, _EXPAND_LIMITED).astype(np.uint8, copy=False)

    def luma_mean(self) -> float:
        """Mean brightness in 0-255, from every eighth pixel of every eighth row."""
        mean = float(self.y[::8, ::8].mean())
        return mean if self.full_range else min(max((mean - 16) * _SCALE, 0.0), 255.0)

    def bgr(self, size: tuple[int, int] | None = None) -> UInt8Array:
        """The picture in its own colours, for people; computed at each call.

        Args:
            size: (width, height) of the result; None: of the luma plane.

        Returns:
            uint8 (height, width, 3), BGR, 0-255.
        """
        to_bgr = _matrix_to_bgr(*luma_weights(self.matrix), full_range=self.full_range)
        return self._to_bgr(1, size or (self.width, self.height), to_bgr)

    def downscale_bgr(self, factor: int, size: tuple[int, int]) -> UInt8Array:
        """A decimated colour picture, for a detector: all videos are taken as BT.601.

        Args:
            factor: integer divisor of width and height; the remainder at the right and lower edge is cut off.
            size: (width, height) of the result; that of the divided plane unless pixels are not square.

        Returns:
            uint8 (height, width, 3), BGR, 0-255.
        """
        return self._to_bgr(factor, size, yuv_to_bgr(self.full_range))

    def _to_bgr(self, factor: int, size: tuple[int, int], matrix: npt.NDArray[np.float64]) -> UInt8Array:
        y, u, v = self.downscale(factor, size)
        if u is None or v is None:
            return np.repeat(self.to_full_range(y)[..., None], 3, axis=2)
        return cv2.transform(cv2.merge([y, u, v]), matrix).astype(np.uint8, copy=False)

    def downscale(
        self, factor: int, size: tuple[int, int]
    ) -> tuple[UInt8Array, UInt8Array | None, UInt8Array | None]:
        """The planes of a decimated picture in the source's range, all of one size; see `downscale_bgr`."""
        height, width = self.height // factor * factor, self.width // factor * factor
        y = shrink(self.y[:height, :width], size)
        if self.u is None or self.v is None:
            return y, None, None
        # Chroma may have half the rows or columns; rounded up, so that it covers all of the luma that is kept.
        rows = -(-self.u.shape[0] * height // self.height)
        columns = -(-self.u.shape[1] * width // self.width)
        return y, shrink(self.u[:rows, :columns], size), shrink(self.v[:rows, :columns], size)


def luma_weights(matrix: int) -> tuple[float, float]:
    """Weights of red and blue in luma, by ITU-T H.273 matrix coefficients."""
    return _LUMA_WEIGHTS.get(matrix, _BT601_WEIGHTS)


def yuv_to_bgr(full_range: bool) -> npt.NDArray[np.float64]:
    """Float64 (3, 4): rows B, G, R over Y, U, V, 1, all in 0-255."""
    return _FULL_TO_BGR if full_range else _LIMITED_TO_BGR


def _matrix_to_bgr(red: float, blue: float, *, full_range: bool) -> npt.NDArray[np.float64]:
    """Float64 (3, 4) as of `yuv_to_bgr`, from the weights of red and blue in luma (ITU-T H.273, 8.3)."""
    green = 1 - red - blue
    rows = np.array(
        [
            [1, 2 * (1 - blue), 0],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 0, 2 * (1 - red)],
        ]
    )
    offset = np.array([0.0 if full_range else 16.0, 128.0, 128.0])
    scaled = rows if full_range else rows * [255 / 219, 255 / 224, 255 / 224]
    return np.column_stack([scaled, -scaled @ offset])


def shrink(plane: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """Resize a plane so that each pixel is the mean of those it covers.

    Args:
        plane: uint8 (H, W).
        size: (width, height).
    """
    (height, width), (columns, rows) = plane.shape, size
    if width % columns or height % rows or width // columns != height // rows:
        # Down to half the size, bilinear interpolation still uses every pixel, in a quarter of the time of areas.
        small = width > 2 * columns or height > 2 * rows
        method = cv2.INTER_AREA if small else cv2.INTER_LINEAR
        return cv2.resize(plane, size, interpolation=method).astype(np.uint8, copy=False)
    # Integer factors: OpenCV vectorises halving and box filters, but not INTER_AREA over 3 or 4 pixels.
    # One halving after the other, and the odd factor last, on the smallest picture.
    while width > columns and width // columns % 2 == 0:
        width, height = width // 2, height // 2
        plane = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if (odd := width // columns) > 1:
        plane = cv2.blur(plane, (odd, odd)).astype(np.uint8, copy=False)[odd // 2 :: odd, odd // 2 :: odd]
    return plane


def planes_from_frame(
    frame: av.VideoFrame, rotation: int, *, mirrored: bool = False, has_fields: bool = True
) -> Planes:
    """Views of a decoded frame's planes, turned upright.

    Args:
        frame: any pixel format; formats other than 8-bit planar YUV, NV12 and gray are converted once. Of an
            interlaced frame the upper field is used: both fields in one picture would show a moving face as a comb.
        rotation: degrees counter-clockwise by which the picture must be turned, a multiple of 90.
        mirrored: rows must be reversed before that.
        has_fields: false where "interlaced" says in which order the pixels of one moment are stored, as in a PNG.
    """
    name, transfer, primaries = frame.format.name, int(frame.color_trc), int(frame.color_primaries)
    interlaced = frame.interlaced_frame and has_fields
    # FFmpeg converts RGB by BT.601.
    matrix = _BT601_MATRIX if frame.format.is_rgb or frame.format.has_palette else int(frame.colorspace)
    if name not in _PLANAR_YUV and name not in _GRAY and name != _INTERLEAVED:
        if name in _SAME_SAMPLES:
            frame = frame.reformat(format=_SAME_SAMPLES[name])
        # To limited range, that of nearly all videos, whatever the range of the source is.
        frame = frame.reformat(format=_FALLBACK, dst_color_range=ColorRange.MPEG)
        full_range = False
    else:
        # FFmpeg treats gray as full range, whatever the tag of the stream is.
        full_range = name in _GRAY or name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    arrays = _to_arrays(frame)
    if (table := sdr_luma_table(transfer)) is not None and not full_range:
        arrays[0] = cv2.LUT(arrays[0], table).astype(np.uint8, copy=False)
        transfer = _SDR_TRANSFER
    if interlaced:
        arrays = [_interpolate_upper_field(array) for array in arrays]
    y, *chroma = [_turn_upright(array, rotation, mirrored) for array in arrays]
    u, v = chroma if chroma else (None, None)
    return Planes(y, u, v, full_range, matrix, primaries, transfer)


def _to_arrays(frame: av.VideoFrame) -> list[UInt8Array]:
    """Y, U and V, or Y alone where the picture is gray; views where the format has a plane for each."""
    planes, name = frame.planes, frame.format.name
    if name == _INTERLEAVED:
        # Split and not sliced: OpenCV copies arrays with gaps between their pixels, which took three times as long.
        chroma = _as_array(planes[1], bytes_per_pixel=2)
        u, v = cv2.split(chroma.reshape(len(chroma), -1, 2))
        return [_as_array(planes[0]), u.astype(np.uint8, copy=False), v.astype(np.uint8, copy=False)]
    return [_as_array(planes[i]) for i in range(1 if name in _GRAY else 3)]


def _as_array(plane: av.video.plane.VideoPlane, bytes_per_pixel: int = 1) -> UInt8Array:
    # FFmpeg pads rows to `line_size` bytes; the view leaves the padding out without a copy.
    rows: UInt8Array = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width * bytes_per_pixel]


def _interpolate_upper_field(plane: UInt8Array) -> UInt8Array:
    """Rows 0, 2, 4... of a plane; each row between them becomes the mean of its neighbours. Same size as the plane."""
    filled = plane.copy()
    above, below = plane[0:-2:2], plane[2::2]
    if len(below):
        filled[1:-1:2] = cv2.addWeighted(above[: len(below)], 0.5, below, 0.5, 0)
    if len(plane) % 2 == 0:
        filled[-1] = plane[-2]
    return filled


def _turn_upright(plane: UInt8Array, rotation: int, mirrored: bool) -> UInt8Array:
    if rotation == 0 and not mirrored:
        return plane
    return np.ascontiguousarray(np.rot90(plane[::-1] if mirrored else plane, rotation // 90))
