"""What several commands share: arguments that mean the same everywhere, logging, one way to run and end."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from ferflow.cli.interrupt import interruptible
from ferflow.errors import EXIT_INTERRUPTED, FerflowError, OptionsError
from ferflow.options import AnalyzeOptions
from ferflow.text import shown

if TYPE_CHECKING:
    from ferflow.jobs.run import RunReport

NOTICE = """\
ferflow works on this machine only: nothing leaves it, and no face image is kept.
An expression is a movement of the face, not proof of a feeling (Barrett et al., 2019). Inform the people you
record and have their consent (GDPR; EU AI Act Art. 50(3)). In the EU, inferring emotions at work or in
education is forbidden, medical and safety reasons aside (AI Act Art. 5(1)(f))."""

DEFAULTS = AnalyzeOptions()

EngineName = Literal["local", "ray"]


def named(text: str) -> str:
    """An unset shell variable must not mean the current folder."""
    if not text:
        raise typer.BadParameter("empty name")
    return text


def folder(text: str) -> Path:
    return Path(named(text))


Out = Annotated[Path, typer.Option("--out", "-o", parser=folder, metavar="FOLDER", help="Output folder.")]
Markers = Annotated[
    Path | None,
    typer.Option(
        help="Events for the pages: time_s,label[,end_s][,kind].  [default: STEM.markers.csv beside a video]",
        metavar="FILE.csv",
    ),
]
EmbedClips = Annotated[
    bool, typer.Option("--embed-clips", help="Keep short clips around the peaks with the page.")
]


def share(help_text: str, metavar: str) -> Any:
    """An option that takes a number from 0 to 1."""
    return typer.Option(help=help_text, metavar=metavar, min=0.0, max=1.0)


Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, with traces of unexpected errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a command talks."""

    verbose: bool = False
    quiet: bool = False
    as_json: bool = False
    """Events on stderr, for programs, in place of bars and lines for people."""
    log_file: Path | None = None


def run_and_exit(
    inputs: list[str], out: Path, options: AnalyzeOptions, *, voice: Voice, **how: Any
) -> NoReturn:
    """Run, tell how it went, and end; `how` goes to `jobs.run.run`."""
    from ferflow.jobs.listener import Several
    from ferflow.jobs.progress import Bars
    from ferflow.jobs.run import run
    from ferflow.jobs.run_events import Events, Logged
    from ferflow.store.output_folder import sweep

    if not voice.as_json:
        log_to_stderr(voice)
        if not voice.quiet and not (out / "run.json").exists():
            typer.echo(NOTICE, err=True)
        with interruptible(tell=tell, clean=lambda: sweep(out)), Bars(quiet=voice.quiet) as bars:
            report = run(inputs, out, options, listener=Several(bars, Logged()), **how)
        if not voice.quiet:
            _print_summary(report, pages=how.get("pages", True))
        sys.exit(report.exit_code)

    events = Events(sys.stderr)
    log_to_stderr(voice, events)
    with interruptible(tell=partial(events.failed, EXIT_INTERRUPTED), clean=lambda: sweep(out)):
        try:
            report = run(inputs, out, options, listener=Several(events, Logged()), **how)
        except FerflowError as error:
            events.failed(error.exit_code, str(error))
            sys.exit(error.exit_code)
        except Exception as error:
            logging.getLogger("ferflow").debug("unexpected error", exc_info=error)
            events.failed(FerflowError.exit_code, f"unexpected {type(error).__name__}: {error}")
            sys.exit(FerflowError.exit_code)
    events.finished(report.exit_code, out, report.videos)
    sys.exit(report.exit_code)


def tell(message: str) -> None:
    """One line for the user."""
    typer.echo(f"ferflow: {shown(message)}", err=True)


def log_to_stderr(voice: Voice, handler: logging.Handler | None = None) -> None:
    """Send warnings to stderr, or to the handler given, and everything to the log file if one is wanted.

    Raises:
        OptionsError: the log file cannot be written.
    """
    logging.basicConfig(
        level=logging.WARNING, format="ferflow: %(message)s", handlers=[handler or logging.StreamHandler()]
    )
    level = logging.DEBUG if voice.verbose else logging.ERROR if voice.quiet else logging.WARNING
    logging.getLogger().handlers[0].setLevel(level)
    logger = logging.getLogger("ferflow")
    logger.setLevel(level)
    if voice.log_file is not None:
        logger.addHandler(_log_file(voice.log_file))
        logger.setLevel(logging.DEBUG)


def _log_file(path: Path) -> logging.Handler:
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OptionsError(f"log file {path}: cannot be written ({error.strerror}).") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def _print_summary(report: RunReport, *, pages: bool) -> None:
    from ferflow.jobs.progress import summary

    typer.echo(summary(report.videos))
    typer.echo(f"Data: {report.out}/frames  {report.out}/faces  {report.out}/timeline  {report.out}/run.json")
    if pages:
        typer.echo(f"Report: {report.out / 'index.html'}")
