"""Colours of the clothing and the hair around a face, as histograms.

Within one video they tell people apart who take the same place, and recognise who returns. They identify nobody in
another video: another day brings other clothes. Skin is left out: it is the part that differs least between people
and most between lamps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ferflow.media.planes import Planes, yuv_to_bgr
from ferflow.types import Float32Array, Float64Array, UInt8Array

# Corners x1, y1, x2, y2: in widths of the face from its middle, and in heights from its upper edge.
_TORSO = (-0.9, 1.25, 0.9, 2.3)
_HAIR = (-0.6, -0.35, 0.6, 0.05)
_PERSON = (-0.9, -0.35, 0.9, 2.3)
_PART_WEIGHTS = np.array([2.0, 1.0])
"""Of torso and hair: clothing differs more between people."""
_MIN_VISIBLE = 0.25
"""Share of a part's box that must be inside the picture."""

_SIDE = 24
"""Colours are counted in a picture of this many pixels squared."""
_LUMA_BINS, _CHROMA_BINS, _RATIO_BINS = 8, 16, 32
_COLOUR_BINS, _CHROMATICITY_BINS = _LUMA_BINS * _CHROMA_BINS**2, _RATIO_BINS**2

_PATCH_COLUMNS, _PATCH_ROWS = 16, 24


@dataclass(slots=True)
class Appearance:
    """Sums of the histograms of torso and hair; only their proportions matter, so that a sum is as good as a mean.

    colour: float32 (2, 2048), over luma, Cr and Cb. chromaticity: float32 (2, 1024), over red and green as shares of
    the sum of all three. n_samples: float32 (2,), samples in which each part was visible.
    """

    colour: Float32Array = field(default_factory=lambda: np.zeros((2, _COLOUR_BINS), np.float32))
    chromaticity: Float32Array = field(default_factory=lambda: np.zeros((2, _CHROMATICITY_BINS), np.float32))
    n_samples: Float32Array = field(default_factory=lambda: np.zeros(2, np.float32))

    def add(self, other: Appearance) -> None:
        """Add samples."""
        self.colour += other.colour
        self.chromaticity += other.chromaticity
        self.n_samples += other.n_samples


def sample_appearance(planes: Planes, face: Float32Array) -> Appearance:
    """Count the colours around a face, float32 (4,), xyxy in pixels. A gray picture has no parts."""
    sample = Appearance()
    for part, box in enumerate((_TORSO, _HAIR)):
        pixels = _cut_colours(planes, _place(box, face))
        if pixels is not None:
            sample.colour[part] = _count_colours(pixels)
            sample.chromaticity[part] = _count_chromaticities(pixels, full_range=planes.full_range)
            sample.n_samples[part] = 1
    return sample


def colour_distances(appearances: list[Appearance]) -> Float64Array:
    """Distances of clothing and hair of all pairs, float64 (N, N) in [0, 1]; NaN where nothing can be compared."""
    return _distances([each.colour for each in appearances], appearances)


def chromaticity_distances(appearances: list[Appearance]) -> Float64Array:
    """As `colour_distances`, without brightness: from shot to shot, clothes keep their hue better than their shade."""
    return _distances([each.chromaticity for each in appearances], appearances)


def colour_distance(a: Appearance, b: Appearance) -> float:
    """See `colour_distances`."""
    return float(colour_distances([a, b])[0, 1])


def cut_patch(planes: Planes, face: Float32Array) -> Float32Array:
    """Luma of head and torso, float32 (384,), of mean 0 and length 1 (0 where it has no contrast)."""
    part = _inside(planes.y, _place(_PERSON, face))
    patch = cv2.resize(_thin(part, 2), (_PATCH_COLUMNS, _PATCH_ROWS), interpolation=cv2.INTER_AREA)
    centred = patch.ravel() - patch.mean(dtype=np.float32)
    unit: Float32Array = centred / np.float32(max(float(np.sqrt(centred @ centred)), 1e-6))
    return unit


def _distances(histograms: list[Float32Array], appearances: list[Appearance]) -> Float64Array:
    """1 minus the coefficient of Bhattacharyya (1943), a weighted mean over the parts that both show."""
    visible = np.array([each.n_samples > 0 for each in appearances]).T
    weights = _PART_WEIGHTS[:, None, None] * (visible[:, :, None] & visible[:, None, :])
    distance = np.zeros(weights.shape[1:])
    for part, weight in enumerate(weights):
        roots = np.sqrt(np.array([histogram[part] for histogram in histograms]))
        roots /= np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-9)
        distance += weight * (1 - roots @ roots.T)
    total = weights.sum(axis=0)
    return np.divide(distance, total, out=np.full_like(distance, np.nan), where=total > 0)


def _place(box: tuple[float, float, float, float], face: Float32Array) -> Float64Array:
    """A box in pixels, float64 (4,)."""
    x1, y1, x2, y2 = face.tolist()
    middle, width, height = (x1 + x2) / 2, x2 - x1, y2 - y1
    return np.array([middle + box[0] * width, y1 + box[1] * height, middle + box[2] * width, y1 + box[3] * height])


def _cut_colours(planes: Planes, box: Float64Array) -> UInt8Array | None:
    """Y, Cb, Cr of a box, uint8 (24, 24, 3); None where too little of it is inside the picture, or it has no colour."""
    if planes.u is None or planes.v is None:
        return None
    inside = np.clip(box, 0, [planes.width, planes.height] * 2)
    if _area(inside) < _MIN_VISIBLE * _area(box):
        return None
    parts = []
    for plane in (planes.y, planes.u, planes.v):
        scale = np.array([plane.shape[1] / planes.width, plane.shape[0] / planes.height] * 2)
        part = _thin(_inside(plane, inside * scale), 1)
        parts.append(cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.merge(parts), np.uint8)


def _area(box: Float64Array) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _inside(plane: UInt8Array, box: Float64Array) -> UInt8Array:
    """The part of a plane inside a box, at least a pixel."""
    height, width = plane.shape
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    left, top = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return plane[top : max(min(y2, height), top + 1), left : max(min(x2, width), left + 1)]


def _thin(part: UInt8Array, n_per_cell: int) -> UInt8Array:
    """Every Nth row and column, so that averaging into cells reads few pixels; for a large face they are plenty."""
    rows, columns = (max(side // (_SIDE * n_per_cell), 1) for side in part.shape)
    return np.ascontiguousarray(part[::rows, ::columns])


def _count_colours(pixels: UInt8Array) -> Float32Array:
    y, u, v = pixels.reshape(-1, 3).astype(np.intp).T
    cells = (y * _LUMA_BINS >> 8) * _CHROMA_BINS**2 + (v * _CHROMA_BINS >> 8) * _CHROMA_BINS + (u * _CHROMA_BINS >> 8)
    return _shares(cells, _COLOUR_BINS)


def _count_chromaticities(pixels: UInt8Array, *, full_range: bool) -> Float32Array:
    bgr = cv2.transform(pixels, yuv_to_bgr(full_range)).reshape(-1, 3).astype(np.float32)
    ratios = bgr[:, 1:] / np.maximum(bgr.sum(axis=1, keepdims=True), 1)
    green, red = (ratios * _RATIO_BINS).astype(np.intp).clip(0, _RATIO_BINS - 1).T
    return _shares(red * _RATIO_BINS + green, _CHROMATICITY_BINS)


def _shares(cells: np.typing.NDArray[np.intp], n_cells: int) -> Float32Array:
    return (np.bincount(cells, minlength=n_cells) / len(cells)).astype(np.float32)
