"""Engagement and expressiveness, and the numbered peaks."""

from __future__ import annotations

import numpy as np

from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, MEASURES
from ferflow.analytics.peaks import Peak
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import (
    THRESHOLD,
    Canvas,
    ChartRow,
    measure_word,
    row_title,
)
from ferflow.dashboards.shared.axis_range import fit_range
from ferflow.dashboards.shared.figure_values import axis_time, with_opacity

_ID = "engagement"


def _draw(canvas: Canvas, session: Session) -> None:
    lead = MEASURES["engagement"]
    title = row_title(lead.title, lead.colour, "time with an expression · ", measure_word("expressiveness"))
    _add_row(canvas, title)
    area = with_opacity(lead.colour, 0.2)
    canvas.add_area(_ID, "", canvas.data.audience[lead.name], area, hoverinfo="skip")
    canvas.add_curve(_ID, MEASURES["expressiveness"], width=1.5)
    canvas.add_curve(_ID, lead, width=2.2)
    if session.peaks:
        _draw_peaks(canvas, session)


def _add_row(canvas: Canvas, title: str) -> None:
    curves = [canvas.data.audience[name] for name in ("engagement", "expressiveness")]
    # At least 0.6, so that the threshold is in sight. A little more than 1 for the peaks' numbers.
    _, top = fit_range((0.0, 1.0), *curves, least=0.6)
    words = ["0%", f"{EXPRESSIVE_THRESHOLD:.0%}{THRESHOLD}", "100%"]
    canvas.add_row(
        _ID,
        title,
        range=[0, 1.05 * top],
        showgrid=False,
        tickvals=[0, EXPRESSIVE_THRESHOLD, 1],
        ticktext=words,
    )
    canvas.add_threshold(_ID, EXPRESSIVE_THRESHOLD)


def _height(canvas: Canvas, peak: Peak) -> float:
    """Drawn engagement at a peak, on whose curve it is marked."""
    return float(np.nan_to_num(canvas.data.audience["engagement"][int(peak.time_s / canvas.data.step_s)]))


def _draw_peaks(canvas: Canvas, session: Session) -> None:
    canvas.figure.add_scatter(
        x=[axis_time(peak.time_s) for peak in session.peaks],
        y=[round(_height(canvas, peak), 3) for peak in session.peaks],
        text=[str(number) for number, _ in enumerate(session.peaks, 1)],
        name="peaks", mode="markers+text", hoverinfo="skip", yaxis=canvas.rows.axes[_ID],
        marker={"color": "#FFFFFF", "size": 17, "line": {"color": MEASURES["engagement"].colour, "width": 1.5}},
        textfont={"size": 10, "color": "#2B3270"}, textposition="middle center", cliponaxis=False,
    )  # fmt: skip


ENGAGEMENT_ROW = ChartRow(_ID, lambda session, _: 190 if session.people else 0, _draw)
