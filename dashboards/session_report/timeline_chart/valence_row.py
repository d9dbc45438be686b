"""Net positivity, and the two scores that it is the difference of."""

from __future__ import annotations

from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import (
    Canvas,
    ChartRow,
    fit_range,
    measure_word,
    row_title,
)
from ferflow.dashboards.shared.figure_values import with_opacity

_ID = "valence"


def _draw(canvas: Canvas, session: Session) -> None:
    audience, net = canvas.data.audience, MEASURES["valence"]
    (positive, up), (negative, down) = measure_word("positive"), measure_word("negative")
    title = row_title(net.title, net.colour, "= ", (positive, up), " − ", (negative, down))
    low, high = fit_range(net.range, *(audience[name] for name in ("valence", "positive", "negative")))
    ticks = [-1, 0, 1] if high == net.range[1] else [-0.5, 0, 0.5]
    canvas.add_row(_ID, title, range=[low, high], tickvals=ticks, zeroline=True, zerolinewidth=1)
    canvas.add_area(_ID, positive, audience["positive"], with_opacity(up, 0.55))
    # Downwards: of two areas over one another, one would hide the other.
    canvas.add_area(_ID, f"−{negative}", -audience["negative"], with_opacity(down, 0.5))
    canvas.add_curve(_ID, net, width=2)


VALENCE_ROW = ChartRow(_ID, lambda session, _: 130 if session.people else 0, _draw)
