"""A process that forks runs and lets them be killed at a file operation of one's choice; see test_kill.py.

Everything heavy is imported once; a run then costs what its six small videos cost. It reads one JSON object per
line (`out`, `kill`, `at`, `workers`, `pages`) and answers with one.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import ferflow.dashboards  # noqa: F401 - before the fork, so that no run pays for it
from ferflow.jobs import processing
from ferflow.jobs import run as jobs_run
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.system import child_process

OPTIONS = AnalyzeOptions(threads=1)
MOST_WORKERS = 8
FILE_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir")


def hook(out: Path, kill: str, at: int, shared: ctypes.Array) -> None:
    """Count file operations under `out`, by whichever process of the run, and kill one of them at the `at`-th.

    shared: count so far, pid of the run, pids of its workers.
    """
    shared[1] = os.getpid()

    def see(event: str, arguments: tuple) -> None:
        if event not in FILE_EVENTS or not str(arguments[0]).startswith(str(out)):
            return
        shared[0] += 1
        pid = os.getpid()
        is_worker = pid != shared[1]
        if is_worker and pid not in shared[2:]:
            shared[2 + list(shared[2:]).index(0)] = pid
        if not 0 < at <= shared[0] or shared[0] < 0:
            return
        if kill == "run":
            os.kill(shared[1], signal.SIGKILL)
            time.sleep(5)  # a worker waits here for its end, which must come from its parent's
        elif kill == "worker" and is_worker:
            shared[0] = -(10**6)  # no other
            os.kill(pid, signal.SIGKILL)

    sys.addaudithook(see)


def one(videos: list[str], order: dict) -> dict:
    """Fork a run; how it ended, how many file operations it made, and which workers it had."""
    shared = multiprocessing.RawArray(ctypes.c_long, 2 + MOST_WORKERS)
    child = os.fork()
    if child == 0:
        hook(Path(order["out"]), order["kill"], order["at"], shared)
        try:
            report = jobs_run.run(
                videos, order["out"], OPTIONS, workers=order["workers"], pages=order["pages"]
            )
            os._exit(report.exit_code)
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    workers = [pid for pid in shared[2:] if pid]
    return {"code": os.waitstatus_to_exitcode(status), "n_operations": shared[0], "workers": workers}


def main() -> None:
    tools = Tools.load(OPTIONS)  # one thread, so nothing that a fork could lose
    Tools.load = classmethod(lambda cls, options: tools)
    child_process.get_context = lambda method: multiprocessing.get_context("fork")
    processing.RETRY_AFTER_SECONDS = 0.0
    videos = sys.argv[1:]
    for line in sys.stdin:
        print(json.dumps(one(videos, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
