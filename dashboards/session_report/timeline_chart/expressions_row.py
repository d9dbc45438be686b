"""Shares of readable time by shown label, stacked."""

from __future__ import annotations

import numpy as np

from ferflow import palette
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import (
    STACK_RANGE,
    TRANSPARENT,
    Canvas,
    ChartRow,
    row_title,
)

_ID = "shares"


def _draw(canvas: Canvas, session: Session) -> None:
    title = row_title("Expressions shown", None, "shares of time, stacked")
    low, high = STACK_RANGE
    canvas.add_row(_ID, title, range=[low, high], tickvals=[low, 0.5, high], ticktext=["0%", "50%", "100%"])
    colours = palette.colours(session.labels)
    line = {"width": 0, "shape": "hvh", "color": TRANSPARENT}
    for label in palette.stacked(session.labels):
        values = canvas.data.audience[f"shown_{label}"]
        # A label that is never shown would be a line around all others in a PDF, see `STACK_RANGE`.
        if np.nansum(values):
            canvas.add_area(_ID, label, values, colours[label], stackgroup=_ID, line=line, yhoverformat=".0%")


EXPRESSIONS_ROW = ChartRow(_ID, lambda session, _: 150 if session.people else 0, _draw)
