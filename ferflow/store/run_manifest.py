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
from typing import Any, Self

import ferflow
from ferflow.errors import RecordsError
from ferflow.jobs.video_job import VideoTask, report_without_work
from ferflow.store.atomic_files import whole_file
from ferflow.store.records import SCHEMA_VERSION, RecordPaths, finished_videos, read_metadata

NAME = "run.json"


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
            "ferflow_version": ferflow.__version__,
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
