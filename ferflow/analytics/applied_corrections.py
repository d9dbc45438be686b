"""What the corrections of a video do to its tracks and persons, once it is known who these are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ferflow.analytics.correction_conflicts import refuse_contradictions
from ferflow.analytics.correction_rows import EVERYBODY, Correction, VideoCorrections, Who
from ferflow.analytics.limits import CountedPart, Limits
from ferflow.analytics.people_list import PersonNames
from ferflow.errors import OptionsError
from ferflow.store.output_folder import CORRECTIONS, PEOPLE_LIST
from ferflow.store.schemas import UNTRACKED
from ferflow.text import sanitize
from ferflow.types import Float64Array, Int64Array

PersonOfTrack: TypeAlias = Mapping[int, Mapping[float, int]]
"""By track: the persons, by the time from which the track is theirs."""


@dataclass(frozen=True, slots=True)
class Relabel:
    """The expression that a human coder saw in a stretch."""

    start_s: float
    end_s: float
    person_id: int | None
    """None: everybody in view."""
    label: str

    def holds_at(self, time_s: Float64Array, persons: Int64Array) -> np.typing.NDArray[np.bool_]:
        """Whether it is about each face, bool (N,), by the time at which its frame starts."""
        here = (time_s >= self.start_s) & (time_s < self.end_s)
        return here if self.person_id is None else here & (persons == self.person_id)


@dataclass(frozen=True, slots=True)
class AppliedCorrections:
    """Corrections with the persons whom they are about."""

    persons: Mapping[Correction, frozenset[int]] = field(default_factory=dict)
    """Of those that are about a person or a track who is in the video, the ids; of everybody, none."""
    unknown: tuple[Correction, ...] = ()
    """About a person or track that the video does not have: without effect."""
    file: str = CORRECTIONS
    """What their list is called."""

    @property
    def honoured(self) -> tuple[Correction, ...]:
        """Those with an effect, in the order of the file."""
        return tuple(sorted(self.persons, key=lambda row: row.line))

    @property
    def relabels(self) -> tuple[Relabel, ...]:
        """What human coders saw; what is about a person comes after what is about everybody, and so replaces it."""
        found = [
            Relabel(row.start_s, row.end_s, person, row.value)
            for row, persons in self.persons.items()
            if row.action == "relabel"
            for person in (sorted(persons) if row.who != EVERYBODY else [None])
        ]
        return tuple(sorted(found, key=lambda one: (one.person_id is not None, one.start_s)))

    def drop(self, person_of: PersonOfTrack) -> dict[int, dict[float, bool]]:
        """Which pieces of tracks are dropped: by track, for those with one that is, by the time from which on."""
        dropped = {row: persons for row, persons in self.persons.items() if row.action == "drop"}
        tracks = {row.who.number for row in dropped if row.who.kind == "track"}
        whole = {one for row, persons in dropped.items() if row.who.kind != "track" for one in persons}
        found = {
            track: {from_s: track in tracks or person in whole for from_s, person in pieces.items()}
            for track, pieces in person_of.items()
        }
        return {track: pieces for track, pieces in found.items() if any(pieces.values())}

    def limit(self, limits: Limits) -> CountedPart:
        """What is left of the part of a recording that counts."""
        excluded = [(row, persons) for row, persons in self.persons.items() if row.action == "exclude"]
        limits = limits.without(row.stretch for row, _ in excluded if row.who == EVERYBODY)
        of_persons = {one for row, persons in excluded if row.who != EVERYBODY for one in persons}
        return CountedPart(limits, {
            person: limits.without(row.stretch for row, persons in excluded if person in persons)
            for person in sorted(of_persons)
        })  # fmt: skip


NO_EFFECT = AppliedCorrections()


@dataclass(frozen=True, slots=True)
class KnownPersons:
    """Who is in a video."""

    video_id: str
    stitched: Mapping[int, int]
    """Persons by track, as the analysis has them."""
    person_of: PersonOfTrack
    """As the names have them."""
    names: PersonNames
    by_name: Mapping[str, Collection[int]]
    """Ids by what pages call the persons."""

    def apply(self, corrections: VideoCorrections, file: str = CORRECTIONS) -> AppliedCorrections:
        """Find whom each correction is about.

        Args:
            corrections: the rows.
            file: name of their list, for messages.

        Raises:
            OptionsError: a row is about a person by number whom the names divide, or two contradict each other.
        """
        found = {row: self.find(row, file) for row in corrections.rows}
        known = {row: ids for row, ids in found.items() if ids or row.who == EVERYBODY}
        refuse_contradictions(
            self.video_id,
            known,
            # Of a person with several tracks, one may be dropped and the person relabelled.
            lambda row: [row.who] if row.who.kind in ("everybody", "track") else known[row],
            file,
        )
        return AppliedCorrections(known, tuple(row for row in found if row not in known), file)

    def find(self, row: Correction, file: str = CORRECTIONS) -> frozenset[int]:
        """Ids of the persons whom a row is about; none for everybody, and for somebody who is not there.

        Raises:
            OptionsError: it is about a person by number whom the names divide.
        """
        who = row.who
        if who == EVERYBODY:
            return frozenset()
        if who.kind == "track":
            return frozenset(self.person_of.get(who.number, {}).values())
        if who.name in self.by_name:
            return frozenset(self.by_name[who.name])
        return self._find_by_number(row, who, file) if who.kind == "person" else frozenset()

    def _find_by_number(self, row: Correction, who: Who, file: str) -> frozenset[int]:
        tracks = [track for track, person in self.stitched.items() if person == who.number]
        found = {one for track in tracks for one in self.person_of[track].values()} - {UNTRACKED}
        if len(found) > 1:
            raise OptionsError(
                f"{file}: line {row.line} is about {who} of {sanitize(self.video_id[:200])}, whom "
                f"{PEOPLE_LIST}: line {self._find_line(tracks)} divides. Write the name of the one who is meant."
            )
        return frozenset(found)

    def _find_line(self, tracks: Iterable[int]) -> int | None:
        lines = (self.names.lines.get(("track", track)) for track in tracks)
        return min((line for line in lines if line is not None), default=None)
