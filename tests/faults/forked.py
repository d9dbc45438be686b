"""A process that forks commands of ferflow and puts a fault into each at a file operation of one's choice.

Everything heavy is imported once. It reads one JSON object per line (see `Order`) and answers with two: the number of
the process when the command starts, and how it ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import thread as futures_threads
from dataclasses import dataclass
from multiprocessing import popen_fork, util
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path

from starlette.formparsers import MultiPartParser

import ferflow.app.application
import ferflow.dashboards
import ferflow.jobs.live.session
import ferflow.jobs.video_job  # noqa: F401
from ferflow import cli
from ferflow.jobs import processing
from ferflow.jobs.live import segments
from ferflow.pipeline import Tools
from ferflow.system import child_process
from tests.faults.kinds import OPTIONS

FILE_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True, slots=True)
class Order:
    """A command and its fault."""

    argv: list[str]
    watch: str
    """Operations on files below this folder are counted."""
    fault: str | None
    at: int
    """The number of the operation, from 1, with which the fault comes."""
    output: str
    """File for stdout and stderr of the command."""
    temporary: str | None = None
    """Folder for temporary files; None: that of the system."""
    environment: dict[str, str] | None = None
    """Variables of the command besides those of this process."""


def install(order: Order, shared: ctypes.Array) -> None:
    """Count file operations, in this process and its children, and cause the fault."""
    shared[1] = os.getpid()

    def see(event: str, arguments: tuple) -> None:
        if event not in FILE_EVENTS or not str(arguments[0]).startswith(order.watch):
            return
        shared[0] += 1
        if order.fault is None or shared[0] < order.at:
            return
        if order.fault == "full":  # and stays full
            if _writes(event, arguments):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        elif shared[0] == order.at:
            FAULTS[order.fault](shared[1])

    sys.addaudithook(see)


def _writes(event: str, arguments: tuple) -> bool:
    return event == "os.mkdir" or (event == "open" and bool(arguments[2] & _WRITES))


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    time.sleep(5)  # a child waits here for its end, which must come from its parent's


def _stop(pid: int) -> None:
    # All of this process is stopped, so another one wakes it.
    if os.fork() == 0:
        time.sleep(0.05)
        os.kill(pid, signal.SIGCONT)
        os._exit(0)
    os.kill(pid, signal.SIGSTOP)


def _fail(pid: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _no_memory(pid: int) -> None:
    raise MemoryError


def _clock_back(pid: int) -> None:
    real = time.time
    time.time = lambda: real() - 3600.0


FAULTS: dict[str, Callable[[int], None]] = {
    "kill": _kill,
    "term": lambda pid: os.kill(pid, signal.SIGTERM),
    "stop": _stop,
    "eio": _fail,
    "memory": _no_memory,
    "clock": _clock_back,
}


class _Popen(popen_fork.Popen):
    """A fork that keeps no file of its parent open, as a process that is started has none.

    Otherwise it would hold the locks of a parent that was killed, and the ends of the pipes of other children.
    """

    def _launch(self, process_obj: ForkProcess) -> None:
        ends_r, ends_w = os.pipe()
        parent_r, parent_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                given = [one.fileno() for one in process_obj._args if isinstance(one, Connection)]
                _close_all_but({0, 1, 2, ends_w, parent_r, *given})
                futures_threads._threads_queues.clear()  # those of the parent's pools, which nothing here can join
                code = process_obj._bootstrap(parent_sentinel=parent_r)
            finally:
                os._exit(code)
        os.close(ends_w)
        os.close(parent_r)
        self.sentinel = ends_r
        self.finalizer = util.Finalize(self, util.close_fds, (ends_r, parent_w))


def _close_all_but(kept: set[int]) -> None:
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if number not in kept:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(number)


class _Child(ForkProcess):
    @staticmethod
    def _Popen(process_obj: ForkProcess) -> _Popen:
        return _Popen(process_obj)


class _Context(ForkContext):
    Process = _Child


def run(order: Order) -> dict:
    """Fork the command; how it ended, and how many file operations it made."""
    shared = multiprocessing.RawArray(ctypes.c_long, 2)
    child = os.fork()
    if child:
        print(json.dumps({"pid": child}), flush=True)
    else:
        with Path(order.output).open("w", encoding="utf-8") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        code = 99
        try:
            tempfile.tempdir = order.temporary
            os.environ.update(order.environment or {})
            install(order, shared)
            sys.argv = ["ferflow", *order.argv]
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    watchdog = threading.Timer(120, os.kill, (child, signal.SIGKILL))
    watchdog.start()
    _, status = os.waitpid(child, 0)
    watchdog.cancel()
    return {"code": os.waitstatus_to_exitcode(status), "n_operations": shared[0]}


def main() -> None:
    # A script that starts the tests in the background may have had it ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # One thread, so nothing that a fork could lose.
    tools = Tools.load(OPTIONS)
    Tools.load = classmethod(lambda cls, options: tools)
    child_process.get_context = lambda method: _Context()
    processing.RETRY_AFTER_SECONDS = 0.0
    # So that a recording of half a second has several, and that a small upload is on the disk before it is kept.
    segments.SEGMENT_S = segments._FIRST_SEGMENT_S = 0.1
    MultiPartParser.spool_max_size = 1024
    for line in sys.stdin:
        print(json.dumps(run(Order(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
