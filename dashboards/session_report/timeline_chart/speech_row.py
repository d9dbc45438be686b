"""When somebody speaks, by a transcript: a lane of its own, and shading through the rows of expressions.

The page's script writes what is said at the cursor.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferflow import palette
from ferflow.analytics.limits import Stretch
from ferflow.analytics.markers import Marker
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.figure_values import axis_time, with_opacity

MOST_SHADES = 150
"""Shades through all rows, of which each is an element of the page."""

_ID = "speech"


def _draw(canvas: Canvas, session: Session) -> None:
    shaded = limit_shades(session.speech, canvas.data.step_s / 2) if session.people else []
    words = "shaded: expressions of the mouth are less certain" if shaded else "by a transcript"
    title = row_title("Speech", palette.SPEECH, words)
    canvas.add_row(_ID, title, range=[0, 1], tickvals=[], showgrid=False)
    spoken = merge_speech(session.speech, canvas.data.step_s / 2)
    x: list[str | None] = []
    for start, end in spoken:
        x += [*map(axis_time, (start, start, end, end)), None]
    canvas.figure.add_scatter(
        # One trace however many cues there are: a polygon each.
        name="speech", x=x, y=[0.15, 0.85, 0.85, 0.15, None] * len(spoken), fill="toself", mode="lines",
        line={"width": 0}, fillcolor=with_opacity(palette.SPEECH, 0.75), hoverinfo="skip", yaxis=canvas.rows.axes[_ID],
    )  # fmt: skip
    for start, end in shaded:
        canvas.figure.add_shape(
            type="rect", xref="x", yref="paper", y0=0, y1=canvas.rows.domains[_ID][0], x0=axis_time(start),
            x1=axis_time(end), layer="below", line={"width": 0}, fillcolor=with_opacity(palette.SPEECH, 0.1),
        )  # fmt: skip


def merge_speech(cues: Sequence[Marker], pause_s: float) -> list[Stretch]:
    """Stretches of speech, by start; a pause of less than `pause_s` does not divide one."""
    found: list[Stretch] = []
    for cue in sorted(cues, key=lambda one: one.time_s):
        start, end = max(0.0, cue.time_s), cue.time_s if cue.end_s is None else cue.end_s
        if found and start - found[-1][1] < pause_s:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def limit_shades(cues: Sequence[Marker], pause_s: float) -> list[Stretch]:
    """The same, with ever longer pauses until there are at most `MOST_SHADES`."""
    found = merge_speech(cues, pause_s)
    while len(found) > MOST_SHADES:
        pause_s *= 2
        found = merge_speech(cues, pause_s)
    return found


SPEECH_ROW = ChartRow(_ID, lambda session, _: 24 if session.speech else 0, _draw, is_curve=False)
