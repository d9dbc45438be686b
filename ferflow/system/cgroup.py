"""What the control groups of this process allow it: CPUs and memory, in versions 1 and 2.

Containers are limited by control groups, and so are services and user sessions of systemd. A group and all above it may
set a limit; the smallest holds.
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
    """Where they are mounted."""
    membership: Path = Path("/proc/self/cgroup")
    """The file that names the groups of this process, lines of `id:controllers:path`."""

    def cpu_quota(self) -> float:
        """CPUs that may be used at a time; infinite where no group limits them."""
        limits = [_v2_cpus(group) if is_v2 else _v1_cpus(group) for is_v2, group in self._groups_with("cpu")]
        return min(limits, default=math.inf)

    def free_memory(self) -> float:
        """Bytes that may still be taken, at least 0; infinite where no group limits them."""
        limits = [
            _v2_memory(group) if is_v2 else _v1_memory(group) for is_v2, group in self._groups_with("memory")
        ]
        return min(limits, default=math.inf)

    def _groups_with(self, controller: str) -> Iterator[tuple[bool, Path]]:
        """(whether it is version 2, folder) of this process's group and of all above it."""
        try:
            lines = self.membership.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from ((True, group) for group in _upwards(self.mount, path))
            elif controller in controllers.split(","):
                # Controllers that share a hierarchy (`cpu,cpuacct`) have a mount of that name, and links to it.
                for name in {controller, controllers}:
                    yield from ((False, group) for group in _upwards(self.mount / name, path))


def _upwards(root: Path, path: str) -> list[Path]:
    """A group and all above it. In a container `path` may name a group that is not mounted there; `root` is."""
    group = root / path.lstrip("/")
    return [group, *(parent for parent in group.parents if parent.is_relative_to(root))]


def _v2_cpus(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):  # "max" stands for no limit
        quota, period = map(float, (group / "cpu.max").read_text().split())
        return quota / period
    return math.inf


def _v1_cpus(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        quota = float((group / "cpu.cfs_quota_us").read_text())
        if quota > 0:  # -1 stands for no limit
            return quota / float((group / "cpu.cfs_period_us").read_text())
    return math.inf


def _v2_memory(group: Path) -> float:
    return _free_memory(group, "memory.max", "memory.current", "inactive_file")


def _v1_memory(group: Path) -> float:
    return _free_memory(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _free_memory(group: Path, limit_name: str, used_name: str, cache_name: str) -> float:
    with contextlib.suppress(OSError, ValueError):  # "max" stands for no limit
        limit, used = (int((group / name).read_text()) for name in (limit_name, used_name))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # Cached files count as used there, but are dropped when memory is asked for.
        return max(limit - used + int(stat.get(cache_name, 0)), 0)
    return math.inf
