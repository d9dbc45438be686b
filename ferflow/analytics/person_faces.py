"""FACES of a video with the person of each face: as the analysis stitched them, changed by the names that were given.

    persons = Persons.of(paths, names)
    for block in persons.faces("frame_index", "score"):
        print(block.column("person_id"))

Everything that is computed of people reads FACES through this. `person_id` is `UNTRACKED` for a face of nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa

from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.analytics.tally import Faces, blocks, column
from ferflow.store.records import Blocks
from ferflow.store.schemas import UNTRACKED
from ferflow.store.video_files import VideoFiles
from ferflow.types import Int64Array


@dataclass(frozen=True, slots=True)
class GivenNames:
    """What the persons of a video are called."""

    by_person: Mapping[int, str] = field(default_factory=dict)
    """Names that the user gave."""

    def name_of(self, person_id: int) -> str:
        """The given name, or `Person <id>`; `person no. <id>` if another person was given that name."""
        if person_id in self.by_person:
            return self.by_person[person_id]
        default = f"Person {person_id}"
        return f"person no. {person_id}" if default in self.by_person.values() else default


@dataclass(frozen=True, slots=True)
class Persons:
    """Who the tracks of one video are."""

    paths: VideoFiles
    person_of: Mapping[int, Mapping[float, int]]
    """By track: the persons, by the time from which the track is theirs."""
    names: GivenNames = field(default_factory=GivenNames)
    is_changed: bool = False
    """Whether the names join or divide what the analysis stitched."""
    lengths: Mapping[int, int] = field(default_factory=dict)
    """Faces by track; only if the names change anything."""

    @classmethod
    def of(cls, paths: VideoFiles, names: PersonNames = NO_NAMES) -> Self:
        """Apply names to what the analysis stitched: one pass over FACES, of two columns.

        In a folder of an earlier version no face has a person; each track is then a person.

        Raises:
            RecordsError: FACES cannot be read.
        """
        stitched, lengths = _read_tracks(Blocks(paths.faces, ["track_id", "person_id"]))
        plain = {track: {0.0: person} for track, person in stitched.items()}
        if not names:
            return cls(paths, plain)
        person_of, given = _apply(names, stitched)
        is_changed = person_of != plain
        return cls(paths, person_of, GivenNames(given), is_changed, lengths if is_changed else {})

    def name_of(self, person_id: int) -> str:
        """See `GivenNames.name_of`."""
        return self.names.name_of(person_id)

    @property
    def ids(self) -> list[int]:
        """All persons, ascending, also those who are seen briefly."""
        found = {person for pieces in self.person_of.values() for person in pieces.values()}
        return sorted(found - {UNTRACKED})

    def faces(self, *columns: str) -> PersonFaces:
        """Columns of FACES, and `track_id` and `person_id`, block by block: memory stays flat."""
        own = ["track_id", "person_id"] + (["time_s", "frame_index"] if self.is_changed else [])
        return PersonFaces(Blocks(self.paths.faces, list(dict.fromkeys([*own, *columns]))), self)


@dataclass(frozen=True, slots=True)
class PersonFaces:
    """FACES in blocks, with the person of each face; can be iterated more than once.

    A person is in a frame once: of two faces that names make one person's, that of the track with more faces in the
    video stays (of equals, the lower id); the other becomes nobody's.
    """

    stored: Faces
    """All faces of a frame are in one block, as they are written."""
    persons: Persons

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the blocks in order; only `person_id` is changed."""
        for block in blocks(self.stored):
            place = block.schema.get_field_index("person_id")
            person = self._persons_in(block).astype(np.int32)
            yield block.set_column(place, block.schema.field(place), pa.array(person))

    def _persons_in(self, block: pa.Table) -> Int64Array:
        tracks, index = np.unique(column(block, "track_id").astype(np.int64), return_inverse=True)
        pieces = [self.persons.person_of.get(int(track), {0.0: UNTRACKED}) for track in tracks]
        person = np.array([piece[min(piece)] for piece in pieces], dtype=np.int64)[index]
        if not self.persons.is_changed:
            return person
        time_s = column(block, "time_s")
        for row, piece in enumerate(pieces):
            for from_s in sorted(piece)[1:]:
                person[(index == row) & (time_s >= from_s)] = piece[from_s]
        lengths = np.array([self.persons.lengths.get(int(track), 0) for track in tracks], dtype=np.int64)
        person[_second_faces(block, person, tracks[index], lengths[index])] = UNTRACKED
        return person


def _read_tracks(faces: Faces) -> tuple[dict[int, int], dict[int, int]]:
    """The person of each track, and the number of its faces; the track itself, if no face has a person."""
    person_of: dict[int, int] = {}
    lengths: Counter[int] = Counter()
    for block in blocks(faces):
        found = block.group_by(["track_id", "person_id"]).aggregate([([], "count_all")])
        for track, person, n in zip(*(found.column(k).to_pylist() for k in found.column_names), strict=True):
            if track != UNTRACKED:
                person_of[track] = UNTRACKED if person is None else person
                lengths[track] += n
    if all(person == UNTRACKED for person in person_of.values()):
        person_of = {track: track for track in person_of}
    return person_of, dict(lengths)


def _apply(
    names: PersonNames, stitched: Mapping[int, int]
) -> tuple[dict[int, dict[float, int]], dict[int, str]]:
    """Persons by track and time, and the names of persons.

    Pieces of tracks with one name are one person. An unnamed piece has the name of its person: the one given to the
    person, else that of the first named track of it. A named person keeps the id of its first piece, unless that is
    taken; then it gets a new one.
    """
    of_person = _names_of_persons(names, stitched)
    pieces: dict[tuple[int, float], str | int] = {}
    for track, person in sorted(stitched.items()):
        given = names.by_track.get(track, {})
        for from_s in sorted({0.0, *given}):
            pieces[track, from_s] = given.get(from_s) or of_person.get(person) or person
    ids = {key: key for key in pieces.values() if isinstance(key, int)}
    taken = set(ids.values())
    free = max([0, *stitched.keys(), *stitched.values()]) + 1
    by_name: dict[str, int] = {}
    for (track, _), key in pieces.items():
        if isinstance(key, str) and key not in by_name:
            wanted = stitched[track]
            if wanted in taken or wanted == UNTRACKED:
                wanted, free = free, free + 1
            by_name[key] = wanted
            taken.add(wanted)
    person_of: dict[int, dict[float, int]] = {}
    for (track, from_s), key in pieces.items():
        person_of.setdefault(track, {})[from_s] = by_name[key] if isinstance(key, str) else key
    return person_of, {person: name for name, person in by_name.items()}


def _names_of_persons(names: PersonNames, stitched: Mapping[int, int]) -> dict[int, str]:
    found = dict(names.by_person)
    for track in sorted(names.by_track):
        person = stitched.get(track, UNTRACKED)
        if person != UNTRACKED and 0.0 in names.by_track[track]:
            found.setdefault(person, names.by_track[track][0.0])
    return found


def _second_faces(block: pa.Table, person: Int64Array, track: Int64Array, lengths: Int64Array) -> Int64Array:
    """Rows whose person has a face of a longer track in the same frame, int64."""
    # Sorted by frame, person, length and id, the face that is kept is the first of its run.
    frame = column(block, "frame_index").astype(np.int64)
    rows = np.flatnonzero(person != UNTRACKED)
    order = rows[np.lexsort((track[rows], -lengths[rows], person[rows], frame[rows]))]
    same = (np.diff(frame[order]) == 0) & (np.diff(person[order]) == 0)
    return np.asarray(order[1:][same], dtype=np.int64)
