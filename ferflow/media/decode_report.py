"""What went wrong while a video was read, and where.

>>> faults = Faults()
>>> faults.lost(3, after_s=0.4, until_s=0.56)
>>> faults.gaps
[Gap(start_s=0.4, end_s=0.56, n_frames=3)]
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ferflow.text import timecode

MOST_GAPS = 100
"""Of a stream that is damaged all over; the last gap then reaches over all that follow."""

_GAPS_TOLD = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a video from which nothing could be analysed."""

    start_s: float
    """Time of the last usable frame before it; 0 where there is none."""
    end_s: float | None
    """Time of the first usable frame after it; None: it reaches to the end."""
    n_frames: int | None
    """Frames known to be lost; None: nobody can tell."""


@dataclass(slots=True)
class Faults:
    """What went wrong so far."""

    n_failed: int = 0
    """Frames that could not be decoded."""
    n_damaged: int = 0
    """Frames that were decoded, but flagged as damaged by the decoder; they are not analysed."""
    warnings: list[str] = field(default_factory=list)
    """One line each, for people."""
    ended_early: str | None = None
    """Why reading stopped before the end, if it did."""
    gaps: list[Gap] = field(default_factory=list)
    """In order of time, at most MOST_GAPS. Empty: each frame was analysed, whatever the warnings say."""

    def lost(self, n_frames: int | None, *, after_s: float, until_s: float | None) -> None:
        """Note a gap."""
        if len(self.gaps) < MOST_GAPS:
            self.gaps.append(Gap(after_s, until_s, n_frames))
            return
        last = self.gaps[-1]
        self.gaps[-1] = Gap(last.start_s, until_s, (last.n_frames or 0) + (n_frames or 0))

    def where(self) -> str:
        """The first gaps, for people."""
        told = ", ".join(timecode(gap.start_s) for gap in self.gaps[:_GAPS_TOLD])
        more = len(self.gaps) - _GAPS_TOLD
        return f"{told} and {more} more" if more > 0 else told
