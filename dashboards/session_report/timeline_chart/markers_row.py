"""The markers' own row, with lines for instants and bands for segments through all rows."""

from __future__ import annotations

import math

from ferflow import palette
from ferflow.analytics.event_locked import instants_in, segments_of
from ferflow.analytics.markers import event_markers
from ferflow.analytics.tally import column
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.figure_values import axis_time, coloured, with_opacity

MOST_LINES = 120
"""Markers with a line through all rows; more than these are shown in their own row only."""
MOST_BANDS = 200
"""Segments with a band and a label."""
MOST_LABELS = 2000
"""Markers that the page can label, the earliest first; the table on disk has all."""
INSTANTS_AT = 0.75
"""Height of the diamonds in the row; the labels of segments are at 0.25 (session.js)."""

_ID = "markers"


def _draw(canvas: Canvas, session: Session) -> None:
    title = row_title("Markers", None, _describe_late_markers(session))
    canvas.add_row(_ID, title, range=[0, 1], tickvals=[], showgrid=False)
    _draw_bands(canvas, session)
    _draw_rest(canvas, session)
    times = _instants(session, canvas.data.end_s)
    if len(times) <= MOST_LINES:
        _draw_lines(canvas, times)
    else:
        times = _first_per_bin(times, canvas.data.step_s)
    canvas.figure.add_scatter(
        # The page's script writes the labels that fit: instants above, segments below.
        name="markers", x=[axis_time(time) for time in times], y=[INSTANTS_AT] * len(times), hoverinfo="skip",
        yaxis=canvas.rows.axes[_ID], mode="markers",
        marker={"symbol": "diamond", "size": 8, "color": palette.MARKER},
    )  # fmt: skip


def _draw_bands(canvas: Canvas, session: Session) -> None:
    found = segments_of(event_markers(session.markers), canvas.data.end_s)
    for k, segment in enumerate(found[:MOST_BANDS]):
        canvas.figure.add_shape(
            type="rect", xref="x", yref="paper", y0=0, y1=canvas.rows.domains[_ID][1], x0=axis_time(segment.start_s),
            x1=axis_time(segment.end_s), layer="below", line={"width": 0},
            # Alternating, so that adjacent segments are distinguishable.
            fillcolor=with_opacity(palette.MARKER, 0.16 if k % 2 else 0.1),
        )  # fmt: skip


def _draw_rest(canvas: Canvas, session: Session) -> None:
    """Bands with a dashed edge in a colour of their own: they are no events, but the basis of a calibration."""
    for stretch in session.rest:
        canvas.figure.add_shape(
            type="rect", xref="x", yref="paper", y0=0, y1=canvas.rows.domains[_ID][1], x0=axis_time(stretch.start_s),
            x1=axis_time(stretch.end_s), layer="below", line={"width": 1.5, "color": palette.REST, "dash": "dash"},
            fillcolor=with_opacity(palette.REST, 0.14),
        )  # fmt: skip


def _draw_lines(canvas: Canvas, times: list[float]) -> None:
    for time in times:
        canvas.figure.add_shape(
            type="line", xref="x", yref="paper", y0=0, y1=canvas.rows.domains[_ID][1], x0=axis_time(time),
            x1=axis_time(time), line={"width": 1, "color": palette.MARKER, "dash": "dot"},
        )  # fmt: skip


def _instants(session: Session, end_s: float) -> list[float]:
    """Times of the markers that are instants, not segments."""
    return [marker.time_s for marker in instants_in(session.markers) if 0 <= marker.time_s < end_s]


def _first_per_bin(times: list[float], step_s: float) -> list[float]:
    """The first time in each bin that has any."""
    # Backwards, so that the first time of each bin is the one that stays, and then in order again.
    return list({math.floor(time / step_s + 1e-9): time for time in reversed(times)}.values())[::-1]


def _describe_late_markers(session: Session) -> str:
    late = int((column(session.markers, "time_s") >= session.end_s).sum())
    early = len(session.markers) - len(session.shown_markers)
    if late or early:
        where = [*(["before the start"] if early else []), *(["after the end"] if late else [])]
        return f"{late + early} not shown: {' or '.join(where)} of the video"
    if session.rest:
        return coloured("dashed: at rest", palette.REST) + ", for calibration"
    labels = set(session.markers.column("label").to_pylist())
    files = [
        *(["from the file of markers"] if labels - session.stimulus.labels else []),
        *(["of the stimulus"] if labels & session.stimulus.labels else []),
    ]
    return f"and segments, {' and '.join(files)}"


MARKERS_ROW = ChartRow(
    _ID, lambda session, _: 38 if len(session.markers) or session.rest else 0, _draw, is_curve=False
)
