"""A row per signal: its mean over the participants of each group, on an axis of its own."""

from __future__ import annotations

from functools import partial

import numpy as np

from ferflow.analytics.cohort_signals import clock_band, signal_names
from ferflow.analytics.intervals import Band
from ferflow.analytics.shared_clock import SharedClock
from ferflow.analytics.signals import split_unit
from ferflow.dashboards.overview.clock_chart.canvas import LEAST_SOLID, Canvas, ClockRow, row_title
from ferflow.dashboards.shared.figure_values import escape_html
from ferflow.dashboards.shared.number_format import sanitize, shorten
from ferflow.dashboards.shared.signal_values import SignalScale

MOST_SIGNALS = 4
"""Signals in a chart of the overview, those that most sessions have; the CSV has all."""

_NAME_LETTERS = 40


def shown_signals(clock: SharedClock) -> list[str]:
    """Names of the signals with a row that are known at any time of a clock."""
    known = [name for name in signal_names(clock.cohort) if clock_band(clock, None, name).n.any()]
    return known[:MOST_SIGNALS]


def row_id(k: int) -> str:
    """Of the row of a signal."""
    return f"signal {k}"


def signal_scale(bands: list[Band]) -> SignalScale:
    """Up to the ends of the drawn bands."""
    ends = [
        np.where(band.n >= LEAST_SOLID, end, band.mean) for band in bands for end in (band.low, band.high)
    ]
    return SignalScale.of(ends)


def signal_words(name: str) -> tuple[str, str]:
    """Title and unit of a signal, for a figure."""
    title, unit = split_unit(name)
    return escape_html(shorten(sanitize(title), _NAME_LETTERS)), escape_html(sanitize(unit))


def _height_px(k: int, clock: SharedClock) -> int:
    return 90 if k < len(shown_signals(clock)) else 0


def _draw(k: int, canvas: Canvas) -> None:
    name = shown_signals(canvas.clock)[k]
    bands = [clock_band(canvas.clock, look.group, name) for look in canvas.looks]
    scale, (title, unit) = signal_scale(bands), signal_words(name)
    explanation = f"{unit + ', ' if unit else ''}from files, mean over participants; shaded: 95 % interval"
    canvas.add_row(row_id(k), row_title(title, explanation), range=scale.axis_range, nticks=4)
    for look, band in zip(canvas.looks, bands, strict=True):
        canvas.add_mean(
            row_id(k), look, band, title, scale.d3_format, round_values=scale.json_numbers,
            after=f" {unit} (n %{{customdata}})",
        )  # fmt: skip


def build_signal_rows() -> tuple[ClockRow, ...]:
    """As many rows as may be shown; a clock with fewer signals leaves the others out."""
    return tuple(ClockRow(row_id(k), partial(_height_px, k), partial(_draw, k)) for k in range(MOST_SIGNALS))
