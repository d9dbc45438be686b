"""Ctrl+C, SIGTERM and a closed terminal: out within two seconds, with a line that says how to go on."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from ferflow.errors import EXIT_INTERRUPTED

GRACE_SECONDS = 1.5
"""So long may what is under way take to put its things away; a library that is not to be disturbed takes longer."""

TOLD = "interrupted. What is done is kept; the same command does the rest."


class Interrupted(BaseException):
    """Of a KeyboardInterrupt typer would make "Aborted!" and exit code 1."""


@contextlib.contextmanager
def interruptible(*, tell: Callable[[str], None], clean: Callable[[], object]) -> Iterator[None]:
    """Turn signals into `Interrupted`, raised in the main thread, and end the process if that takes too long.

    Args:
        tell: says to the user what happened.
        clean: removes half-written files, should the process have to end without winding up.
    """

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # once is enough, and winding up is not to be disturbed
        threading.Thread(target=_end, args=(tell, clean), daemon=True, name="ferflow-end").start()
        raise Interrupted

    # Whoever started us may have chosen that a signal is ignored, as `nohup` does.
    signals = [number for number in _signals() if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield
    except Interrupted:
        tell(TOLD)
        leave()


def leave() -> NoReturn:
    """End this process at once: tearing down an interpreter under a library's running threads can crash it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)


def _end(tell: Callable[[str], None], clean: Callable[[], object]) -> None:
    threading.Event().wait(GRACE_SECONDS)
    with contextlib.suppress(Exception):
        clean()
    tell(TOLD)
    leave()


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
