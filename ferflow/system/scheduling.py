"""How the operating system schedules the threads of this process.

>>> with keep_scheduling():
...     stream.encode(picture)
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def keep_scheduling() -> Iterator[None]:
    """Undo what a library does to the scheduling of threads.

    Where it may, as for root in a container, SVT-AV1 makes its threads real-time ones (SCHED_FIFO, priority 99), and
    the thread that opens the encoder, too, with all that this one starts from then on: every other process of the
    machine would wait for them.
    """
    if sys.platform != "linux":
        yield
        return
    real_time = (os.SCHED_FIFO, os.SCHED_RR)
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if policy not in real_time:  # else the user wants it
            for thread in [int(path.name) for path in Path("/proc/self/task").iterdir()]:
                with contextlib.suppress(OSError):  # it has ended
                    if os.sched_getscheduler(thread) in real_time:
                        os.sched_setscheduler(thread, policy, priority)
