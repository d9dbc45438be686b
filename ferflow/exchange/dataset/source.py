"""What a data set is made from: the finished videos of an output folder, with the names and groups from the lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferflow.analytics.cohort import CohortVideo
from ferflow.analytics.person_faces import Persons
from ferflow.store.video_files import VideoFiles


class VideoSource(Protocol):
    """The finished videos of a folder, one at a time, so that memory does not grow with their tables."""

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the videos, sorted."""
        ...

    def digest(self, video_id: str) -> str:
        """Digest of everything its rows are made from: tables, names, corrections, session. No table is read."""
        ...

    def stamp(self, video_id: str) -> str:
        """Size and time of its table of faces; while they are the same, the footer is not read again."""
        ...

    def files(self, video_id: str) -> VideoFiles:
        """Its files."""
        ...

    def read_persons(self, video_id: str) -> Persons:
        """Its people.

        Raises:
            FerflowError: a table cannot be read, or a correction does not fit.
        """
        ...

    def describe(self, persons: Persons) -> CohortVideo:
        """Its timeline and its place in the session list; raises as `read_persons`."""
        ...
