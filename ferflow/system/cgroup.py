"""Limits of CPUs and memory that the control groups of this process set, in versions 1 and 2.

Containers are limited by control groups, and so are services and user sessions of systemd. A group and all its parents
may set a limit; the smallest one applies.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """The groups of this process."""

    mount: Path = Path("/sys/fs/cgroup")
    """Where the groups are mounted."""
    membership: Path = Path("/proc/self/cgroup")
    """The file that names the groups of this process, lines of `id:controllers:path`."""

    def cpu_quota(self) -> float:
        """CPUs that may be used at the same time; infinite where no group limits them."""
        limits = [_v2_cpus(group) if is_v2 else _v1_cpus(group) for is_v2, group in self._groups_with("cpu")]
        return min(limits, default=math.inf)

    def free_memory(self) -> float:
        """Bytes that may still be allocated, at least 0; infinite where no group limits them."""
        limits = [
            _free_memory(group, *(_V2_MEMORY if is_v2 else _V1_MEMORY))
            for is_v2, group in self._groups_with("memory")
        ]
        return min(limits, default=math.inf)

    def _groups_with(self, controller: str) -> Iterator[tuple[bool, Path]]:
        """Yield (is version 2, folder) of this process's group and of all its parents."""
        try:
            lines = self.membership.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from ((True, group) for group in _with_parents(self.mount, path))
            elif controller in controllers.split(","):
                # Controllers that share a hierarchy have a mount named after all of them (`cpu,cpuacct`), and mostly a
                # link named after each.
                for name in {controller, controllers}:
                    yield from ((False, group) for group in _with_parents(self.mount / name, path))


def _with_parents(root: Path, path: str) -> list[Path]:
    """A group and all its parents. In a container `path` may name a group that is not mounted there; `root` always
    is.
    """
    group = root / path.lstrip("/")
    return [group, *(parent for parent in group.parents if parent.is_relative_to(root))]


def _v2_cpus(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):  # "max" means no limit
        quota, period = map(float, (group / "cpu.max").read_text().split())
        return quota / period
    return math.inf


def _v1_cpus(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        quota = float((group / "cpu.cfs_quota_us").read_text())
        if quota > 0:  # -1 means no limit
            return quota / float((group / "cpu.cfs_period_us").read_text())
    return math.inf


_V1_MEMORY = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2_MEMORY = ("memory.max", "memory.current", "inactive_file")
"""File of the limit, file of the used memory, and the name of cached files in `memory.stat`."""


def _free_memory(group: Path, limit_name: str, used_name: str, cache_name: str) -> float:
    with contextlib.suppress(OSError, ValueError):  # "max" means no limit
        limit, used = (int((group / name).read_text()) for name in (limit_name, used_name))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Cached files count as used, but the kernel drops them when memory is needed.
        return max(limit - used + int(stat.get(cache_name, 0)), 0)
    return math.inf
