"""`run.json`: what an output folder holds and how each input ended.

It is written anew after every video, atomically, so that it is true whenever a run is cut short. Entries of
earlier runs into the same folder stay until their input is analysed again. All it says of finished videos stands
in the footers of their tables too, from which it can be made again.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import whole_file
from ferflow.store.failure_kinds import Failure
from ferflow.store.records import SCHEMA_VERSION, RecordPaths, finished_videos, read_metadata
from ferflow.version import __version__

NAME = "run.json"


Status = Literal["done", "done_with_gaps", "failed", "skipped"]
"""`skipped`: done by an earlier run, or, with an `error`, not begun because the run stopped."""


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One input and what is to be done with it."""

    source: Path
    paths: RecordPaths | None
    """None: it cannot be analysed, see `problem`."""
    is_finished: bool = False
    """Its records lie in the output folder, made with the same options and models."""
    problem: str | None = None
    """Why it is not analysed; one line."""
    replaces: tuple[str, ...] = ()
    """Ids of results of an earlier content of this source, which go when the new ones come."""

    @property
    def is_pending(self) -> bool:
        """Whether there is work to do."""
        return self.paths is not None and self.problem is None and not self.is_finished

    @property
    def video_id(self) -> str | None:
        """Id of its files, if it can have any."""
        return self.paths.video_id if self.paths else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """How one input ended."""

    source: str
    video_id: str | None = None
    status: Status
    error: str | None = None
    """One line: what, why, what to do."""
    failure: Failure | None = None
    """What kind of failure, if it is one."""
    attempts: int = 1
    """How often it was tried; 0: not at all."""
    warnings: list[str] = field(default_factory=list)
    n_frames: int = 0
    """Analysed frames."""
    n_faces: int = 0
    n_people: int = 0
    duration_s: float = 0.0
    """Of the video."""
    seconds: float = 0.0
    """Spent on it."""
    n_failed: int = 0
    """Frames that could not be decoded."""
    n_damaged: int = 0
    """Frames that were decoded, but damaged, and so not analysed."""
    has_gaps: bool = False
    """A part could not be read; also told of a skipped video, so that a second run ends like the first."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Where: `start_s`, `end_s` (None: to the end) and `n_frames` (None: unknown) of each, see `faults.Gap`."""
    report: str | None = None
    """Path of its page, relative to the output folder."""

    @classmethod
    def failed(
        cls, task: VideoTask, error: str, *, failure: Failure = "input", seconds: float = 0.0
    ) -> TaskReport:
        """An input without results."""
        return cls(
            source=str(task.source), video_id=task.video_id, status="failed", error=error, failure=failure,
            seconds=seconds,
        )  # fmt: skip

    @classmethod
    def not_begun(cls, task: VideoTask, why: str) -> TaskReport:
        """An input that the run did not come to."""
        return cls(source=str(task.source), video_id=task.video_id, status="skipped", error=why, attempts=0)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def report_without_work(task: VideoTask) -> TaskReport:
    """How a task ended that cannot be done, or was done by an earlier run."""
    if task.paths is None or task.problem is not None:
        return TaskReport.failed(task, task.problem or "cannot be analysed")
    return report_of(task.source, read_metadata(task.paths.faces), "skipped", 0.0)


def report_of(source: Path, metadata: dict[str, Any], status: Status, seconds: float) -> TaskReport:
    counts = metadata["counts"]
    return TaskReport(
        source=str(source),
        video_id=metadata["video_id"],
        status=status,
        warnings=metadata["warnings"],
        has_gaps=metadata["status"] == "done_with_gaps",
        gaps=metadata.get("gaps", []),
        n_failed=counts["n_failed"],
        n_damaged=counts["n_damaged"],
        n_frames=counts["n_analysed"],
        n_faces=counts["n_faces"],
        n_people=counts["n_people"],
        duration_s=metadata["duration_s"],
        seconds=seconds,
    )


@dataclass(slots=True, kw_only=True)
class RunFile:
    """Contents of `run.json`."""

    options: dict[str, Any]
    model: dict[str, str] | None = None
    """Name and sha256 of what the last analysis used."""
    detector: dict[str, str] | None = None
    started: str
    """ISO 8601, with time zone."""
    finished: str | None = None
    """None while running, and after an interruption."""
    videos: list[dict[str, Any]] = field(default_factory=list)
    """One entry per input, as `TaskReport.as_dict()`."""

    @classmethod
    def continued(cls, out: Path, *, options: dict[str, Any], started: str) -> Self:
        """A new run in a folder; entries, model and detector of an earlier one are kept.

        Raises:
            RecordsError: there is a run file, but it cannot be understood.
        """
        path = out / NAME
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            videos = [dict(entry) for entry in earlier["videos"]]
        except FileNotFoundError:
            earlier, videos = {}, []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordsError(
                f"{path}: not a run file ({type(error).__name__}). "
                f"Make it again from the tables: ferflow doctor {out} --repair"
            ) from error
        models = {name: earlier.get(name) for name in ("model", "detector")}
        return cls(options=options, started=started, videos=videos, **models)

    @classmethod
    def rebuilt(cls, out: Path) -> Self:
        """Made again from the tables' footers, in the order in which the videos were finished.

        What only a run file knows is lost: inputs that failed, and how long the others took.

        Raises:
            RecordsError: the folder holds no finished video, or a table that cannot be read.
        """
        paths = [RecordPaths(out, video_id) for video_id in finished_videos(out)]
        if not paths:
            raise RecordsError(f"{out}: no finished video here, so there is no run to write down.")
        paths.sort(key=lambda of: (of.faces.stat().st_mtime_ns, of.video_id))
        first, last = (_iso(of.faces.stat().st_mtime) for of in (paths[0], paths[-1]))
        newest = read_metadata(paths[-1].faces)
        file = cls(options=newest["options"], started=first, finished=last)
        for of in paths:
            source = Path(read_metadata(of.faces)["source"]["path"])
            entry = report_without_work(VideoTask(source, of, is_finished=True)).as_dict()
            page = of.report.relative_to(out).as_posix() if of.report.exists() else None
            file.note(entry | {"report": page}, model_of=of)
        return file

    def note(
        self, entry: dict[str, Any], *, replaces: Sequence[str] = (), model_of: RecordPaths | None = None
    ) -> bool:
        """Add how an input ended, in place of an earlier entry about it; whether that changed anything.

        A video that was passed over keeps the entry of the run that analysed it, or gets one if that run was cut
        short before it could write it.

        Args:
            entry: as `TaskReport.as_dict()`.
            replaces: ids of results that went for those of this input.
            model_of: tables of which to note what made them.
        """
        if model_of is not None:
            footer = read_metadata(model_of.faces)
            self.model, self.detector = footer["model"], footer["detector"]
        known = [old for old in self.videos if _same_input(old, entry)]
        if entry["status"] == "skipped" and entry["error"] is None:
            if any(old.get("status") in ("done", "done_with_gaps") for old in known):
                return False
            entry = entry | {"status": "done_with_gaps" if entry["has_gaps"] else "done"}
        elif entry["status"] == "skipped" and known:
            return False  # not begun this time: what an earlier run said of it still holds
        others = [old for old in self.videos if old not in known and old.get("video_id") not in replaces]
        self.videos = [*others, entry]
        return True

    def arrange(self, sources: Sequence[str]) -> None:
        """Put the entries of these inputs first, in this order, whichever ended first."""
        place = {source: number for number, source in enumerate(sources)}
        self.videos.sort(key=lambda entry: place.get(str(entry.get("source")), len(place)))

    def save(self, out: Path) -> None:
        """Write it under its name only once it is whole."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "ferflow_version": __version__,
            "host": {
                "name": platform.node(),
                "pid": os.getpid(),
                "system": platform.platform(),
                "python": platform.python_version(),
                "cpus": os.cpu_count(),
            },
            **asdict(self),
        }
        try:
            with whole_file(out / NAME) as part:
                part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except OSError as error:
            raise RecordsError(
                f"{out / NAME}: cannot be written ({error.strerror}). Free some space, or use another -o."
            ) from error


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _same_input(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a.get("video_id") and b.get("video_id"):
        return bool(a["video_id"] == b["video_id"])
    return bool(a.get("source") == b.get("source"))
