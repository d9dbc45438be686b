"""The command line: parse, call, print; one file per command.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ferflow import __version__
from ferflow.cli.analyze import analyze
from ferflow.cli.demo import demo
from ferflow.cli.people import people
from ferflow.cli.report import report
from ferflow.cli.train import train
from ferflow.errors import EXIT_INTERRUPTED, FerflowError
from ferflow.text import shown

app = typer.Typer(
    name="ferflow",
    help="Video files in, honest facial-expression data and readable reports out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (analyze, report, people, demo, train):
    app.command()(command)


@app.callback(invoke_without_command=True)
def ferflow(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Video files in, honest facial-expression data and readable reports out."""
    if version:
        typer.echo(f"ferflow {__version__}")
        raise typer.Exit


class _Interrupted(BaseException):
    """Ctrl+C or SIGTERM. (Of a KeyboardInterrupt typer would make "Aborted!" and exit code 1.)"""


def main() -> NoReturn:
    """Run the command line; one line per error, and an exit code to act on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app(standalone_mode=True)
    except _Interrupted:
        typer.echo("ferflow: interrupted. What is done is kept; the same command does the rest.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except FerflowError as error:
        typer.echo(f"ferflow: {shown(error)}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Half-written files are removed on the way out, finished ones stay."""
    raise _Interrupted
