"""The time of frames that come when they come: by the timestamps of the source, across reconnections.

>>> clock = StreamClock()
>>> clock.time(pts_s=5.00, now_s=100.0), clock.time(pts_s=5.04, now_s=100.1)
(Fraction(0, 1), Fraction(1, 25))
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

UNITS = 1_000_000
"""Units per second of the timestamps that frames of a stream get: microseconds after the first frame."""

_LARGEST_DRIFT_S = 2.0
"""By how much the time since the first frame may differ between the timestamps and the clock of this machine. A server
sends what it has kept at once when a stream begins, and networks delay; more than that is a jump of the timestamps."""

_WINDOW_S = 10.0
"""Over which the delay of the fastest frame is remembered; clocks of two machines drift by less than a millisecond in
that time."""


@dataclass(slots=True)
class _LeastDelay:
    """The least delay of the last ten to twenty seconds."""

    _least_s: float = math.inf
    _before_s: float = math.inf
    """In the window before."""
    _since_s: float = -math.inf

    @property
    def is_started(self) -> bool:
        return self._least_s < math.inf

    @property
    def least_s(self) -> float:
        return min(self._least_s, self._before_s)

    def add(self, delay_s: float, now_s: float) -> None:
        if now_s - self._since_s > _WINDOW_S:
            self._before_s, self._least_s, self._since_s = self._least_s, delay_s, now_s
        self._least_s = min(self._least_s, delay_s)


@dataclass(slots=True)
class StreamClock:
    """Turns timestamps into seconds since the first frame; it has state and serves one stream."""

    _origin_s: float = 0.0
    """`now_s` of the first frame."""
    _last: Fraction | None = None
    _shift_s: Fraction = Fraction(0)
    """What is added to timestamps."""
    _delays: _LeastDelay = field(default_factory=_LeastDelay)

    @property
    def last(self) -> Fraction:
        """Seconds from the first frame to the last one; 0 before the first."""
        return self._last or Fraction(0)

    def interrupt(self) -> None:
        """Expect other timestamps from the next frame on, as after a reconnection."""
        self._delays = _LeastDelay()

    def time(self, pts_s: Fraction | float | None, now_s: float) -> Fraction:
        """Seconds since the first frame, exact to a microsecond; always after the frame before.

        Args:
            pts_s: the frame's timestamp in seconds; None: it has none.
            now_s: when the frame came, by a clock of this machine that never goes back.
        """
        if self._last is None:
            self._origin_s = now_s
        elapsed = Fraction(round((now_s - self._origin_s) * UNITS), UNITS)
        pts = None if pts_s is None else Fraction(round(pts_s * UNITS), UNITS)
        if pts is None:
            time = elapsed
        else:
            if not self._delays.is_started or abs(pts + self._shift_s - elapsed) > _LARGEST_DRIFT_S:
                self._shift_s = elapsed - pts
                self._delays = _LeastDelay()
            time = pts + self._shift_s
        if self._last is not None:
            time = max(time, self._last + Fraction(1, UNITS))
        self._last = time
        self._delays.add(now_s - self._origin_s - float(time), now_s)
        return time

    def moment(self, time: Fraction, now_s: float) -> float:
        """When a frame would have come without the queues before this program: never after `now_s`.

        Frames wait in queues of the system while a decoder is too slow, or a network stood still. The frame that came
        with the least delay of the last seconds did not wait.
        """
        delay_s = now_s - self._origin_s - float(time)
        return now_s - max(delay_s - self._delays.least_s, 0.0)
