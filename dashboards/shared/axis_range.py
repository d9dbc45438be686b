"""Which part of a measure's range an axis shows, and where it has ticks."""

from __future__ import annotations

import numpy as np

from ferflow.dashboards.shared.figure_values import PlotlyAttributes
from ferflow.types import Float64Array

_LEAST_SIDE = 0.2
"""Of an axis with zero, the share of the larger side that the smaller one has at least: zero is in sight, and room
below or above it shows that nothing is there."""


def fit_range(full: tuple[float, float], *curves: Float64Array, least: float = 0.5) -> tuple[float, float]:
    """The part of a measure's range that an axis shows: as much as its curves need, with a tenth of headroom.

    Args:
        full: smallest and largest possible value. An axis with zero shows both sides of it.
        curves: values on the axis, NaN where unknown.
        least: share of `full` (with zero: of its larger side) that is shown at least, so that small changes look small.
    """
    low, high = full
    values = np.concatenate(curves)
    known = values[np.isfinite(values)]
    if low < 0 < high:
        down, up = (1.1 * float((sign * known).max(initial=0.0)) for sign in (-1, 1))
        larger = max(down, up, least * max(-low, high))
        down, up = (max(side, _LEAST_SIDE * larger) for side in (down, up))
        # The larger of the two is drawn out to the least that an axis shows.
        down, up = (larger, up) if down > up else (down, larger)
        return max(low, -down), min(high, up)
    reach = 1.1 * (float(known.max(initial=low)) - low)
    return low, low + min(high - low, max(reach, least * (high - low)))


def signed_ticks(low: float, high: float) -> PlotlyAttributes:
    """At most five ticks of an axis with zero, each with its sign."""
    step = next(step for step in (0.05, 0.1, 0.2, 0.5, 1.0, 10.0) if (high - low) / step <= 4)
    first = int(np.ceil(low / step - 1e-9))
    values = [round(k * step, 2) for k in range(first, int(np.floor(high / step + 1e-9)) + 1)]
    words = [f"{value:+g}".replace("-", "−") if value else "0" for value in values]
    return {"tickvals": values, "ticktext": words}
