"""How much of a video's time each analysed frame stands for.

>>> frame_seconds(np.array([0.0, 0.5, 1.0, 9.0])).tolist()
[0.5, 0.5, 0.5, 0.5]
"""

from __future__ import annotations

import numpy as np

from ferflow.types import Float64Array

HOLE_SECONDS = 1.0
HOLE_STEPS = 2.0
"""A step longer than `HOLE_SECONDS` and than this many usual steps is a hole in the recording. Both bounds are needed:
frames two seconds apart are usual with `--every`, and a variable frame rate may triple a step of 40 ms."""
FAILED_STEPS = 1.75
"""Where frames are known to have failed, a step of this many usual steps or more is where they were: one lost frame
doubles a step, and the rest is a margin for rounded timestamps."""


def usual_step(time_s: Float64Array) -> float:
    """Median time between two analysed frames, in seconds; NaN for fewer than two frames."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else float("nan")


def frame_seconds(time_s: Float64Array, *, alone: float = 0.0, failed: bool = False) -> Float64Array:
    """Seconds each analysed frame stands for, float64 (N,): until the next frame; a usual step before a hole and last.

    Args:
        time_s: float64 (N,), ascending.
        alone: seconds that a video's only frame stands for, which has no step to learn from.
        failed: whether frames of this video could not be decoded; shorter steps are then holes, too.
    """
    if len(time_s) < 2:
        return np.full(len(time_s), alone)
    # The median, since a hole would pull a mean far up.
    steps, usual = np.diff(time_s), usual_step(time_s)
    is_hole = steps >= FAILED_STEPS * usual if failed else steps > max(HOLE_SECONDS, HOLE_STEPS * usual)
    return np.append(np.where(is_hole, usual, steps), usual)
