"""Net positivity, and the two scores that it is the difference of."""

from __future__ import annotations

from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import (
    Canvas,
    ChartRow,
    measure_word,
    row_title,
)
from ferflow.dashboards.shared.axis_range import fit_range, signed_ticks
from ferflow.dashboards.shared.figure_values import with_opacity

_ID = "valence"


def _draw(canvas: Canvas, session: Session) -> None:
    audience, net = canvas.data.audience, MEASURES["valence"]
    (positive, up), (negative, down) = measure_word("positive"), measure_word("negative")
    title = row_title(net.title, net.colour, "above zero ", (positive, up), ", below zero ", (negative, down))
    curves = audience["valence"], audience["positive"], -audience["negative"]
    low, high = fit_range(net.range, *curves, least=0.25)
    canvas.add_row(_ID, title, range=[low, high], zeroline=True, zerolinewidth=1.5, **signed_ticks(low, high))
    canvas.add_area(_ID, positive, audience["positive"], with_opacity(up, 0.55))
    # Downwards: of two areas over one another, one would hide the other.
    canvas.add_area(_ID, f"−{negative}", -audience["negative"], with_opacity(down, 0.5))
    canvas.add_curve(_ID, net, width=2)


VALENCE_ROW = ChartRow(_ID, lambda session, _: 130 if session.people else 0, _draw)
