"""What this machine has to offer: memory that is free for us, and what its processor can do.

CPUs are counted by `cpus.available_cpus`.
"""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import psutil

from ferflow.options import AnalyzeOptions
from ferflow.system.runtime import has_nvidia_driver

_CGROUP = Path("/sys/fs/cgroup")

WORKER_BYTES = 600 << 20
"""What a worker needs: 365 MiB for 720p by `python -m ferflow.jobs.benchmarks.memory`, and some air."""

CPUS_PER_WORKER = 2
"""One decodes, the other does the rest."""


def available_memory() -> int:
    """Bytes that can be had without swapping, within the limit of a container if there is one."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
        limit = int((_CGROUP / "memory.max").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        # Cached files count as used there, but make room when asked to.
        used = int((_CGROUP / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
        free = min(free, max(limit - used, 0))
    return free


def cpu_features() -> set[str]:
    """Names of what the processor can do, as Linux calls them; empty where nobody tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, words = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return set(words.split())
    return set()


def default_workers(n_videos: int, cpus: int, memory: int, options: AnalyzeOptions) -> int:
    """How many processes analyse videos side by side when nobody says.

    Args:
        n_videos: to analyse.
        cpus: that may be used.
        memory: bytes that are free.
        options: a GPU is used by one process.
    """
    if options.device == "gpu" or options.backend == "keras":
        return 1
    if options.device == "auto" and options.backend == "auto" and has_nvidia_driver():
        return 1
    return max(1, min(n_videos, cpus // CPUS_PER_WORKER, memory // WORKER_BYTES))


def release_memory() -> None:
    """Return freed memory to the system.

    Arrow and the C library keep it for later, and what a long video left in pieces would come on top of what its page
    takes.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
