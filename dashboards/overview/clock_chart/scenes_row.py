"""Scenes and events that lie at the same time in all sessions."""

from __future__ import annotations

from ferflow import palette
from ferflow.analytics.pooled_markers import Scene, common_scenes
from ferflow.analytics.shared_clock import SharedClock
from ferflow.dashboards.overview.clock_chart.canvas import Canvas, ClockRow, row_title
from ferflow.dashboards.shared.figure_values import axis_time, escape_html, with_opacity
from ferflow.dashboards.shared.number_format import sanitize, shorten

MOST_SCENES = 60
_ROW_PX = 34
_CHART_PX, _LETTER_PX = 1060, 6.4
"""About the width of a chart and of a letter, for labels that fit."""


def scenes_of(clock: SharedClock) -> list[Scene]:
    """The first scenes and events on a clock, those that start after its end left out."""
    found = common_scenes(clock.videos, clock.bin_seconds)
    return [scene for scene in found if 0 <= scene.start_s < clock.end_s][:MOST_SCENES]


def _draw(canvas: Canvas) -> None:
    scenes, end_s = scenes_of(canvas.clock), canvas.clock.end_s
    canvas.add_row("scenes", row_title("Scenes and events", "as marked"), range=[0, 1], visible=False)
    row = f"{canvas.rows.axes['scenes']} domain"
    _, top = canvas.rows.domains["scenes"]
    # Plotly leaves out an axis that has no trace.
    canvas.figure.add_scatter(
        x=[axis_time(0.0)],
        y=[0.5],
        yaxis=canvas.rows.axes["scenes"],
        mode="markers",
        opacity=0,
        hoverinfo="skip",
    )
    shades = {
        id(scene): (0.22, 0.1)[k % 2]
        for k, scene in enumerate(one for one in scenes if one.end_s is not None)
    }
    for k, scene in enumerate(scenes):
        following = scenes[k + 1].start_s if k + 1 < len(scenes) else end_s
        start, end = axis_time(scene.start_s), axis_time(min(scene.end_s or scene.start_s, end_s))
        is_event = scene.end_s is None
        canvas.figure.add_shape(
            # The line of an event goes through all rows.
            type="line" if is_event else "rect", x0=start, x1=end, xref="x", y0=0, y1=top if is_event else 1,
            yref="paper" if is_event else row, layer="below",
            fillcolor=with_opacity(palette.MARKER, shades.get(id(scene), 0.0)),
            line={"color": palette.MARKER, "width": 1, "dash": "dot" if is_event else "solid"},
        )  # fmt: skip
        width_s = (following if is_event else min(following, scene.end_s or end_s)) - scene.start_s
        label = _fitting(sanitize(scene.label), width_s / end_s * _CHART_PX - 8)
        canvas.figure.add_annotation(
            text=escape_html(label), x=start, xref="x", y=0.5, yref=row, xanchor="left", yanchor="middle",
            xshift=3, showarrow=False, font={"size": 11},
        )  # fmt: skip


def _fitting(text: str, width_px: float) -> str:
    """As much of a text as fits; empty if not even three letters do."""
    letters = int(width_px / _LETTER_PX)
    return shorten(text, letters) if letters >= 3 else ""


SCENES_ROW = ClockRow("scenes", lambda clock: _ROW_PX if scenes_of(clock) else 0, _draw, is_curve=False)
