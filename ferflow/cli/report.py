"""`ferflow report`: build pages from tables, without a new analysis."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ferflow.cli.common import (
    Chapters,
    Corrections,
    EmbedClips,
    Logo,
    Markers,
    MarkersOffset,
    Output,
    Quiet,
    RestStretches,
    Signals,
    SignalsStart,
    Speech,
    Title,
    Verbose,
    format_notice,
    log_to_stderr,
    parse_path,
    parse_rest_stretches,
    print_message,
)
from ferflow.cli.printing import echo
from ferflow.errors import EXIT_PARTIAL
from ferflow.text import sanitize

if TYPE_CHECKING:
    from ferflow.dashboards import PageOptions
    from ferflow.dashboards.exports.mail_pages import Mailed, MailOptions
    from ferflow.dashboards.refresh import Refreshed
    from ferflow.store.output_folder import OutputFolder

Folder = Annotated[
    Path, typer.Argument(parser=parse_path, metavar="OUT", help="Output folder of ferflow analyze.")
]
Theme = Literal["auto", "light", "dark"]


def report(
    out: Folder,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column of the session list that defines the groups to compare.  [default: as in the last report; "
            "else group]",
            metavar="COLUMN",
        ),
    ] = None,
    sessions: Annotated[
        Path | None,
        typer.Option(
            help="Session list: CSV with the columns video,participant,group,stimulus and any others, a row per "
            "video.  "
            "[default: as in the last report; else OUT/sessions.csv]",
            metavar="FILE.csv",
        ),
    ] = None,
    corrections: Corrections = None,
    theme: Annotated[
        Theme | None,
        typer.Option(
            help="Colours of the pages; auto follows the reader's system.  [default: as in the last report; else "
            "auto]"
        ),
    ] = None,
    title: Title = None,
    logo: Logo = None,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Use the defaults in place of --by, --sessions, --corrections, --theme, --title and --logo of the "
            "last report. Pictures of people stay: ferflow people OUT --forget removes them.",
        ),
    ] = False,
    markers: Markers = None,
    chapters: Chapters = False,
    markers_offset: MarkersOffset = None,
    speech: Speech = None,
    signals: Signals = None,
    signals_start: SignalsStart = None,
    rest: RestStretches = None,
    embed_clips: EmbedClips = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Also write the tables of the pages as CSV to OUT/csv.")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print each page as PDF, next to the page; needs Chromium.")
    ] = False,
    png: Annotated[
        bool, typer.Option("--png", help="Also write each figure as PNG to OUT/figures; needs Chromium.")
    ] = False,
    svg: Annotated[
        bool, typer.Option("--svg", help="Also write each figure as SVG to OUT/figures; needs Chromium.")
    ] = False,
    single_file: Annotated[
        bool,
        typer.Option(
            "--single-file",
            help="Also write the overview and each session as one HTML file to OUT/mail, with everything inside, to be "
            "opened offline from a mail.",
        ),
    ] = False,
    video_mb: Annotated[
        float | None,
        typer.Option(
            help="With --single-file: put a small copy of the video inside, without sound, of at most so many "
            "megabytes; it shows faces.  [default: no video]",
            metavar="N",
        ),
    ] = None,
    anonymize: Annotated[
        bool,
        typer.Option(
            "--anonymize",
            help="With --single-file: leave out what could show a face, such as pictures in notes, and cover the "
            "faces in the video of --video-mb.",
        ),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Build the pages of an output folder again from its tables.

    Nothing is analysed, and only pages whose inputs changed are written. Reads OUT/people.csv (see ferflow people),
    OUT/corrections.csv, the session list, notes in Markdown (OUT/notes.md for the overview, OUT/notes/VIDEO_ID.md for a
    video), and the markers and signals next to the videos. Exit code: 0 all pages are up to date, 10 a page, or
    markers, signals or clips of a video, could not be made; otherwise as of ferflow analyze.
    """
    from ferflow.dashboards import PageOptions, last_options, refresh
    from ferflow.dashboards.exports.export_status import update_exports
    from ferflow.jobs.additions import add_to_all, check_additions, warn_of_rest
    from ferflow.jobs.job import Additions
    from ferflow.store.output_folder import OutputFolder

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    check_is_output(out)
    warn_of_shards(out)
    mail = _read_mail_options(single_file=single_file, video_mb=video_mb, anonymize=anonymize)
    last = PageOptions() if forget else last_options(out)
    options = last.updated(
        theme=theme, sessions=sessions, corrections=corrections, by=by, title=title, logo=logo
    )
    additions = Additions(
        markers=markers,
        chapters=chapters,
        markers_offset=markers_offset,
        speech=speech,
        rest=parse_rest_stretches(rest),
        signals=signals,
        signals_start=signals_start,
        sessions=options.sessions or OutputFolder(out).session_list,
        embed_clips=embed_clips,
    )
    check_additions(additions)
    if pdf or png or svg:
        from ferflow.dashboards.exports.figure_files import find_chromium

        find_chromium()  # if it is missing, refuse before any work
    folder = OutputFolder(out)
    if embed_clips and not quiet and not folder.has_clips:
        echo(*format_notice(clips=True, thumbnails=folder.has_thumbnails).split("\n"), err=True)
    with folder.lock():
        folder.remove_leftovers()
        # Before the pages, which show them.
        failed = add_to_all(out, additions)
        done = refresh(out, options)
        warn_of_rest(OutputFolder(out), OutputFolder(out).finished_ids(), additions.sessions)
        _warn(done, failed)
        pictures = [name for name, wanted in (("png", png), ("svg", svg)) if wanted]
        extras = _write_extras(out, options, csv, pictures)
        pages = [*done.written, *done.kept]
        extras += _print_pages(folder, pages) if pdf else []
        if mail is not None:
            mailed = _write_mail(out, options, mail)
            extras += [folder.mail] if mailed.written else []
            failed = {**failed, **{key: f"--single-file: {why}" for key, why in mailed.failed.items()}}
        for warning in update_exports(out, options):
            print_message(warning)
    if not quiet:
        if options.corrections is not None:
            echo(f"Corrections: {sanitize(options.corrections)}")
        echo(f"Pages written: {len(done.written)}; unchanged: {len(done.kept)}.")
        for path in extras:
            # Of fifteen tables, the one that statistics start from.
            hint = " (participants.csv: a row per participant)" if path == folder.csv_tables else ""
            echo(f"Also: {path}{hint}")
        echo(f"Report: {OutputFolder(out).index}")
    sys.exit(EXIT_PARTIAL if done.failed or failed else 0)


def _warn(done: Refreshed, incomplete: Mapping[str, str]) -> None:
    """Report what went wrong, a line each: with the folder, with markers, signals or clips of a video, with a page."""
    for warning in done.warnings:
        echo(f"ferflow: {warning}", err=True)
    for video_id, reason in incomplete.items():
        echo(f"ferflow: {video_id}: {reason}", err=True)
    for video_id, reason in done.failed.items():
        echo(f"ferflow: {video_id}: no page. {reason}", err=True)


def check_is_output(out: Path) -> None:
    """Refuse a folder that ferflow has not written into: its index.html may be the user's own.

    Raises:
        RecordsError: it is not one.
    """
    from ferflow.errors import RecordsError
    from ferflow.store.output_folder import OutputFolder

    if not OutputFolder(out).is_used():
        what = "not an output folder of ferflow" if out.is_dir() else "no such folder"
        raise RecordsError(f"{out}: {what}. Run: ferflow analyze VIDEO -o {out}")


def warn_of_shards(out: Path) -> None:
    """Warn where pages and exports would lack what shards recorded."""
    from ferflow.store.output_folder import OutputFolder
    from ferflow.store.shard_manifest import describe_unmerged

    if (warning := describe_unmerged(OutputFolder(out))) is not None:
        print_message(warning)


def _write_extras(out: Path, options: PageOptions, csv: bool, pictures: list[str]) -> list[Path]:
    from ferflow.dashboards.exports.export_status import record_pictures, record_tables
    from ferflow.store.output_folder import OutputFolder

    folder, written = OutputFolder(out), list[Path]()
    if csv:
        from ferflow.dashboards.exports.csv_tables import write_tables

        for warning in write_tables(out, options):
            print_message(warning)
        record_tables(folder)
        written.append(folder.csv_tables)
    if pictures:
        from ferflow.dashboards.exports.figure_files import write_pictures

        write_pictures(out, options, pictures)
        record_pictures(folder, pictures)
        written.append(folder.figures)
    return written


def _read_mail_options(*, single_file: bool, video_mb: float | None, anonymize: bool) -> MailOptions | None:
    from ferflow.dashboards.exports.mail_pages import MailOptions
    from ferflow.errors import OptionsError

    if single_file:
        return MailOptions(video_mb=video_mb, anonymize=anonymize)
    if video_mb is not None or anonymize:
        raise OptionsError("--video-mb and --anonymize are about --single-file: give that, too.")
    return None


def _write_mail(out: Path, options: PageOptions, mail: MailOptions) -> Mailed:
    from ferflow.dashboards.exports.mail_pages import write_mail_pages
    from ferflow.render.small_copy import copy_in_child

    mailed = write_mail_pages(out, options, mail, copy_in_child)
    for video_id, reason in mailed.failed.items():
        print_message(f"{video_id}: --single-file: {reason}")
    return mailed


def _print_pages(folder: OutputFolder, pages: list[Path]) -> list[Path]:
    """Print the pages that have no PDF, or one of an earlier state."""
    from ferflow.dashboards.exports.export_status import is_pdf_current, record_pdf
    from ferflow.dashboards.exports.figure_files import write_pdf

    printed = []
    for page in pages:
        if not is_pdf_current(folder, page):
            printed.append(write_pdf(page, folder.path))
            record_pdf(folder, page)
    return printed
