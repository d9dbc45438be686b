"""Bins of time: joined where there are more than a page can show, averaged, and the largest one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ferflow.analytics.tally import ratio
from ferflow.types import Float64Array


def join_bins(values: Float64Array, step: int, weights: Float64Array | None = None) -> Float64Array:
    """Means of `step` neighbouring bins.

    Args:
        values: float64 (N,), NaN where unknown.
        step: bins that become one, at least 1.
        weights: of the bins, float64 (N,), such as seconds; None: all equal.

    Returns:
        float64 (ceil(N / step),); unknown values do not count, NaN where none of the bins is known.
    """
    weights = np.ones(len(values)) if weights is None else weights
    padded, weight = (
        np.pad(each, (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
        for each in (values, weights)
    )
    known = np.isfinite(padded) & (weight > 0)
    return ratio(np.where(known, padded * weight, 0.0).sum(axis=1), np.where(known, weight, 0.0).sum(axis=1))


def mean_of_known(values: Float64Array) -> float:
    """Mean of the finite values; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def find_largest(values: NDArray[np.floating], shares: Float64Array) -> int:
    """Index of the largest value; of equal ones, that with the largest share, then the first."""
    return int(np.lexsort((-np.arange(len(values)), np.nan_to_num(shares), values))[-1])
