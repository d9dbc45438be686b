"""Ctrl+C, SIGTERM and a closed terminal: exit within two seconds, with a line that says how to continue."""

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
"""Time for what is in progress to clean up; a library that cannot be interrupted takes longer."""

MESSAGE = "interrupted. Finished videos are kept; the same command continues."


class Interrupted(BaseException):
    """Not a KeyboardInterrupt: typer turns that into "Aborted!" and exit code 1."""


@contextlib.contextmanager
def interruptible(*, tell: Callable[[str], None], clean: Callable[[], object]) -> Iterator[None]:
    """Turn signals into `Interrupted`, raised in the main thread, and end the process if that takes too long.

    Args:
        tell: prints a message for the user.
        clean: removes half-written files if the process has to end without cleaning up.
    """

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # one is enough, and cleaning up must not be interrupted
        threading.Thread(target=_end, args=(tell, clean), daemon=True, name="ferflow-end").start()
        raise Interrupted

    # The parent process may have chosen that a signal is ignored, as `nohup` does.
    signals = [number for number in _signals() if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield
    except Interrupted:
        tell(MESSAGE)
        leave()


def leave() -> NoReturn:
    """End this process at once: shutting down an interpreter while a library's threads run can crash it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)


def _end(tell: Callable[[str], None], clean: Callable[[], object]) -> None:
    threading.Event().wait(GRACE_SECONDS)
    with contextlib.suppress(Exception):
        clean()
    tell(MESSAGE)
    leave()


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
