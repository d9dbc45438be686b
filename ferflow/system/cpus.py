"""How many threads may work: the CPUs this process is allowed, by affinity and by the quota of its container."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """CPUs this process may run on, at least 1.

    A container's quota counts as well: with sixteen CPUs in sight and two to spend, sixteen threads would be
    put to sleep most of the time, some of them with work that the others wait for.
    """
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(seen, cgroup_quota())))


def cgroup_quota(cgroups: Path = _CGROUPS, mine: Path = _MINE) -> float:
    """CPUs that the control groups of this process allow it; infinite where none says so.

    Args:
        cgroups: where they are mounted.
        mine: the file that names this process's, lines of `id:controllers:path`.
    """
    try:
        lines = mine.read_text().splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quota = min(quota, *map(_v2, _upwards(cgroups, path)))
        elif "cpu" in controllers.split(","):
            for name in ("cpu", controllers):
                quota = min(quota, *map(_v1, _upwards(cgroups / name, path)))
    return quota


def _upwards(root: Path, path: str) -> list[Path]:
    """The group and all above it: each may limit. In a container the path may name what is not in sight."""
    group = root / path.lstrip("/")
    return [group, *(parent for parent in group.parents if parent.is_relative_to(root))]


def _v2(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
        quota, period = map(float, (group / "cpu.max").read_text().split())
        return quota / period
    return math.inf


def _v1(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        quota = float((group / "cpu.cfs_quota_us").read_text())
        if quota > 0:  # -1: no limit
            return quota / float((group / "cpu.cfs_period_us").read_text())
    return math.inf
