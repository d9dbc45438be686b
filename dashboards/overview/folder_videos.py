"""The finished videos of a folder, one at a time, with the same names and groups as in the overview."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ferflow.analytics.cohort import CohortVideo
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.stimuli import Stimulus
from ferflow.dashboards.overview.lists import Lists, load_lists
from ferflow.dashboards.overview.overview_data import find_stimuli, place_video
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from ferflow.store.video_files import VideoFiles
from ferflow.version import __version__


@dataclass(frozen=True, slots=True)
class FolderVideos:
    """Finished videos with the lists about them; implements `VideoSource` of `exchange.dataset`."""

    folder: OutputFolder
    lists: Lists
    names: NameLists
    stimuli: Mapping[str, Stimulus]
    """By video id."""
    ids: Sequence[str]
    """Sorted."""

    @classmethod
    def open(
        cls, out: Path, options: PageOptions, known: Mapping[str, tuple[str, str]] | None = None
    ) -> Self:
        """Read the lists of a folder, and the footer of each video.

        Args:
            out: the output folder.
            options: which session list, and which of its columns makes the groups.
            known: stamp and path of videos, by id; the footer of one with this stamp is not read.

        Raises:
            OptionsError: a list cannot be read, or lacks a column.
            RecordsError: `run.json` cannot be read.
        """
        folder = OutputFolder(out)
        same = {
            video_id: path
            for video_id, (stamp, path) in (known or {}).items()
            if stamp == _stamp_of(folder.video(video_id).faces)
        }
        sources = folder.find_sources(same)
        lists = load_lists(out, options, sources)
        stimuli = find_stimuli(out, options, RunManifest.load(folder.manifest), lists.sessions, sources)
        return cls(folder, lists, lists.names, stimuli, sorted(sources))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Problems in the lists."""
        lists = self.lists
        of_lists = (*lists.people.warnings, *lists.corrections.warnings, *lists.sessions.warnings)
        return (*lists.problems, *of_lists)

    def digest(self, video_id: str) -> str:
        """Digest of its tables, by size and time, and of its names, corrections and session in the lists."""
        files, names = self.folder.video(video_id), self.names.of(video_id)
        session, stimulus = self.lists.sessions.of(video_id), self.stimuli.get(video_id)
        # Not the number of a line: a row that was added above changes nothing.
        corrections = [replace(row, line=0, note="") for row in names.corrections.rows]
        shared = [(row.participant, row.region) for row in session.shared]
        parts = (
            __version__,
            [_stat(path) for path in (files.faces, files.frames, files.timeline)],
            (names.by_track, names.by_person, names.participant, names.limits, corrections),
            (session.participant, session.offset_s, shared),
            self.lists.sessions.group(video_id, self.lists.by),
            self.lists.sessions.groups_of_sharers(video_id, self.lists.by),
            stimulus.name if stimulus is not None else None,
        )
        return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()

    def stamp(self, video_id: str) -> str:
        """Size and time of its table of faces."""
        return _stamp_of(self.folder.video(video_id).faces)

    def files(self, video_id: str) -> VideoFiles:
        """Its files."""
        return self.folder.video(video_id)

    def read_persons(self, video_id: str) -> Persons:
        """Its people.

        Raises:
            FerflowError: a table cannot be read, or a correction does not fit.
        """
        return Persons.of(self.folder.video(video_id), self.names.of(video_id))

    def describe(self, persons: Persons) -> CohortVideo:
        """Its timeline, and its place in the session list.

        Raises:
            RecordsError: a table cannot be read.
        """
        return place_video(persons, self.lists, self.stimuli.get(persons.paths.video_id))


def _stamp_of(path: Path) -> str:
    return "{}-{}".format(*(_stat(path) or ("", "")))


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of pathlib takes three times as long
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
