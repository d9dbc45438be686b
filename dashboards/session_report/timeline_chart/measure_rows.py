"""Rows of the measures that have one of their own (`Measure.has_row`): nothing but the curve."""

from __future__ import annotations

from functools import partial

import numpy as np

from ferflow.analytics.measures import MEASURES, Measure
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.axis_range import fit_range


def _height_px(measure: Measure, session: Session, data: Downsampled) -> int:
    return 110 if session.people and np.isfinite(data.audience[measure.name]).any() else 0


def _draw(measure: Measure, canvas: Canvas, session: Session) -> None:
    low, high = measure.range
    axis: dict[str, object] = {
        "range": [low, high],
        "tickvals": [low, (low + high) / 2, high],
        "tickformat": ".0%",
    }
    if measure.format != "share":
        axis = {"range": list(fit_range(measure.range, canvas.data.audience[measure.name])), "nticks": 4}
    canvas.add_row(measure.name, row_title(measure.title, measure.colour, measure.unit), **axis)
    canvas.add_curve(measure.name, measure, width=2)


def build_measure_rows() -> tuple[ChartRow, ...]:
    """A row per measure, in the order of the registry."""
    return tuple(
        ChartRow(measure.name, partial(_height_px, measure), partial(_draw, measure))
        for measure in MEASURES.values()
        if measure.has_row
    )
