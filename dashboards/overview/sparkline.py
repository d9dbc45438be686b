"""Small pictures that stand in a table's row, as SVG."""

from __future__ import annotations

import math

import numpy as np
from markupsafe import Markup

from ferflow.analytics.tally import ratio
from ferflow.types import Float64Array

SPARK_POINTS = 120
_WIDTH, _HEIGHT = 200, 36
_RANGE_WIDTH, _RANGE_HEIGHT = 180, 18


def spark(curve: Float64Array, top: float, colour: str, words: str) -> Markup | None:
    """A small curve from 0 to `top`, with breaks where nothing is known; None if nothing is.

    Args:
        curve: float64 (bins,); neighbouring bins are joined to at most `SPARK_POINTS`.
        top: the scale, so that the rows of a table can share one.
        colour: of the line.
        words: the same for those who hear the page.
    """
    curve = thinned(curve)
    if not np.isfinite(curve).any():
        return None
    step = _WIDTH / len(curve)
    parts = [
        [(f"{(k + 0.5) * step:.1f}", f"{_y(curve[k], top):.1f}") for k in run]
        for run in runs(np.isfinite(curve))
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


def interval(
    middle: float, low: float, high: float, *, bounds: tuple[float, float], colour: str, words: str
) -> Markup | None:
    """A mean as a dot on the line of its interval; None if there is no mean. A tick marks 0."""
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


def thinned(curve: Float64Array, most: int = SPARK_POINTS) -> Float64Array:
    """At most `most` means of neighbouring bins, unknown ones left out."""
    step = max(1, math.ceil(len(curve) / most))
    padded = np.pad(curve, (0, -len(curve) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    return ratio(np.where(known, padded, 0.0).sum(axis=1), known.sum(axis=1))


def runs(flags: np.ndarray) -> list[range]:
    """Stretches in which all flags are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [range(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _y(value: float, top: float) -> float:
    return _HEIGHT - 1 - (_HEIGHT - 3) * min(value / max(top, 1e-9), 1.0)


def _x(value: float, bounds: tuple[float, float]) -> float:
    """Where a value stands; what lies outside the bounds stands at the edge."""
    share = (value - bounds[0]) / max(bounds[1] - bounds[0], 1e-9)
    return 5 + (_RANGE_WIDTH - 10) * min(max(share, 0.0), 1.0)
