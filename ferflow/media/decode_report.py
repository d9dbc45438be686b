"""What went wrong while a video was read, and where.

A source yields what it could not read (`Lost`, `NoTimestamps`) between its frames; only `media.video` knows their
times, and it alone makes the report.

>>> report = DecodeReport()
>>> report.add_usable(0.4)
>>> report.add(Lost(3))
>>> report.add_usable(0.56)
>>> report.gaps
[Gap(start_s=0.4, end_s=0.56, n_frames=3)]
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ferflow.store.metadata import Gap
from ferflow.text import timecode

MAX_GAPS = 100
"""Gaps kept of one video, so that a badly damaged one has a footer of normal size; the last gap then covers all that
follow."""

TRUNCATED_SECONDS, TRUNCATED_SHARE = 0.5, 0.005
"""A video that ends earlier than its header states, by more than both, is truncated. Headers round, so that a smaller
difference would also report intact files."""

_GAPS_IN_WARNING = 3


@dataclass(frozen=True, slots=True)
class Lost:
    """Frames that a source could not decode at this place of its stream."""

    n_frames: int = 0
    """How many are missing here; 0 where the number is unknown."""
    end_reason: str | None = None
    """Why the source ends here, before the end of the file; None: the stream continues."""


@dataclass(frozen=True, slots=True)
class NoTimestamps:
    """The stream carries no time; the timestamps of its frames follow from a frame rate."""

    frame_rate: float
    """Frames per second."""


@dataclass(slots=True)
class DecodeReport:
    """What went wrong so far; complete after the last frame."""

    n_decoded: int = 0
    """Frames that the stream gave, analysed or not."""
    n_failed: int = 0
    """Frames that could not be decoded."""
    n_damaged: int = 0
    """Frames that were decoded, but flagged as damaged by the decoder; they are not analysed."""
    n_repeated: int = 0
    """Frames whose picture equals that of the frame before; counted by the analysis."""
    warnings: list[str] = field(default_factory=list)
    """One line each, for people."""
    ended_early: str | None = None
    """Why reading stopped before the end, if it did."""
    gaps: list[Gap] = field(default_factory=list)
    """In order of time, at most MAX_GAPS. Empty: every frame was read, whatever the warnings are about."""
    n_strays: int = 0
    """Frames whose timestamps were far from those of their neighbours, so that their times are interpolated."""
    _first_stray_s: float = 0.0
    _jumps: list[tuple[float, float]] = field(default_factory=list)
    """Time of the frame after each jump of the timestamps, and by how much they jump; seconds."""
    _usable_s: float = 0.0
    _n_unplaced: int = 0
    """Frames lost since the last usable one: the end of their gap is not known yet."""
    _jump_s: float | None = None
    """Of a jump since the last usable frame."""

    def add(self, event: Lost | NoTimestamps) -> None:
        """Record what a source could not read."""
        if isinstance(event, NoTimestamps):
            text = f"no timestamps; times follow from {event.frame_rate:g} frames per second"
            if text not in self.warnings:  # the stream is read a second time where it is damaged
                self.warnings.append(text)
            return
        self.n_failed += event.n_frames
        self._n_unplaced += event.n_frames
        self.ended_early = event.end_reason or self.ended_early

    def add_damaged(self) -> None:
        """Count a frame that the decoder flagged as damaged."""
        self.n_damaged += 1
        self._n_unplaced += 1

    def add_jump(self, time_s: float, jump_s: float) -> None:
        """Record that timestamps jump; `time_s` is the time of the frame after, `jump_s` how far."""
        self._jumps.append((time_s, jump_s))
        self._jump_s = jump_s

    def add_stray(self, time_s: float) -> None:
        """Count a frame whose time is interpolated."""
        self._first_stray_s = self._first_stray_s if self.n_strays else time_s
        self.n_strays += 1

    def add_usable(self, time_s: float) -> None:
        """Record a usable frame: it ends the gap before it, if there is one."""
        if self._n_unplaced or self._jump_s is not None:
            self.add_gap(self._n_unplaced or None, start_s=self._usable_s, end_s=time_s, jump_s=self._jump_s)
        self._n_unplaced, self._jump_s, self._usable_s = 0, None, time_s

    def add_gap(
        self, n_frames: int | None, *, start_s: float, end_s: float | None, jump_s: float | None = None
    ) -> None:
        """Record a gap; see `Gap`."""
        if len(self.gaps) < MAX_GAPS:
            self.gaps.append(Gap(start_s, end_s, n_frames, jump_s))
            return
        last = self.gaps[-1]
        self.gaps[-1] = Gap(last.start_s, end_s, (last.n_frames or 0) + (n_frames or 0))

    def stop(self, reason: str, time_s: float) -> None:
        """Record that the rest of the stream, from `time_s` on, is not read."""
        self.ended_early = reason
        self.add_gap(None, start_s=time_s, end_s=None)

    def check_end(self, end_s: float, header_s: float | None) -> None:
        """Record what is missing between the last usable frame and the end.

        Args:
            end_s: where the last frame ends, in seconds.
            header_s: duration that the header states, in seconds; None: it states none.
        """
        is_truncated = header_s is not None and header_s - end_s > max(
            TRUNCATED_SECONDS, TRUNCATED_SHARE * header_s
        )
        if header_s is not None and is_truncated:
            self.warnings.append(
                f"truncated: frames end at {timecode(end_s)}, the header states {timecode(header_s)}"
            )
        if self._n_unplaced or is_truncated or self.ended_early:
            # A stream that ends too early lacks more frames than those counted, so their number is unknown.
            n_lost = self._n_unplaced if not is_truncated and not self.ended_early else None
            self.add_gap(n_lost, start_s=self._usable_s, end_s=None)

    def write_warnings(self) -> None:
        """Add a warning for each kind of loss that was counted; called once, at the end."""
        where = f" (after {self._places()})" if self.gaps else ""
        if self.n_failed:
            self.warnings.append(
                f"{_frames(self.n_failed)} could not be decoded{where}, {self.n_decoded} could"
            )
        if self.n_damaged:
            self.warnings.append(
                f"{_frames(self.n_damaged)} of {self.n_decoded} decoded damaged and left out{where}"
            )
        if self.ended_early:
            self.warnings.append(self.ended_early)
        if self.n_strays:
            self.warnings.append(
                f"{_frames(self.n_strays)} had timestamps far from those before and after (first at "
                f"{timecode(self._first_stray_s)}); their times are interpolated"
            )
        self.warnings += [
            text for text in (self._describe_jumps(back=True), self._describe_jumps(back=False)) if text
        ]

    def _describe_jumps(self, *, back: bool) -> str | None:
        jumps = [(time_s, jump_s) for time_s, jump_s in self._jumps if (jump_s < 0) == back]
        places = ", ".join(
            f"{timecode(time_s)} by {timecode(abs(jump_s))}" for time_s, jump_s in jumps[:_GAPS_IN_WARNING]
        )
        if not jumps:
            return None
        times = "1 time" if len(jumps) == 1 else f"{len(jumps)} times"
        return f"timestamps jump {'back' if back else 'ahead'} {times} (at {places}); time continues there"

    def _places(self) -> str:
        """Timecodes of the first gaps."""
        places = ", ".join(timecode(gap.start_s) for gap in self.gaps[:_GAPS_IN_WARNING])
        n_more = len(self.gaps) - _GAPS_IN_WARNING
        return f"{places} and {n_more} more" if n_more > 0 else places


def _frames(n: int) -> str:
    return f"{n} frame" if n == 1 else f"{n} frames"
