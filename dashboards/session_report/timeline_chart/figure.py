"""The figure of the timeline: which rows it has, in which order, and its time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.session_report.downsample import Downsampled, downsample
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.attention_row import ATTENTION_ROW
from ferflow.dashboards.session_report.timeline_chart.canvas import (
    BOTTOM_PX,
    SLIDER_PX,
    TITLE_PX,
    TRANSPARENT,
    Canvas,
    ChartRow,
)
from ferflow.dashboards.session_report.timeline_chart.coverage_row import COVERAGE_ROW
from ferflow.dashboards.session_report.timeline_chart.engagement_row import ENGAGEMENT_ROW
from ferflow.dashboards.session_report.timeline_chart.expressions_row import EXPRESSIONS_ROW
from ferflow.dashboards.session_report.timeline_chart.markers_row import MARKERS_ROW
from ferflow.dashboards.session_report.timeline_chart.measure_rows import build_measure_rows
from ferflow.dashboards.session_report.timeline_chart.people_row import PEOPLE_ROW, lane_name
from ferflow.dashboards.session_report.timeline_chart.reacting_row import REACTING_ROW
from ferflow.dashboards.session_report.timeline_chart.signal_rows import build_signal_rows
from ferflow.dashboards.session_report.timeline_chart.speech_row import SPEECH_ROW
from ferflow.dashboards.session_report.timeline_chart.valence_row import VALENCE_ROW
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import PlotlyAttributes, axis_time, with_opacity
from ferflow.dashboards.shared.row_layout import RowLayout, lay_out_on_paper

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Names of people are left of their lanes; a letter is as wide as the mean at a font size of 11 px (chart.js).
_LEFT_PX, _LETTER_PX = 58, 6.2


def list_rows() -> tuple[ChartRow, ...]:
    """All rows, from the top down."""
    measures = (
        ENGAGEMENT_ROW,
        REACTING_ROW,
        EXPRESSIONS_ROW,
        VALENCE_ROW,
        ATTENTION_ROW,
        *build_measure_rows(),
    )
    return MARKERS_ROW, SPEECH_ROW, *measures, *build_signal_rows(), PEOPLE_ROW, COVERAGE_ROW


def build_timeline_figure(session: Session) -> Figure:
    """Markers, speech, engagement, reacting, expressions, net positivity, signals, people and coverage, in this order.

    The session must have at least one bin; without people, only markers, speech, signals and coverage are drawn.
    """
    data = downsample(session)
    heights = {row: row.height_px(session, data) for row in list_rows()}
    shown = {row: height for row, height in heights.items() if height}
    heights_px = {row.id: height for row, height in shown.items()}
    layout = RowLayout(heights_px, title_px=TITLE_PX, bottom_px=BOTTOM_PX, slider_px=SLIDER_PX)
    paper = lay_out_on_paper(heights_px, {row.id for row in shown if not row.is_curve}, bottom_px=BOTTOM_PX)
    canvas = Canvas(FigureDraft(), data, layout, _left_px(session, data))
    _draw_base(canvas)
    # The cursor's label lists the last trace first.
    for row in reversed(shown):
        row.draw(canvas, session)
    canvas.figure.update_layout(
        # plotly's own template adds 6.5 kB, and the page's script sets colours and fonts (chart.js).
        template={},
        height=layout.height_px,
        margin={"l": canvas.left_px, "r": 10, "t": 0, "b": BOTTOM_PX},
        hovermode="x unified",
        # The cursor's label lists all rows, not only the one under the pointer.
        hoversubplots="axis",
        showlegend=False,
        dragmode="zoom",
        paper_bgcolor=TRANSPARENT,
        plot_bgcolor=TRANSPARENT,
        xaxis=_time_axis(data, canvas.base_axis),
        xaxis2=_slider_axis(data, canvas),
        # For the page's script: where the rows lie on screen and on paper.
        meta={"screen": layout.as_meta(), "paper": [one.as_meta() for one in paper]},
    )
    return canvas.figure.build()


def _left_px(session: Session, data: Downsampled) -> int:
    letters = max((len(lane_name(session, person.person_id)) for person in data.lanes), default=0)
    return max(_LEFT_PX, round(_LETTER_PX * letters) + 14)


def _draw_base(canvas: Canvas) -> None:
    """The row without height at the bottom, and the curve that the slider shows."""
    audience, base = canvas.data.audience, canvas.base_axis
    lead = MEASURES["engagement"]
    values = audience["engagement"]
    style = {"xaxis": "x2", "yaxis": base, "hoverinfo": "skip"}
    canvas.add_area("base", "", values, with_opacity(lead.colour, 0.35), **style)
    axis = {"domain": [0, 0.001], "visible": False, "fixedrange": True, "range": [0, 1]}
    canvas.figure.update_layout({f"yaxis{base[1:]}": axis})


def _time_axis(data: Downsampled, anchor: str) -> PlotlyAttributes:
    clock = "%-H:%M:%S.%1f" if data.end_s >= 3600 else "%M:%S.%1f"
    start, end = axis_time(0.0), axis_time(data.end_s)
    return {
        "type": "date",
        "range": [start, end],
        "minallowed": start,
        "maxallowed": end,
        "tickformat": clock,
        "hoverformat": clock,
        # By default plotly takes the title from a row that may have no value there.
        "unifiedhovertitle": {"text": f"%{{x|{clock}}}"},
        "nticks": 8,
        "anchor": anchor,
        "showticklabels": False,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikesnap": "hovered data",
    }


def _slider_axis(data: Downsampled, canvas: Canvas) -> PlotlyAttributes:
    """A second axis of the same range, with the slider: a slider draws every row of its own axis again."""
    axis = _time_axis(data, canvas.base_axis)
    # The slider shows a small curve of the engagement, scaled to its highest value.
    top = max(0.1, float(np.nanmax(np.append(data.audience["expressiveness"], 0.0))))
    return {
        **axis,
        "matches": "x",
        "showticklabels": True,
        "showgrid": False,
        "showspikes": False,
        "rangeslider": {
            "visible": True,
            "thickness": SLIDER_PX / canvas.rows.plot_px,
            "range": axis["range"],
            "yaxis": {"rangemode": "fixed", "range": [0, 1.1 * top]},
        },
    }
