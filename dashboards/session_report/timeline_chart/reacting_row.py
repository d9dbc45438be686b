"""Share of people who react; of a single person, whether they do."""

from __future__ import annotations

from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.figure_values import with_opacity

_ID = "reacting"


def _draw(canvas: Canvas, session: Session) -> None:
    measure = MEASURES[_ID]
    if len(session.people) == 1:
        title = row_title(measure.title, measure.colour, "or not")
        axis: dict[str, object] = {"tickvals": [0, 1], "ticktext": ["no", "yes"]}
    else:
        title = row_title(measure.title, measure.colour, "share of the people whose faces can be read")
        axis = {"tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    # Above 1, so that the curve at 1 has its full width.
    canvas.add_row(_ID, title, range=[0, 1.05], **axis)
    values = canvas.data.audience[_ID]
    canvas.add_area(_ID, "", values, with_opacity(measure.colour, 0.3), hoverinfo="skip")
    canvas.add_curve(_ID, measure, width=1.5)


def _height_px(session: Session, _data: Downsampled) -> int:
    if not session.people:
        return 0
    return 32 if len(session.people) == 1 else 64


REACTING_ROW = ChartRow(_ID, _height_px, _draw)
