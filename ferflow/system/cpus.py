"""The number of CPUs that this process may use."""

from __future__ import annotations

import math
import os

from ferflow.system.cgroup import ControlGroups


def available_cpus() -> int:
    """CPUs this process may run on, by affinity and by the quota of its container; at least 1.

    With sixteen CPUs and a quota of two, the kernel would stop sixteen threads most of the time, some of them with work
    that the others wait for.
    """
    # macOS and Windows have no `sched_getaffinity`.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, ControlGroups().cpu_quota())))
