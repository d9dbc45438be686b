"""`ferflow export`: results in the formats of other tools."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import Output, Quiet, Verbose, log_to_stderr, parse_path, print_message, share_option
from ferflow.cli.printing import echo
from ferflow.cli.report import check_is_output, warn_of_shards
from ferflow.errors import EXIT_PARTIAL, FerflowError, OptionsError
from ferflow.exchange.formats import FORMATS, check_formats, write_formats
from ferflow.text import sanitize

if TYPE_CHECKING:
    from ferflow.dashboards.overview.overview_data import Folder
    from ferflow.exchange.destination import Destination
    from ferflow.exchange.person_events import EventBounds
    from ferflow.exchange.session import Session

_LIST = "; ".join(f"{name}: {one.summary}" for name, one in FORMATS.items())


def export(
    out: Annotated[
        Path, typer.Argument(parser=parse_path, metavar="OUT", help="Output folder of ferflow analyze.")
    ],
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            "-f",
            metavar="NAME[,NAME]",
            help=f"Formats, several at once; may be repeated. {_LIST}.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", "-o", parser=parse_path, metavar="FOLDER", help="Where to write.  [default: OUT/export]"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there; without it they are refused.")
    ] = False,
    min_duration: Annotated[
        float,
        typer.Option(
            help="Leave out expressions that last for less than this, in formats of events.",
            metavar="SECONDS",
            min=0.0,
        ),
    ] = 0.0,
    threshold: Annotated[
        float,
        share_option(
            "A frame shows an expression only if the expression's smoothed score is this high, in formats of events. "
            "At 0 the expression is the one that pages show.",
            "SCORE",
        ),
    ] = 0.0,
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="List of corrections for this export.  [default: as in the last report; else OUT/corrections.csv]",
            metavar="FILE.csv",
        ),
    ] = None,
    excel: Annotated[
        bool,
        typer.Option("--excel", help="Start CSV files with a byte order mark, by which Excel knows UTF-8."),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write the results of an output folder in the formats of other tools.

    Names and merges of people.csv, corrections.csv and the session list hold in every format. Formats and columns:
    docs/exchange.md. For models, see ferflow models export. Exit code: 10 if the tables of a video cannot be used.
    """
    from ferflow.dashboards import last_options
    from ferflow.dashboards.overview.overview_data import load_folder
    from ferflow.exchange.destination import Destination
    from ferflow.exchange.person_events import EventBounds
    from ferflow.exchange.request import ExportOptions
    from ferflow.store.output_folder import OutputFolder

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    names = _parse_formats(formats)
    _check_no_training_run(out)
    check_is_output(out)
    warn_of_shards(out)
    folder = OutputFolder(out)
    place = Destination(to or folder.exports, None if to else out, overwrite)
    check_formats(names, place)
    bounds = EventBounds(min_duration, threshold)
    with ExitStack() as stack:
        if to is None:
            stack.enter_context(folder.lock())
            folder.remove_leftovers()
        options = last_options(out).updated(corrections=corrections)
        if options.corrections is not None and not quiet:
            echo(f"Corrections: {sanitize(options.corrections)}")
        content = load_folder(out, options)
        sessions, failed = _load_sessions(out, content, bounds)
        if sessions:
            write_formats(names, sessions, place, ExportOptions(bounds=bounds, excel=excel))
    _print_outcome(content, failed, place, quiet=quiet)
    sys.exit(EXIT_PARTIAL if failed else 0)


def _parse_formats(given: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for text in given for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in FORMATS]:
        raise OptionsError(
            f"--format: {sanitize(unknown[0][:40])!r} is unknown. Give one of {', '.join(FORMATS)}."
        )
    if not names:
        raise OptionsError(f"--format: empty. Give one of {', '.join(FORMATS)}.")
    return list(dict.fromkeys(names))


def _check_no_training_run(out: Path) -> None:
    """Help a user who means a model."""
    from ferflow.store.output_folder import OutputFolder

    if not OutputFolder(out).is_used() and ((out / "card.json").is_file() or (out / "state.npz").is_file()):
        raise OptionsError(
            f"{out}: the folder of a model, and `ferflow export` exports results. Use: ferflow models export "
            f"{sanitize(out)} -o FOLDER"
        )


def _load_sessions(
    out: Path, content: Folder, bounds: EventBounds
) -> tuple[list[Session], Mapping[str, str]]:
    """The sessions of a folder, and why others cannot be exported, by video id."""
    from ferflow.analytics.person_faces import Persons
    from ferflow.exchange.session import Session
    from ferflow.store.output_folder import OutputFolder

    folder, sessions = OutputFolder(out), []
    failed = {
        one.video_id: one.reason
        for one in content.broken
        if one.video_id and folder.video(one.video_id).is_finished
    }
    for entry in content.finished:
        assert entry.video is not None
        try:
            persons = Persons.of(folder.video(entry.video_id), content.names.of(entry.video_id))
            sessions.append(
                Session.load(entry.video, persons, is_alone=len(content.finished) == 1, bounds=bounds)
            )
        except FerflowError as error:
            failed[entry.video_id] = str(error)
    return sessions, failed


def _print_outcome(content: Folder, failed: Mapping[str, str], place: Destination, *, quiet: bool) -> None:
    for warning in content.warnings:
        print_message(warning)
    for video_id, reason in failed.items():
        print_message(f"{video_id}: left out. {reason}")
    if not quiet:
        if not place.written:
            echo("Nothing to export: no finished video.")
        for path in place.places_written:
            echo(f"Written: {path}")
