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
from typing import Any

import ferflow
from ferflow.errors import RecordsError
from ferflow.records import SCHEMA_VERSION, TEMPORARY_SUFFIX

NAME = "run.json"


@dataclass(slots=True, kw_only=True)
class RunFile:
    """Contents of `run.json`."""

    options: dict[str, Any]
    model: dict[str, str] | None
    """Name and sha256; None when nothing had to be analysed."""
    detector: dict[str, str] | None
    started: str
    """ISO 8601, with time zone."""
    finished: str | None = None
    """None while running, and after an interruption."""
    videos: list[dict[str, Any]] = field(default_factory=list)
    """One entry per input, as `TaskReport.as_dict()`."""

    def put(self, entry: dict[str, Any]) -> None:
        """Add an entry, in place of an earlier one about the same input."""
        self.videos = [old for old in self.videos if not _same_input(old, entry)]
        self.videos.append(entry)

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
        out.mkdir(parents=True, exist_ok=True)
        temporary = out / (NAME + TEMPORARY_SUFFIX)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out / NAME)


def earlier_entries(out: Path) -> list[dict[str, Any]]:
    """Entries that an earlier run left; empty if there was none.

    Raises:
        RecordsError: the file is there but cannot be understood.
    """
    path = out / NAME
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["videos"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordsError(
            f"{path}: not a run file ({type(error).__name__}). Move it away and run again."
        ) from error
    return list(entries)


def _same_input(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a.get("video_id") and b.get("video_id"):
        return bool(a["video_id"] == b["video_id"])
    return bool(a.get("source") == b.get("source"))
