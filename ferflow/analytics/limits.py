"""Which part of a recording counts: what `start` and `end` of the session list say.

>>> NO_LIMITS.is_inside(np.array([0.0, 1e6])).tolist()
[True, True]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferflow.types import Float64Array


@dataclass(frozen=True, slots=True)
class Limits:
    """The part of a recording that counts, [start_s, end_s) in its own time."""

    start_s: float = 0.0
    end_s: float = math.inf

    def is_inside(self, time_s: Float64Array) -> npt.NDArray[np.bool_]:
        """Whether each moment counts, bool (N,)."""
        return (time_s >= self.start_s) & (time_s < self.end_s)

    def reach(self, starts: Float64Array, ends: Float64Array) -> npt.NDArray[np.bool_]:
        """Whether each interval reaches into the part that counts, bool (N,); one without length by its start."""
        return (starts < self.end_s) & ((starts >= self.start_s) | (ends > self.start_s))

    def clip(self, starts: Float64Array, ends: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Starts and ends of the parts of intervals that count; of an interval outside, a part without length."""
        low, high = np.clip(starts, self.start_s, self.end_s), np.clip(ends, self.start_s, self.end_s)
        return low.astype(np.float64), high.astype(np.float64)


NO_LIMITS = Limits()
"""The whole recording."""
