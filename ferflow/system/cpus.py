"""How many threads may work: the CPUs that this process is allowed to use."""

from __future__ import annotations

import math
import os

from ferflow.system.cgroup import ControlGroups


def available_cpus() -> int:
    """CPUs this process may run on, by affinity and by the quota of its container; at least 1.

    With sixteen CPUs to run on and a quota of two, sixteen threads would be put to sleep most of the time, some of
    them with work that the others wait for.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, ControlGroups().cpu_quota())))
