"""Keys pressed in a terminal while a command runs.

>>> with HotKeys() as keys:
...     for key in keys.pressed(): ...
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from types import TracebackType
from typing import Any, Self

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]

_MOST_KEYS = 64
"""Read at once."""


class HotKeys:
    """Reads single keys of the terminal, without Enter and without echo; of nothing else.

    Keys come from stdin where that is the terminal, else from the process's terminal: the video may come on stdin. Any
    other stdin is left alone, since it may be meant for the command after this one.
    """

    def __init__(self) -> None:
        self._terminal: int | None = None
        self._own: int | None = None
        self._before: list[Any] | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is a terminal."""
        return self._terminal is not None or (
            os.name == "nt" and sys.stdin is not None and sys.stdin.isatty()
        )

    def __enter__(self) -> Self:
        if termios is None:
            return self
        with contextlib.suppress(OSError, termios.error, ValueError):
            self._open()
        return self

    def _open(self) -> None:
        if sys.stdin is not None and sys.stdin.isatty():
            number = sys.stdin.fileno()
        elif sys.stderr is not None and sys.stderr.isatty():
            number = self._own = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        else:  # started by a program: its terminal is not ours
            return
        # A command in the background is stopped by the system when it changes the terminal.
        if os.tcgetpgrp(number) != os.getpgrp():
            return
        self._before = termios.tcgetattr(number)
        tty.setcbreak(number)  # Ctrl+C stays a signal
        self._terminal = number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal is not None and self._before is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)
        if self._own is not None:
            os.close(self._own)
        self._terminal = self._own = None

    def pressed(self) -> str:
        """The printable keys since the last call, in order; other keys are left out."""
        if os.name == "nt":
            return _pressed_on_windows()
        if self._terminal is None:
            return ""
        with contextlib.suppress(OSError, ValueError):
            if select.select([self._terminal], [], [], 0)[0]:
                text = os.read(self._terminal, _MOST_KEYS).decode("utf-8", "ignore")
                # Arrows and the like come as an escape and further characters.
                return "" if text.startswith("\x1b") else "".join(filter(str.isprintable, text))
        return ""


def _pressed_on_windows() -> str:
    import msvcrt

    keys = ""
    while msvcrt.kbhit():  # type: ignore[attr-defined]
        keys += msvcrt.getwch()  # type: ignore[attr-defined]
    return "".join(filter(str.isprintable, keys))
