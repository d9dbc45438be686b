"""How much of a video's time each analysed frame stands for: until the next frame, but not across missing frames.

>>> FrameTimes.from_seconds(np.array([0.0, 0.5, 1.0, 9.0]), end_s=10.0).seconds.tolist()
[0.5, 0.5, 8.0, 1.0]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa

from ferflow.analytics.limits import WHOLE_RECORDING, CountedPart
from ferflow.analytics.tally import column
from ferflow.errors import RecordsError
from ferflow.store.metadata import Gap
from ferflow.types import Float64Array, Int64Array

LONE_FRAME_SECONDS = 0.04
"""What the only frame of a video stands for, which has no next frame: a picture at 25 frames per second. Every share
of a single picture is the same whatever this is."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The analysed frames of one video. Arrays of length F."""

    frame_index: Int64Array
    """Ascending."""
    time_s: Float64Array
    """Ascending."""
    seconds: Float64Array
    """Seconds of the video that each frame stands for."""
    seconds_by_person: Mapping[int, Float64Array] = field(default_factory=dict)
    """The same for a person of whom stretches do not count."""

    def seconds_of(self, person_id: int) -> Float64Array:
        """Seconds for which each frame stands for a person."""
        return self.seconds_by_person.get(person_id, self.seconds)

    @classmethod
    def from_frames(cls, frames: pa.Table, *, end_s: float | None = None, gaps: Sequence[Gap] = ()) -> Self:
        """From FRAMES; see `from_seconds`."""
        times = cls.from_seconds(column(frames, "time_s"), end_s=end_s, gaps=gaps)
        return cls(column(frames, "frame_index").astype(np.int64), times.time_s, times.seconds)

    @classmethod
    def from_seconds(
        cls, time_s: Float64Array, *, end_s: float | None = None, gaps: Sequence[Gap] = ()
    ) -> Self:
        """From times alone; frames are numbered from 0.

        Args:
            time_s: float64 (F,), ascending, in seconds.
            end_s: end of the video; the last frame stands for the time until then. None, or not after the last frame:
                for a usual step.
            gaps: stretches from which no frame could be read; the frame before one stands for a usual step at most.
        """
        usual = usual_step(time_s)
        if np.isnan(usual):
            usual = LONE_FRAME_SECONDS
        steps = np.append(np.diff(time_s), usual)[: len(time_s)]
        if len(time_s) and end_s is not None and end_s > time_s[-1]:
            steps[-1] = end_s - time_s[-1]
        before_gap = _overlaps(gaps, time_s, time_s + steps)
        seconds = np.where(before_gap, np.minimum(steps, usual), steps)
        return cls(np.arange(len(time_s), dtype=np.int64), time_s, seconds.astype(np.float64))

    def within(self, part: CountedPart) -> Self:
        """The frames that stand for time that counts, for that part of their time."""
        if part == WHOLE_RECORDING:
            return self
        limits = part.limits
        starts, ends = self.time_s, self.time_s + self.seconds
        interval, low, _ = limits.split(starts, ends)
        kept, first = np.unique(interval, return_index=True)
        starts, ends = starts[kept], ends[kept]
        by_person = {person: own.measure(starts, ends) for person, own in part.of_persons.items()}
        return type(self)(self.frame_index[kept], low[first], limits.measure(starts, ends), by_person)

    @property
    def total_s(self) -> float:
        """Analysed time of the video, seconds."""
        return float(self.seconds.sum())

    def rows(self, faces: pa.Table) -> Int64Array:
        """Row of FRAMES of every face, int64 (N,).

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        wanted = column(faces, "frame_index").astype(np.int64)
        # Searched, not indexed: FRAMES lacks frames that were skipped or lost, and starts late with `--start`.
        rows = np.searchsorted(self.frame_index, wanted)
        if len(wanted) and (rows.max() >= len(self.frame_index) or (self.frame_index[rows] != wanted).any()):
            raise RecordsError(
                "the faces and frames of this video do not belong together. Analyse it again with --overwrite."
            )
        return rows.astype(np.int64)


def usual_step(time_s: Float64Array) -> float:
    """Median time between two analysed frames, in seconds; NaN for fewer than two frames."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else float("nan")


def _overlaps(gaps: Sequence[Gap], starts: Float64Array, ends: Float64Array) -> np.typing.NDArray[np.bool_]:
    """Whether any gap overlaps each interval, bool (F,)."""
    found = np.zeros(len(starts), dtype=np.bool_)
    for gap in gaps:
        end_s = np.inf if gap.end_s is None else gap.end_s
        found |= (starts < end_s) & (ends > gap.start_s)
    return found
