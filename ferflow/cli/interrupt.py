"""Ctrl+C, SIGTERM and a closed terminal: exit within two seconds, with a line that says how to continue."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import NoReturn, TypeVar

from ferflow.errors import EXIT_INTERRUPTED

T = TypeVar("T")

GRACE_SECONDS = 1.5
"""Time for what is in progress to clean up: with the rest of the exit, less than the promised two seconds."""

VIDEOS_ARE_KEPT = "interrupted. Finished videos are kept; the same command continues."
"""Of commands that write into an output folder."""

RUN_AGAIN = "interrupted. Run the same command again."
"""Of the others: training resumes from its checkpoint, and the rest starts again."""


class Interrupted(BaseException):
    """Not a KeyboardInterrupt: typer turns that into "Aborted!" and exit code 1."""


@contextlib.contextmanager
def interruptible(
    *, show: Callable[[str], None], clean_up: Callable[[], object], message: str = VIDEOS_ARE_KEPT
) -> Iterator[None]:
    """Turn signals into `Interrupted`, raised in the main thread, and end the process if that takes too long.

    Args:
        show: prints a message for the user.
        clean_up: removes half-written files, where the process has to end before the main thread could.
        message: says how to continue.
    """

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # one is enough, and cleaning up must not be interrupted
        # The exception below reaches the main thread between two lines of Python: a decoder busy in C delays it, and a
        # library that catches every exception swallows it. So the process ends in any case, after a time.
        threading.Thread(
            target=_exit_after_grace, args=(partial(show, message), clean_up), daemon=True, name="ferflow-end"
        ).start()
        raise Interrupted

    # The parent process may have chosen that a signal is ignored, as `nohup` does.
    signals = [number for number in _signals() if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield
    except Interrupted:
        show(message)
        exit_now()


class _Stopped(BaseException):
    """A signal came while `SignalWait` waited or looked."""


class SignalWait:
    """Waits and looks between rounds of work; Ctrl+C, SIGTERM or the end of the terminal ends both without an error.

    A signal that comes at another moment between rounds ends the next wait, or the next look, at once.
    """

    def __init__(self) -> None:
        self._has_come = False
        self._may_raise = False
        self._handlers = {
            number: handler
            for number in _signals()
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN
        }
        self._take_over()

    def __call__(self, seconds: float) -> bool:
        """Wait.

        Args:
            seconds: how long at most.

        Returns:
            Whether a signal has come.
        """
        self.look(lambda: time.sleep(seconds))
        return self._has_come

    def look(self, function: Callable[[], T]) -> T | None:
        """Call a function that changes nothing; None: a signal has come before or during the call."""
        result: T | None = None
        with contextlib.suppress(_Stopped):
            self._may_raise = True
            if not self._has_come:
                result = function()
            self._may_raise = False
        return result

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A round of work, which a signal interrupts as it did before this object was made.

        Raises:
            Interrupted: a signal came before, so there is work that is not done.
        """
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._has_come:
            raise Interrupted
        yield
        self._take_over()  # not after an error, which ends the process

    def _take_over(self) -> None:
        for number in self._handlers:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        for each in self._handlers:
            signal.signal(each, signal.SIG_IGN)  # what follows is short, and the process ends
        self._has_come = True
        # Not an event that is set: the handler runs within a wait that may hold the lock of that event.
        if self._may_raise:
            self._may_raise = False
            raise _Stopped


def exit_now(code: int = EXIT_INTERRUPTED) -> NoReturn:
    """End this process at once: an interpreter that shuts down while a decoder's thread runs can crash."""
    # `os._exit` flushes nothing; the terminal may be closed.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _exit_after_grace(show: Callable[[], None], clean_up: Callable[[], object]) -> None:
    threading.Event().wait(GRACE_SECONDS)
    with contextlib.suppress(Exception):
        clean_up()
    show()
    exit_now()


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
