"""The one way to the terminal and the log: names of files, texts in tables and messages of libraries are not ours.

>>> echo(f"Report: {path}")
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TextIO

import typer

from ferflow.text import sanitize


def echo(*lines: object, err: bool = False) -> bool:
    """Print lines on stdout or stderr; each stays one line, whatever is in it.

    A pipe whose reader has seen enough is no error, and what follows goes nowhere: a command that writes files
    finishes them, and one that only prints can end.

    Returns:
        False when the reader is found to have gone.
    """
    try:
        typer.echo("\n".join(map(sanitize, lines)), err=err)
    except BrokenPipeError:
        _discard(sys.stderr if err else sys.stdout)
        return False
    return True


def _discard(stream: TextIO) -> None:
    """Let a stream lead nowhere; what is left in its buffer would fail again when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class LineFormatter(logging.Formatter):
    """Keeps each record on a line of its own; lines of a traceback are indented, so that none looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        message = logging.makeLogRecord(
            record.__dict__ | {"msg": sanitize(record.getMessage()), "args": None}
        )
        return super().format(message)

    def formatException(self, ei: object) -> str:  # noqa: N802 - the name is logging's
        """See `logging.Formatter`."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(f"  {sanitize(line)}" for line in text.split("\n"))
