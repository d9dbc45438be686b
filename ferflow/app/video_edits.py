"""The edit mode: what a video's lists say, and changes of them, each saved at once and undone as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ferflow.analytics.correction_rows import COLUMNS, REQUIRED, TIMES
from ferflow.analytics.list_edits import (
    CorrectionCells,
    Edit,
    Lists,
    add_correction,
    change_correction,
    name_persons,
    name_track,
    remove_correction,
    undo,
)
from ferflow.analytics.markers import SUFFIX
from ferflow.analytics.person_faces import Persons
from ferflow.app.coding_file import CoderFile, apply_coding
from ferflow.app.edit_requests import (
    AddCoding,
    AddCorrection,
    AddMarker,
    ChangeCoding,
    ChangeCorrection,
    ChangeMarker,
    EditRequest,
    ListRequest,
    NamePersons,
    NameTrack,
    RemoveCoding,
    RemoveCorrection,
    RemoveMarker,
)
from ferflow.app.folder_files import find_source
from ferflow.app.marker_file import MarkerFile
from ferflow.dashboards import last_options, load_names, refresh
from ferflow.dashboards.session_report.video_player import find_video
from ferflow.errors import OptionsError, RecordsError
from ferflow.exchange.marker_files import find_marker_file, find_program
from ferflow.jobs.additions import add_to_all, find_listed_markers
from ferflow.jobs.job import Additions
from ferflow.plain_file import local_path
from ferflow.store.metadata import Erasure, SourceInfo, read_metadata
from ferflow.store.output_folder import CORRECTIONS, OutputFolder
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize
from ferflow.types import JsonObject, JsonValue

_ON_PAGES = " The data below is complete."
"""What a page with data says about a video that it cannot play."""


class OutdatedError(OptionsError):
    """What is to be edited is no longer as it was read."""

    def __init__(self) -> None:
        super().__init__(
            "the lists were changed in the meantime. The page shows them as they are now; repeat the change."
        )


@dataclass(frozen=True, slots=True)
class EditedVideo:
    """A finished video, its persons, and its lists as they are on disk."""

    files: VideoFiles
    source: Path | None
    """The video, if it is where it was analysed."""
    persons: Persons
    lists: Lists
    markers: MarkerFile | None
    """None: markers cannot be edited here; see `why_no_markers`."""
    codings: tuple[CoderFile, ...]
    """Of all coders."""
    erasure: Erasure | None
    """Who was removed on request: the persons are others afterwards."""
    why_no_markers: str = ""

    @classmethod
    def read(cls, out: Path, video_id: str) -> EditedVideo:
        """Read all of it.

        Raises:
            RecordsError: there is no such video, or its tables cannot be read.
            OptionsError: a list cannot be used.
        """
        files = check_finished(out, video_id)
        source = find_source(out, video_id)
        persons = Persons.of(files, load_names(out).of(video_id))
        place = source or find_recording(files)
        why = _why_no_markers(files, place)
        markers = MarkerFile.of(place) if place is not None and not why else None
        codings, erasure = tuple(CoderFile.read_all(out)), read_metadata(files.faces).erasure
        return cls(files, source, persons, Lists.read(out), markers, codings, erasure, why)

    @property
    def version(self) -> str:
        """Changes with each change of what can be edited."""
        markers = None if self.markers is None else self.markers.content
        codings = [(file.coder, file.content) for file in self.codings]
        parts = (self.lists.version, markers, codings, self.erasure)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def to_json(self) -> JsonObject:
        """All that the page shows."""
        metadata = read_metadata(self.files.faces)
        return {
            "video_id": self.files.video_id,
            "name": sanitize(metadata.source.name),
            "version": self.version,
            "duration_s": metadata.duration_s,
            "frame_s": 1 / metadata.source.frame_rate if metadata.source.frame_rate else None,
            "has_source": self.source is not None,
            **self._player(metadata.source),
            "labels": list(metadata.labels),
            "persons": [self._person(person) for person in self.persons.ids],
            "tracks": self._tracks(),
            "corrections": self._corrections(),
            "markers": self._markers(),
            "coders": [file.coder for file in self.codings],
            "codings": self._codings(),
            "why_no_markers": self.why_no_markers,
        }

    def _player(self, source: SourceInfo) -> JsonObject:
        """Whether browsers can play the video, and when its first picture is shown in a player, seconds."""
        frames = read_table(self.files.frames, ["pts", "time_s"])
        found = find_video(source, self.files.report, frames)
        problem = found.problem
        if find_recording(self.files) is not None:
            problem = "Of a live recording, no picture is stored."
        elif self.source is None and not problem:
            problem = "The video was changed since it was analysed."
        return {"player_problem": problem.removesuffix(_ON_PAGES), "first_s": found.first_s}

    def _person(self, person: int) -> JsonObject:
        tracks = [track for track, pieces in self.persons.person_of.items() if person in pieces.values()]
        return {"id": person, "name": self.persons.name_of(person), "tracks": sorted(tracks)}

    def _tracks(self) -> list[JsonValue]:
        spans = _find_spans(self.files)
        return [
            {
                "id": track,
                "first_s": spans[track][0],
                "last_s": spans[track][1],
                "pieces": [[s, one] for s, one in sorted(pieces.items())],
            }
            for track, pieces in sorted(self.persons.person_of.items())
        ]

    def _corrections(self) -> list[JsonValue]:
        if self.lists.corrections is None:
            return []
        rows = self.lists.editable_corrections.rows(CORRECTIONS, REQUIRED, TIMES)
        return [
            {"line": row.line, **{name: row.values.get(name, "") for name in COLUMNS}}
            for row in rows
            if row.values["video_id"] == self.files.video_id
        ]

    def _markers(self) -> list[JsonValue]:
        found = [] if self.markers is None else self.markers.markers()
        return [
            {"line": line, "time_s": one.time_s, "end_s": one.end_s, "label": one.label, "kind": one.kind}
            for line, one in found
        ]

    def _codings(self) -> list[JsonValue]:
        names = ("start", "end", "label", "person")
        return [
            {"coder": file.coder, "line": row.line, **{name: row.values.get(name, "") for name in names}}
            for file in self.codings
            for row in file.rows(self.files.video_id)
        ]

    def apply(self, request: EditRequest) -> Callable[[], None]:
        """Carry out a change; what undoes it.

        Raises:
            OutdatedError: something was changed since this was read; nothing is written.
            OptionsError: it is wrong, or contradicts another; nothing is written.
            RecordsError: a file cannot be written, or the session was removed.
        """
        # `ferflow forget` edits the lists under this lock after it has changed the tables: what is written here before
        # is seen there, and what would be written after is refused here.
        with OutputFolder(self.files.out).lock_lists():
            if self._read_again().version != self.version:
                raise OutdatedError
            return partial(self._undo, self._write(request))

    def _read_again(self) -> EditedVideo:
        """With all that `version` is about as it is now."""
        files = check_finished(self.files.out, self.files.video_id)
        return replace(
            self,
            lists=Lists.read(files.out),
            markers=MarkerFile.read(self.markers.path) if self.markers is not None else None,
            codings=tuple(CoderFile.read_all(files.out)),
            erasure=read_metadata(files.faces).erasure,
        )

    def _undo(self, step: Callable[[], None]) -> None:
        with OutputFolder(self.files.out).lock_lists():
            if self._read_again().erasure != self.erasure:
                raise OptionsError(
                    "somebody was removed from this session on request since, so this cannot be undone."
                )
            step()

    def _write(self, request: EditRequest) -> Callable[[], None]:
        if isinstance(request, AddMarker | ChangeMarker | RemoveMarker):
            if self.markers is None:
                raise OptionsError(self.why_no_markers)
            after = self.markers.change(request)
            self.markers.write(after)
            return partial(_undo_markers, self.markers, after)
        if isinstance(request, AddCoding | ChangeCoding | RemoveCoding):
            return apply_coding(self.codings, self.files.out, self.files.video_id, request)
        if isinstance(request, AddCorrection | ChangeCorrection | RemoveCorrection):
            _refuse_list_without_effect(self.files.out)
        return partial(_undo_lists, self.files.out, self._change_lists(request))

    def _change_lists(self, request: ListRequest) -> Edit:
        lists, persons = self.lists, self.persons
        match request:
            case NamePersons():
                return name_persons(lists, persons, request.persons, request.name)
            case NameTrack():
                return name_track(lists, persons, request.track_id, request.name, from_s=request.from_s)
            case ChangeCorrection():
                return change_correction(lists, request.line, self._cells(request))
            case AddCorrection():
                return add_correction(lists, self._cells(request))
            case RemoveCorrection():
                return remove_correction(lists, request.line)

    def _cells(self, request: AddCorrection) -> CorrectionCells:
        return CorrectionCells(
            self.files.video_id, request.action, request.start, request.end, request.person, request.value,
            request.note,
        )  # fmt: skip


def check_finished(out: Path, video_id: str) -> VideoFiles:
    """The files of a video.

    Raises:
        RecordsError: there is no such video, or it is not finished.
    """
    files = OutputFolder(out).video(video_id)
    if not files.is_finished:
        raise RecordsError(f"{video_id}: there is no finished video of this id.")
    return files


def find_recording(files: VideoFiles) -> Path | None:
    """Where a video would be whose session was recorded live into this folder, and its markers are; None: no such."""
    path = files.out / files.video_id
    return path if read_metadata(files.faces).source.path == str(path.absolute()) else None


def _why_no_markers(files: VideoFiles, source: Path | None) -> str:
    if source is None:
        return "Markers lie next to the video, and it is not where it was analysed."
    try:
        # A list may name any file; only the one next to the video is changed from here.
        if find_listed_markers(source, files, last_options(files.out).sessions) is not None:
            return "The session list names a file of markers for this video: edit it there."
        return _explain_other_markers(source)
    except OptionsError as error:
        return str(error)


def _explain_other_markers(source: Path) -> str:
    """Why the file of markers next to a video is not changed here; empty: it is a table of ours, or there is none.

    Raises:
        OptionsError: it cannot be read.
    """
    found, ours = find_marker_file(source), source.stem + SUFFIX
    if found is None:
        return ""
    if program := find_program(found):
        return f"{sanitize(found.name)} is a file of {program}: change it there; ferflow report then reads it again."
    # A second file would take precedence, and hide the markers of the first one.
    return (
        ""
        if found.name == ours
        else f"Markers are in {sanitize(found.name)}: rename it to {sanitize(ours)} first."
    )


def _undo_lists(out: Path, edit: Edit) -> None:
    undo(out, edit)


def _refuse_list_without_effect(out: Path) -> None:
    chosen = last_options(out).corrections
    if chosen is not None:
        raise OptionsError(
            f"corrections are read from {sanitize(chosen)} (ferflow report --corrections), so one in {CORRECTIONS} "
            "would have no effect. Change that file, or use ferflow report --forget."
        )


def _undo_markers(before: MarkerFile, after: bytes) -> None:
    if MarkerFile.read(before.path).content != after:
        raise OptionsError(f"{before.path.name} was changed since, so this cannot be undone.")
    before.write(before.content)


def _find_spans(files: VideoFiles) -> dict[int, tuple[float, float]]:
    """When each track is first and last seen, seconds."""
    import pyarrow.parquet as pq

    faces = pq.read_table(local_path(files.faces), columns=["track_id", "time_s"])
    found = faces.group_by("track_id").aggregate([("time_s", "min"), ("time_s", "max")])
    times = zip(found["time_s_min"].to_pylist(), found["time_s_max"].to_pylist(), strict=True)
    return dict(zip(found["track_id"].to_pylist(), times, strict=True))


def update_pages(out: Path) -> str | None:
    """Write the pages that a change made stale; what went wrong, or None."""
    folder = OutputFolder(out)
    with folder.lock():
        folder.remove_leftovers()
        options = last_options(out)
        failed = add_to_all(out, Additions(sessions=options.sessions or folder.session_list))
        done = refresh(out, options)
    problems = [f"{video_id}: {reason}" for video_id, reason in (*failed.items(), *done.failed.items())]
    return "; ".join(problems) or None
