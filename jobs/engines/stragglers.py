"""Which video in progress is worth a second copy on a worker that has nothing else to do.

A worker may hang, with its machine or its share, or be far slower than others. The run would wait for its video.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS_BEFORE_COPY = 20.0
"""Before that, the speed of a video says little: models are warmed up and files are opened. Not measured."""

TIMES_SLOWER = 2.0
"""A video is copied if it takes more than this many times as long as expected by the median speed of the others. Not
measured: half the speed is what a worker has on a machine that is used twice."""


@dataclass(slots=True)
class Pace:
    """How far one worker has come in one video."""

    started: float
    """By `time.monotonic()`."""
    seconds: float = 0.0
    """Of video, analysed."""
    of_seconds: float | None = None
    """Duration of the video; None: unknown."""

    def speed(self, now: float) -> float:
        """Seconds of video per second."""
        return self.seconds / max(now - self.started, 1e-9)


def find_straggler(paces: Sequence[Pace], finished_speeds: Sequence[float], now: float) -> int | None:
    """Index of the video that a second worker would most likely finish sooner, that which runs longest; None: none.

    Args:
        paces: of the videos in progress.
        finished_speeds: of videos that are finished.
        now: `time.monotonic()`.
    """
    speeds = [pace.speed(now) for pace in paces]
    found = [
        index
        for index, pace in enumerate(paces)
        if now - pace.started >= SECONDS_BEFORE_COPY
        and _is_slow(pace, [*finished_speeds, *speeds[:index], *speeds[index + 1 :]], now)
    ]
    return min(found, key=lambda index: paces[index].started, default=None)


def _is_slow(pace: Pace, others: Sequence[float], now: float) -> bool:
    usual, own = statistics.median(others) if others else 0.0, pace.speed(now)
    if own * TIMES_SLOWER >= usual:
        return False
    # Near its end, a slow worker is still sooner than another from the start.
    return pace.of_seconds is None or pace.of_seconds / usual < _seconds_left(pace.of_seconds, pace, own)


def _seconds_left(of_seconds: float, pace: Pace, own: float) -> float:
    return (of_seconds - pace.seconds) / own if own > 0 else math.inf
