"""A finished video as other tools get it: its people with their names, what they show when, and its markers.

Everything is read through `analytics.person_faces.Persons`, so that names, merges and corrections hold in every format.

>>> session = Session.load(video, persons, is_alone=True)
>>> session.people[0].name, session.events[0].label
('Ada', 'happy')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from ferflow.analytics.cohort import CohortVideo, part_of
from ferflow.analytics.markers import Marker, event_markers, markers_in
from ferflow.analytics.peaks import Peak, peaks
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.timeline import audience
from ferflow.exchange.face_rows import FaceTable
from ferflow.exchange.person_bins import build_person_bins
from ferflow.exchange.person_events import NO_BOUNDS, EventBounds, PersonEvent, find_person_events
from ferflow.store.metadata import VideoMetadata, read_metadata


@dataclass(frozen=True, slots=True)
class ExportedPerson:
    """A person who counts in a session."""

    person_id: int
    name: str
    """On the session's page."""
    participant: str
    """On the overview; several people of a session may count as one participant."""
    group: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A finished video with what is exported of it."""

    video: CohortVideo
    metadata: VideoMetadata
    people: tuple[ExportedPerson, ...]
    bins: pa.Table
    """A row per bin and person; see `person_bins`."""
    events: tuple[PersonEvent, ...]
    faces: FaceTable

    @classmethod
    def load(
        cls, video: CohortVideo, persons: Persons, *, is_alone: bool, bounds: EventBounds = NO_BOUNDS
    ) -> Self:
        """Read a session; all of its tables are read once, so that what is wrong with them is known before any file is
        written.

        Args:
            video: with its timeline, markers and place in the session list.
            persons: of the video, as the user's lists have them.
            is_alone: whether there is no other video.
            bounds: which events are long and certain enough.

        Raises:
            RecordsError: a table cannot be read.
        """
        people = tuple(_describe(video, person, is_alone=is_alone) for person in video.person_ids)
        faces = FaceTable.read(persons, video.person_ids)
        return cls(
            video=video,
            metadata=read_metadata(persons.paths.faces),
            people=people,
            bins=build_person_bins(persons, video.timeline, video.person_ids),
            events=find_person_events(persons, faces, video.person_ids, bounds),
            faces=faces,
        )

    @property
    def video_id(self) -> str:
        """Of the video."""
        return self.video.video_id

    @property
    def stimulus(self) -> str | None:
        """Name of what the people watched or did."""
        return self.video.stimulus.name if self.video.stimulus else None

    @property
    def offset_s(self) -> float:
        """Time in the video at which the stimulus starts."""
        return self.video.session.offset_s

    @property
    def end_s(self) -> float:
        """Where the video ends, as far as it was read."""
        return self.video.video_end_s

    @property
    def audience(self) -> pa.Table:
        """The rows of TIMELINE of all people together."""
        return audience(self.video.timeline)

    @property
    def markers(self) -> list[Marker]:
        """Those of the session and of its stimulus, without stretches at rest, by time."""
        return markers_in(event_markers(self.video.markers))

    @property
    def peaks(self) -> list[Peak]:
        """Those on the page."""
        return peaks(self.video.timeline)

    def find_person(self, person_id: int) -> ExportedPerson:
        """The person of an id."""
        return next(one for one in self.people if one.person_id == person_id)


def _describe(video: CohortVideo, person: int, *, is_alone: bool) -> ExportedPerson:
    part = part_of(video, person, is_alone=is_alone)
    return ExportedPerson(person, video.names.name_of(person), part.name, part.group)
