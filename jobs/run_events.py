"""Progress for programs: one JSON line per event.

    {"event": "progress", "time": "...", "source": "a.mp4", "video_id": "a-0123abcd", "seconds": 4.2, ...}

The events and their fields are listed in docs/running.md, and as a JSON Schema in docs/progress.schema.json.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.version import __version__

VERSION = 1
"""Raised when an event changes its meaning or loses a field; new events and fields come without."""

RUN_LOG = "ferflow.run"
"""Logger of what happens in a run, as text."""


class Events(logging.Handler):
    """A `Listener` and a log handler that writes each event as a line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._writing = threading.Lock()

    def write(self, event: str, **fields: Any) -> None:
        """Write one event, whole, whichever thread it comes from."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        # ASCII: a name that is no valid text must not break the line.
        line = json.dumps({"event": event, "time": now, **fields}, allow_nan=False)
        with self._writing:
            self._stream.write(line + "\n")
            self._stream.flush()

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """See `Listener`."""
        n_pending = sum(task.is_pending for task in tasks)
        self.write(
            "planned", version=VERSION, ferflow_version=__version__, n_inputs=len(tasks), n_pending=n_pending
        )

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""
        self.write("started", source=str(task.source), video_id=task.video_id)

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""
        self.write(
            "progress",
            source=str(task.source),
            video_id=task.video_id,
            seconds=seconds,
            of_seconds=of_seconds,
        )

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """See `Listener`."""
        self.write("retrying", source=str(task.source), video_id=task.video_id, error=report.error)

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""
        self.write("ended", **report.as_dict())

    def finished(self, exit_code: int, out: Path, videos: Sequence[TaskReport]) -> None:
        """The run went to its end."""
        counts = Counter(video.status for video in videos)
        self.write("finished", exit_code=exit_code, out=str(out), counts=dict(counts))

    def failed(self, exit_code: int, message: str) -> None:
        """The run could not go on."""
        self.write("failed", exit_code=exit_code, message=message)

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.write("log", level=record.levelname.lower(), message=record.getMessage())


class Logged:
    """A `Listener` that writes what happens into the log; progress within a video is left out."""

    def __init__(self) -> None:
        self._log = logging.getLogger(RUN_LOG)

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """See `Listener`."""
        self._log.info("%d inputs, %d to analyse", len(tasks), sum(task.is_pending for task in tasks))

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""
        self._log.info("started %s as %s", task.source, task.video_id)

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """See `Listener`."""
        self._log.info("to be tried again: %s: %s", task.source, report.error)

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""
        self._log.info(
            "%s %s: %d frames, %d faces, %.1f s of video in %.1f s%s", report.status, report.source,
            report.n_frames, report.n_faces, report.duration_s, report.seconds,
            f"; {report.error}" if report.error else "",
        )  # fmt: skip
        for warning in report.warnings:
            self._log.info("%s: %s", report.source, warning)
