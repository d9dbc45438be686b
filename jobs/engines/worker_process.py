"""The other side of the pipe: what a worker process does, and the words it says to its parent."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

from ferflow.errors import FerflowError
from ferflow.jobs.video_job import Work
from ferflow.store.run_manifest import TaskReport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """They cannot be, and nobody's can."""

    error: FerflowError


@dataclass(frozen=True, slots=True)
class Progressed:
    """So far it is; see `Listener.progress`."""

    seconds: float
    of_seconds: float | None


@dataclass(frozen=True, slots=True)
class Logged:
    """Something for the log."""

    record: logging.LogRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """A video is done or failed."""

    report: TaskReport


@dataclass(frozen=True, slots=True)
class Died:
    """Not said but seen: the pipe broke."""

    exit_code: int | None

    def __str__(self) -> str:
        if self.exit_code is not None and self.exit_code < 0:
            return f"was killed by signal {-self.exit_code}"
        return f"ended with exit code {self.exit_code}"


ToParent = Ready | Unfit | Progressed | Logged | Ended | Died


def work_until_told(connection: Connection, work: Work, level: int) -> None:
    """Load the models, then do task after task until the pipe is closed."""
    _die_with_parent()
    mouth = _Mouth(connection)
    mouth.log(level)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, or has no more to do
        try:
            tools = work.tools()
        except FerflowError as error:
            mouth.say(Unfit(error))
            return
        except Exception as error:  # too little memory for one more, say; the others may do
            log.error("a worker could not load its models (%s: %s)", type(error).__name__, error)
            sys.exit(1)
        _split_threads(work)
        mouth.say(Ready())
        while True:
            task = connection.recv()
            mouth.say(Ended(work.do(task, tools, mouth.progress)))


def log_here(record: logging.LogRecord) -> None:
    """Treat a worker's log record as one of this process."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class _Mouth:
    """Our end of the pipe; several threads may log at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, message: ToParent) -> None:
        """Send one message."""
        with self._lock:
            self._connection.send(message)

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """Say how far it is."""
        self.say(Progressed(seconds, of_seconds))

    def put_nowait(self, record: logging.LogRecord) -> None:
        """See `queue.Queue`: what `QueueHandler` asks for."""
        self.say(Logged(record))

    def log(self, level: int) -> None:
        """Send what is logged in this process to the parent."""
        logger = logging.getLogger("ferflow")
        logger.addHandler(logging.handlers.QueueHandler(self))  # type: ignore[arg-type]
        logger.setLevel(level)
        logger.propagate = False


def _split_threads(work: Work) -> None:
    """What reads no option of ours: OpenCV and Arrow would use every CPU in every worker."""
    import cv2
    import pyarrow as pa

    threads = work.options.threads or 1
    cv2.setNumThreads(threads)
    pa.set_cpu_count(threads)


def _die_with_parent() -> None:
    """A worker must not write into a folder that its parent, killed, no longer holds.

    The kernel does it at once where it can; elsewhere a thread waits for the parent's end.
    """
    if sys.platform == "linux":
        import ctypes
        import signal

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(
            target=_exit_after, args=(parent.sentinel,), daemon=True, name="ferflow-parent"
        ).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
