"""A lane per person, coloured by the expression that appears most."""

from __future__ import annotations

import math

from ferflow import palette
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.figure_values import axis_time, escape_html, with_opacity
from ferflow.dashboards.shared.number_format import sanitize, shorten

_ID = "lanes"
_LANE_PX = 22
_NAME_LETTERS = 12
"""Of a person's name next to the lane; the cursor shows the full name."""


def lane_name(session: Session, track_id: int) -> str:
    """A person's name as it stands next to the lane."""
    return shorten(sanitize(session.name_of(track_id)), _NAME_LETTERS)


def _draw(canvas: Canvas, session: Session) -> None:
    data, labels = canvas.data, session.labels
    names = [escape_html(lane_name(session, person.person_id)) for person in data.lanes]
    # The range is reversed, since plotly counts lanes upwards.
    canvas.add_row(_ID, _title(canvas, session), tickvals=list(range(len(names))), ticktext=names,
                   showgrid=False, range=[len(names) - 0.5, -0.5])  # fmt: skip
    canvas.figure.add_heatmap(
        name="people", x0=axis_time(data.step_s / 2), dx=data.step_s * 1000, yaxis=canvas.rows.axes[_ID],
        z=[[None if math.isnan(value) else int(value) for value in lane] for lane in data.leading],
        # Half a step beyond the first and the last value: each gets one step of the colour scale.
        zmin=-0.5, zmax=len(labels) + 0.5, showscale=False, ygap=4, hoverinfo="skip", colorscale=_scale(labels),
        # The page's script turns the numbers into words for the cursor.
        meta={
            "labels": [*(escape_html(sanitize(label)) for label in labels), "not readable"],
            "names": [escape_html(sanitize(session.name_of(person.person_id))) for person in data.lanes],
            "ids": [person.person_id for person in data.lanes],
        },
    )  # fmt: skip


def _title(canvas: Canvas, session: Session) -> str:
    n_lanes, n_people = len(canvas.data.lanes), len(session.people)
    if n_people > n_lanes:
        return row_title("People", None, f"the {n_lanes} longest in view, of {n_people}")
    pale = "; pale: not readable" if (canvas.data.leading == len(session.labels)).any() else ""
    return row_title("People", None, f"expression shown longest{pale}")


def _scale(labels: list[str]) -> list[list[float | str]]:
    """Plotly's colour scale with a step per label, and one for faces that cannot be read."""
    colours = [*palette.colours(labels).values(), with_opacity(palette.EXPRESSIONS["neutral"], 0.3)]
    # Each colour twice, at both edges of its step: otherwise plotly blends neighbouring colours.
    edges = [(k / len(colours), (k + 1) / len(colours), colour) for k, colour in enumerate(colours)]
    return [[share, colour] for low, high, colour in edges for share in (low, high)]


def _height_px(session: Session, data: Downsampled) -> int:
    return _LANE_PX * len(data.lanes) if session.people else 0


PEOPLE_ROW = ChartRow(_ID, _height_px, _draw, is_curve=False)
