"""Quantiles of two distributions. SciPy has them, too; it takes 143 MB, a seventh of what was installed with it."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

import numpy as np

from ferflow.types import Float64Array

_HALVINGS = 60
"""After as many, an angle below pi/2 is as exact as a float64 can be."""


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def student_quantiles(probability: float, freedoms: Float64Array) -> Float64Array:
    """Of Student's t distribution, float64 (N,).

    Args:
        probability: above 0.5, below 1.
        freedoms: degrees of freedom, integers; NaN is returned for those below 1.
    """
    known = [_student_quantile(probability, int(one)) if one >= 1 else math.nan for one in freedoms]
    return np.array(known, np.float64)


@cache
def _student_quantile(probability: float, freedom: int) -> float:
    """By bisection of the angle atan(t / sqrt(freedom))."""
    inside = 2 * probability - 1
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_probability(middle, freedom) < inside else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _central_probability(angle: float, freedom: int) -> float:
    """P(|T| < t) with t = sqrt(freedom) tan(angle) (Abramowitz & Stegun, 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    steps = np.arange(1 + freedom % 2, freedom - 2, 2)
    # Each term is the one before times cos^2 k / (k + 1), with k = 1, 3, ... or 2, 4, ...
    terms = np.cumprod(np.concatenate([[1.0], cosine**2 * steps / (steps + 1)]))
    if freedom % 2 == 0:
        return sine * float(terms.sum())
    return 2 / math.pi * (angle + (sine * cosine * float(terms.sum()) if freedom > 1 else 0.0))
