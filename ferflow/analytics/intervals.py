"""95 % confidence intervals of shares and of bounded means over participants; none lies outside the possible range.

Two kinds, for small samples (`python -m ferflow.jobs.benchmarks.interval_coverage` measures how often each contains the
true mean, next to the intervals that were not taken):

- `share_band`: Wilson's interval, for values that are 0 or 1, or nearly always one of the two, such as whether each
  participant reacts at a point of time. It is also valid for values in between, but then wider than necessary, because
  no variable in [0, 1] varies more than one that is 0 or 1 and has the same mean (Bhatia & Davis, 2000).
- `mean_band`: Student's t interval of the mean on the logit scale, for participants' own means.

A third, `open_band`, is Student's t interval itself, for values without limits, such as heart rates.

>>> found = mean_interval([0.2, 0.3, 0.4], limits=(0, 1))
>>> found.n, round(found.mean, 2), round(found.low, 2), round(found.high, 2)
(3, 0.3, 0.12, 0.58)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ferflow.analytics.quantiles import normal_quantile, student_quantiles
from ferflow.types import Float64Array

CONFIDENCE = 0.95
_QUANTILE = (1 + CONFIDENCE) / 2

_ROUNDING = 1e-6
"""Differences of this size come from the rounding of float32 measures; they are not variance."""


@dataclass(frozen=True, slots=True)
class Band:
    """Mean over participants with its interval, at each point separately. Arrays are float64 (points,)."""

    mean: Float64Array
    """NaN where no participant is known."""
    low: Float64Array
    """NaN where there is no interval."""
    high: Float64Array
    n: Float64Array
    """Number of participants known at the point."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One mean with its interval; NaN where undefined."""

    n: int
    mean: float
    low: float
    high: float


def share_band(values: Float64Array) -> Band:
    """Share over participants with Wilson's interval (Wilson, 1927, JASA 22:209).

    Args:
        values: float64 (participants, points) in [0, 1], NaN where unknown.
    """
    n, mean, _ = _moments_of_shares(values)
    low, high = _wilson(mean, n)
    return Band(mean, low, high, n)


def mean_band(values: Float64Array, limits: tuple[float, float]) -> Band:
    """Mean over participants with its interval on the logit scale: logit(m) -+ t(n - 1) s / (sqrt(n) m (1 - m)).

    This is the interval that the R package `survey` computes for means of bounded values (`svyciprop`, method "logit";
    Korn & Graubard, 1999, Analysis of Health Surveys). t is Student's quantile, s the sample standard deviation, and m
    the mean after scaling the limits to 0 and 1. Where all participants have the same value, s says nothing and
    Wilson's interval takes its place. NaN where fewer than two participants are known.

    Args:
        values: float64 (participants, points) within the limits, NaN where unknown.
        limits: smallest and largest possible value.
    """
    bottom, top = limits
    n, mean, spread = _moments_of_shares((values - bottom) / (top - bottom))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        half = student_quantiles(_QUANTILE, n - 1) * spread / (np.sqrt(n) * mean * (1 - mean))
        logit = np.log(mean) - np.log1p(-mean)
        low, high = (1 / (1 + np.exp(-(logit + sign * half))) for sign in (-1, 1))
    varies = spread > _ROUNDING
    low, high = (np.where(varies, *pair) for pair in zip((low, high), _wilson(mean, n), strict=True))
    low, high = (np.where(n >= 2, edge, np.nan) for edge in (low, high))
    mean, low, high = (bottom + (top - bottom) * part for part in (mean, low, high))
    return Band(mean, low, high, n)


def open_band(values: Float64Array) -> Band:
    """Mean over participants with Student's t interval: m -+ t(n - 1) s / sqrt(n). NaN for fewer than two.

    Args:
        values: float64 (participants, points) without limits, NaN where unknown.
    """
    n, mean, spread = _moments(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.where(n >= 2, student_quantiles(_QUANTILE, n - 1) * spread / np.sqrt(n), np.nan)
    return Band(mean, mean - half, mean + half, n)


def share_interval(values: Iterable[float]) -> Interval:
    """`share_band` of single values; unknown ones do not count."""
    return _first(share_band(_column_of(values)))


def mean_interval(values: Iterable[float], limits: tuple[float, float]) -> Interval:
    """`mean_band` of single values; unknown ones do not count."""
    return _first(mean_band(_column_of(values), limits))


def difference_interval(first: Interval, second: Interval) -> tuple[float, float]:
    """Bounds of the first mean minus the second, from their own intervals; NaN if one of them has none.

    The square-and-add method (Newcombe, 1998, Statistics in Medicine 17:873; for any means Zou & Donner, 2008,
    Statistics in Medicine 27:1693). The bounds are possible differences, which those of Welch's interval need not be.
    """
    gap = first.mean - second.mean
    low = gap - math.hypot(first.mean - first.low, second.high - second.mean)
    high = gap + math.hypot(first.high - first.mean, second.mean - second.low)
    return low, high


def _column_of(values: Iterable[float]) -> Float64Array:
    return np.array(list(values), dtype=np.float64).reshape(-1, 1)


def _first(band: Band) -> Interval:
    return Interval(int(band.n[0]), float(band.mean[0]), float(band.low[0]), float(band.high[0]))


def _moments(values: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """n, mean and sample standard deviation of the known values at each point, float64 (points,)."""
    known = np.isfinite(values)
    n = known.sum(axis=0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / n
        # In two passes: sums of squares would lose digits where the values hardly vary.
        spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / (n - 1))
    return n, mean, spread


def _moments_of_shares(values: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The same of values in [0, 1]."""
    n, mean, spread = _moments(values)
    # Sums of rounded values may lead to just beyond 0 or 1, of which there is no logit.
    return n, np.clip(mean, 0.0, 1.0), spread


def _wilson(mean: Float64Array, n: Float64Array) -> tuple[Float64Array, Float64Array]:
    z = normal_quantile(_QUANTILE)
    with np.errstate(invalid="ignore", divide="ignore"):
        shrink = 1 / (1 + z * z / n)
        middle = (mean + z * z / (2 * n)) * shrink
        half = z * np.sqrt(mean * (1 - mean) / n + (z / (2 * n)) ** 2) * shrink
    # At 0 and 1 a bound is exactly there, but for the rounding of floating point.
    low = np.where(mean <= 0, 0.0, middle - half)
    high = np.where(mean >= 1, 1.0, middle + half)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)
