"""What several commands share: arguments that mean the same everywhere, logging, one way to run and end."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from ferflow.options import AnalyzeOptions

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
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, with traces of unexpected errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def run_and_exit(
    inputs: list[str],
    out: Path,
    options: AnalyzeOptions,
    *,
    overwrite: bool = False,
    pages: bool = True,
    engine: EngineName = "local",
    quiet: bool = False,
    markers: Path | None = None,
    embed_clips: bool = False,
) -> NoReturn:
    from ferflow.jobs.beside import Beside
    from ferflow.jobs.run import run
    from ferflow.progress import Bars

    if not quiet and not (out / "run.json").exists():
        typer.echo(NOTICE, err=True)
    with Bars(quiet=quiet) as bars:
        report = run(
            inputs, out, options, overwrite=overwrite, pages=pages, engine=engine, listener=bars,
            beside=Beside(markers, embed_clips),
        )  # fmt: skip
    if not quiet:
        _print_summary(report, pages=pages)
    sys.exit(report.exit_code)


def log_to_stderr(*, verbose: bool, quiet: bool) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="ferflow: %(message)s", stream=sys.stderr)
    logging.getLogger("ferflow").setLevel(level)


def _print_summary(report: RunReport, *, pages: bool) -> None:
    from ferflow.progress import summary

    typer.echo(summary(report.videos))
    typer.echo(f"Data: {report.out}/frames  {report.out}/faces  {report.out}/timeline  {report.out}/run.json")
    if pages:
        typer.echo(f"Report: {report.out / 'index.html'}")
