"""Markers in words: the table of stretches, and what happens around the markers of a label."""

from __future__ import annotations

import math
from typing import Any

from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS, CurveSummary, summarize_curves
from ferflow.analytics.markers import times_by_label
from ferflow.dashboards.session_report.expression_bar import mix_of, mix_words
from ferflow.dashboards.session_report.measure_columns import measure_cells
from ferflow.dashboards.session_report.session_data import MOST_CURVES, Session
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    clipped,
    count,
    percent,
    score,
    shown,
    signed,
    some,
    timecode,
)

MOST_SEGMENTS = 40
"""Rows of the table of stretches, in order of time."""
MOST_MARKERS = 120
"""Markers in the list below the timeline, in order of time."""

Section = dict[str, Any]


def moments_of(session: Session) -> Section:
    """Stretches and marker-locked curves; empty lists without markers."""
    rows = session.segments.slice(0, MOST_SEGMENTS).to_pylist()
    hidden = len(session.segments) - len(rows)
    return {
        "segments": [_segment(session, row) for row in rows] + ([_whole(session)] if rows else []),
        "segments_hint": "Means over the bins of each stretch, weighted by the seconds that lie in it."
        + (f" {some(hidden, 'later stretch', 'later stretches')} not listed." if hidden else ""),
        "around": [_around(found) for found in summarize_curves(session.curves, session.lead)]
        if session.people
        else [],
        "markers": [_marker(row) for row in session.markers.slice(0, MOST_MARKERS).to_pylist()],
        "markers_summary": some(len(session.markers), "marker")
        + (f", the first {MOST_MARKERS} listed" if len(session.markers) > MOST_MARKERS else ""),
        "around_hint": _around_hint(session),
    }


def _marker(row: dict[str, Any]) -> Section:
    return {
        "label": clipped(shown(row["label"]), 80),
        "kind": clipped(shown(row["kind"]), 40),
        "seek": {"seconds": f"{row['time_s']:g}", "text": timecode(row["time_s"])},
    }


def _segment(session: Session, row: dict[str, Any]) -> Section:
    return {
        "label": clipped(shown(row["label"]), 80),
        "kind": clipped(shown(row["kind"]), 40),
        "seek": {"seconds": f"{row['start_s']:g}", "text": timecode(row["start_s"])},
        "end": timecode(row["end_s"]),
        "length": timecode(row["end_s"] - row["start_s"]),
        **_measures(session, {name: _known(value) for name, value in row.items()}),
    }


def _whole(session: Session) -> Section:
    """The last row: what to compare the others with."""
    names = [
        name for name in session.segments.column_names if name not in ("label", "kind", "start_s", "end_s")
    ]
    values = {name: session.mean(name) for name in names if name != "n_people"}
    # As the card counts it, by frames: a last bin of few frames would weigh too much in a mean over bins.
    whole = {"n_people": float(len(session.people)), "presence": session.coverage.share}
    return {
        "label": "Whole video",
        "kind": "",
        "seek": {"seconds": "0", "text": timecode(0)},
        "end": timecode(session.end_s),
        "length": timecode(session.end_s),
        **_measures(session, values | whole),
    }


def _measures(session: Session, values: dict[str, float]) -> Section:
    mix = mix_of(session.labels, values)
    return {
        "people": count(values["n_people"]),
        "coverage": percent(values["presence"]),
        "measures": measure_cells(values),
        "mix": mix,
        "mix_words": mix_words(mix),
    }


def _known(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _around(found: CurveSummary) -> Section:
    known, sure = math.isfinite(found.highest), math.isfinite(found.spread)
    return {
        "label": clipped(shown(found.label), 80),
        "n": count(found.n_markers),
        "before": score(found.before),
        "after": score(found.after),
        "highest": f"{score(found.highest)} at {_lag(found.highest_lag_s)}" if known else UNKNOWN,
        "spread": f"± {found.spread:.2f}" if sure else UNKNOWN,
        "valence_before": signed(found.valence_before),
        "valence_after": signed(found.valence_after),
    }


def _lag(seconds: float) -> str:
    return f"+{seconds:.1f} s" if seconds else "the marker"


def _around_hint(session: Session) -> str:
    n = len(times_by_label(session.markers))
    hidden = f" Of {n} labels, the {MOST_CURVES} with most markers are shown." if n > MOST_CURVES else ""
    return (
        f"The audience from {BEFORE_SECONDS:g} s before to {AFTER_SECONDS:g} s after all markers of one label: the "
        "mean, and one standard deviation between markers to both sides. A single marker has no spread; few have "
        f"an unsure one. What follows a marker is not for that reason caused by it.{hidden}"
    )
