"""How far faces are turned to the camera."""

from __future__ import annotations

from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title

_ID = "attention"


def _draw(canvas: Canvas, _session: Session) -> None:
    measure = MEASURES[_ID]
    title = row_title(measure.title, measure.colour, "by the turn of the head")
    canvas.add_row(_ID, title, range=[0, 1.05], tickvals=[0, 1], tickformat=".0%")
    canvas.add_curve(_ID, measure, width=1.5)


def _height_px(session: Session, _data: Downsampled) -> int:
    return 44 if session.people and session.pose_known else 0


ATTENTION_ROW = ChartRow(_ID, _height_px, _draw)
