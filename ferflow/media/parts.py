"""Parts of a video that are read apart, and give the same frames together as all of it in one go.

A part is bounded by timestamps of frames, so that no frame is in two of them, or in none; `media.split` chooses them.
Which frames a part must give is known before it is decoded. A part that gives others is of a damaged file, or of one
whose packets do not say what its frames are; the video must then be read in one go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction

import msgspec
import numpy as np

from ferflow.errors import VideoError


class InexactPartError(VideoError):
    """A part of a video does not give the frames that its packets promise."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a video, and what a reader of it needs to know of the parts before."""

    number: int
    """From 0 on."""
    start_pts: int | None
    """Timestamp of its first frame, a key frame; None: it begins with the file."""
    start_dts: int | None = None
    """Of the packet of that frame; None: it states none."""
    end_pts: int | None
    """Timestamp of the first frame after it; None: it ends with the file."""
    first_pts: int
    """Of the video."""
    earlier_pts: tuple[int, ...] = ()
    """Of the last frames before it, ascending."""
    n_earlier: int = 0
    """Frames before it."""
    n_frames: int
    """In it."""
    digest: str
    """Of their timestamps, see `digest_of`."""
    n_seen: int = 0
    last_cell: int = -1
    """State of `video.Selection` at its start."""
    spaced_s: tuple[float | None, ...] = ()
    """Times of the last frames before it that `split_video`'s spacings chose; None: there is none."""
    start_s: float
    """Time of its first frame that is analysed; seconds after the zero of time."""
    end_s: float
    """Time of the first one of the next part, or of its own last one."""

    def earlier_s(self, time_base: Fraction) -> list[Fraction]:
        """Times of the last frames before it, on the file's own clock."""
        return [pts * time_base for pts in self.earlier_pts]


def digest_of(pts: Iterable[int]) -> str:
    """Hash of the timestamps of frames; 16 hexadecimal digits."""
    return hashlib.sha256(np.fromiter(pts, np.int64).tobytes()).hexdigest()[:16]


class PartCheck:
    """Compares the frames of a part, as they are decoded, with those that its packets promise."""

    def __init__(self, part: Part, name: str) -> None:
        """Start with a part.

        Args:
            part: the part.
            name: of the file, for messages.
        """
        self._part, self._name = part, name
        self._pts: list[int] = []
        self._is_over = False

    def add(self, pts: int) -> None:
        """Note the next frame, also one after the part.

        Raises:
            InexactPartError: it should not be there, or others are missing.
        """
        if self._is_over:
            return
        if self._part.end_pts is not None and pts >= self._part.end_pts:
            self.finish()
            return
        self._pts.append(pts)
        if len(self._pts) > self._part.n_frames:
            raise self.error()

    def finish(self) -> None:
        """Note that the part ends, or the file.

        Raises:
            InexactPartError: frames are missing, or others are there.
        """
        if not self._is_over and digest_of(self._pts) != self._part.digest:
            raise self.error()
        self._is_over = True

    def error(self) -> InexactPartError:
        """What to raise where the part cannot be read exactly."""
        return InexactPartError(
            f"{self._name}: part {self._part.number + 1} has other frames than its packets promise."
        )
