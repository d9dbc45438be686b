"""Who is who: names that somebody gave to tracks, and tracks that are one person.

`people.csv` in the output folder has a row per track: `video_id,track_id,name`. Tracks of a video with the
same name are one person; a track without a name stays what it is. The tables on disk keep their track ids:
what is made from them follows the names.

>>> people = People({1: "Ada", 4: "Ada"})
>>> people.persons([1, 2, 4])
{1: 1, 2: 2, 4: 1}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.errors import OptionsError
from ferflow.records import UNTRACKED, RecordPaths, finished_videos, read_metadata, read_table
from ferflow.tally import IntArray, column, frame_rows, frame_seconds, rows_by_value
from ferflow.text import shown
from ferflow.timeline import timeline
from ferflow.usercsv import Row, read_csv

NAME = "people.csv"
COLUMNS = ("video_id", "track_id", "name")

_TIMELINE_COLUMNS = ["time_s", "frame_index", "track_id", "yaw", "pitch"]


@dataclass(frozen=True, slots=True)
class People:
    """The names of one video's tracks; without any, every track is a person of its own."""

    names: Mapping[int, str] = field(default_factory=dict)
    """By track id."""

    def persons(self, track_ids: Iterable[int]) -> dict[int, int]:
        """The person each track belongs to: the lowest id among the tracks of the same name."""
        tracks = sorted(set(track_ids))
        first: dict[str, int] = {}
        for track in tracks:
            if track in self.names:
                first.setdefault(self.names[track], track)
        return {track: first[self.names[track]] if track in self.names else track for track in tracks}

    def merges(self, track_ids: Iterable[int]) -> bool:
        """Whether any two of these tracks are one person."""
        return any(track != person for track, person in self.persons(track_ids).items())

    def name(self, track_id: int) -> str:
        """What to call a person: the given name, or `Person <id>`; `track <id>` where somebody is named so."""
        plain = f"Person {track_id}"
        return self.names.get(track_id) or (f"track {track_id}" if plain in self.names.values() else plain)

    def keyed(self) -> dict[int, tuple[str, str]]:
        """By track id, (key, name) of the named: tracks of one key are one person."""
        return {track: (name, name) for track, name in self.names.items()}


EVERYBODY_UNNAMED = People()


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """What `people.csv` says."""

    videos: Mapping[str, People] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """Rows that change nothing, counted."""

    def of(self, video_id: str) -> People:
        """The people of one video."""
        return self.videos.get(video_id, EVERYBODY_UNNAMED)


def read_people(out: Path) -> PeopleFile:
    """The folder's `people.csv`; without one, nobody is named.

    Rows about videos that are not there are counted in the warnings, and so are repeated ones.

    Raises:
        OptionsError: it cannot be read as such a table, or gives a track two names.
    """
    path = out / NAME
    if not path.exists():
        return PeopleFile()
    rows = read_csv(path, required=COLUMNS)
    finished = set(finished_videos(out))
    named: dict[tuple[str, int], str] = {}
    repeated, strange = [], []
    for row in rows:
        key = row.values["video_id"], _track_id(path, row)
        if not row.values["name"]:
            continue
        if key in named:
            _refuse_second_name(path, row, named[key])
            repeated.append(f"{key[0]}, track {key[1]}")
        elif key[0] not in finished:
            strange.append(key[0])
        else:
            named[key] = row.values["name"]
    return PeopleFile(_by_video(named), (
        *_counted(strange, "names a video that is not in this folder", "name videos that are not in this folder"),
        *_counted(repeated, "says again what another says", "say again what others say"),
    ))  # fmt: skip


def unknown_tracks(people: PeopleFile, tracks: Mapping[str, Iterable[int]]) -> list[str]:
    """A warning that counts the names of tracks that do not exist; none if all do.

    Args:
        people: what the file says.
        tracks: ids of the tracks by video id; other videos are not looked at.
    """
    found = [
        f"{video_id}, track {track}"
        for video_id, known in tracks.items()
        for track in sorted(set(people.of(video_id).names) - set(known))
    ]
    return _counted(found, "names a track that its video does not have",
                    "name tracks that their videos do not have")  # fmt: skip


def tracks_of(paths: RecordPaths) -> list[int]:
    """Ids of the tracks of a finished video, ascending.

    Raises:
        RecordsError: its faces cannot be read.
    """
    found = read_table(paths.faces, ["track_id"]).column("track_id").unique().to_pylist()
    return sorted(track for track in found if track != UNTRACKED)


def merged(faces: pa.Table, people: People) -> pa.Table:
    """FACES with persons in place of tracks, rows and order unchanged.

    A person is in a frame once: of two faces of one person, that of the track with more faces in the video
    stays the person's (of equals, the lower id), and the other belongs to nobody (`UNTRACKED`).

    Args:
        faces: FACES of one video, with `frame_index` and `track_id` at least.
        people: who its tracks are.
    """
    tracks = faces.column("track_id").to_numpy().astype(np.int64)
    distinct, index, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    ids = [int(track) for track in distinct]
    if not people.merges(track for track in ids if track != UNTRACKED):
        return faces
    persons = people.persons(track for track in ids if track != UNTRACKED)
    person = np.array([persons.get(track, UNTRACKED) for track in ids], dtype=np.int64)[index]
    person[_second_faces(faces, person, index, counts)] = UNTRACKED
    place = faces.schema.get_field_index("track_id")
    return faces.set_column(place, faces.schema.field(place), pa.array(person.astype(np.int32)))


def _second_faces(faces: pa.Table, person: IntArray, index: IntArray, counts: IntArray) -> IntArray:
    """Rows whose person has a face of a longer track in the same frame, int64."""
    frame = faces.column("frame_index").to_numpy().astype(np.int64)
    tracked = np.flatnonzero(person != UNTRACKED)
    keys = (index[tracked], -counts[index[tracked]], person[tracked], frame[tracked])
    order = tracked[np.lexsort(keys)]
    same = (np.diff(frame[order]) == 0) & (np.diff(person[order]) == 0)
    return np.asarray(order[1:][same], dtype=np.int64)


def person_timeline(paths: RecordPaths, people: People) -> pa.Table:
    """TIMELINE of a finished video with persons in place of tracks, each with the lowest of its track ids.

    Where no tracks are merged it is the table on disk; else it is made again from FRAMES and FACES, with the
    bins of the one on disk.

    Raises:
        RecordsError: a table is missing or cannot be read.
    """
    table = read_table(paths.timeline)
    found = [track for track in table.column("track_id").unique().to_pylist() if track is not None]
    if not people.merges(found):
        return table
    facts = read_metadata(paths.timeline)
    labels = facts["labels"]
    wanted = [*_TIMELINE_COLUMNS, *(f"prob_{label}" for label in labels)]
    return timeline(
        read_table(paths.frames),
        merged(read_table(paths.faces, wanted), people),
        video_id=paths.video_id,
        bin_seconds=_bin_seconds(table, facts),
        labels=labels,
        participants=facts["options"]["participants"],
    )


def _bin_seconds(table: pa.Table, facts: Mapping[str, object]) -> float:
    if isinstance(given := facts.get("bin_seconds"), int | float):
        return float(given)
    return float(table.column("bin_end_s")[0].as_py() - table.column("bin_start_s")[0].as_py())


def _track_id(path: Path, row: Row) -> int:
    text = row.values["track_id"]
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise OptionsError(
            f"{path}: line {row.line}: track_id must be a whole number from 1, got {shown(text)!r}."
        )
    return int(text)


def _refuse_second_name(path: Path, row: Row, name: str) -> None:
    if row.values["name"] != name:
        raise OptionsError(
            f"{path}: line {row.line}: track {row.values['track_id']} of {shown(row.values['video_id'])} is called "
            f"{shown(row.values['name'])!r} here and {shown(name)!r} above. Keep one of the rows."
        )


def _by_video(named: Mapping[tuple[str, int], str]) -> dict[str, People]:
    videos: dict[str, dict[int, str]] = {}
    for (video_id, track), name in named.items():
        videos.setdefault(video_id, {})[track] = name
    return {video_id: People(names) for video_id, names in videos.items()}


def _counted(found: list[str], one: str, several: str) -> list[str]:
    if not found:
        return []
    rows = f"1 row {one}" if len(found) == 1 else f"{len(found)} rows {several}"
    return [f"{NAME}: {rows} (first: {shown(found[0])})."]


# --- A list to name people in ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Track:
    """One track, with what helps to find it in the video."""

    video_id: str
    source: str
    """Name of the video's file."""
    track_id: int
    name: str
    """As given; empty without one."""
    first_s: float
    last_s: float
    seconds: float
    """In view."""
    across: float
    """Where its face is, as the median over its faces: 0 the left edge of the picture, 1 the right."""
    face_px: float
    """Median side of its face, in source pixels."""
    label: str | None
    """The expression that appears most."""


def list_tracks(out: Path, people: PeopleFile) -> list[Track]:
    """Every track of every finished video, by video, then by id.

    Raises:
        RecordsError: a table cannot be read.
    """
    return [
        track
        for video_id in finished_videos(out)
        for track in _tracks_of(RecordPaths(out, video_id), people.of(video_id))
    ]


def _tracks_of(paths: RecordPaths, people: People) -> list[Track]:
    facts = read_metadata(paths.faces)
    labels = [f"prob_{label}" for label in facts["labels"]]
    faces = read_table(paths.faces, ["frame_index", "track_id", "x1", "x2", "face_px", *labels])
    frames = read_table(paths.frames, ["frame_index", "time_s"])
    rows, time_s = frame_rows(frames, faces), column(frames, "time_s")
    seconds = frame_seconds(time_s)[rows]
    source = facts.get("source", {})
    middle = (column(faces, "x1") + column(faces, "x2")) / 2 / float(source.get("width") or "nan")
    height = column(faces, "face_px")
    probs = np.stack([column(faces, name) for name in labels], axis=1)
    return [
        Track(
            video_id=paths.video_id,
            source=str(source.get("name") or paths.video_id),
            track_id=track,
            name=people.names.get(track, ""),
            first_s=float(time_s[rows[mine]].min()),
            last_s=float(time_s[rows[mine]].max()),
            seconds=float(seconds[mine].sum()),
            across=float(np.median(middle[mine])),
            face_px=float(np.median(height[mine])),
            label=str(facts["labels"][int(probs[mine].mean(axis=0).argmax())]),
        )
        for track, mine in rows_by_value(column(faces, "track_id").astype(np.int64)).items()
        if track != UNTRACKED
    ]
