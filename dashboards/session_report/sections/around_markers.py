"""Curves around the markers of each label, and the table that sums them up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS, CurveSummary, summarize_curves
from ferflow.analytics.markers import event_markers, times_by_label
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.signals import Signal
from ferflow.dashboards.session_report.marker_curves import build_marker_curves_figure, signal_scale
from ferflow.dashboards.session_report.session_data import MOST_CURVES, Session
from ferflow.dashboards.shared.number_format import UNKNOWN, count, format_measure, sanitize, shorten, signed
from ferflow.dashboards.shared.page import inline_json
from ferflow.dashboards.shared.signal_values import SignalScale


@dataclass(frozen=True, slots=True)
class AroundRow:
    """The markers of one label."""

    label: str
    n: str
    before: str
    after: str
    highest: str
    spread: str
    valence_before: str
    valence_after: str


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal around the markers of one label."""

    label: str
    n: str
    signal: str
    before: str
    after: str
    highest: str


@dataclass(frozen=True, slots=True)
class AroundMarkers:
    """The audience, and signals, before and after markers."""

    measure: str
    hint: str
    figure: Markup
    """JSON."""
    rows: tuple[AroundRow, ...]
    signals: tuple[SignalRow, ...]


def build_around_markers(session: Session) -> AroundMarkers | None:
    """None without markers, or without people."""
    rows = tuple(_build_row(session, found) for found in summarize_curves(session.curves, LEADING))
    if not rows or not session.people:
        return None
    figure = inline_json(build_marker_curves_figure(session).to_json())
    return AroundMarkers(MEASURES[LEADING].title, _hint(session), figure, rows, _build_signal_rows(session))


def _build_signal_rows(session: Session) -> tuple[SignalRow, ...]:
    rows = [
        (found, signal)
        for signal in session.shown_signals
        for found in summarize_curves(session.curves, signal.column)
    ]
    labels = list(dict.fromkeys(session.curves.column("label").to_pylist()))
    # By label, then in the order of the signals: sorted is stable.
    rows.sort(key=lambda row: labels.index(row[0].label))
    return tuple(_build_signal_row(found, signal, signal_scale(session, signal)) for found, signal in rows)


def _build_signal_row(found: CurveSummary, signal: Signal, scale: SignalScale) -> SignalRow:
    known = math.isfinite(found.highest)
    return SignalRow(
        label=shorten(sanitize(found.label), 80),
        n=count(found.n_markers),
        signal=sanitize(signal.name),
        before=scale.format(found.before),
        after=scale.format(found.after),
        highest=f"{scale.format(found.highest)} at {_lag(found.highest_lag_s)}" if known else UNKNOWN,
    )


def _hint(session: Session) -> str:
    signals = " Signals have axes of their own." if session.shown_signals else ""
    n = len(times_by_label(event_markers(session.markers, session.limits)))
    hidden = f" Of {n} labels, the {MOST_CURVES} with most markers are shown." if n > MOST_CURVES else ""
    return (
        f"Means over the people in view from {BEFORE_SECONDS:g} s before to {AFTER_SECONDS:g} s after the markers "
        "with the same label: the line is the mean over these markers, the band one standard deviation above and below "
        "it. A single marker has no band, and the band of few markers is uncertain. A change after a marker is not "
        f"necessarily caused by it.{signals}{hidden}"
    )


def _label(session: Session, label: str) -> str:
    return shorten(sanitize(label), 80) + (" (of the stimulus)" if session.is_stimulus(label) else "")


def _build_row(session: Session, found: CurveSummary) -> AroundRow:
    known, has_spread = math.isfinite(found.highest), math.isfinite(found.spread)
    write = partial(format_measure, MEASURES[LEADING])
    return AroundRow(
        label=_label(session, found.label),
        n=count(found.n_markers),
        before=write(found.before),
        after=write(found.after),
        highest=f"{write(found.highest)} at {_lag(found.highest_lag_s)}" if known else UNKNOWN,
        spread=f"± {write(found.spread)}" if has_spread else UNKNOWN,
        valence_before=signed(found.valence_before),
        valence_after=signed(found.valence_after),
    )


def _lag(seconds: float) -> str:
    return f"+{seconds:.1f} s" if seconds else "the marker"
