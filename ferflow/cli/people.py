"""`ferflow people`: the tracks of each video, and a list to name them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import parse_path, print_message
from ferflow.cli.printing import echo
from ferflow.cli.report import Folder, check_is_output
from ferflow.errors import EXIT_PARTIAL
from ferflow.text import pluralize, sanitize, timecode

if TYPE_CHECKING:
    from ferflow.analytics.person_names import NameLists
    from ferflow.analytics.track_list import Track
    from ferflow.render.match_people import Matches
    from ferflow.store.output_folder import OutputFolder
    from ferflow.store.video_files import VideoFiles


_LEFT_OUT = {None: "(seen briefly)", "still": "(still picture)", "duplicate": "(shown twice)"}


def people(
    out: Folder,
    video: Annotated[
        str | None, typer.Option(help="List only videos whose id contains this text.", metavar="TEXT")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path, metavar="FILE.csv",
            help="Write the list to this file instead, to fill in names; an existing file is refused.",
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails",
            help="Store a picture of each person in OUT/thumbnails, from the source video, to name people by.",
        ),
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the pictures of --thumbnails.")] = False,
    match: Annotated[
        bool,
        typer.Option(
            "--match",
            help="Propose who is the same person in several videos, by their faces (needs ferflow[face]). Faces are "
            "described in memory; nothing is stored, and names are yours to give.",
        ),
    ] = False,
) -> None:  # fmt: skip
    """List the tracks of each video with times, positions, persons and names.

    Tracks that look like one person are one person. OUT/people.csv (video_id,track_id,name or video_id,person_id,name)
    names them: all tracks of one video with the same name become one person, two names divide one, and a name in
    several videos is one participant. With a column from_s, a name of a track holds from that time on, and the track
    has a row per piece here. Then run ferflow report. Exit code: 10 if the tables of a video cannot be used.
    """
    from ferflow.analytics.track_list import list_tracks
    from ferflow.dashboards import find_problems_of_names, load_names
    from ferflow.errors import OptionsError
    from ferflow.models.timeline_basis import find_basis

    check_is_output(out)
    if thumbnails or forget or match:
        _handle_pictures(out, video, thumbnails=thumbnails, forget=forget, match=match)
        return
    if csv is not None and csv.exists():
        raise OptionsError(f"{csv}: exists and may hold names. Give another file.")
    names = load_names(out)
    for warning in (*names.people.warnings, *find_problems_of_names(out, names.people)):
        print_message(warning)
    listed, failed = list_tracks(out, names, find_basis)
    for video_id, reason in failed.items():
        print_message(f"{video_id}: left out. {reason}")
    tracks = [track for track in listed if video is None or video in track.video_id]
    if csv is not None:
        _write(csv, tracks)
        echo(f"{_count(tracks)}: {csv}")
    else:
        for line in _format_tracks(tracks):
            echo(line)
    if failed:
        sys.exit(EXIT_PARTIAL)


def _handle_pictures(out: Path, video: str | None, *, thumbnails: bool, forget: bool, match: bool) -> None:
    """What needs faces: from the sources, and only on request."""
    from ferflow.dashboards import load_names
    from ferflow.errors import OptionsError
    from ferflow.store.output_folder import OutputFolder

    if thumbnails + forget + match > 1:
        raise OptionsError("--thumbnails, --forget and --match: give one of them.")
    folder = OutputFolder(out)
    if forget:
        from ferflow.render.thumbnails import remove_thumbnails

        with folder.lock():
            folder.remove_leftovers()
            echo(f"{pluralize(remove_thumbnails(folder), 'thumbnail')} removed.")
            _update_pages(folder)
        return
    videos = [files for files in folder.finished_videos() if video is None or video in files.video_id]
    if thumbnails:
        with folder.lock():
            folder.remove_leftovers()
            _write_thumbnails(videos, load_names(out))
            _update_pages(folder)
        if folder.has_thumbnails:
            print_message(
                "thumbnails show faces: protect them like the videos. ferflow people OUT --forget removes them."
            )
    else:
        _print_matches(videos)


def _update_pages(folder: OutputFolder) -> None:
    """Let pages, if there are any, say whether pictures of faces are stored, and name exports that say otherwise."""
    from ferflow.dashboards import last_options, refresh
    from ferflow.dashboards.exports.export_status import update_exports

    if folder.index.exists():
        refresh(folder.path, forgiving=True)
        for warning in update_exports(folder.path, last_options(folder.path)):
            print_message(warning)


def _write_thumbnails(videos: list[VideoFiles], names: NameLists) -> None:
    from ferflow.analytics.person_faces import Persons
    from ferflow.errors import FerflowError
    from ferflow.render.thumbnails import write_thumbnails
    from ferflow.system.child_process import call_in_child

    for files in videos:
        try:
            written = call_in_child(write_thumbnails, Persons.of(files, names.of(files.video_id)))
        except FerflowError as error:
            print_message(f"{files.video_id}: {error}")
        else:
            echo(f"{sanitize(files.video_id)}: {pluralize(len(written), 'thumbnail')} in {files.thumbnails}")


def _print_matches(videos: list[VideoFiles]) -> None:
    from ferflow.system.child_process import call_in_child

    found = call_in_child(_match, videos)
    for problem in found.problems:
        print_message(problem)
    print_message(
        "a face recognition network (SFace) compared the faces. Its descriptions of faces are biometric data; they "
        "were in memory only, nothing of them was stored, and no page changes."
    )
    if not found.proposals:
        echo("No person looks like one of another video.")
    for proposal in found.proposals:
        echo(f"May be one person (least similarity {proposal.similarity:.2f} of 1):")
        for person in proposal.persons:
            echo(f"  {sanitize(person.video_id)}  person {person.person_id}")
    if found.proposals:
        echo("To confirm, give them the same name in OUT/people.csv. Different people are mostly below 0.3.")


def _match(videos: list[VideoFiles]) -> Matches:
    from ferflow.faces.sface import SFace
    from ferflow.render.match_people import match_people

    return match_people(videos, SFace())


def _describe_person(track: Track) -> str:
    if track.is_outside:
        return "(before start or after end)"
    return sanitize(track.person) or _LEFT_OUT[track.not_face]


def _count(tracks: list[Track]) -> str:
    """`3 tracks`, or `3 tracks in 5 pieces` where the list of names splits some."""
    n = len({(track.video_id, track.track_id) for track in tracks})
    return pluralize(n, "track") + (f" in {len(tracks)} pieces" if len(tracks) > n else "")


def _write(path: Path, tracks: list[Track]) -> None:
    from ferflow.analytics.csv_input import write_csv

    columns = [
        "video_id",
        "track_id",
        "name",
        "from_s",
        "person",
        "first",
        "last",
        "seconds_in_view",
        "across",
        "face_px",
        "shown_longest",
    ]
    write_csv(path, columns, (
        [track.video_id, track.track_id, track.name, track.from_s or None, track.person,
         timecode(track.first_s), timecode(track.last_s), round(track.seconds, 1), round(track.across, 2),
         round(track.face_px), track.label]
        for track in tracks
    ), out=None)  # fmt: skip


def _format_tracks(tracks: list[Track]) -> Iterator[str]:
    if not tracks:
        yield "No tracks."
    last = None
    for track in tracks:
        if track.video_id != last:
            yield f"{sanitize(track.video_id)}  ({sanitize(track.source)})"
            yield "  track  in view    first    -  last     across  face px  shown      person"
            last = track.video_id
        yield (
            f"  {track.track_id:5d}  {timecode(track.seconds):9}  {timecode(track.first_s):7}  -  "
            f"{timecode(track.last_s):7}  {track.across:6.0%}  {track.face_px:7.0f}  "
            f"{sanitize(track.label or ''):9}  {_describe_person(track)}"
        ).rstrip()
