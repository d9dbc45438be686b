"""Colours of the clothing and the hair around a face, as histograms.

Within one video they tell people apart who take the same place, and recognise who returns. They identify no person in
another video: another day brings other clothes. The skin of the face is not compared, since it differs least between
people and most between lamps; it shows the colour of the light, and hues are taken relative to it (von Kries, 1902), so
that a camera which finds another white balance does not change them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.media.planes import Planes, yuv_to_bgr
from ferflow.types import Float32Array, Float64Array, UInt8Array

IntpArray: TypeAlias = npt.NDArray[np.intp]

_PARTS = ((-0.7, 1.1, 0.7, 1.5), (-0.9, 1.5, 0.9, 2.3), (-0.6, -0.35, 0.6, 0.05))
"""Collar, torso, hair: corners x1, y1, x2, y2, in widths of the face from its middle and in heights from its upper
edge. Of a face close to the camera, or in a tile of a call, the torso is not in the picture, or another tile is. With
these three, each counted alike, 96 of 100 pairs of shots of one person were closer than half of the closest pair of
different persons; with hair and one box from chin to waist, 71."""
_PERSON = (-0.9, -0.35, 0.9, 2.3)
_SKIN = (-0.3, 0.3, 0.3, 0.85)
_SKIN_RED, _SKIN_BLUE = 1.52, 0.78
"""Red and blue over green that the skin gets; about the mean of the trial clips, so that hues keep their meaning."""
_MIN_VISIBLE = 0.25
"""Share of a part's box that must be inside the picture."""
_MIN_FACE_VISIBLE = 0.9
"""Of a face's own box: what is around a face at the edge of the picture is not all there."""

_SIDE = 24
"""Colours are counted in a picture of this many pixels squared."""
_LUMA_BINS, _CHROMA_BINS = 8, 16
_RATIO_BINS, _RATIO_STEP, _RATIO_LOW = 32, 1 / 64, 0.15
"""Of red and green in the sum of colours; hardly any colour of clothes or hair is outside of 0.15 to 0.65."""
_COLOUR_BINS, _CHROMATICITY_BINS = _LUMA_BINS * _CHROMA_BINS**2, _RATIO_BINS**2
_RATIO_BLUR = 1.0
"""Standard deviation in bins: a small change of light moves colours to the next bin."""

# (columns, rows). From frame to frame, the correlation of luma was below 0.75 for 3 in 100 faces of one person in a
# clip filmed by hand, and for hardly any elsewhere; the mean change of Cb and Cr was above 2.5 levels for 1 in 1000.
# Where the person changed, the correlation was at most 0.61, and the change of chroma at least 3.2. Of the head alone,
# the correlation was then at most 0.68, and 0.98 where a game or a cut changed what is around it; 0.9 where the
# recording of a webcam jumped. Across cuts around a picture in a picture it was at least 0.906, and at most -0.4
# between different persons at the same place of two shots.
_LUMA_PATCH, _CHROMA_PATCH = (16, 24), (4, 6)
_MIN_CORRELATION, _MAX_CHROMA_CHANGE = 0.75, 2.5
_HEAD_LUMA, _HEAD_CHROMA = (slice(0, 13), slice(3, 13)), (slice(0, 3), slice(1, 3))
"""Rows and columns of the patches that show the head: cut out of them, since a patch of its own would take time."""
_MIN_HEAD_CORRELATION, _MIN_UNCUT_CORRELATION = 0.8, 0.9


def _zeros(n_bins: int) -> Float32Array:
    return np.zeros((len(_PARTS), n_bins), np.float32)


@dataclass(slots=True)
class Appearance:
    """Sums of histograms of collar, torso and hair; only their proportions count, so that a sum is as good as a mean.

    colour: float32 (3, 2048), over luma, Cr and Cb. chromaticity: float32 (3, 1024), over red and green as shares of
    the sum of all three. n_samples: float32 (3,), samples in which each part was visible.
    """

    colour: Float32Array = field(default_factory=lambda: _zeros(_COLOUR_BINS))
    chromaticity: Float32Array = field(default_factory=lambda: _zeros(_CHROMATICITY_BINS))
    n_samples: Float32Array = field(default_factory=lambda: np.zeros(len(_PARTS), np.float32))

    def add(self, other: Appearance) -> None:
        """Add samples."""
        self.colour += other.colour
        self.chromaticity += other.chromaticity
        self.n_samples += other.n_samples


@dataclass(frozen=True, slots=True)
class PackedAppearance:
    """An appearance as its bins that are not empty: a few kilobytes in place of 37, for tracks that have ended."""

    bins: npt.NDArray[np.uint16]
    counts: Float32Array
    n_samples: Float32Array

    @classmethod
    def pack(cls, appearance: Appearance) -> Self:
        """Pack it."""
        every = np.concatenate([appearance.colour.ravel(), appearance.chromaticity.ravel()])
        bins = np.flatnonzero(every)
        return cls(bins.astype(np.uint16), every[bins], appearance.n_samples)

    def to_bytes(self) -> bytes:
        """As `from_bytes` reads it; of one sample, whose counts are shares of its pixels."""
        head = np.array([self.n_samples @ (1 << np.arange(len(_PARTS)))], np.uint16)
        counts = np.rint(self.counts * _SIDE**2).astype(np.uint16)
        return np.concatenate([head, self.bins, counts]).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote."""
        every = np.frombuffer(data, np.uint16)
        bins, counts = np.split(every[1:], 2)
        n_samples = (every[0] >> np.arange(len(_PARTS)) & 1).astype(np.float32)
        return cls(bins, (counts / _SIDE**2).astype(np.float32), n_samples)

    def unpack(self) -> Appearance:
        """The appearance that was packed."""
        n_colours = len(_PARTS) * _COLOUR_BINS
        every = np.zeros(n_colours + len(_PARTS) * _CHROMATICITY_BINS, np.float32)
        every[self.bins] = self.counts
        colour, chromaticity = every[:n_colours], every[n_colours:]
        return Appearance(
            colour.reshape(len(_PARTS), -1), chromaticity.reshape(len(_PARTS), -1), self.n_samples
        )


def sample_appearance(planes: Planes, face: Float32Array) -> Appearance:
    """Count the colours around a face, float32 (4,), xyxy in pixels.

    Nothing is counted at the edge of the picture, nor in a gray picture.
    """
    sample = Appearance()
    skin = _cut_colours(planes, _place(_SKIN, face))
    if skin is None or _share_inside(_Box(*face.tolist()), planes) < _MIN_FACE_VISIBLE:
        return sample
    cut = {part: _cut_colours(planes, _place(box, face)) for part, box in enumerate(_PARTS)}
    visible = {part: pixels for part, pixels in cut.items() if pixels is not None}
    if visible:
        rows = list(visible)
        pixels = np.concatenate(list(visible.values()))  # one call for all parts takes a third of the time
        to_bgr = _balance(skin, yuv_to_bgr(planes.full_range))
        sample.colour[rows] = _count(_colour_cells(pixels), len(rows), _COLOUR_BINS)
        sample.chromaticity[rows] = _count(_chromaticity_cells(pixels, to_bgr), len(rows), _CHROMATICITY_BINS)
        sample.n_samples[rows] = 1
    return sample


def chromaticity_distances(appearances: Sequence[Appearance]) -> Float64Array:
    """Distances of hues of all pairs, float64 (N, N) in [0, 1]; NaN where nothing can be compared."""
    return _distances([_blur(each.chromaticity) for each in appearances], appearances)


def luma_distances(appearances: Sequence[Appearance]) -> Float64Array:
    """As `chromaticity_distances`, for shades: black and white clothes have the same hue."""
    return _distances([_count_luma(each.colour) for each in appearances], appearances)


def near_distances(appearances: Sequence[Appearance]) -> Float64Array:
    """As `chromaticity_distances`, for faces in the same light: the mean of the distances of hues and of colours."""
    colour = _distances([each.colour for each in appearances], appearances)
    return (colour + chromaticity_distances(appearances)) / 2


@dataclass(frozen=True, slots=True)
class Patch:
    """A coarse picture of head and torso, to see whether they changed from one frame to the next.

    luma: float32 (384,), of mean 0 and length 1. chroma: float32 (2, 6, 4), Cb and Cr; 0 in a gray picture.
    """

    luma: Float32Array
    chroma: Float32Array

    @classmethod
    def cut(cls, planes: Planes, face: Float32Array) -> Self:
        """Cut it out around a face, float32 (4,), xyxy in pixels."""
        return cls.of(PatchPixels.cut(planes, face))

    @classmethod
    def of(cls, pixels: PatchPixels) -> Self:
        """Compute it."""
        return cls(_to_unit(pixels.luma.ravel()), pixels.chroma.astype(np.float32))

    def resembles(self, other: Patch) -> bool:
        """Whether it may well show the same person a moment later."""
        return (
            float(self.luma @ other.luma) >= _MIN_CORRELATION
            and float(np.abs(self.chroma - other.chroma).mean()) <= _MAX_CHROMA_CHANGE
        )

    def has_same_head(self, other: Patch, *, after_cut: bool = False) -> bool:
        """Whether the head is the same picture, whatever is around it, as in a picture in a picture.

        Args:
            other: of the last picture of the head.
            after_cut: a new shot starts in between; people often look alike from shot to shot.
        """
        head, other_head = (
            patch.luma.reshape(_LUMA_PATCH[::-1])[_HEAD_LUMA].ravel() for patch in (self, other)
        )
        least = _MIN_UNCUT_CORRELATION if after_cut else _MIN_HEAD_CORRELATION
        change = np.abs(self.chroma - other.chroma)[:, *_HEAD_CHROMA].mean()
        return float(_to_unit(head) @ _to_unit(other_head)) >= least and float(change) <= _MAX_CHROMA_CHANGE


@dataclass(frozen=True, slots=True)
class PatchPixels:
    """What a patch is computed from.

    luma: uint8 (24, 16). chroma: uint8 (2, 6, 4), Cb and Cr; 0 in a gray picture.
    """

    luma: UInt8Array
    chroma: UInt8Array

    @classmethod
    def cut(cls, planes: Planes, face: Float32Array) -> Self:
        """See `Patch.cut`."""
        box = _place(_PERSON, face)
        return cls(_cut_luma(planes, box), _cut_chroma(planes, box))

    def patch(self) -> Patch:
        """The patch."""
        return Patch.of(self)

    def to_bytes(self) -> bytes:
        """As `from_bytes` reads it."""
        return self.luma.tobytes() + self.chroma.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote."""
        every = np.frombuffer(data, np.uint8)
        n_luma = math.prod(_LUMA_PATCH)
        return cls(every[:n_luma].reshape(_LUMA_PATCH[::-1]), every[n_luma:].reshape(2, *_CHROMA_PATCH[::-1]))


def _distances(histograms: Sequence[Float32Array], appearances: Sequence[Appearance]) -> Float64Array:
    """1 minus the coefficient of Bhattacharyya (1943), mean over the parts that both show."""
    distance = np.zeros((len(appearances), len(appearances)))
    n_parts = np.zeros_like(distance)
    for part in range(len(_PARTS)):
        roots = np.sqrt(np.array([histogram[part] for histogram in histograms]))
        roots /= np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-9)
        visible = np.array([each.n_samples[part] > 0 for each in appearances])
        comparable = np.outer(visible, visible)
        distance += np.where(comparable, 1 - roots @ roots.T, 0)
        n_parts += comparable
    return np.divide(distance, n_parts, out=np.full_like(distance, np.nan), where=n_parts > 0)


def _cut_chroma(planes: Planes, box: _Box) -> UInt8Array:
    """Cb and Cr of a box, uint8 (2, 6, 4); 0 in a gray picture."""
    chroma = np.zeros((2, _CHROMA_PATCH[1], _CHROMA_PATCH[0]), np.uint8)
    if planes.u is not None and planes.v is not None:
        for i, plane in enumerate((planes.u, planes.v)):
            part = _thin(_inside(plane, box.scaled_to(plane, planes)), 1)
            chroma[i] = cv2.resize(part, _CHROMA_PATCH, interpolation=cv2.INTER_AREA)
    return chroma


def _cut_luma(planes: Planes, box: _Box) -> UInt8Array:
    """Luma of a box, uint8 (24, 16)."""
    luma = cv2.resize(_thin(_inside(planes.y, box), 2), _LUMA_PATCH, interpolation=cv2.INTER_LINEAR)
    return luma.astype(np.uint8, copy=False)


def _to_unit(values: npt.NDArray[np.generic]) -> Float32Array:
    """The same with mean 0 and length 1, float32."""
    centred = values - values.mean(dtype=np.float32)
    unit: Float32Array = centred / np.float32(max(math.sqrt(float(centred @ centred)), 1e-6))
    return unit


def _count_luma(colour: Float32Array) -> Float32Array:
    luma: Float32Array = colour.reshape(len(_PARTS), _LUMA_BINS, -1).sum(axis=2)
    return luma


def _blur(chromaticity: Float32Array) -> Float32Array:
    pictures = chromaticity.reshape(-1, _RATIO_BINS, _RATIO_BINS)
    blurred = [cv2.GaussianBlur(picture, (0, 0), _RATIO_BLUR).ravel() for picture in pictures]
    return np.array(blurred, np.float32)


class _Box(NamedTuple):
    """Corners in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    def scaled_to(self, plane: UInt8Array, planes: Planes) -> _Box:
        """The same box in a plane of another size: chroma may have half the rows or columns."""
        x, y = plane.shape[1] / planes.width, plane.shape[0] / planes.height
        return _Box(self.x1 * x, self.y1 * y, self.x2 * x, self.y2 * y)


def _place(box: tuple[float, float, float, float], face: Float32Array) -> _Box:
    """A box around a face; `box` as in `_PARTS`."""
    x1, y1, x2, y2 = face.tolist()
    middle, width, height = (x1 + x2) / 2, x2 - x1, y2 - y1
    return _Box(middle + box[0] * width, y1 + box[1] * height, middle + box[2] * width, y1 + box[3] * height)


def _cut_colours(planes: Planes, box: _Box) -> UInt8Array | None:
    """Y, Cb, Cr of a box, uint8 (24, 24, 3); None where too little of it is inside the picture, or it has no colour."""
    if planes.u is None or planes.v is None or _share_inside(box, planes) < _MIN_VISIBLE:
        return None
    parts = []
    for plane in (planes.y, planes.u, planes.v):
        part = _thin(_inside(plane, box.scaled_to(plane, planes)), 1)
        parts.append(cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.merge(parts), np.uint8)


def _share_inside(box: _Box, planes: Planes) -> float:
    """Share of a box's area inside the picture."""
    width = max(min(box.x2, planes.width) - max(box.x1, 0.0), 0.0)
    height = max(min(box.y2, planes.height) - max(box.y1, 0.0), 0.0)
    return width * height / max((box.x2 - box.x1) * (box.y2 - box.y1), 1e-9)


def _inside(plane: UInt8Array, box: _Box) -> UInt8Array:
    """The part of a plane inside a box, at least a pixel."""
    height, width = plane.shape
    left, top = min(max(round(box.x1), 0), width - 1), min(max(round(box.y1), 0), height - 1)
    return plane[
        top : max(min(round(box.y2), height), top + 1), left : max(min(round(box.x2), width), left + 1)
    ]


def _thin(part: UInt8Array, n_per_cell: int) -> UInt8Array:
    """Every Nth row and column, so that a large face takes no more time than a small one."""
    rows, columns = (max(side // (_SIDE * n_per_cell), 1) for side in part.shape)
    return np.ascontiguousarray(part[::rows, ::columns])


def _colour_cells(pixels: UInt8Array) -> IntpArray:
    """Bins of pixels Y, Cb, Cr, uint8 (..., 3)."""
    y, u, v = pixels.reshape(-1, 3).astype(np.intp).T
    chroma = (v * _CHROMA_BINS >> 8) * _CHROMA_BINS + (u * _CHROMA_BINS >> 8)
    cells: IntpArray = (y * _LUMA_BINS >> 8) * _CHROMA_BINS**2 + chroma
    return cells


def _balance(skin: UInt8Array, to_bgr: Float64Array) -> Float64Array:
    """Change a conversion to BGR, float64 (3, 4), so that it gives skin its usual hue."""
    blue, green, red = (max(mean, 1.0) for mean in cv2.mean(cv2.transform(skin, to_bgr))[:3])
    gains = np.array([_SKIN_BLUE * green / blue, 1.0, _SKIN_RED * green / red])
    return gains[:, None] * to_bgr


def _chromaticity_cells(pixels: UInt8Array, to_bgr: Float64Array) -> IntpArray:
    bgr = cv2.transform(pixels, to_bgr).reshape(-1, 3).astype(np.float32)
    ratios = bgr[:, 1:] / np.maximum(bgr.sum(axis=1, keepdims=True), 1)
    green, red = ((ratios - _RATIO_LOW) * (1 / _RATIO_STEP)).astype(np.intp).clip(0, _RATIO_BINS - 1).T
    cells: IntpArray = red * _RATIO_BINS + green
    return cells


def _count(cells: IntpArray, n_parts: int, n_bins: int) -> Float32Array:
    """Histograms, float32 (n_parts, n_bins), of as many pixels each; rows sum to 1."""
    n_pixels = len(cells) // n_parts
    offset = np.repeat(np.arange(n_parts) * n_bins, n_pixels)
    counts = np.bincount(cells + offset, minlength=n_parts * n_bins).reshape(n_parts, n_bins)
    return (counts / n_pixels).astype(np.float32)
