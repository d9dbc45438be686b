"""Means over participants: reacting, expressiveness, net positivity; who has reacted, who is still there."""

from __future__ import annotations

from ferflow.analytics.intervals import Band
from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, MEASURES
from ferflow.dashboards.overview.clock_chart.canvas import Canvas, ClockRow, row_title
from ferflow.dashboards.shared.axis_range import signed_ticks
from ferflow.dashboards.shared.figure_values import escape_html
from ferflow.palette import MARKER

_BAND = "shaded: 95 % interval"


def _draw_reacting(canvas: Canvas) -> None:
    bin_s = f"{canvas.clock.bin_seconds:g} s"
    title = row_title(
        "Reacting", f"share of participants who show an expression for half of {bin_s} or more; {_BAND}"
    )
    canvas.add_row("reacting", title, range=[0, canvas.scale.share], tickformat=".0%", nticks=5)
    _draw_means(canvas, "reacting", "reacting", "reacting")


def _draw_expressiveness(canvas: Canvas) -> None:
    rule = "the dotted line is where an expression is as likely as rest"
    title = row_title(MEASURES["expressiveness"].title, f"score, mean over participants; {rule}")
    canvas.add_row("expressiveness", title, range=[0, canvas.scale.score], nticks=4)
    canvas.figure.add_shape(
        type="line", x0=0, x1=1, xref="paper", y0=EXPRESSIVE_THRESHOLD, y1=EXPRESSIVE_THRESHOLD,
        yref=canvas.rows.axes["expressiveness"], line={"color": MARKER, "width": 1, "dash": "dot"},
    )  # fmt: skip
    _draw_means(canvas, "expressiveness", "expressiveness", "expressiveness", ".2f")


def _draw_valence(canvas: Canvas) -> None:
    title = row_title(
        MEASURES["valence"].title, f"above zero more positive, below zero more negative; {_BAND}"
    )
    low, high = canvas.scale.valence
    ticks = signed_ticks(low, high)
    canvas.add_row("valence", title, range=[low, high], zeroline=True, zerolinewidth=1.5, **ticks)
    _draw_means(canvas, "valence", "valence", "net positivity", "+.2f")


def _draw_means(canvas: Canvas, row: str, measure: str, words: str, number: str = ".0%") -> None:
    for look in canvas.looks:
        canvas.add_mean(row, look, canvas.clock.band(look.group, measure), words, number)


def _draw_ever(canvas: Canvas) -> None:
    title = row_title("Has reacted so far", f"share of participants who reacted by then; {_BAND}")
    _draw_reach(
        canvas, "ever", title, "has reacted", [canvas.clock.ever_reacted(look.group) for look in canvas.looks]
    )


def _draw_still(canvas: Canvas) -> None:
    title = row_title("Still there", f"share of participants whose face is seen then or later; {_BAND}")
    _draw_reach(
        canvas, "still", title, "still there", [canvas.clock.still_there(look.group) for look in canvas.looks]
    )


def _draw_reach(canvas: Canvas, row: str, title: str, words: str, bands: list[Band]) -> None:
    # A little wider than 0 to 1: at the edge of the plot, half of the width of a line would be cut off.
    canvas.add_row(row, title, range=[-0.03, 1.03], tickvals=[0, 0.5, 1], tickformat=".0%")
    for look, band in zip(canvas.looks, bands, strict=True):
        canvas.add_mean(row, look, band, words)


def _draw_n(canvas: Canvas) -> None:
    title = row_title("Faces that can be read", "number of participants; curves over fewer than 3 are thin")
    found = {look: canvas.clock.n_readable(look.group) for look in canvas.looks}
    most = max(int(n.max()) for n in found.values())
    canvas.add_row("n", title, range=[0, 1.08 * most], tickvals=[0, most])
    for look, n in found.items():
        template = f"{escape_html(look.name)}: %{{y:.0f}} can be read<extra></extra>"
        canvas.add_line("n", look, n, {"hovertemplate": template}, width=1.4)


REACTING_ROW = ClockRow("reacting", lambda _: 170, _draw_reacting)
EXPRESSIVENESS_ROW = ClockRow("expressiveness", lambda _: 120, _draw_expressiveness)
VALENCE_ROW = ClockRow("valence", lambda _: 130, _draw_valence)
EVER_ROW = ClockRow("ever", lambda _: 80, _draw_ever)
STILL_ROW = ClockRow("still", lambda _: 80, _draw_still)
N_ROW = ClockRow("n", lambda _: 56, _draw_n)
