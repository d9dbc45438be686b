"""Which part of a recording counts: what `start` and `end` of the session list and `corrections.csv` say.

>>> NO_LIMITS.without([(2.0, 4.0), (3.0, 5.0)]).is_inside(np.array([0.0, 3.0, 5.0])).tolist()
[True, False, True]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from ferflow.types import Float64Array, Int64Array

Stretch: TypeAlias = tuple[float, float]
"""[start, end) in seconds of a recording; the end may be infinity."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The part of a recording that counts, [start_s, end_s) in its own time, without what is excluded."""

    start_s: float = 0.0
    end_s: float = math.inf
    excluded: tuple[Stretch, ...] = ()
    """Ascending; they do not touch each other."""

    def without(self, stretches: Iterable[Stretch]) -> Self:
        """The same part, less these stretches, which may overlap."""
        merged: list[Stretch] = []
        for start_s, end_s in sorted([*self.excluded, *stretches]):
            if merged and start_s <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end_s)
            else:
                merged.append((start_s, end_s))
        return replace(self, excluded=tuple(merged))

    def is_inside(self, time_s: Float64Array) -> npt.NDArray[np.bool_]:
        """Whether each moment counts, bool (N,)."""
        return self.reach(time_s, time_s)

    def reach(self, starts: Float64Array, ends: Float64Array) -> npt.NDArray[np.bool_]:
        """Whether each interval reaches into the part that counts, bool (N,); one without length by its start."""
        first, after = self._find_parts(starts, ends)
        return after > first

    def clip(self, starts: Float64Array, ends: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Starts and ends of intervals as far as they lie between `start_s` and `end_s`; of one outside, no length."""
        low, high = np.clip(starts, self.start_s, self.end_s), np.clip(ends, self.start_s, self.end_s)
        return low.astype(np.float64), high.astype(np.float64)

    def split(
        self, starts: Float64Array, ends: Float64Array
    ) -> tuple[Int64Array, Float64Array, Float64Array]:
        """The parts of intervals that count.

        Args:
            starts: of N intervals.
            ends: of the same.

        Returns:
            The interval that each part is of, int64 (P,), ascending; starts and ends of the parts, float64 (P,).
        """
        first, after = self._find_parts(starts, ends)
        n_parts = np.maximum(after - first, 0)
        interval = np.repeat(np.arange(len(starts), dtype=np.int64), n_parts)
        part = np.arange(len(interval)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts) + first[interval]
        part_starts, part_ends = self._parts
        low = np.maximum(starts[interval], part_starts[part])
        return interval, low, np.minimum(ends[interval], part_ends[part])

    def measure(self, starts: Float64Array, ends: Float64Array) -> Float64Array:
        """Seconds of each interval that count, float64 (N,)."""
        interval, low, high = self.split(starts, ends)
        return np.bincount(interval, high - low, len(starts)).astype(np.float64)

    @property
    def _parts(self) -> tuple[Float64Array, Float64Array]:
        """Starts and ends of the parts between what is excluded; an empty one is where the recording is excluded."""
        starts = [self.start_s, *(max(end, self.start_s) for _, end in self.excluded)]
        ends = [*(min(start, self.end_s) for start, _ in self.excluded), self.end_s]
        low, high = np.array(starts), np.array(ends)
        return low[low < high], high[low < high]

    def _find_parts(self, starts: Float64Array, ends: Float64Array) -> tuple[Int64Array, Int64Array]:
        """The first part that each interval reaches into, and the one after the last."""
        part_starts, part_ends = self._parts
        first = np.searchsorted(part_ends, starts, side="right")
        after = np.where(
            ends > starts,
            np.searchsorted(part_starts, ends, side="left"),
            np.searchsorted(part_starts, starts, side="right"),
        )
        return first.astype(np.int64), after.astype(np.int64)


NO_LIMITS = Limits()
"""The whole recording."""


@dataclass(frozen=True, slots=True)
class CountedPart:
    """Which part of a recording counts, and for whom."""

    limits: Limits = NO_LIMITS
    """Of everybody."""
    of_persons: Mapping[int, Limits] = field(default_factory=dict)
    """Narrower limits of persons, by id."""


WHOLE_RECORDING = CountedPart()
