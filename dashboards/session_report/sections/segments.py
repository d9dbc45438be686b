"""The table of segments: the parts of the video that markers name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from ferflow.analytics.limits import NO_LIMITS
from ferflow.analytics.markers import REST_KIND
from ferflow.analytics.tally import column, ratio
from ferflow.dashboards.session_report.measure_columns import measure_cells, measure_headings
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import ExpressionBar, TimeButton, build_expression_bar
from ferflow.dashboards.shared.number_format import count, percent, pluralize, sanitize, shorten, timecode
from ferflow.types import JsonValue

MOST_SEGMENTS = 40
"""Rows of the table, in order of time."""


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """Means over one segment, or over the whole video."""

    label: str
    kind: str
    start: TimeButton
    end: str
    length: str
    bar: ExpressionBar
    measures: tuple[str, ...]
    """By the page's columns of measures."""
    people: str
    coverage: str


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments in order of time, and the whole video to compare them with."""

    hint: str
    measure_headings: tuple[Markup, ...]
    rows: tuple[SegmentRow, ...]


def build_segments(session: Session) -> Segments | None:
    """None without segments."""
    rows = session.segments.slice(0, MOST_SEGMENTS).to_pylist()
    if not rows:
        return None
    hidden = len(session.segments) - len(rows)
    hint = "Means over the time of each segment in which faces can be read."
    if hidden:
        hint += f" {pluralize(hidden, 'later segment')} not listed."
    rows_and_total = (*(_build_row(session, row) for row in rows), _build_whole_video(session))
    return Segments(hint, measure_headings(), rows_and_total)


def _build_row(session: Session, row: Mapping[str, JsonValue]) -> SegmentRow:
    values = {name: _number(value) for name, value in row.items()}
    label, kind = str(row["label"]), str(row["kind"])
    if kind == REST_KIND:
        return _row(session, "At rest", label, values)
    return _row(session, label, session.describe_kind(label, kind), values)


def _build_whole_video(session: Session) -> SegmentRow:
    values = {**session.means, "n_people": float(len(session.people)), "presence": _presence(session)}
    limits = session.limits
    span = {"start_s": limits.start_s, "end_s": min(limits.end_s, session.end_s)}
    label = "Whole video" if limits == NO_LIMITS else "All that counts"
    return _row(session, label, "", values | span)


def _presence(session: Session) -> float:
    """Share of the analysed time with any face."""
    seconds = column(session.audience, "seconds")
    return float(ratio((session.values("presence") * seconds)[seconds > 0].sum(), seconds.sum()))


def _row(session: Session, label: str, kind: str, values: Mapping[str, float]) -> SegmentRow:
    return SegmentRow(
        label=shorten(sanitize(label), 80),
        kind=shorten(sanitize(kind), 40),
        start=TimeButton.at(values["start_s"]),
        end=timecode(values["end_s"]),
        length=timecode(values["end_s"] - values["start_s"]),
        bar=build_expression_bar(session.labels, values),
        measures=measure_cells(values),
        people=count(values["n_people"]),
        coverage=percent(values["presence"]),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
