"""The time of each frame, from timestamps that are not always right.

Timestamps of a few frames that jump away and come back are errors of a writer: the times of these frames are
interpolated. Timestamps that jump and stay there belong to a recording that was paused, or to a clock that was set:
time continues by the usual step, and the jump is reported.

>>> for event in Clock(Fraction(1, 1000), step_s=Fraction(1, 25)).run(source.decode()): ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from statistics import median

import av

from ferflow.media.decode_report import Lost, NoTimestamps
from ferflow.media.frame_skipping import SkippedFrame

MOST_STRAYS = 8
"""Frames in a row whose timestamps may be far from the others and are interpolated. As many decoded frames wait in
memory where timestamps jump."""

LEAST_JUMP_S = Fraction(1)
"""Seconds; from a shorter step forward, nothing is concluded."""

LONGEST_HOLD_S = 600
"""Seconds for which a picture may be shown until the next one. Screen recorders and call recorders write no frame while
nothing moves; no other reason makes a step of ten minutes, so that a longer one is a jump of the clock."""

LONGEST_HOLD_OF_STREAMS_S = 10
"""The same in MPEG-TS and MPEG-PS, whose clocks are set again at each interruption; also FFmpeg's limit for them."""

_STREAMS = frozenset({"mpegts", "mpeg"})
_USUAL_STEPS_IN_JUMP = 8
_STEPS = 9
"""Of which the median is the usual step."""
_STEPS_AT_END = 3
"""Of which the median is how long the last frame is shown."""

Picture = av.VideoFrame | SkippedFrame
_Event = Picture | Lost | NoTimestamps


def longest_hold_s(container_format: str) -> int:
    """Seconds from which on a step forward is a jump of the clock, by FFmpeg's name of the format."""
    return LONGEST_HOLD_OF_STREAMS_S if container_format in _STREAMS else LONGEST_HOLD_S


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A frame and its time."""

    picture: Picture
    time: Fraction
    """Seconds after the zero of time, exact; never before that of the frame before."""
    jump_s: Fraction | None = None
    """By how much the timestamps jump before this frame, seconds; None: they do not."""
    is_stray: bool = False
    """Whether its timestamp was far from those of its neighbours, so that its time is interpolated."""


@dataclass(slots=True)
class Clock:
    """Turns timestamps into seconds; it has state and serves one pass over a source."""

    time_base: Fraction
    """Of frames that have none of their own."""
    step_s: Fraction = Fraction(1, 25)
    """Usual time between two frames, until it is known."""
    longest_hold_s: int = LONGEST_HOLD_S
    lead_s: Fraction = Fraction(0)
    """Time of the first frame."""

    first_s: Fraction | None = None
    """Time of the first frame on the file's own clock."""
    end_s: float = 0.0
    """Where the last frame ends."""
    own_end_s: float = 0.0
    """The same by the file's own clock, from the first frame on, as far as headers count; never less."""
    n_at_one_time: int = 0
    """Frames in a row, the last one included, that have the same timestamp."""
    _last_s: Fraction = Fraction(0)
    _last_step_s: Fraction = Fraction(0)
    _shift_s: Fraction = Fraction(0)
    _steps: deque[Fraction] = field(default_factory=lambda: deque(maxlen=_STEPS))

    @property
    def usual_step_s(self) -> Fraction:
        """Median of the last steps, seconds."""
        return median(self._steps) if self._steps else self.step_s

    def resume(self, first_s: Fraction, earlier_s: Sequence[Fraction]) -> None:
        """Go on after frames whose timestamps did not jump, as if this clock had placed them.

        Args:
            first_s: time of the first frame of the source on the file's own clock.
            earlier_s: the same of the last frames before the next one, ascending; at least ten, or all of them.
        """
        self.first_s = first_s
        times = [own_s - first_s + self.lead_s for own_s in earlier_s]
        steps = [later - time_s for time_s, later in pairwise(times)]
        self._steps.extend(steps)
        if times:
            self._last_s, self.n_at_one_time = times[-1], 1
        if steps:
            self._last_step_s = steps[-1]

    def run(self, events: Iterable[_Event]) -> Iterator[TimedFrame | Lost | NoTimestamps]:
        """Give each frame its time; everything else passes, in order."""
        source = iter(events)
        again: deque[_Event] = deque()
        # Events from a frame whose timestamp jumps on, until it is known what the jump is.
        waiting: list[_Event] = []
        while (event := again.popleft() if again else next(source, None)) is not None:
            if not waiting and (isinstance(event, Lost | NoTimestamps) or not self._jumps(event)):
                yield event if isinstance(event, Lost | NoTimestamps) else self._place(event)
                continue
            frames = _frames(waiting)
            if not isinstance(event, Lost | NoTimestamps) and frames and self._returns(event, frames):
                yield from self._interpolate(waiting, self._time(event))
                yield self._place(event)
                waiting = []
            else:
                waiting.append(event)
                if len(frames) >= MOST_STRAYS:
                    yield self._accept(frames[0])
                    again.extendleft(reversed(waiting[1:]))
                    waiting = []
        for event in waiting:  # the source ends: what jumped stays there
            yield event if isinstance(event, Lost | NoTimestamps) else self._place_last(event)

    def _place_last(self, picture: Picture) -> TimedFrame:
        return self._accept(picture) if self._jumps(picture) else self._place(picture)

    def _time(self, picture: Picture) -> Fraction:
        """Seconds by the timestamps alone, after the jumps so far."""
        own_s = (picture.pts or 0) * (picture.time_base or self.time_base)
        if self.first_s is None:
            self.first_s, self._last_s = own_s, self.lead_s
        return own_s - self.first_s + self.lead_s + self._shift_s

    def _jumps(self, picture: Picture) -> bool:
        step_s = self._time(picture) - self._last_s
        return step_s < 0 or step_s > max(LEAST_JUMP_S, _USUAL_STEPS_IN_JUMP * self.usual_step_s)

    def _returns(self, picture: Picture, strays: list[Picture]) -> bool:
        """Whether a timestamp continues those before the strays, and not the strays' own."""
        time_s, stray_s = self._time(picture), [self._time(stray) for stray in strays]
        most_s = max(LEAST_JUMP_S, _USUAL_STEPS_IN_JUMP * (len(strays) + 1) * self.usual_step_s)
        is_far = abs(stray_s[0] - self._last_s) > LEAST_JUMP_S  # damage makes short jumps, too
        if not is_far or not self._last_s < time_s <= self._last_s + most_s:
            return False
        if stray_s[0] > self._last_s:
            return time_s < stray_s[-1] and time_s < stray_s[0]
        return time_s - stray_s[-1] > Fraction(3, 2) * self.usual_step_s

    def _interpolate(
        self, waiting: list[_Event], until_s: Fraction
    ) -> Iterator[TimedFrame | Lost | NoTimestamps]:
        """Spread the frames evenly between the last one and the one that continues it."""
        step_s = (until_s - self._last_s) / (len(_frames(waiting)) + 1)
        for event in waiting:
            if isinstance(event, Lost | NoTimestamps):
                yield event
            else:
                yield self._note(event, self._last_s + step_s, is_stray=True)

    def _accept(self, picture: Picture) -> TimedFrame:
        """The first of frames that jump and do not return: a held picture, or another clock."""
        step_s = self._time(picture) - self._last_s
        if 0 <= step_s <= self.longest_hold_s:
            return self._place(picture)
        usual_s = self.usual_step_s
        self._shift_s += usual_s - step_s
        return self._note(picture, self._last_s + usual_s, jump_s=step_s)

    def _place(self, picture: Picture) -> TimedFrame:
        return self._note(picture, self._time(picture))

    def _note(
        self, picture: Picture, time_s: Fraction, *, jump_s: Fraction | None = None, is_stray: bool = False
    ) -> TimedFrame:
        if time_s > self._last_s:
            self._last_step_s = time_s - self._last_s
            if jump_s is None and self.n_at_one_time:
                self._steps.append(self._last_step_s)
        self.n_at_one_time = 1 if time_s > self._last_s else self.n_at_one_time + 1
        self._last_s = time_s
        # Durations in the file may be missing or 0, so a frame is shown at least for the median of the last few steps:
        # the last one alone may be a picture that was held for a minute before the recording was stopped.
        stated_s = (picture.duration or 0) * (picture.time_base or self.time_base)
        steps = list(self._steps)[-_STEPS_AT_END:]
        length_s = max(stated_s, median(steps) if steps else self._last_step_s)
        # The duration of a frame before a jump is the jump.
        self.end_s = float(time_s + (length_s if length_s <= self.longest_hold_s else self._last_step_s))
        own_s = (picture.pts or 0) * (picture.time_base or self.time_base) - (self.first_s or 0)
        self.own_end_s = max(self.own_end_s, self.end_s - float(self.lead_s), float(own_s + length_s))
        return TimedFrame(picture, time_s, jump_s, is_stray)


def _frames(events: list[_Event]) -> list[Picture]:
    return [event for event in events if not isinstance(event, Lost | NoTimestamps)]
