"""What is known of each part of the time: a face, small faces, no face, no frame."""

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
from ferflow.dashboards.shared.figure_values import PlotlyAttributes, axis_time, json_numbers

_ID = "coverage"


def _draw(canvas: Canvas, session: Session) -> None:
    """States that take no time in the whole video are left out."""
    states = [state for state in palette.COVERAGE if canvas.data.coverage[state].any()]
    parts: list[str | tuple[str, str]] = []
    for state in states:
        parts += [" · "] if parts else []
        parts.append((palette.COVERAGE[state].brief, palette.COVERAGE[state].colour))
    canvas.add_row(_ID, row_title("Coverage", None, *parts), range=STACK_RANGE, tickvals=[], showgrid=False)
    for state in states:
        _draw_state(canvas, state)


def _draw_state(canvas: Canvas, state: str) -> None:
    look, step_s = palette.COVERAGE[state], canvas.data.step_s
    share = canvas.data.coverage[state]
    values = np.where(share > 0, share, np.nan)
    # One more bin on each side, out of sight: an area that began in the middle of the first bin would look like a
    # gap. Not bars, since a browser draws each of them separately.
    canvas.figure.add_scatter(
        name=look.words, x0=axis_time(-step_s / 2), dx=step_s * 1000, yaxis=canvas.rows.axes[_ID],
        y=json_numbers(np.pad(values, 1, mode="edge")), stackgroup="coverage", mode="lines",
        fillcolor=look.colour, line={"width": 0, "shape": "hvh", "color": TRANSPARENT},
        hovertemplate="%{y:.0%}", fillpattern=_pattern(look) if look.pattern else None,
    )  # fmt: skip


def _pattern(look: palette.Look) -> PlotlyAttributes:
    return {"shape": look.pattern, "size": 5, "solidity": 0.25, "fgcolor": "#FFFFFF", "bgcolor": look.colour}


COVERAGE_ROW = ChartRow(_ID, lambda _session, _data: 24, _draw, is_curve=False)
