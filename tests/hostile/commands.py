"""Commands in the test's own process: quick enough for a matrix of hostile folders."""

from __future__ import annotations

from dataclasses import dataclass

from typer.testing import CliRunner

from ferflow.cli import app
from ferflow.errors import FerflowError


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    output: str
    """stdout, stderr and the message of an error."""


def command(*arguments: object) -> Done:
    """Run a command; an exception that is none of ferflow's is raised: for a user, that is exit code 1."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(done.exception, FerflowError):
        return Done(done.exception.exit_code, f"{done.output}{done.exception}")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.output)
