"""A lane per participant, coloured by the expression that is shown."""

from __future__ import annotations

import numpy as np

from ferflow import palette
from ferflow.analytics.cohort import Participant
from ferflow.analytics.shared_clock import SharedClock
from ferflow.dashboards.overview.clock_chart.canvas import Canvas, ClockRow, row_title
from ferflow.dashboards.shared.figure_values import axis_time, escape_html
from ferflow.dashboards.shared.number_format import sanitize, shorten

MOST_LANES = 40
_LANE_PX, _LOW_LANE_PX = 18, 12
_MANY_LANES = 20
"""With more lanes than these, they are low."""
_NAME_LETTERS = 14
"""Of a name next to the lane; the values at the cursor show the full one."""


def drawn_participants(clock: SharedClock) -> tuple[Participant, ...]:
    """The participants with a lane: by name, each once."""
    return clock.cohort.of(None)[:MOST_LANES]


def lane_name(participant: Participant) -> str:
    """A name as it stands next to its lane."""
    return shorten(sanitize(participant.name), _NAME_LETTERS)


def labels_of(clock: SharedClock) -> list[str]:
    """The labels of all models of the sessions, each once."""
    names = [
        name for video in clock.videos for name in video.timeline.column_names if name.startswith("shown_")
    ]
    return [name.removeprefix("shown_") for name in dict.fromkeys(names)]


def _draw(canvas: Canvas) -> None:
    people, labels = drawn_participants(canvas.clock), labels_of(canvas.clock)
    names = [escape_html(lane_name(one)) for one in people]
    # The range is reversed, since plotly counts lanes upwards.
    canvas.add_row("people", _title(canvas.clock), tickvals=list(range(len(names))), ticktext=names,
                   showgrid=False, range=[len(names) - 0.5, -0.5])  # fmt: skip
    canvas.figure.add_heatmap(
        name="people", x0=axis_time(canvas.clock.step_s / 2), dx=canvas.clock.step_s * 1000,
        yaxis=canvas.rows.axes["people"], z=[_shown(canvas.clock, one, labels) for one in people],
        # Half a step beyond the first and the last label: each label gets one step of the colour scale.
        zmin=-0.5, zmax=len(labels) - 0.5, showscale=False, ygap=_lane_px(canvas.clock) // 6, hoverinfo="skip",
        colorscale=_scale(labels),
        meta={
            "row": "people",
            "labels": [sanitize(label) for label in labels],
            "names": [sanitize(one.name) for one in people],
        },
    )  # fmt: skip


def _title(clock: SharedClock) -> str:
    n = clock.cohort.n_participants
    some = f", the first {MOST_LANES} of {n}" if n > MOST_LANES else ""
    return row_title(
        "Each participant", f"coloured by the expression that is shown{some}; empty: no face can be read"
    )


def _shown(clock: SharedClock, participant: Participant, labels: list[str]) -> list[int | None]:
    """Number of the label that is shown for the longest time in each point; None where no face can be read."""
    names = [f"shown_{label}" for label in labels]
    total = clock.total(participant, names)
    unknown = np.full(clock.n_points, np.nan)
    shares = np.stack([total.mean(name) if name in total.sums else unknown for name in names])
    leading = np.argmax(np.nan_to_num(shares, nan=-1.0), axis=0)
    known = np.isfinite(shares).any(axis=0)
    return [int(label) if is_known else None for label, is_known in zip(leading, known, strict=True)]


def _scale(labels: list[str]) -> list[list[float | str]]:
    """Plotly's colour scale with a step per label."""
    colours = list(palette.colours(labels).values())
    # Each colour twice, at both edges of its step: otherwise plotly blends neighbouring colours.
    edges = [(k / len(colours), (k + 1) / len(colours), colour) for k, colour in enumerate(colours)]
    return [[share, colour] for low, high, colour in edges for share in (low, high)]


def _lane_px(clock: SharedClock) -> int:
    return _LANE_PX if len(drawn_participants(clock)) <= _MANY_LANES else _LOW_LANE_PX


PEOPLE_ROW = ClockRow(
    "people", lambda clock: _lane_px(clock) * len(drawn_participants(clock)), _draw, is_curve=False
)
