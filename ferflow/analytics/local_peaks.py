"""Local maxima of a curve with their prominences and extents, as `scipy.signal.find_peaks` defines them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ferflow.types import Float64Array


@dataclass(frozen=True, slots=True)
class LocalPeak:
    """One local maximum."""

    index: int
    """Of a plateau its middle, rounded down."""
    prominence: float
    """Height above the higher of the two lowest points that separate it from higher ground, or from an end."""
    start: float
    """Where the curve crosses half of the prominence before the peak, interpolated between points."""
    end: float
    """The same after the peak."""


def find_peaks(curve: Float64Array, *, prominence: float, distance: int) -> list[LocalPeak]:
    """Find the local maxima of a curve, in order; its ends are none.

    Args:
        curve: float64 (N,), finite.
        prominence: smallest one that counts.
        distance: of two peaks less than this many points apart, the lower one is dropped first.
    """
    found = [_measure(curve, index) for index in _keep_apart(curve, _maxima(curve), distance)]
    return [peak for peak in found if peak.prominence >= prominence]


def _maxima(curve: Float64Array) -> list[int]:
    if not len(curve):
        return []
    # Points of equal height become one, with its first and last place.
    starts = np.concatenate([[0], np.flatnonzero(np.diff(curve)) + 1])
    ends = np.concatenate([starts[1:], [len(curve)]]) - 1
    heights = curve[starts]
    inner = 1 + np.flatnonzero((heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:]))
    return [int(index) for index in (starts[inner] + ends[inner]) // 2]


def _keep_apart(curve: Float64Array, peaks: list[int], distance: int) -> list[int]:
    """Take the highest ones first; of equal ones the last."""
    kept: list[int] = []
    for peak in sorted(peaks, key=lambda one: (curve[one], one), reverse=True):
        if all(abs(peak - other) >= distance for other in kept):
            kept.append(peak)
    return sorted(kept)


def _measure(curve: Float64Array, peak: int) -> LocalPeak:
    left, right = curve[peak::-1], curve[peak:]
    prominence = float(curve[peak] - max(_lowest_before_higher(left), _lowest_before_higher(right)))
    level = curve[peak] - prominence / 2
    return LocalPeak(peak, prominence, peak - _crossing(left, level), peak + _crossing(right, level))


def _lowest_before_higher(side: Float64Array) -> float:
    """Lowest value from the peak, the first one, to where the curve is higher than there."""
    higher = np.flatnonzero(side > side[0])
    return float(side[: higher[0]].min() if len(higher) else side.min())


def _crossing(side: Float64Array, level: float) -> float:
    """Points from the peak, the first one, to where the curve crosses the level."""
    below = np.flatnonzero(side <= level)
    if not len(below):
        return math.inf
    last = int(below[0])
    rise = float(side[last - 1] - side[last])
    return last - (level - float(side[last])) / rise
