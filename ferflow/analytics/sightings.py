"""When each person of a video is in view, and who is seen too briefly to be counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.tally import Faces, blocks, column, read_ids, rows_by_value
from ferflow.store.schemas import UNTRACKED

BRIEF_SECONDS = 1.0
"""A person who is in view for less than this, or for less than half of a video shorter than two seconds, is seen only
briefly. With `CERTAIN_SCORE`, this reduced the sum of errors in the number of people over 27 clips from 49 to 9."""
CERTAIN_SCORE = 0.8
"""A person none of whose faces reaches this score of the detector is counted as seen only briefly."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """When one person is in view."""

    first_s: float
    last_s: float
    """Times of the first and the last frame with the face."""
    seconds: float
    """Time in view: the sum over frames with the face of the seconds that they stand for."""
    n_faces: int
    best_score: float
    """Largest score of the detector, in [0, 1]."""


def find_sightings(
    faces: Faces, times: FrameTimes, by: Literal["person_id", "track_id"] = "person_id"
) -> dict[int, Sighting]:
    """Every person, or every track, of a video, by id; faces without a person do not count.

    Args:
        faces: FACES of the video: `frame_index`, `person_id`, `score`; see `person_faces`.
        times: of its frames.
        by: what is looked for.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    found: dict[int, Sighting] = {}
    for block in blocks(faces):
        rows, score = times.rows(block), column(block, "score")
        for person, mine in rows_by_value(read_ids(block, by)).items():
            time_s = times.time_s[rows[mine]]
            seconds = times.seconds_of(person) if by == "person_id" else times.seconds
            part = Sighting(
                first_s=float(time_s.min()),
                last_s=float(time_s.max()),
                seconds=float(seconds[rows[mine]].sum()),
                n_faces=len(mine),
                best_score=float(score[mine].max()),
            )
            found[person] = _join(found[person], part) if person in found else part
    found.pop(UNTRACKED, None)
    return dict(sorted(found.items()))


def find_counted(faces: Faces, times: FrameTimes, *, enough: int) -> list[int]:
    """Ids of people who are not seen only briefly; reads no further once there are `enough`.

    Raises:
        RecordsError: as `find_sightings`.
    """
    found: dict[int, Sighting] = {}
    counted: list[int] = []
    for block in blocks(faces):
        for person, part in find_sightings(block, times).items():
            found[person] = _join(found[person], part) if person in found else part
        counted = [person for person, one in sorted(found.items()) if not is_brief(one, times.total_s)]
        if len(counted) >= enough:
            break
    return counted


def is_brief(sighting: Sighting, analysed_s: float) -> bool:
    """Whether a person is seen too briefly to be counted.

    Args:
        sighting: of the person.
        analysed_s: analysed time of the video, seconds.
    """
    # The tolerance is for sums of times that are rounded: ten frames of 0.1 s are a second.
    least_s = min(BRIEF_SECONDS, analysed_s / 2) - 1e-6
    return sighting.seconds < least_s or sighting.best_score < CERTAIN_SCORE


def _join(one: Sighting, other: Sighting) -> Sighting:
    return replace(
        one,
        first_s=min(one.first_s, other.first_s),
        last_s=max(one.last_s, other.last_s),
        seconds=one.seconds + other.seconds,
        n_faces=one.n_faces + other.n_faces,
        best_score=max(one.best_score, other.best_score),
    )
