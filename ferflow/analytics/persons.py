"""Each person over a whole video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.face_scores import LARGEST_SHIFT
from ferflow.analytics.sightings import Sighting
from ferflow.analytics.tally import column, ratio, rows_by_value
from ferflow.analytics.timeline import leading_label, person_rows, weighted_means
from ferflow.errors import RecordsError

REST_SECONDS = 10.0
"""A person who is readable for this long without being at rest is pointed out."""
REST_SHARE = 0.05
"""Share of readable time below which a person counts as never at rest."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person over the whole video. Means are weighted by time; NaN where unknown."""

    person_id: int
    sighting: Sighting
    readable_s: float
    """Time in which an expression can be read."""
    means: Mapping[str, float]
    """By name of the measure; see `timeline.weighted_means`."""
    pose_known: float
    """Share of the time in view with a known pose."""
    shift: float | None
    """Calibration, log odds; None: without one."""

    @property
    def seconds(self) -> float:
        """Time in view."""
        return self.sighting.seconds

    @property
    def label(self) -> str | None:
        """The label that is shown for the longest time, neutral included."""
        return leading_label(self._shown, neutral=True)

    @property
    def leading(self) -> str | None:
        """The label apart from neutral that is shown for the longest time."""
        return leading_label(self._shown)

    @property
    def is_never_at_rest(self) -> bool:
        """Whether the person is expressive throughout, or has a face that the model misreads at rest.

        Also of a calibrated person, whose shift may have been limited.
        """
        return self.readable_s >= REST_SECONDS and 1 - self.means["engagement"] < REST_SHARE

    @property
    def is_shift_limited(self) -> bool:
        """Whether the stretch at rest was more expressive than the calibration may correct."""
        return self.shift is not None and self.shift >= LARGEST_SHIFT

    @property
    def _shown(self) -> dict[str, float]:
        return {name: value for name, value in self.means.items() if name.startswith("shown_")}


def people(
    timeline: pa.Table, sightings: Mapping[int, Sighting], shifts: Mapping[int, float] | None = None
) -> list[Person]:
    """Sum up every person with rows in a timeline, the one longest in view first.

    Args:
        timeline: TIMELINE of one video.
        sightings: of its people, by id.
        shifts: calibrations in log odds, by id; None: there are none.

    Raises:
        RecordsError: the timeline has a person without a face in FACES.
    """
    rows = person_rows(timeline)
    calibrated = shifts or {}
    ids = column(rows, "person_id").astype(np.int64)
    if not sightings.keys() >= set(ids.tolist()):
        raise RecordsError(
            "the faces and the timeline of this video do not belong together. Analyse it again with --overwrite."
        )
    found = [
        _person(person, rows.take(mine), sightings[person], calibrated.get(person))
        for person, mine in rows_by_value(ids).items()
    ]
    return sorted(found, key=lambda person: (-person.seconds, person.person_id))


def _person(person_id: int, rows: pa.Table, sighting: Sighting, shift: float | None) -> Person:
    face_s, posed = column(rows, "face_s"), np.isfinite(column(rows, "attention"))
    return Person(
        person_id=person_id,
        sighting=sighting,
        readable_s=float(column(rows, "readable_s").sum()),
        means=weighted_means(rows),
        pose_known=float(ratio(face_s[posed].sum(), face_s.sum())),
        shift=shift,
    )
