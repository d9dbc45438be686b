"""`run.json`: what an output folder holds and how each input ended.

It is written anew after every video, atomically, so that it is true whenever a run is cut short. Entries of
earlier runs into the same folder stay until their input is analysed again.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import ferflow
from ferflow.errors import RecordsError
from ferflow.files import whole_file
from ferflow.records import SCHEMA_VERSION

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
                f"{path}: not a run file ({type(error).__name__}). Move it away and run again."
            ) from error
        models = {name: earlier.get(name) for name in ("model", "detector")}
        return cls(options=options, started=started, videos=videos, **models)

    def note(self, entry: dict[str, Any]) -> bool:
        """Add how an input ended, in place of an earlier entry about it; whether that changed anything.

        A video that was passed over keeps the entry of the run that analysed it, or gets one if that run was cut
        short before it could write it.
        """
        others = [old for old in self.videos if not _same_input(old, entry)]
        if entry["status"] == "skipped":
            if len(others) < len(self.videos):
                return False
            entry = entry | {"status": "done_with_gaps" if entry["has_gaps"] else "done"}
        self.videos = [*others, entry]
        return True

    def save(self, out: Path) -> None:
        """Write it under its name only once it is whole."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "ferflow_version": ferflow.__version__,
            "host": {
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


def _same_input(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a.get("video_id") and b.get("video_id"):
        return bool(a["video_id"] == b["video_id"])
    return bool(a.get("source") == b.get("source"))
