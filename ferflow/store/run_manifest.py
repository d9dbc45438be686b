"""`run.json`: what an output folder contains and how each input ended.

It is written after every video, atomically, so that it is true whenever a run is interrupted. Entries of earlier
runs into the same folder stay until their input is analysed again. What it says of finished videos is in the footers of
their tables too, except for `seconds` and `attempts`, so `ferflow.doctor` can rebuild it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

import msgspec
from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.options import AnalyzeOptions
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.store.failure_kinds import Failure
from ferflow.store.metadata import (
    Count,
    Gap,
    ModelIdentity,
    VideoId,
    VideoMetadata,
    from_json_values,
    read_metadata,
    to_json_values,
)
from ferflow.store.object_store import source_text
from ferflow.store.records import count_people
from ferflow.store.schemas import SCHEMA_VERSION
from ferflow.store.video_files import VideoFiles
from ferflow.types import JsonObject
from ferflow.version import __version__

Status = Literal["done", "done_with_gaps", "failed", "skipped", "not_started"]
"""`skipped`: an earlier run finished it. `not_started`: the run stopped before it."""

_MOST_BYTES = 512 << 20
"""About a million inputs (460 bytes each), which take 4 GB of memory when they are read; measured with 100,000."""

FINISHED = ("done", "done_with_gaps")
"""Status of an input with results."""

_FAILURES_OF_SCHEMA_1 = {"passing": "transient", "unforeseen": "unexpected"}


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One input and what is to be done with it."""

    source: Path
    files: VideoFiles | None
    """None: it cannot be analysed, see `problem`."""
    is_finished: bool = False
    """Its records lie in the output folder, made with the same options and models."""
    problem: str | None = None
    """Why it is not analysed; one line."""
    replaces: tuple[str, ...] = ()
    """Ids of results of an earlier content of this source, which go when the new ones come."""
    region: tuple[str, ...] | None = None
    """Parts of the picture to analyse, as the session list says; None: as the options of the run say."""

    def options(self, of_run: AnalyzeOptions) -> AnalyzeOptions:
        """How this input is analysed, given the options of the run."""
        return of_run if self.region is None else replace(of_run, region=self.region)

    @property
    def is_pending(self) -> bool:
        """Whether there is work to do."""
        return self.files is not None and self.problem is None and not self.is_finished

    @property
    def video_id(self) -> str | None:
        """Id of its files, if it can have any."""
        return self.files.video_id if self.files else None


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one input ended."""

    source: str
    video_id: VideoId | None = None
    status: Status
    error: str | None = None
    """One line: what, why, what to do."""
    failure: Failure | None = None
    """What kind of failure, if it is one."""
    attempts: Count = 1
    """How often it was tried; 0: not at all."""
    warnings: tuple[str, ...] = ()
    n_frames: Count = 0
    """Analysed frames."""
    n_faces: Count = 0
    n_people: Count = 0
    """With rows in the timeline."""
    duration_s: float = 0.0
    """Of the video."""
    seconds: float = 0.0
    """Spent on it."""
    n_failed: Count = 0
    """Frames that could not be decoded."""
    n_damaged: Count = 0
    """Frames that were decoded, but damaged, and so not analysed."""
    n_repeated: Count = 0
    """Frames whose picture equals that of the frame before."""
    has_gaps: bool = False
    """A part could not be read; also true of a skipped video, so that a second run ends like the first."""
    gaps: tuple[Gap, ...] = ()
    report: str | None = None
    """Path of its page, relative to the output folder."""

    @classmethod
    def failed(
        cls, task: VideoTask, error: str, *, failure: Failure = "input", seconds: float = 0.0
    ) -> TaskReport:
        """An input without results."""
        return cls(
            source=source_text(task.source), video_id=task.video_id, status="failed", error=error, failure=failure,
            seconds=seconds,
        )  # fmt: skip

    @classmethod
    def not_started(cls, task: VideoTask, why: str) -> TaskReport:
        """An input that the run did not come to."""
        return cls(
            source=source_text(task.source),
            video_id=task.video_id,
            status="not_started",
            error=why,
            attempts=0,
        )

    @classmethod
    def of_records(
        cls, source: Path, metadata: VideoMetadata, *, status: Status = "skipped", seconds: float = 0.0
    ) -> TaskReport:
        """An input with results; without `status` those of an earlier run. Its people: see `records.count_people`."""
        counts = metadata.counts
        return cls(
            source=source_text(source),
            video_id=metadata.video_id,
            status=status,
            warnings=metadata.warnings,
            has_gaps=metadata.status == "done_with_gaps",
            gaps=metadata.gaps,
            n_failed=counts.n_failed,
            n_damaged=counts.n_damaged,
            n_repeated=counts.n_repeated,
            n_frames=counts.n_analysed,
            n_faces=counts.n_faces,
            duration_s=metadata.duration_s,
            seconds=seconds,
        )

    def as_dict(self) -> JsonObject:
        """JSON-able."""
        content: JsonObject = msgspec.to_builtins(self)
        return content

    def has_same_input_as(self, other: TaskReport) -> bool:
        """Whether both are about one video; where one of them has no id, about one path."""
        if self.video_id and other.video_id:
            return self.video_id == other.video_id
        return self.source == other.source


def timestamp(precision: Literal["seconds", "microseconds"] = "seconds") -> str:
    """The current time as files on disk store it: ISO 8601, with time zone."""
    return datetime.now().astimezone().isoformat(timespec=precision)


def report_without_work(task: VideoTask) -> TaskReport:
    """How a task ended that cannot be done, or was done by an earlier run."""
    if task.files is None or task.problem is not None:
        return TaskReport.failed(task, task.problem or "cannot be analysed")
    report = TaskReport.of_records(task.source, read_metadata(task.files.faces))
    return replace(report, n_people=count_people(task.files))


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The process that wrote a manifest."""

    name: str
    pid: int
    system: str
    python: str
    cpus: int | None

    @classmethod
    def current(cls) -> Self:
        """The process that runs."""
        return cls(
            name=platform.node(), pid=os.getpid(), system=platform.platform(), python=platform.python_version(),
            cpus=os.cpu_count(),
        )  # fmt: skip


class RunManifest(msgspec.Struct, kw_only=True):
    """Contents of `run.json`, kept up to date during a run."""

    schema_version: int = SCHEMA_VERSION
    ferflow_version: str = __version__
    host: Host | None = None
    """The last to write it."""
    options: AnalyzeOptions
    model: ModelIdentity | None = None
    """What the last analysis used."""
    detector: ModelIdentity | None = None
    started: str
    """ISO 8601, with time zone."""
    finished: str | None = None
    """None while running, and after an interruption."""
    videos: list[TaskReport] = []
    """One entry per input."""
    stimuli: dict[str, str] = {}
    """What the people in a video watched or did, by video id, as far as a job said so: the absolute path of a video
    file, or any text."""

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read it back, also one of an earlier schema; None: there is none.

        Raises:
            RecordsError: it is there, but cannot be read as a manifest.
        """
        try:
            content = json.loads(read_plain_file(path, _MOST_BYTES).decode())
            return from_json_values(_to_current_schema(content), cls)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RecordsError(
                f"{path}: not a run manifest ({_reason(error)}). "
                f"Rebuild it from the tables: ferflow doctor {path.parent} --repair"
            ) from error

    @classmethod
    def start(cls, path: Path, *, options: AnalyzeOptions, started: str) -> Self:
        """Start the manifest of a new run; entries, model and detector of an earlier one are kept.

        Raises:
            RecordsError: as `load`.
        """
        new, earlier = cls(options=options, started=started), cls.load(path)
        if earlier is None:
            return new
        return replace(
            new,
            videos=earlier.videos,
            stimuli=earlier.stimuli,
            model=earlier.model,
            detector=earlier.detector,
        )

    def note(
        self, entry: TaskReport, *, replaces: Sequence[str] = (), made: VideoMetadata | None = None
    ) -> bool:
        """Add how an input ended, in place of an earlier entry about it; whether that changed anything.

        A skipped video keeps the entry of the run that analysed it, except for the number of people and the path of a
        source that was moved, or gets one if that run was interrupted before it could write it.

        Args:
            entry: how it ended.
            replaces: ids of results that the results of this input replaced.
            made: of the tables, which name the model and the detector; None: the manifest keeps its own.
        """
        if made is not None:
            self.model, self.detector = made.model, made.detector
        known = [old for old in self.videos if old.has_same_input_as(entry)]
        if entry.status == "skipped":
            if any(old.status in FINISHED for old in known):
                has_moved = self._note_source(entry)
                return self.note_people(entry.video_id, entry.n_people) or has_moved
            entry = replace(entry, status="done_with_gaps" if entry.has_gaps else "done")
        elif entry.status == "not_started" and known:
            return False  # the entry of an earlier run is still true
        others = [old for old in self.videos if old not in known and old.video_id not in replaces]
        self.videos = [*others, entry]
        return True

    def _note_source(self, entry: TaskReport) -> bool:
        """Store where the source of a finished video is now, if it is no longer where it was; whether it moved."""
        before = self.videos
        self.videos = [
            replace(old, source=entry.source)
            if old.has_same_input_as(entry) and not os.path.lexists(old.source)
            else old
            for old in before
        ]
        return self.videos != before

    @property
    def done_ids(self) -> set[str]:
        """Ids of the videos that were finished, with all that follows from their tables."""
        return {
            entry.video_id for entry in self.videos if entry.video_id is not None and entry.status in FINISHED
        }

    def note_people(self, video_id: str | None, n_people: int) -> bool:
        """Store how many people the timeline of a finished video has, which may have been written again since; whether
        that changed anything.
        """
        before = self.videos
        self.videos = [
            replace(entry, n_people=n_people)
            if entry.video_id == video_id and entry.status in FINISHED
            else entry
            for entry in before
        ]
        return self.videos != before

    def note_stimulus(self, video_id: str, stimulus: str) -> bool:
        """Store the stimulus of a video, or remove it if the text is empty; whether that changed anything."""
        if self.stimuli.get(video_id, "") == stimulus:
            return False
        others = {known: text for known, text in self.stimuli.items() if known != video_id}
        self.stimuli = others | ({video_id: stimulus} if stimulus else {})
        return True

    def arrange(self, sources: Sequence[str]) -> None:
        """Put the entries of these inputs first, in this order, whichever ended first."""
        place = {source: number for number, source in enumerate(sources)}
        self.videos.sort(key=lambda entry: place.get(entry.source, len(place)))

    def save(self, path: Path) -> None:
        """Write it under its name only once it is complete.

        Raises:
            RecordsError: the disk is full, the folder cannot be written, or there are too many inputs.
        """
        written = replace(
            self, schema_version=SCHEMA_VERSION, ferflow_version=__version__, host=Host.current()
        )
        # Python's own JSON: file names that are no valid text become escapes, which msgspec refuses.
        text = json.dumps(to_json_values(written), indent=1)
        if len(text) > _MOST_BYTES:  # ASCII, so characters are bytes
            raise RecordsError(
                f"{path}: too large with {len(self.videos):,} inputs (more than {_MOST_BYTES >> 20} MiB). Use several "
                "output folders."
            )
        with atomic_write(path, out=path.parent) as part:
            part.write_text(text, encoding="utf-8")


def _to_current_schema(content: object) -> object:
    """Rename what schema 1 called otherwise: two kinds of failure, and inputs that were not started."""
    # Of another shape: returned as it is, and refused by the types, which name the value.
    if not isinstance(content, dict) or not isinstance(content.get("videos"), list):
        return content
    version = content.get("schema_version", 1)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ValueError(f"schema {str(version)[:20]}, this ferflow reads up to {SCHEMA_VERSION}")
    return content | {"videos": [_entry_to_current_schema(entry) for entry in content["videos"]]}


def _entry_to_current_schema(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    failure = entry.get("failure")
    changes = {"failure": _FAILURES_OF_SCHEMA_1.get(failure, failure)} if isinstance(failure, str) else {}
    # In schema 1, the error alone distinguishes an input that was not started from a finished one.
    if entry.get("status") == "skipped" and entry.get("error") is not None:
        changes["status"] = "not_started"
    return entry | changes


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__)[:200]
