"""Free memory, the number of worker processes that it allows, and the features of the processor.

CPUs are counted by `cpus.available_cpus`.
"""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import psutil

from ferflow.options import AnalyzeOptions
from ferflow.system.cgroup import ControlGroups
from ferflow.system.runtime import may_use_gpu

WORKER_BYTES = 600 << 20
"""Memory of a worker: 365 MiB for 720p by `python -m ferflow.jobs.benchmarks.memory`, and a margin."""

CPUS_PER_WORKER = 2
"""One decodes, the other does the rest. One worker per CPU is 1.07 times as fast with long videos (docs/performance.md,
"Many videos"), but takes twice the memory."""


def available_memory() -> int:
    """Bytes that can be allocated without swapping, within the limit of a container if there is one."""
    return int(min(psutil.virtual_memory().available, ControlGroups().free_memory()))


def cpu_features() -> set[str]:
    """Instruction sets of the processor, with Linux's names; empty where `/proc/cpuinfo` does not list them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, words = line.partition(":")
            if name.strip() in ("flags", "Features"):  # x86 and ARM
                return set(words.split())
    return set()


def default_workers(n_videos: int, cpus: int, memory: int, options: AnalyzeOptions) -> int:
    """Number of processes that analyse videos at the same time, unless the user gives one.

    Args:
        n_videos: to analyse.
        cpus: CPUs that may be used.
        memory: free memory in bytes.
        options: device and backend; only one process uses a GPU.
    """
    if options.backend == "keras" or may_use_gpu(options):
        return 1
    return max(1, min(n_videos, cpus // CPUS_PER_WORKER, memory // WORKER_BYTES))


def release_memory() -> None:
    """Return freed memory to the system.

    Arrow and the C library keep freed memory for later. After a long video it is fragmented, so that the memory of the
    video's page would come on top of it.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
