"""The command in the test's own process: a process of its own takes a second to start and to import.

What needs one (signals, terminals, crashes, what is imported) starts one.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ferflow.cli import main


def restore_signals() -> None:
    """For `preexec_fn`: tests that run in the background, or under nohup, ignore these, and so would their children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both."""
        return self.stdout + self.stderr


class Command:
    """Runs `ferflow` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = monkeypatch, capfd

    def __call__(self, *arguments: object, cwd: Path | None = None) -> Result:
        """Exit code and output."""
        self._capture.readouterr()
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["ferflow", *map(str, arguments)])
            patch.setattr(logging.root, "handlers", [])
            patch.setattr(logging.getLogger("ferflow"), "handlers", [])
            if cwd is not None:
                patch.chdir(cwd)
            with pytest.raises(SystemExit) as ended:
                main()
        # A command chooses the level of the log; the tests that follow do not.
        logging.getLogger("ferflow").setLevel(logging.NOTSET)
        shown = self._capture.readouterr()
        return Result(int(ended.value.code or 0), shown.out, shown.err)
