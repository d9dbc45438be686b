"""`ferflow people`: the tracks of each video, and a list to name them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import parse_path
from ferflow.cli.report import Folder, check_is_output
from ferflow.text import sanitize, timecode

if TYPE_CHECKING:
    from ferflow.analytics.track_list import Track


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
) -> None:  # fmt: skip
    """List the tracks of each video with times, positions, persons and names.

    Tracks that look like one person are one person. OUT/people.csv (video_id,track_id,name or video_id,person_id,name)
    names them: all tracks of one video with the same name become one person, two names divide one, and a name in
    several videos is one participant. With a column from_s, a name of a track holds from that time on. Then run
    ferflow report.
    """
    from ferflow.analytics.people_list import read_people
    from ferflow.analytics.track_list import list_tracks
    from ferflow.errors import OptionsError
    from ferflow.models.timeline_basis import find_basis

    check_is_output(out)
    if csv is not None and csv.exists():
        raise OptionsError(f"{csv}: exists and may hold names. Give another file.")
    found = read_people(out)
    for warning in found.warnings:
        typer.echo(f"ferflow: {sanitize(warning)}", err=True)
    listed = list_tracks(out, found, find_basis)
    tracks = [track for track in listed if video is None or video in track.video_id]
    if csv is not None:
        _write(csv, tracks)
        typer.echo(f"{len(tracks)} tracks: {csv}")
        return
    for line in _format_tracks(tracks):
        typer.echo(line)


def _write(path: Path, tracks: list[Track]) -> None:
    from ferflow.analytics.csv_input import write_csv

    columns = [
        "video_id",
        "track_id",
        "name",
        "person",
        "first",
        "last",
        "seconds_in_view",
        "across",
        "face_px",
        "shown_longest",
    ]
    write_csv(path, columns, (
        [track.video_id, track.track_id, track.name, track.person, timecode(track.first_s), timecode(track.last_s),
         round(track.seconds, 1), round(track.across, 2), round(track.face_px), track.label]
        for track in tracks
    ))  # fmt: skip


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
            f"{sanitize(track.label or ''):9}  {sanitize(track.person or '(seen briefly)')}"
        ).rstrip()
