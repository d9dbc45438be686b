"""What the user corrected, as far as this page honours it."""

from __future__ import annotations

from pathlib import Path

from ferflow.analytics.correction_rows import EVERYBODY, Correction
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import Notice
from ferflow.dashboards.shared.number_format import pluralize, sanitize, timecode

MOST_LINES = 12
"""Corrections that a page lists."""


def build_corrections(session: Session) -> Notice | None:
    """A line for each correction that the numbers of this page include; None without any."""
    # A page is passed on, and a path may say whose computer it comes from.
    rows, file = session.corrections.honoured, Path(session.corrections.file).name
    if not rows:
        return None
    lines = [_describe(row) for row in rows[:MOST_LINES]]
    if hidden := len(rows) - MOST_LINES:
        lines += [f"{hidden} more, see {file}."] if hidden > 0 else []
    return Notice(f"This page honours {pluralize(len(rows), 'correction')} of {file}.", lines=tuple(lines))


def _describe(row: Correction) -> str:
    times = f"{timecode(row.start_s)} to {'the end' if row.end_s == float('inf') else timecode(row.end_s)}"
    match row.action:
        case "exclude":
            whom = "" if row.who == EVERYBODY else f" for {row.who}"
            text = f"{times} does not count{whom}"
        case "drop":
            text = f"{str(row.who)[:1].upper()}{str(row.who)[1:]} does not count"
        case "relabel":
            whom = "everybody in view" if row.who == EVERYBODY else str(row.who)
            text = f"{times}: {whom} shows {sanitize(row.value)}, as a human coder saw"
    note = f" ({sanitize(row.note[:200])})" if row.note else ""
    return f"{text}.{note}"
