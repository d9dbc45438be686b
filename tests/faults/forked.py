"""A process that forks commands of ferflow and puts a fault into each at a file operation of one's choice.

Everything heavy is imported once. It reads one JSON object per line (see `Order`) and answers with one.
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
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ferflow.dashboards
import ferflow.jobs.video_job  # noqa: F401
from ferflow import cli
from ferflow.jobs import processing
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


def run(order: Order) -> dict:
    """Fork the command; how it ended, and how many file operations it made."""
    shared = multiprocessing.RawArray(ctypes.c_long, 2)
    child = os.fork()
    if child == 0:
        with Path(order.output).open("w", encoding="utf-8") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        code = 99
        try:
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
    watchdog = threading.Timer(240, os.kill, (child, signal.SIGKILL))
    watchdog.start()
    _, status = os.waitpid(child, 0)
    watchdog.cancel()
    return {"code": os.waitstatus_to_exitcode(status), "n_operations": shared[0]}


def main() -> None:
    # One thread, so nothing that a fork could lose.
    tools = Tools.load(OPTIONS)
    Tools.load = classmethod(lambda cls, options: tools)
    child_process.get_context = lambda method: multiprocessing.get_context("fork")
    processing.RETRY_AFTER_SECONDS = 0.0
    for line in sys.stdin:
        print(json.dumps(run(Order(**json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
