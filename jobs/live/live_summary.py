"""What the last seconds of a live session say of each person, and how fast it runs.

>>> summary = LiveSummary(neutral_prior=0.2)
>>> summary.add(live_frame)
>>> [(person.track_id, person.label, person.engagement) for person in summary.people()]
[(1, 'happy', 0.62)]

Scores are re-weighted and smoothed as for pages (docs/numbers.md), with the half second before a frame in place of the
one around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ferflow.analytics.expressions import NO_PRIOR, SMOOTHING_SECONDS, reweight
from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, NEUTRAL_LABEL
from ferflow.faces.face_result import FaceResult
from ferflow.jobs.live.stream_analyzer import LiveFrame

T = TypeVar("T")

WINDOW_S = 10.0
"""Over which engagement is a share of time."""
_SHOWN_S = 1.0
"""For which a person is shown after the last face."""
_RATE_S = 5.0
"""Over which rates and latencies are computed."""


@dataclass(frozen=True, slots=True)
class LivePerson:
    """A track that is in view."""

    track_id: int
    label: str | None
    """The expression that appears, smoothed over half a second; None where the face cannot be read."""
    probability: float
    """Of the label, re-weighted, 0 to 1."""
    unreadable: str | None
    """Why the face cannot be read; None where it can."""
    engagement: float | None
    """Share of the readable time of the last ten seconds with an expression; None without such time."""
    yaw: float | None
    """Degrees; None where unknown."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a session runs, over the last seconds."""

    per_second: float
    """Analysed frames."""
    median_ms: float
    """Latency."""
    slow_ms: float
    """Latency that 95 of 100 frames do not exceed."""


@dataclass(slots=True)
class _Track:
    last: FaceResult
    scores: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)
    """Time and re-weighted scores of readable faces of the last half second."""
    expressive: deque[tuple[float, bool]] = field(default_factory=deque)
    """Time and whether an expression appears, of readable faces of the last ten seconds."""
    last_s: float = 0.0

    def shown(self) -> dict[str, float]:
        """Smoothed scores."""
        labels = self.scores[-1][1]
        return {label: sum(scores[label] for _, scores in self.scores) / len(self.scores) for label in labels}


class LiveSummary:
    """Sums up the frames of one session; it keeps ten seconds."""

    def __init__(self, neutral_prior: float | None) -> None:
        """Start without a frame.

        Args:
            neutral_prior: of the model, see its card; None: unknown.
        """
        self._prior = neutral_prior or NO_PRIOR
        self._tracks: dict[int, _Track] = {}
        self._latencies: deque[tuple[float, float]] = deque()
        self._time_s = 0.0
        self.all_latencies = LatencyCounts()
        """Of the session."""

    def add(self, frame: LiveFrame) -> None:
        """Take in the next frame."""
        self._time_s = frame.time_s
        self._latencies.append((frame.time_s, frame.latency_ms))
        self.all_latencies.add(frame.latency_ms)
        _forget(self._latencies, frame.time_s - _RATE_S)
        for face in frame.faces:
            if face.track_id is not None:
                self._note(face.track_id, face)
        self._tracks = {
            number: track for number, track in self._tracks.items() if track.last_s >= frame.time_s - _SHOWN_S
        }

    def _note(self, track_id: int, face: FaceResult) -> None:
        track = self._tracks.setdefault(track_id, _Track(face))
        track.last, track.last_s = face, self._time_s
        _forget(track.scores, self._time_s - SMOOTHING_SECONDS)
        _forget(track.expressive, self._time_s - WINDOW_S)
        if face.unreadable is None:
            track.scores.append((self._time_s, self._reweighted(face.probs)))
            is_expressive = 1 - track.shown().get(NEUTRAL_LABEL, 0.0) >= EXPRESSIVE_THRESHOLD
            track.expressive.append((self._time_s, is_expressive))

    def _reweighted(self, probs: Mapping[str, float]) -> dict[str, float]:
        columns = {label: np.array([p], np.float64) for label, p in probs.items()}
        return {label: float(column[0]) for label, column in reweight(columns, self._prior).items()}

    def people(self) -> list[LivePerson]:
        """Those in view, by track id."""
        return [_describe(number, track) for number, track in sorted(self._tracks.items())]

    def rates(self) -> Rates:
        """Of the last five seconds; zeros without a frame."""
        if not self._latencies:
            return Rates(0.0, 0.0, 0.0)
        latencies = [latency for _, latency in self._latencies]
        spent_s = self._latencies[-1][0] - self._latencies[0][0]
        per_second = (len(latencies) - 1) / spent_s if spent_s > 0 else 0.0
        median, slow = np.percentile(latencies, [50, 95]).tolist()
        return Rates(per_second, median, slow)


class LatencyCounts:
    """Latencies of a whole session, counted by milliseconds, so that memory stays flat."""

    _MOST_MS = 10_000

    def __init__(self) -> None:
        self._counts = np.zeros(self._MOST_MS + 1, np.int64)

    def add(self, latency_ms: float) -> None:
        """Count one; 10 seconds and more are one count."""
        self._counts[min(max(round(latency_ms), 0), self._MOST_MS)] += 1

    @property
    def n(self) -> int:
        """How many there are."""
        return int(self._counts.sum())

    def quantile(self, share: float) -> float:
        """Milliseconds that this share of the frames does not exceed; NaN without a frame."""
        if not self.n:
            return float("nan")
        return float(np.searchsorted(np.cumsum(self._counts), share * self.n))


def _describe(number: int, track: _Track) -> LivePerson:
    face = track.last
    label, probability = None, 0.0
    if track.scores and face.unreadable is None:
        label, probability = max(track.shown().items(), key=lambda item: item[1])
    flags = [flag for _, flag in track.expressive]
    engagement = sum(flags) / len(flags) if flags else None
    return LivePerson(number, label, probability, face.unreadable, engagement, face.yaw)


def _forget(items: deque[tuple[float, T]], before_s: float) -> None:
    while items and items[0][0] < before_s:
        items.popleft()
