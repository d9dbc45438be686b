"""The command line: parse, call, print; one file per command.

Heavy imports are inside the commands, so that `--help` is printed at once.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated, NoReturn

import typer

from ferflow.cli.analyze import analyze
from ferflow.cli.annotate import annotate
from ferflow.cli.bench import bench
from ferflow.cli.clips import clips
from ferflow.cli.common import print_message
from ferflow.cli.compact import compact
from ferflow.cli.demo import demo
from ferflow.cli.doctor import doctor
from ferflow.cli.evaluate import evaluate
from ferflow.cli.explain import explain
from ferflow.cli.export import export
from ferflow.cli.fetch import fetch
from ferflow.cli.forget import forget
from ferflow.cli.interrupt import RUN_AGAIN, interruptible
from ferflow.cli.live import live
from ferflow.cli.merge import merge
from ferflow.cli.models import models
from ferflow.cli.people import people
from ferflow.cli.predict import predict
from ferflow.cli.printing import echo
from ferflow.cli.report import report
from ferflow.cli.run import run
from ferflow.cli.template import template
from ferflow.cli.train import train
from ferflow.cli.usage_errors import USAGE_ERRORS, describe_usage_error
from ferflow.cli.web_app import web_app
from ferflow.errors import FerflowError, ModelError, OptionsError, RecordsError
from ferflow.version import __version__

app = typer.Typer(
    name="ferflow",
    help="Analyse facial expressions in videos: Parquet tables and HTML reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    analyze,
    live,
    predict,
    run,
    merge,
    fetch,
    report,
    export,
    compact,
    people,
    annotate,
    clips,
    forget,
    bench,
    demo,
    doctor,
    evaluate,
    explain,
    train,
):
    app.command()(command)
app.command(name="app")(web_app)
app.add_typer(models)
app.add_typer(template)


@app.callback(invoke_without_command=True)
def ferflow(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Analyse facial expressions in videos: Parquet tables and HTML reports."""
    if version:
        echo(f"ferflow {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line: one line per error, and an exit code that scripts can use."""
    # Commands that write into an output folder nest another one, which also removes half-written files.
    with interruptible(show=print_message, clean_up=lambda: None, message=RUN_AGAIN):
        try:
            # Not standalone: typer would print the usage on three lines above each error.
            status = app(standalone_mode=False, prog_name="ferflow")
        except USAGE_ERRORS as error:
            _print_usage_error(error)
            sys.exit(OptionsError.exit_code)
        except FerflowError as error:
            print_message(str(error))
            sys.exit(error.exit_code)
        except (OSError, MemoryError) as error:
            from ferflow.store.failure_kinds import describe_system_error

            logging.getLogger("ferflow").debug("failed", exc_info=error)
            print_message(describe_system_error(error))
            sys.exit(ModelError.exit_code if isinstance(error, MemoryError) else RecordsError.exit_code)
        except Exception as error:
            # The traceback goes to the log (-v, --log-file) only.
            logging.getLogger("ferflow").debug("unexpected error", exc_info=error)
            print_message(
                f"unexpected {type(error).__name__}: {error}. An error in ferflow: run again with -v, and report it."
            )
            sys.exit(FerflowError.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _print_usage_error(error: Exception) -> None:
    message = describe_usage_error(error, sys.argv[1:])
    if "\n" in message:
        echo(*message.split("\n"), err=True)
    else:
        print_message(message)
