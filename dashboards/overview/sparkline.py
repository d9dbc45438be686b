"""Small SVG pictures in the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from ferflow.dashboards.shared.bins import join_bins
from ferflow.dashboards.shared.number_format import percent
from ferflow.types import Float64Array

MOST_POINTS = 120
_WIDTH, _HEIGHT = 200, 36
_RANGE_WIDTH, _RANGE_HEIGHT = 180, 18


def draw_sparkline(curve: Float64Array, top: float, colour: str, words: str) -> Markup | None:
    """A small curve from 0 to `top`, with breaks where nothing is known; None if nothing is.

    Args:
        curve: float64 (bins,); neighbouring bins are joined to at most `MOST_POINTS`.
        top: upper end of the scale, so that the rows of a table can share one.
        colour: of the line.
        words: the same in words, for screen readers.
    """
    curve = join_bins(curve, max(1, math.ceil(len(curve) / MOST_POINTS)))
    if not np.isfinite(curve).any():
        return None
    # Points are at the middles of their bins, as in the charts.
    step = _WIDTH / len(curve)
    parts = [
        [(f"{(k + 0.5) * step:.1f}", f"{_y(curve[k], top):.1f}") for k in run]
        for run in find_runs(np.isfinite(curve))
    ]
    drawn = ["L".join(f"{x} {y}" for x, y in part) for part in parts]
    areas = "".join(
        f"M{part[0][0]} {_HEIGHT}L{line}L{part[-1][0]} {_HEIGHT}Z"
        for part, line in zip(parts, drawn, strict=True)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<path d="{}" fill="{}" fill-opacity=".2"/>'
        '<path d="{}" fill="none" stroke="{}" stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"/></svg>'
    ).format(_WIDTH, _HEIGHT, words, areas, colour, "".join(f"M{line}" for line in drawn), colour)


def draw_interval(
    middle: float, low: float, high: float, *, bounds: tuple[float, float], colour: str, words: str
) -> Markup | None:
    """A mean as a dot on the line of its interval, with a tick at 0; None if there is no mean."""
    if not math.isfinite(middle):
        return None
    span = [_x(value, bounds) for value in (low, high)] if math.isfinite(low) else []
    line = Markup('<path d="M{:.1f} 9H{:.1f}" stroke="{}" stroke-width="3" stroke-opacity=".45"/>')
    return Markup(
        '<svg class="range" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<path d="M0 9H{}" stroke="currentColor" stroke-opacity=".18"/>'
        '<path d="M{:.1f} 3V15" stroke="currentColor" stroke-opacity=".35"/>{}'
        '<circle cx="{:.1f}" cy="9" r="4.2" fill="{}"/></svg>'
    ).format(
        _RANGE_WIDTH, _RANGE_HEIGHT, _RANGE_WIDTH, _RANGE_HEIGHT, words, _RANGE_WIDTH, _x(0.0, bounds),
        line.format(*span, colour) if span else "", _x(middle, bounds), colour,
    )  # fmt: skip


def highest_value(curves: Iterable[Float64Array]) -> float:
    """Upper end of a scale for curves in [0, 1], NaN where unknown; 1 if nothing is known."""
    return max((float(np.nanmax(curve)) for curve in curves if np.isfinite(curve).any()), default=1.0)


def describe_scale(top: float) -> str:
    """The scale of the small curves of a table, in a sentence."""
    if top <= 0:
        return "All curves are flat: no participant shows an expression."
    return f"All curves have the same scale, up to {percent(top)}."


def find_runs(flags: np.ndarray) -> list[range]:
    """Ranges in which all flags are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [range(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _y(value: float, top: float) -> float:
    # A pixel is left below and two above, so that the line has its full width at the edges.
    return _HEIGHT - 1 - (_HEIGHT - 3) * min(value / max(top, 1e-9), 1.0)


def _x(value: float, bounds: tuple[float, float]) -> float:
    """Position of a value; one outside the bounds is drawn at the edge."""
    share = (value - bounds[0]) / max(bounds[1] - bounds[0], 1e-9)
    # 5 px on both sides: the dot has a radius of 4.2.
    return 5 + (_RANGE_WIDTH - 10) * min(max(share, 0.0), 1.0)
