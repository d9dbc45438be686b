"""Faces of a video that count in no headline, and why."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.person_faces import Overlap, Persons
from ferflow.analytics.sightings import Sighting, find_sightings, is_brief
from ferflow.analytics.tally import column, read_ids
from ferflow.types import Int64Array


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out of the headlines; each face is in one part at most."""

    brief: tuple[Sighting, ...]
    """Tracks that are seen briefly or unclearly and belong to no person who is counted, in order of time."""
    still: tuple[Sighting, ...]
    """Tracks that are still pictures of a face."""
    duplicate: tuple[Sighting, ...]
    """Tracks that show a face of another track a second time."""
    by_corrections: tuple[Sighting, ...]
    """Tracks of which corrections leave out a part, with the time of that part."""
    second: tuple[Overlap, ...]
    """Second faces of counted persons: two tracks of one name in view at the same time."""
    n_unassigned: int
    """All other faces that belong to no person."""
    unassigned_s: float
    """Time with at least one of them, seconds."""


def find_left_out(persons: Persons, times: FrameTimes, counted: Set[int]) -> LeftOut:
    """Sort the faces of a video that do not belong to the counted persons.

    Args:
        persons: of the video.
        times: of its frames.
        counted: ids of the persons who are not seen only briefly.

    Raises:
        RecordsError: FACES cannot be read.
    """
    kinds = read_not_faces(persons)
    tracks = find_sightings(persons.faces("frame_index", "score"), times, by="track_id")
    corrected = _find_corrected(persons, times)
    brief = {
        track
        for track, one in tracks.items()
        if track not in kinds
        and track not in corrected
        and is_brief(one, times.total_s)
        and not counted & set(persons.person_of[track].values())
    }
    rows = list(_rows_of_unassigned(persons, times, counted, brief | set(kinds)))
    found = np.concatenate([np.zeros(0, dtype=np.int64), *rows])

    def sightings(chosen: Set[int]) -> tuple[Sighting, ...]:
        return tuple(sorted((tracks[track] for track in chosen), key=lambda one: one.first_s))

    return LeftOut(
        brief=sightings(brief),
        still=sightings({track for track, kind in kinds.items() if kind == "still"} - set(corrected)),
        duplicate=sightings({track for track, kind in kinds.items() if kind == "duplicate"} - set(corrected)),
        by_corrections=tuple(sorted(corrected.values(), key=lambda one: one.first_s)),
        second=_find_second_faces(persons, times, counted),
        n_unassigned=len(found),
        unassigned_s=float(times.seconds[np.unique(found)].sum()),
    )


def _find_corrected(persons: Persons, times: FrameTimes) -> dict[int, Sighting]:
    """What corrections leave out of each track."""
    if not persons.leaves_out_faces:
        return {}
    faces = persons.faces("frame_index", "score")
    left_out = (block.filter(pa.array(faces.find_left_out(block))) for block in faces)
    return find_sightings(left_out, times, by="track_id")


def _find_second_faces(persons: Persons, times: FrameTimes, counted: Set[int]) -> tuple[Overlap, ...]:
    if not persons.is_changed:
        return ()
    return tuple(one for one in persons.faces("frame_index").overlaps(times) if one.person_id in counted)


def read_not_faces(persons: Persons) -> dict[int, str]:
    """What the tracks that are no faces are, of `schemas.NOT_FACE`."""
    kinds: dict[int, str] = {}
    for block in persons.faces("not_face"):
        flagged = block.filter(block.column("not_face").is_valid())
        kinds |= zip(
            flagged.column("track_id").to_pylist(), flagged.column("not_face").to_pylist(), strict=True
        )
    return kinds


def _rows_of_unassigned(
    persons: Persons, times: FrameTimes, counted: Set[int], explained: Set[int]
) -> Iterator[Int64Array]:
    """The frame of each face that belongs neither to a counted person nor to a track that is explained otherwise."""
    faces = persons.faces("frame_index")
    for block in faces:
        mine = np.isin(read_ids(block), sorted(counted))
        mine |= np.isin(faces.find_second_faces(block), sorted(counted))
        mine |= faces.find_left_out(block)
        other = np.isin(column(block, "track_id").astype(np.int64), sorted(explained))
        yield times.rows(block)[~mine & ~other]
