"""Signals of many sessions: means over participants on the time that sessions share, and around pooled markers.

A participant counts once: the sessions of a participant are added up first, weighted by time; then participants are
averaged. A signal is about a session, so a session of several people who share no name is one participant here. Only
sessions count of which a participant is counted, so that signals and faces are about the same people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from ferflow.analytics.cohort import Cohort, CohortVideo
from ferflow.analytics.intervals import Band, open_band
from ferflow.analytics.pooled_markers import PooledMarkers
from ferflow.analytics.shared_clock import SharedClock
from ferflow.analytics.signals import BinnedSignal
from ferflow.analytics.tally import ratio
from ferflow.analytics.timeline import bin_of
from ferflow.types import Float64Array, Int64Array


def signal_names(cohort: Cohort) -> list[str]:
    """Names of all signals: those that most sessions have first, then in the order of the sessions."""
    videos = _videos_of(cohort, None)
    return [name for name, _ in Counter(name for video in videos for name in video.signals).most_common()]


def clock_band(clock: SharedClock, group: str | None, name: str) -> Band:
    """Mean of a signal over the participants of a group at each point of a clock, with Student's interval.

    Args:
        clock: sessions on one time.
        group: None: all participants.
        name: of the signal; sessions without it do not count.
    """

    def add(video: CohortVideo, signal: BinnedSignal, total: Float64Array) -> None:
        starts = np.maximum(np.arange(len(signal.sums)) * video.bin_seconds, video.start_s)
        points = video.clock_bins(starts) // clock.bins_joined
        _add_bins(signal, np.arange(len(signal.sums)), points, total)

    return _band(_videos_of(clock.cohort, group), name, clock.n_points, add)


def response_band(pool: PooledMarkers, label: str, group: str | None, name: str) -> Band:
    """Mean of a signal over the participants of a group at each lag from the markers of a label.

    At each lag, the bin that contains the time of the marker plus the lag counts, as for measures.

    Args:
        pool: sessions with their markers.
        label: of the markers.
        group: None: all participants.
        name: of the signal; sessions without it do not count.
    """
    at = pool.lags

    def add(video: CohortVideo, signal: BinnedSignal, total: Float64Array) -> None:
        for time_s in pool.times(video.video_id, label):
            _add_bins(signal, bin_of(time_s + at, pool.bin_seconds), np.arange(len(at)), total)

    return _band(_videos_of(pool.cohort, group), name, len(at), add)


def _band(
    videos: Iterable[CohortVideo],
    name: str,
    n_points: int,
    add: Callable[[CohortVideo, BinnedSignal, Float64Array], None],
) -> Band:
    """The band over participants of what `add` adds up: integrals and seconds, float64 (2, points)."""
    totals: dict[tuple[str, ...], Float64Array] = {}
    for video in videos:
        if name in video.signals:
            total = totals.setdefault(_participant_of(video), np.zeros((2, n_points)))
            add(video, video.signals[name], total)
    curves = np.array([ratio(*total) for total in totals.values()], dtype=np.float64)
    return open_band(curves.reshape(len(totals), n_points))


def _add_bins(signal: BinnedSignal, bins: Int64Array, points: Int64Array, total: Float64Array) -> None:
    """Add bins of a signal to points; those that do not exist are left out."""
    inside = (bins >= 0) & (bins < len(signal.sums)) & (points >= 0) & (points < total.shape[1])
    for row, values in zip(total, (signal.sums, signal.seconds), strict=True):
        np.add.at(row, points[inside], values[bins[inside]])


def _videos_of(cohort: Cohort, group: str | None) -> list[CohortVideo]:
    """Each video of the participants of a group once."""
    found = {part.video.video_id: part.video for one in cohort.of(group) for part in one.parts}
    return list(found.values())


def _participant_of(video: CohortVideo) -> tuple[str, ...]:
    """Whom the signals of a video are about; two videos of one participant have the same."""
    ids = video.person_ids
    sole = video.names.by_person.get(ids[0]) if len(ids) == 1 else None
    name = video.participant or sole
    return (name,) if name else (video.video_id, "")
