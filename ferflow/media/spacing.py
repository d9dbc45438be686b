"""What is done with some frames only, at least some time apart.

>>> spacing = Spacing(0.4)
>>> [spacing.is_due(time_s) for time_s in (0.0, 0.2, 0.4, 0.6)]
[True, False, True, False]
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Spacing:
    """Chooses frames; which one it chooses next follows from the last one."""

    seconds: float
    last_s: float = -math.inf
    """Time of the last frame that it has chosen."""

    def is_due(self, time_s: float) -> bool:
        """Whether the next frame is chosen; asked once for each frame that may be."""
        if time_s - self.last_s < self.seconds:
            return False
        self.last_s = time_s
        return True
