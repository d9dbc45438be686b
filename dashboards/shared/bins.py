"""Bins of time joined, where there are more than a page can show."""

from __future__ import annotations

import numpy as np

from ferflow.analytics.tally import ratio
from ferflow.types import Float64Array


def join_bins(values: Float64Array, step: int) -> Float64Array:
    """Means of `step` neighbouring bins.

    Args:
        values: float64 (N,), NaN where unknown.
        step: bins that become one, at least 1.

    Returns:
        float64 (ceil(N / step),); unknown values do not count, NaN where none of the bins is known.
    """
    padded = np.pad(values, (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    return ratio(np.where(known, padded, 0.0).sum(axis=1), known.sum(axis=1))
