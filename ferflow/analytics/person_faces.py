"""FACES of a video with the person of each face: as the analysis stitched them, changed by the user's lists.

    persons = Persons.of(paths, names)
    for block in persons.faces("frame_index", "score"):
        print(block.column("person_id"))

Everything that is computed of people reads FRAMES and FACES through this: `people.csv` joins and divides persons,
`corrections.csv` leaves out faces and stretches, and the session list says which part of the recording counts (`start`
and `end`). `person_id` is `UNTRACKED` for a face that is no person's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.analytics.applied_corrections import (
    NO_EFFECT,
    AppliedCorrections,
    KnownPersons,
    PersonOfTrack,
)
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.limits import WHOLE_RECORDING, CountedPart, Limits
from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.analytics.person_names import GivenNames, name_sole_person
from ferflow.analytics.sightings import find_counted
from ferflow.analytics.tally import Faces, blocks, column, rows_by_value
from ferflow.regions import Region
from ferflow.store.metadata import read_metadata
from ferflow.store.records import Blocks, read_table
from ferflow.store.schemas import UNTRACKED
from ferflow.store.video_files import VideoFiles
from ferflow.types import Int64Array


@dataclass(frozen=True, slots=True)
class Persons:
    """Who the tracks of one video are."""

    paths: VideoFiles
    person_of: PersonOfTrack
    stitched: Mapping[int, int] = field(default_factory=dict)
    """By track: the persons as the analysis stitched them."""
    names: GivenNames = field(default_factory=GivenNames)
    is_changed: bool = False
    """Whether the lists join, divide, drop or relabel what the analysis found."""
    lengths: Mapping[int, int] = field(default_factory=dict)
    """Faces by track; only if the lists change anything."""
    counted: CountedPart = WHOLE_RECORDING
    """The part of the recording that counts."""
    frame_index: Int64Array | None = None
    """The frames of that part, ascending; None: all."""
    corrections: AppliedCorrections = NO_EFFECT
    dropped: Mapping[int, Mapping[float, bool]] = field(default_factory=dict)
    """By track of which a part is dropped: whether, by the time from which on."""
    undropped: PersonOfTrack = field(default_factory=dict)
    """Whose these tracks would be."""

    @classmethod
    def of(cls, paths: VideoFiles, names: PersonNames = NO_NAMES) -> Self:
        """Apply the lists to what the analysis stitched: a pass over FACES, of few columns, and a part of another.

        In a folder of an earlier version no face has a person; each track is then a person.

        Raises:
            RecordsError: FRAMES or FACES cannot be read.
            OptionsError: a correction does not fit the names, or another one.
        """
        tracks = _Tracks.read(paths, read_metadata(paths.faces).options.regions)
        found = cls._named(paths, names, tracks, NO_EFFECT)
        if not names.corrections.rows:
            return found
        applied = found.know(names).apply(names.corrections, names.corrections.file)
        found = cls._named(paths, names, tracks, applied)
        if not applied.unknown:
            return found
        # Again, since the only person of a video may be the only one because others were dropped, and then has
        # another name, by which a correction may call this person.
        return cls._named(
            paths, names, tracks, found.know(names).apply(names.corrections, names.corrections.file)
        )

    @classmethod
    def _named(
        cls, paths: VideoFiles, names: PersonNames, tracks: _Tracks, corrections: AppliedCorrections
    ) -> Self:
        plain = {track: {0.0: person} for track, person in tracks.stitched.items()}
        person_of, given = _apply(names, tracks)
        dropped = corrections.drop(person_of)
        undropped = {track: person_of[track] for track in dropped}
        for track, pieces in dropped.items():
            person_of[track] = {
                from_s: UNTRACKED if pieces[from_s] else person for from_s, person in person_of[track].items()
            }
        is_changed = person_of != plain or bool(corrections.relabels)
        counted = corrections.limit(names.limits)
        found = cls(
            paths,
            person_of,
            tracks.stitched,
            GivenNames(given),
            is_changed,
            tracks.lengths if is_changed else {},
            counted,
            None if counted == WHOLE_RECORDING else _read_times(paths).within(counted).frame_index,
            corrections,
            dropped,
            undropped,
        )
        of_regions = set(tracks.region_names.values()) - names.in_people_list
        named = name_sole_person(
            given,
            _find_sole(found),
            of_regions=of_regions,
            participant=names.participant,
            file_name=read_metadata(paths.faces).source.name,
        )
        return replace(found, names=replace(named, of_region=_find_regions(person_of, tracks)))

    def know(self, names: PersonNames) -> KnownPersons:
        """Who is in the video, to find whom a row of a list is about; those who are dropped, too.

        Args:
            names: that these persons were read with.
        """
        person_of = {**self.person_of, **self.undropped}
        ids = sorted({one for pieces in person_of.values() for one in pieces.values()} - {UNTRACKED})
        by_name: dict[str, Collection[int]] = {self.name_of(person): [person] for person in ids}
        if names.participant is not None:
            by_name[names.participant] = self.names.find_participant(names.participant, ids)
        return KnownPersons(self.paths.video_id, self.stitched, person_of, names, by_name)

    def name_of(self, person_id: int) -> str:
        """See `GivenNames.name_of`."""
        return self.names.name_of(person_id)

    @property
    def ids(self) -> list[int]:
        """All persons, ascending, also those who are seen briefly."""
        found = {person for pieces in self.person_of.values() for person in pieces.values()}
        return sorted(found - {UNTRACKED})

    @property
    def limits(self) -> Limits:
        """The part of the recording that counts, of everybody."""
        return self.counted.limits

    @property
    def leaves_out_faces(self) -> bool:
        """Whether corrections leave out faces of a person or a track."""
        return bool(self.dropped or self.counted.of_persons)

    @property
    def of_whole_recording(self) -> Self:
        """The same persons, without limits."""
        return replace(self, counted=WHOLE_RECORDING, frame_index=None)

    def frames(self) -> pa.Table:
        """FRAMES of the part that counts."""
        frames = read_table(self.paths.frames)
        if self.frame_index is None:
            return frames
        return frames.filter(pa.array(np.isin(column(frames, "frame_index"), self.frame_index)))

    def times(self) -> FrameTimes:
        """Times of these frames, as far as they count."""
        return _read_times(self.paths).within(self.counted)

    def faces(self, *columns: str) -> PersonFaces:
        """Columns of FACES of these frames, and `track_id` and `person_id`, block by block: memory stays flat."""
        own = ["track_id", "person_id"]
        own += ["time_s", "frame_index"] if self.is_changed or self.frame_index is not None else []
        stored = Blocks(self.paths.faces, list(dict.fromkeys([*own, *columns])))
        return PersonFaces(stored, self, self.times() if self.counted.of_persons else None)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Tracks that names make one person of, although they are in view at the same time."""

    person_id: int
    name: str
    tracks: tuple[int, ...]
    seconds: float
    """Time in which only one of their faces counts."""


@dataclass(frozen=True, slots=True)
class PersonFaces:
    """FACES in blocks, with the person of each face; can be iterated more than once.

    A person is in a frame once: of two faces that names make one person's, that of the track with more faces in the
    video stays (of equals, the lower id); the other belongs to no person.
    """

    stored: Faces
    """All faces of a frame are in one block, as they are written."""
    persons: Persons
    times: FrameTimes | None = None
    """Of the frames, where stretches of persons do not count."""

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the blocks in order; only `person_id` is changed."""
        for block in self._counted_blocks():
            place = block.schema.get_field_index("person_id")
            person = self._persons_in(block).astype(np.int32)
            yield block.set_column(place, block.schema.field(place), pa.array(person))

    def _counted_blocks(self) -> Iterator[pa.Table]:
        for block in blocks(self.stored):
            if self.persons.frame_index is not None:
                frame = column(block, "frame_index")
                block = block.filter(pa.array(np.isin(frame, self.persons.frame_index)))
            yield block

    def overlaps(self, times: FrameTimes) -> list[Overlap]:
        """Where names make one person of tracks that are in view at the same time, by person.

        Args:
            times: of the frames; FACES must have been opened with `frame_index`.

        Raises:
            RecordsError: FACES cannot be read.
        """
        found: dict[int, tuple[set[int], set[int]]] = {}
        for block in self._counted_blocks():
            tracks, rows = column(block, "track_id").astype(np.int64), times.rows(block)
            every = self._assign(block)
            for person, dropped in rows_by_value(self.find_second_faces(block)).items():
                if person != UNTRACKED:
                    mine = (every == person) & np.isin(rows, rows[dropped])
                    of_person = found.setdefault(person, (set(), set()))
                    of_person[0].update(tracks[mine].tolist())
                    of_person[1].update(rows[dropped].tolist())
        return [
            Overlap(
                person,
                self.persons.name_of(person),
                tuple(sorted(tracks)),
                float(times.seconds[sorted(rows)].sum()),
            )
            for person, (tracks, rows) in sorted(found.items())
        ]

    def find_second_faces(self, block: pa.Table) -> Int64Array:
        """The person whose second face in the frame each face of a block is; `UNTRACKED` for all others. Int64."""
        every = self._assign(block)
        return np.where(every == self._persons_in(block), UNTRACKED, every)

    def _persons_in(self, block: pa.Table) -> Int64Array:
        person = self._assign(block)
        if self.persons.is_changed:
            track = column(block, "track_id").astype(np.int64)
            tracks, index = np.unique(track, return_inverse=True)
            lengths = np.array([self.persons.lengths.get(int(one), 0) for one in tracks], dtype=np.int64)
            person[_second_faces(block, person, track, lengths[index])] = UNTRACKED
        return person

    def find_left_out(self, block: pa.Table) -> npt.NDArray[np.bool_]:
        """Whether corrections leave out each face of a block, bool (N,)."""
        found = np.zeros(len(block), dtype=np.bool_)
        if self.persons.dropped:
            found |= _look_up(block, self.persons.dropped, False).astype(np.bool_)
        if self.times is not None:
            found |= self._is_excluded(block, self._look_up_persons(block))
        return found

    def _assign(self, block: pa.Table) -> Int64Array:
        """The person of each face, also of those that are a person's second one in a frame."""
        person = self._look_up_persons(block)
        if self.times is not None:
            person[self._is_excluded(block, person)] = UNTRACKED
        return person

    def _look_up_persons(self, block: pa.Table) -> Int64Array:
        return _look_up(block, self.persons.person_of, UNTRACKED)

    def _is_excluded(self, block: pa.Table, person: Int64Array) -> npt.NDArray[np.bool_]:
        """Whether the time of each face's frame does not count for its person."""
        found = np.zeros(len(block), dtype=np.bool_)
        assert self.times is not None
        rows = self.times.rows(block)
        for one in self.times.seconds_by_person:
            out = (self.times.seconds_of(one) == 0) & (self.times.seconds > 0)
            found |= (person == one) & out[rows]
        return found


@dataclass(frozen=True, slots=True)
class _Tracks:
    """The tracks of a video, as the analysis wrote them."""

    stitched: Mapping[int, int]
    """Persons; the track itself, if no face has a person."""
    lengths: Mapping[int, int]
    """Numbers of faces."""
    region_names: Mapping[int, str]
    """Names of the regions of those that are in one with a name."""

    @classmethod
    def read(cls, paths: VideoFiles, regions: Sequence[Region]) -> Self:
        named = {region.label: region.name for region in regions if region.name is not None}
        keys = ["track_id", "person_id", *(["region"] if named else [])]
        person_of: dict[int, int] = {}
        region_names: dict[int, str] = {}
        lengths: Counter[int] = Counter()
        for row in _count_faces(Blocks(paths.faces, keys), keys):
            if row.track_id == UNTRACKED:
                continue
            person_of[row.track_id] = UNTRACKED if row.person_id is None else row.person_id
            lengths[row.track_id] += row.n
            if row.region in named:
                region_names[row.track_id] = named[row.region]
        if all(person == UNTRACKED for person in person_of.values()):
            person_of = {track: track for track in person_of}
        return cls(person_of, lengths, region_names)


class _Counted(NamedTuple):
    """Faces of a block that share track, person and region."""

    track_id: int
    person_id: int | None
    region: str | None
    n: int


def _count_faces(faces: Faces, keys: Sequence[str]) -> Iterator[_Counted]:
    for block in blocks(faces):
        # Texts: each block has a dictionary of its own.
        columns = [
            block.column(key).cast(pa.string()) if key == "region" else block.column(key) for key in keys
        ]
        found = pa.table(columns, names=list(keys)).group_by(list(keys)).aggregate([([], "count_all")])
        for row in found.to_pylist():
            yield _Counted(row["track_id"], row["person_id"], row.get("region"), row["count_all"])


def find_overlaps(persons: Persons) -> list[Overlap]:
    """See `PersonFaces.overlaps`.

    Raises:
        RecordsError: FRAMES or FACES cannot be read.
    """
    if not persons.is_changed:
        return []
    return persons.faces("frame_index").overlaps(persons.times())


def _look_up(block: pa.Table, pieces_of: Mapping[int, Mapping[float, int]], default: int) -> Int64Array:
    """What a table by track and time says of each face, int64 (N,)."""
    tracks, index = np.unique(column(block, "track_id").astype(np.int64), return_inverse=True)
    pieces = [pieces_of.get(int(track), {0.0: default}) for track in tracks]
    found = np.array([piece[min(piece)] for piece in pieces], dtype=np.int64)[index]
    for row, piece in enumerate(pieces):
        for from_s in sorted(piece)[1:]:
            found[(index == row) & (column(block, "time_s") >= from_s)] = piece[from_s]
    return found


def _read_times(paths: VideoFiles) -> FrameTimes:
    metadata = read_metadata(paths.faces)
    frames = read_table(paths.frames, ["frame_index", "time_s"])
    return FrameTimes.from_frames(frames, end_s=metadata.duration_s, gaps=metadata.gaps)


def _find_sole(persons: Persons) -> int | None:
    """The only person of a video who is not seen only briefly."""
    ids = persons.ids
    if len(ids) > 1:
        ids = find_counted(persons.faces("frame_index", "score"), persons.times(), enough=2)
    return ids[0] if len(ids) == 1 else None


def _apply(names: PersonNames, tracks: _Tracks) -> tuple[dict[int, dict[float, int]], dict[int, str]]:
    """Persons by track and time, and the names of persons.

    Pieces of tracks with one name are one person. An unnamed piece has the name of its person: the one given to the
    person, else that of the first named track of it, else that of its region. A named person keeps the id of its first
    piece, unless that is taken; then it gets a new one.
    """
    stitched = tracks.stitched
    of_person = _names_of_persons(names, tracks)
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


def _find_regions(person_of: Mapping[int, Mapping[float, int]], tracks: _Tracks) -> dict[int, str]:
    """The name of the region of each person's first track, by person."""
    found: dict[int, str] = {}
    for track, name in sorted(tracks.region_names.items()):
        for person in person_of[track].values():
            found.setdefault(person, name)
    return found


def _names_of_persons(names: PersonNames, tracks: _Tracks) -> dict[int, str]:
    found = dict(names.by_person)
    whole = {track: pieces[0.0] for track, pieces in names.by_track.items() if 0.0 in pieces}
    for given in (whole, tracks.region_names):
        for track in sorted(given):
            person = tracks.stitched.get(track, UNTRACKED)
            if person != UNTRACKED:
                found.setdefault(person, given[track])
    return found


def _second_faces(block: pa.Table, person: Int64Array, track: Int64Array, lengths: Int64Array) -> Int64Array:
    """Rows whose person has a face of a longer track in the same frame, int64."""
    # Sorted by frame, person, length and id, the face that is kept is the first of its run.
    frame = column(block, "frame_index").astype(np.int64)
    rows = np.flatnonzero(person != UNTRACKED)
    order = rows[np.lexsort((track[rows], -lengths[rows], person[rows], frame[rows]))]
    same = (np.diff(frame[order]) == 0) & (np.diff(person[order]) == 0)
    return np.asarray(order[1:][same], dtype=np.int64)
