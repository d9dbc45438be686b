"""The other side of the pipe: what a worker process does, and the messages it sends to its parent."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

from ferflow.errors import FerflowError
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.options import AnalyzeOptions
from ferflow.system.child_process import describe_end

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The first thing that a worker receives; tasks follow."""

    job: Job
    log_level: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded."""


@dataclass(frozen=True, slots=True)
class CannotStart:
    """The models cannot be loaded, by this worker or by any other, so the run ends."""

    error: FerflowError


@dataclass(frozen=True, slots=True)
class Logged:
    """A record for the log of the run."""

    record: logging.LogRecord


@dataclass(frozen=True, slots=True)
class Died:
    """Not sent by a worker: its pipe broke."""

    exit_code: int | None

    def __str__(self) -> str:
        return describe_end(self.exit_code)


Message = Ready | CannotStart | Logged | Died | Progressed | Ended


def work(connection: Connection) -> None:
    """Receive the assignment, load its models, then process task after task until the pipe is closed."""
    channel = _Channel(connection)
    # Only here: the parent imports this module, and loads neither decoders nor runtimes. Before the job is there, since
    # the parent may still plan.
    from ferflow.jobs.segments.work import process_video
    from ferflow.pipeline import Tools

    with contextlib.suppress(EOFError, OSError):  # the parent is gone, or has no more to do
        assignment: Assignment = connection.recv()
        job = assignment.job
        channel.forward_log(assignment.log_level)
        tools = _load_tools(Tools.load, job.options, channel)
        if tools is None:
            return
        limit_threads(job.options.threads or 1)
        channel.send(Ready())
        while True:
            task = connection.recv()
            for event in process_video(task, job, tools):
                channel.send(event)


def _load_tools(load: Callable[[AnalyzeOptions], T], options: AnalyzeOptions, channel: _Channel) -> T | None:
    """Models of the job; None: no worker can load them, and the parent knows."""
    try:
        return load(options)
    except FerflowError as error:
        channel.send(CannotStart(error))
        return None
    except Exception as error:  # for example too little memory for one more; the others may continue
        log.error("a worker could not load its models (%s: %s)", type(error).__name__, error)
        sys.exit(1)


class _Channel:
    """The worker's end of the pipe; several threads may log at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message."""
        with self._lock:  # two messages written at the same time would be mixed, and neither could be read
            self._connection.send(message)

    def put_nowait(self, record: logging.LogRecord) -> None:
        """See `queue.Queue`: what `QueueHandler` calls."""
        self.send(Logged(record))

    def forward_log(self, level: int) -> None:
        """Send what is logged in this process to the parent."""
        logger = logging.getLogger("ferflow")
        logger.addHandler(logging.handlers.QueueHandler(self))  # type: ignore[arg-type]
        logger.setLevel(level)
        logger.propagate = False


def limit_threads(threads: int) -> None:
    """Limit the libraries that read no option of ours: OpenCV and Arrow would use every CPU in every worker."""
    import cv2
    import pyarrow as pa

    cv2.setNumThreads(threads)
    pa.set_cpu_count(threads)
