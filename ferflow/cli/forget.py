"""`ferflow forget`: remove a person or a session from an output folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import print_message
from ferflow.cli.printing import echo
from ferflow.cli.report import Folder, check_is_output
from ferflow.errors import EXIT_PARTIAL, OptionsError
from ferflow.text import sanitize

if TYPE_CHECKING:
    from ferflow.jobs.forget.erase import Outcome
    from ferflow.jobs.forget.request import Found, Request
    from ferflow.store.output_folder import OutputFolder

_MOST_PATHS = 20


def forget(
    out: Folder,
    participant: Annotated[
        str | None,
        typer.Option(help="A person, by the name that the lists give, in all sessions.", metavar="NAME"),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(help="A whole session, by the id, file name or path of its video.", metavar="ID"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    no_record: Annotated[
        bool,
        typer.Option(
            "--no-record",
            help="Do not note, as salted hashes in OUT/forgotten.json, which videos must not be analysed here again; "
            "the next ferflow analyze then brings them back.",
        ),
    ] = False,
) -> None:
    """Remove a person or a session from an output folder, as after a request for erasure.

    Tables, pages, clips, thumbnails, exports, rows of lists and entries of run.json go; the tables of the other people
    stay. A session in which nobody else counts goes as a whole. Says what was removed, and what it cannot remove, such
    as the videos themselves. Exit code: 0 nothing in OUT names them any more, 10 something still does, or pages could
    not be written again.
    """
    from ferflow.store.output_folder import OutputFolder

    if (participant is None) == (video is None):
        raise OptionsError("give --participant NAME or --video ID, one of them.")
    if not (participant or video or "").strip():
        raise OptionsError("empty name")
    check_is_output(out)
    folder = OutputFolder(out)
    if dry_run:
        _print_dry_run(folder, participant, video)
        return
    if not yes and not sys.stdin.isatty():
        raise OptionsError(
            "what is forgotten cannot be restored. Look at it with --dry-run, then give --yes."
        )
    from ferflow.jobs.shard_join import absorb_shards

    with folder.lock():
        absorb_shards(folder)  # their files name videos, too
        folder.remove_leftovers()
        sys.exit(_forget(folder, participant, video, asks=not yes, record=not no_record))


def _print_dry_run(folder: OutputFolder, participant: str | None, video: str | None) -> None:
    from ferflow.jobs.forget.request import read_journal

    if (interrupted := read_journal(folder)) is not None:
        print_message("an erasure was interrupted, and the next completes it first.")
        _print_plan(folder, interrupted, "First")
    found = _find(folder, participant, video)
    for problem in found.unread:
        print_message(problem)
    if not _print_plan(folder, found.request, "Would be removed"):
        _print_nothing(folder, found)


def _forget(
    folder: OutputFolder, participant: str | None, video: str | None, *, asks: bool, record: bool
) -> int:
    """Carry out a request after one that was interrupted; the exit code."""
    from ferflow.jobs.forget.erase import carry_out
    from ferflow.jobs.forget.request import read_journal

    code = 0
    if (interrupted := read_journal(folder)) is not None:
        print_message("an erasure was interrupted; it is completed first.")
        code = _print_outcome(folder, carry_out(folder, interrupted, record=record))
    found = _find(folder, participant, video)
    for problem in found.unread:
        print_message(problem)
    code = EXIT_PARTIAL if found.unread else code
    if not _print_plan(folder, found.request, "To be removed" if asks else "Removing"):
        _print_nothing(folder, found)
        return max(code, _print_state(folder, found.request))
    if asks and not typer.confirm("Remove this? It cannot be undone."):
        raise OptionsError("nothing was removed.")
    return max(code, _print_outcome(folder, carry_out(folder, found.request, record=record)))


def _find(folder: OutputFolder, participant: str | None, video: str | None) -> Found:
    from ferflow.jobs.forget.request import Found, find_participant, find_video

    if participant is not None:
        return find_participant(folder, participant)
    return Found(find_video(folder, video or ""))


def _print_plan(folder: OutputFolder, request: Request, title: str) -> bool:
    """Print what a request is about; whether it is about anything."""
    from ferflow.jobs.forget.erase import describe

    lines = describe(folder, request)
    if lines:
        echo(f"{title}, in {sanitize(folder.path)}:")
    for line in lines:
        echo(f"  {line}")
    return bool(lines)


def _print_nothing(folder: OutputFolder, found: Found) -> None:
    what = found.request.participant or found.request.sessions[0].video_id
    similar = f" Similar names here: {', '.join(map(sanitize, found.similar))}." if found.similar else ""
    print_message(
        f"nothing in {sanitize(folder.path)} is of {sanitize(what)}.{similar} Names: ferflow people "
        f"{sanitize(folder.path)}"
    )


def _print_outcome(folder: OutputFolder, outcome: Outcome) -> int:
    echo("Removed. Not removed, since it is not ferflow's or cannot be separated:")
    for line in outcome.stays:
        echo(f"  {line}")
    return _print_problems(folder, outcome)


def _print_state(folder: OutputFolder, request: Request) -> int:
    """Print what still names those who are forgotten already, and write pages that could not be written then."""
    from ferflow.jobs.forget.erase import Outcome, write_pages
    from ferflow.jobs.forget.traces import find_traces

    problems = write_pages(folder) if folder.index.exists() else ()
    return _print_problems(folder, Outcome((), find_traces(folder, request), problems))


def _print_problems(folder: OutputFolder, outcome: Outcome) -> int:
    for problem in outcome.problems:
        print_message(problem)
    for paths, what in (
        (outcome.traces.named, "still names them: change or delete it yourself."),
        (outcome.traces.shown, "was made of a session of theirs, and may show them: delete it yourself."),
        (outcome.traces.unread, "could not be searched."),
    ):
        for path in paths[:_MOST_PATHS]:
            print_message(f"{sanitize(folder.path / path)}: {what}")
        if len(paths) > _MOST_PATHS:
            print_message(f"and {len(paths) - _MOST_PATHS} more files.")
    traces = outcome.traces
    is_clean = not (outcome.problems or traces.named or traces.shown or traces.unread)
    return 0 if is_clean else EXIT_PARTIAL
