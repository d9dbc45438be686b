"""Shares of readable time by shown label, stacked."""

from __future__ import annotations

from ferflow import palette
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import TRANSPARENT, Canvas, ChartRow, row_title

_ID = "shares"


def _draw(canvas: Canvas, session: Session) -> None:
    title = row_title("Expressions shown", None, "shares of time, stacked")
    canvas.add_row(_ID, title, range=[0, 1], tickvals=[0, 0.5, 1], tickformat=".0%")
    colours = palette.colours(session.labels)
    line = {"width": 0, "shape": "hvh", "color": TRANSPARENT}
    for label in palette.stacked(session.labels):
        values = canvas.data.audience[f"shown_{label}"]
        canvas.add_area(_ID, label, values, colours[label], stackgroup=_ID, line=line, yhoverformat=".0%")


EXPRESSIONS_ROW = ChartRow(_ID, lambda session, _: 150 if session.people else 0, _draw)
