"""Signals of many sessions: means over participants on a common clock, and around markers of one label.

A participant counts once: the signals of a participant's sessions are averaged first, weighted by time; then
participants are. A session whose participant is not named is a participant of its own, however many people it shows,
since its signals are about the session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ferflow.analytics.event_locked import lags
from ferflow.analytics.intervals import Band, open_band
from ferflow.analytics.signals import Signal, sum_bins
from ferflow.analytics.tally import ratio
from ferflow.analytics.timeline import bin_of
from ferflow.types import Float64Array


@dataclass(frozen=True, slots=True)
class SignalSession:
    """The signals of one session. Times are those of its video."""

    participant: tuple[str, ...]
    """Sessions of one participant have the same."""
    group: str | None
    signals: Sequence[Signal]
    start_s: float
    """Where the common clock starts."""
    end_s: float
    """End of the video; a signal may go on, but is then about something else."""
    markers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Times by label."""

    def find(self, name: str) -> Signal | None:
        """The signal of a name."""
        return next((signal for signal in self.signals if signal.name == name), None)


def signal_names(sessions: Sequence[SignalSession]) -> list[str]:
    """Names of all signals, those that most sessions have first, then in the order of the sessions."""
    return [
        name for name, _ in Counter(one.name for session in sessions for one in session.signals).most_common()
    ]


def clock_band(
    sessions: Sequence[SignalSession], name: str, *, step_s: float, n_points: int, group: str | None = None
) -> Band:
    """Mean of a signal over participants at each point of the common clock, with its interval.

    Args:
        sessions: of one clock.
        name: of the signal; sessions without it do not count.
        step_s: length of a point.
        n_points: number of points.
        group: of the sessions that count; None: all.
    """
    edges = np.arange(n_points + 1) * step_s

    def sums_of(session: SignalSession, signal: Signal) -> tuple[Float64Array, Float64Array]:
        # Points after the end of the video have no time left.
        return sum_bins(signal, np.minimum(session.start_s + edges, max(session.start_s, session.end_s)))

    return _band(sessions, name, group, n_points, sums_of)


def response_band(
    sessions: Sequence[SignalSession], name: str, label: str, *, bin_seconds: float, group: str | None = None
) -> Band:
    """Mean of a signal over participants at each lag of `event_locked.lags` from the markers of a label.

    At each lag, the bin that contains the marker's time plus the lag counts, as around the markers of one session.

    Args:
        sessions: with markers.
        name: of the signal; sessions without it do not count.
        label: of the markers.
        bin_seconds: length of a bin of the timelines.
        group: of the sessions that count; None: all.
    """
    at = lags(bin_seconds)

    def sums_of(session: SignalSession, signal: Signal) -> tuple[Float64Array, Float64Array]:
        n_bins = int(np.ceil(session.end_s / bin_seconds - 1e-9))
        edges = np.minimum(np.arange(n_bins + 1) * bin_seconds, session.end_s)
        means = ratio(*sum_bins(signal, edges))
        # NaN behind the last bin: for what is outside of the video.
        means = np.append(means, np.nan)
        bins = bin_of(np.array(session.markers.get(label, ()), dtype=np.float64)[:, None] + at, bin_seconds)
        values = means[np.where((bins >= 0) & (bins < n_bins), bins, n_bins)]
        known = np.isfinite(values)
        return np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64)

    return _band(sessions, name, group, len(at), sums_of)


def _band(
    sessions: Sequence[SignalSession],
    name: str,
    group: str | None,
    n_points: int,
    sums_of: Callable[[SignalSession, Signal], tuple[Float64Array, Float64Array]],
) -> Band:
    """The band over participants of sums and weights, float64 (points,), of each session."""
    totals: dict[tuple[str, ...], Float64Array] = {}
    for session in sessions:
        signal = session.find(name)
        if signal is not None and group in (None, session.group):
            total = totals.setdefault(session.participant, np.zeros((2, n_points)))
            total += sums_of(session, signal)
    curves = np.array([ratio(*total) for total in totals.values()], dtype=np.float64)
    return open_band(curves.reshape(len(totals), n_points))
