"""Start worker processes, also one in advance: it loads its libraries while the run is still planned.

Light on purpose: the command line imports it before anything else.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ferflow.system.child_process import start_child

WorkerStart = tuple[BaseProcess, Connection]

_in_advance: list[WorkerStart] = []


def start_in_advance() -> None:
    """Start a process that the next run here takes as its first worker; it ends with this process if none does."""
    if not _in_advance:
        _in_advance.append(_start())


def start_worker() -> WorkerStart:
    """A new worker process and our end of its pipe, which expects its `Assignment` first."""
    while _in_advance:
        started = _in_advance.pop()
        if started[0].is_alive():
            return started
    return _start()


def _start() -> WorkerStart:
    return start_child(_work, name="ferflow-worker")


def _work(connection: Connection) -> None:
    from ferflow.jobs.engines.worker_process import work

    work(connection)
