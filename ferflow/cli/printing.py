"""The one way to the terminal and the log: names of files, texts in tables and messages of libraries are not ours.

>>> echo(f"Report: {path}")
"""

from __future__ import annotations

import logging

import typer

from ferflow.text import sanitize


def echo(*lines: object, err: bool = False) -> None:
    """Print lines on stdout or stderr; each stays one line, whatever is in it."""
    typer.echo("\n".join(map(sanitize, lines)), err=err)


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
