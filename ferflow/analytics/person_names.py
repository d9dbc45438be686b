"""Names of persons: `people.csv` names tracks, and tracks of a video with one name are one person.

`people.csv` in the output folder has a row per track: `video_id,track_id,name`. A track without a name is a person of
its own. The tables on disk keep their track ids; everything that is computed from them uses persons.

>>> names = PersonNames({1: "Ada", 4: "Ada"})
>>> names.persons_of([1, 2, 4])
{1: 1, 2: 2, 4: 1}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from ferflow.analytics.csv_input import Row, count_rows, read_csv
from ferflow.analytics.face_scores import Basis, Scorer, score_columns
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.persons import people as persons
from ferflow.analytics.sightings import find_sightings
from ferflow.analytics.tally import Faces, blocks, column, rows_by_value
from ferflow.analytics.timeline import bin_length, is_current, timeline, timeline_schema
from ferflow.errors import OptionsError
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import PEOPLE_LIST, OutputFolder
from ferflow.store.records import Blocks, read_table
from ferflow.store.schemas import UNTRACKED
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize
from ferflow.types import Int64Array

COLUMNS = ("video_id", "track_id", "name")


@dataclass(frozen=True, slots=True)
class PersonNames:
    """The names that were given to the tracks of one video."""

    by_track: Mapping[int, str] = field(default_factory=dict)
    """By track id; tracks without a name are missing."""

    def name_of(self, track_id: int) -> str:
        """The given name, or `Person <id>`; `track <id>` if another track was given that name."""
        if track_id in self.by_track:
            return self.by_track[track_id]
        default = f"Person {track_id}"
        return f"track {track_id}" if default in self.by_track.values() else default

    def persons_of(self, track_ids: Iterable[int]) -> dict[int, int]:
        """The person of each track: the lowest id among the tracks with its name."""
        lowest: dict[str, int] = {}
        return {
            track: lowest.setdefault(self.by_track[track], track) if track in self.by_track else track
            for track in sorted(set(track_ids))
        }


NO_NAMES = PersonNames()


@dataclass(frozen=True, slots=True)
class PeopleList:
    """What `people.csv` says."""

    videos: Mapping[str, PersonNames] = field(default_factory=dict)
    """By video id."""
    warnings: tuple[str, ...] = ()
    """Rows without effect, counted."""

    def of(self, video_id: str) -> PersonNames:
        """The names in one video."""
        return self.videos.get(video_id, NO_NAMES)


def read_people(out: Path) -> PeopleList:
    """Read the folder's `people.csv`; without one, no track has a name.

    Rows about unknown videos and repeated rows are counted in the warnings.

    Raises:
        OptionsError: it is no such table, or gives a track two names.
    """
    path = OutputFolder(out).people_list
    if not path.exists():
        return PeopleList()
    rows = read_csv(path, required=COLUMNS)
    finished = set(OutputFolder(out).finished_ids())
    named: dict[tuple[str, int], str] = {}
    repeated, unknown = [], []
    for row in rows:
        key = row.values["video_id"], _track_id(path, row)
        if not row.values["name"]:
            continue
        if key in named:
            _refuse_second_name(path, row, named[key])
            repeated.append(f"{key[0]}, track {key[1]}")
        elif key[0] not in finished:
            unknown.append(key[0])
        else:
            named[key] = row.values["name"]
    return PeopleList(_by_video(named), (
        *count_rows(PEOPLE_LIST, unknown, "names a video that is not in this folder",
                    "name videos that are not in this folder"),
        *count_rows(PEOPLE_LIST, repeated, "repeats another", "repeat others"),
    ))  # fmt: skip


def unknown_tracks(people: PeopleList, tracks: Mapping[str, Iterable[int]]) -> list[str]:
    """A warning that counts the names of tracks that do not exist; empty if all exist.

    Args:
        people: the list.
        tracks: ids of the tracks by video id; names in other videos are not checked.
    """
    found = [
        f"{video_id}, track {track}"
        for video_id, known in tracks.items()
        for track in sorted(set(people.of(video_id).by_track) - set(known))
    ]
    return count_rows(PEOPLE_LIST, found, "names a track that its video does not have",
                      "name tracks that their videos do not have")  # fmt: skip


@dataclass(frozen=True, slots=True)
class PersonFaces:
    """FACES in blocks, with persons in place of tracks; can be iterated more than once.

    A person is in a frame once: of two faces of one person, the person keeps that of the track with more faces in the
    video (of equals, the lower id); the other becomes `UNTRACKED`.
    """

    faces: Faces
    """With `frame_index` and `track_id` at least; all faces of a frame are in one block, as they are written."""
    person_of: Mapping[int, int]
    """Person by track; empty where no tracks are joined."""
    lengths: Mapping[int, int]
    """Faces in the video by track; empty where no tracks are joined."""

    @classmethod
    def of(cls, faces: Faces, person_of: Mapping[int, int]) -> Self:
        """Count the faces of each track, which costs one pass over FACES, unless no tracks are joined."""
        # Most videos have no joined tracks, and the time of a pass over FACES grows with the video.
        merging = any(track != person for track, person in person_of.items())
        return cls(faces, person_of if merging else {}, _count_faces(faces) if merging else {})

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the blocks in order; only `track_id` is changed."""
        for block in blocks(self.faces):
            yield self._join(block) if self.person_of else block

    def _join(self, block: pa.Table) -> pa.Table:
        tracks, index = np.unique(column(block, "track_id").astype(np.int64), return_inverse=True)
        person = np.array([self.person_of.get(int(track), int(track)) for track in tracks], dtype=np.int64)[
            index
        ]
        lengths = np.array([self.lengths.get(int(track), 0) for track in tracks], dtype=np.int64)[index]
        person[_second_faces(block, person, tracks[index], lengths)] = UNTRACKED
        place = block.schema.get_field_index("track_id")
        return block.set_column(place, block.schema.field(place), pa.array(person.astype(np.int32)))


def _count_faces(faces: Faces) -> dict[int, int]:
    found: Counter[int] = Counter()
    for block in blocks(faces):
        tracks, counts = np.unique(column(block, "track_id").astype(np.int64), return_counts=True)
        found.update(dict(zip(tracks.tolist(), counts.tolist(), strict=True)))
    return found


def _second_faces(block: pa.Table, person: Int64Array, track: Int64Array, lengths: Int64Array) -> Int64Array:
    """Rows whose person has a face of a longer track in the same frame, int64."""
    # Sorted by frame, person, length and id, the face that is kept is the first of its run.
    frame = column(block, "frame_index").astype(np.int64)
    rows = np.flatnonzero(person != UNTRACKED)
    order = rows[np.lexsort((track[rows], -lengths[rows], person[rows], frame[rows]))]
    same = (np.diff(frame[order]) == 0) & (np.diff(person[order]) == 0)
    return np.asarray(order[1:][same], dtype=np.int64)


def person_timeline(paths: VideoFiles, names: PersonNames) -> pa.Table:
    """TIMELINE of a finished video with persons in place of tracks, each with the lowest of its track ids.

    Where no tracks are joined it is the table on disk. Otherwise it is computed again from FRAMES and FACES, block by
    block, with bins of the same length.

    Raises:
        RecordsError: a table is missing or cannot be read, or the timeline is of an earlier version.
    """
    metadata = read_metadata(paths.timeline)
    table = read_table(paths.timeline, timeline_schema(metadata.labels).names)
    faces = person_faces(paths, names)
    joined = faces(*score_columns(metadata.labels))
    if not joined.person_of:
        return table
    return timeline(
        read_table(paths.frames),
        joined,
        Basis.stored(metadata),
        video_id=paths.video_id,
        # The footer's length is exact; that of the rows is rounded to nanoseconds.
        bin_seconds=metadata.bin_seconds or bin_length(table),
    )


def person_shifts(paths: VideoFiles, names: PersonNames) -> Mapping[int, float]:
    """Calibrations in log odds by person, as `person_timeline` applies them.

    Raises:
        RecordsError: a table is missing or cannot be read.
    """
    basis = Basis.stored(read_metadata(paths.timeline))
    if not basis.rest:
        return {}
    # Not those in the footer, which are of tracks: a person of several tracks may be at rest in any of them.
    faces = person_faces(paths, names)(*score_columns(basis.labels))
    return Scorer.of(read_table(paths.frames), faces, basis).shifts


def person_faces(paths: VideoFiles, names: PersonNames) -> Callable[..., PersonFaces]:
    """A function that reads columns of FACES, with persons in place of tracks, block by block."""
    # Block by block: the faces of a long video need not fit into memory.
    tracks = {track for block in Blocks(paths.faces, ["track_id"])
              for track in block.column("track_id").unique().to_pylist()} if names.by_track else set()  # fmt: skip
    ready = PersonFaces.of(Blocks(paths.faces, ["frame_index", "track_id"]), names.persons_of(tracks))
    return lambda *columns: replace(
        ready, faces=Blocks(paths.faces, list(dict.fromkeys(["track_id", *columns])))
    )


def _track_id(path: Path, row: Row) -> int:
    text = row.values["track_id"]
    # int() alone would accept "1_0", and isdigit() alone "²", which int() refuses.
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise OptionsError(
            f"{path}: line {row.line}: track_id must be a whole number from 1, got {sanitize(text)!r}."
        )
    return int(text)


def _refuse_second_name(path: Path, row: Row, name: str) -> None:
    if row.values["name"] != name:
        raise OptionsError(
            f"{path}: line {row.line}: track {row.values['track_id']} of {sanitize(row.values['video_id'])} is called "
            f"{sanitize(row.values['name'])!r} here and {sanitize(name)!r} above. Keep one of the rows."
        )


def _by_video(named: Mapping[tuple[str, int], str]) -> dict[str, PersonNames]:
    videos: dict[str, dict[int, str]] = {}
    for (video_id, track), name in named.items():
        videos.setdefault(video_id, {})[track] = name
    return {video_id: PersonNames(by_track) for video_id, by_track in videos.items()}


# --- A list to name people in ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Track:
    """One track, with what helps to find it in the video."""

    video_id: str
    source: str
    """Name of the video's file."""
    track_id: int
    name: str
    """The given name; empty without one."""
    first_s: float
    last_s: float
    seconds: float
    """Time in view."""
    across: float
    """Median horizontal position of its faces: 0 is the left edge of the picture, 1 the right."""
    face_px: float
    """Median side of its faces, in source pixels."""
    label: str | None
    """The label that is shown for the longest time; None: seen too briefly, or never readable."""


def list_tracks(
    out: Path, people: PeopleList, find_basis: Callable[[VideoFiles, PersonNames], Basis]
) -> list[Track]:
    """List every track of every finished video, by video, then by id; nothing is written.

    Args:
        out: the output folder.
        people: the given names.
        find_basis: what the timeline of a video should be computed with.

    Raises:
        RecordsError: a table cannot be read.
    """
    found = list[Track]()
    for paths in OutputFolder(out).finished_videos():
        names = people.of(paths.video_id)
        found += _list_tracks_of(paths, names, find_basis(paths, names))
    return found


def _list_tracks_of(paths: VideoFiles, names: PersonNames, basis: Basis) -> list[Track]:
    metadata = read_metadata(paths.faces)
    faces = read_table(paths.faces, ["frame_index", "track_id", "x1", "x2", "face_px", "score"])
    frames = read_table(paths.frames, ["frame_index", "time_s"])
    times = FrameTimes.from_frames(frames, end_s=metadata.duration_s, gaps=metadata.gaps)
    rows, time_s = times.rows(faces), times.time_s
    seconds = times.seconds[rows]
    middle = (column(faces, "x1") + column(faces, "x2")) / 2 / metadata.source.width
    face_px = column(faces, "face_px")
    labels = {
        one.person_id: one.label for one in persons(_read_current(paths, basis), find_sightings(faces, times))
    }
    return [
        Track(
            video_id=paths.video_id,
            source=metadata.source.name,
            track_id=track,
            name=names.by_track.get(track, ""),
            first_s=float(time_s[rows[mine]].min()),
            last_s=float(time_s[rows[mine]].max()),
            seconds=float(seconds[mine].sum()),
            across=float(np.median(middle[mine])),
            face_px=float(np.median(face_px[mine])),
            label=labels.get(track),
        )
        for track, mine in rows_by_value(column(faces, "track_id").astype(np.int64)).items()
        if track != UNTRACKED
    ]


def _read_current(paths: VideoFiles, basis: Basis) -> pa.Table:
    """The timeline on disk; if there is none, or one of an earlier version, it is computed."""
    if is_current(paths, basis):
        return read_table(paths.timeline)
    faces = Blocks(paths.faces, score_columns(basis.labels))
    return timeline(read_table(paths.frames), faces, basis, video_id=paths.video_id, bin_seconds=1.0)
