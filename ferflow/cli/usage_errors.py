"""Errors of the command line itself, such as an unknown option: one line, like every other error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

USAGE_ERRORS: tuple[type[Exception], ...] = typer.BadParameter.__mro__[1:3]
"""UsageError and ClickException: of the click that typer brings or imports, which depends on its version."""

_PLAINER = (
    (r"Value error, ", ""),
    (r"Input should be (.*?)(, unable to parse.*)?$", r"it must be \1"),
)
"""Patterns of what pydantic says to programmers, and the same for users."""


def describe_usage_error(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong and where the remedy is, in one line; the help of a command that was called without anything.

    Args:
        error: one of `USAGE_ERRORS`.
        arguments: of the command line, without the program.
    """
    context = error.ctx if hasattr(error, "ctx") else None
    message = str(error.format_message())
    if context is not None and message == context.get_help():
        return message
    # Click separates sentences, and the values to choose from, by line breaks and tabs.
    what = " ".join(message.split()).removesuffix(".")
    for pattern, plain in _PLAINER:
        what = re.sub(pattern, plain, what)
    # An option without its value is found before there is a context.
    command = context.command_path if context is not None else " ".join(["ferflow", *arguments[:1]])
    end = "" if what.endswith("?") else "."
    return f"{what}{end} See: {command} --help"
