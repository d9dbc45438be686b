"""A list of the tracks of a folder, to name people in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.analytics.face_scores import Basis, score_columns
from ferflow.analytics.left_out import read_not_faces
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.persons import people as people_in
from ferflow.analytics.sightings import find_sightings
from ferflow.analytics.tally import column, rows_by_value
from ferflow.analytics.timeline import is_current, person_timeline, timeline
from ferflow.errors import FerflowError
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import check_records, read_table
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Track:
    """One track, or the piece of one that a person has, with what helps to find it in the video."""

    video_id: str
    source: str
    """Name of the video's file."""
    track_id: int
    from_s: float
    """Time of the video from which a piece of a track that `people.csv` splits is this person's; 0: its beginning."""
    person: str
    """What its person is called; empty for a person who is seen only briefly in the part of the video that counts."""
    name: str
    """The name that the user gave; empty without one."""
    first_s: float
    last_s: float
    seconds: float
    """Time in view."""
    across: float
    """Median horizontal position of its faces: 0 is the left edge of the picture, 1 the right."""
    face_px: float
    """Median side of its faces, in source pixels."""
    not_face: str | None
    """`still` or `duplicate`; None: a face."""
    is_outside: bool
    """Whether all of it lies outside of the part of the video that counts."""
    label: str | None
    """The label that the person shows for the longest time; None: seen too briefly, or never readable."""


def list_tracks(
    out: Path, names: NameLists, find_basis: Callable[[Persons], Basis]
) -> tuple[list[Track], dict[str, str]]:
    """List every piece of every track of every finished video, by video, id and time; nothing is written.

    Args:
        out: the output folder.
        names: the given ones.
        find_basis: what the timeline of a video should be computed with.

    Returns:
        The tracks, and why a video is left out, by video id.
    """
    found, failed = list[Track](), dict[str, str]()
    for paths in OutputFolder(out).finished_videos():
        try:
            check_records(paths)
            persons = Persons.of(paths, names.of(paths.video_id))
            found += _list_tracks_of(persons, find_basis(persons))
        except FerflowError as error:
            failed[paths.video_id] = str(error)
    return found, failed


def _list_tracks_of(persons: Persons, basis: Basis) -> list[Track]:
    paths = persons.paths
    metadata = read_metadata(paths.faces)
    faces = read_table(paths.faces, ["frame_index", "track_id", "x1", "x2", "face_px"])
    times = persons.of_whole_recording.times()
    rows, time_s = times.rows(faces), times.time_s
    seconds = times.seconds[rows]
    middle = (column(faces, "x1") + column(faces, "x2")) / 2 / metadata.source.width
    face_px = column(faces, "face_px")
    sightings = find_sightings(persons.faces("frame_index", "score"), persons.times())
    not_faces = read_not_faces(persons.of_whole_recording)
    counts = persons.limits.reach(time_s, time_s + times.seconds)[rows]
    people = {one.person_id: one for one in people_in(_read_current(persons, basis), sightings)}
    return [
        Track(
            video_id=paths.video_id,
            source=metadata.source.name,
            track_id=track,
            from_s=from_s,
            person=persons.name_of(person) if person in people else "",
            name=persons.names.by_person.get(person, ""),
            first_s=float(time_s[rows[mine]].min()),
            last_s=float(time_s[rows[mine]].max()),
            seconds=float(seconds[mine].sum()),
            across=float(np.median(middle[mine])),
            face_px=float(np.median(face_px[mine])),
            not_face=not_faces.get(track),
            is_outside=not counts[mine].any(),
            label=people[person].label if person in people else None,
        )
        for track, all_of_it in rows_by_value(column(faces, "track_id").astype(np.int64)).items()
        if track != UNTRACKED
        for from_s, person, mine in _split(persons.person_of[track], all_of_it, time_s[rows])
    ]


def _split(
    pieces: Mapping[float, int], rows: Int64Array, time_s: Float64Array
) -> Iterator[tuple[float, int, Int64Array]]:
    """Start, person and rows of each piece of a track that has a face, in order of time."""
    starts = sorted(pieces)
    for start, end in zip(starts, [*starts[1:], np.inf], strict=True):
        mine = rows[((time_s[rows] >= start) | (start == starts[0])) & (time_s[rows] < end)]
        if len(mine):
            yield start, pieces[start], mine


def _read_current(persons: Persons, basis: Basis) -> pa.Table:
    """The timeline of these persons; if there is none on disk, or one of an earlier version, it is computed."""
    paths = persons.paths
    if is_current(paths, basis):
        return person_timeline(persons)
    faces = persons.faces(*score_columns(basis.labels))
    return timeline(read_table(paths.frames), faces, basis, video_id=paths.video_id, bin_seconds=1.0)
