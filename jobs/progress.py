"""How a run is shown: bars and a table for people, JSON lines for programs, the log. All consume its events.

    {"event": "progress", "time": "...", "source": "a.mp4", "video_id": "a-0123abcd", "seconds": 4.2, ...}

The JSON events and their fields are listed in docs/running.md, and as a JSON Schema in docs/progress.schema.json.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TextIO

from tqdm import tqdm

from ferflow.jobs.run_events import (
    Ended,
    Finished,
    Planned,
    Progressed,
    Retried,
    Started,
    Waiting,
    WatchEvent,
)
from ferflow.store.object_store import source_text
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.text import pluralize, sanitize, timecode
from ferflow.types import JsonObject, JsonValue
from ferflow.version import __version__

if TYPE_CHECKING:
    from ferflow.jobs.estimate import Estimate
    from ferflow.models.history import Epoch

JSON_VERSION = 1
"""Raised when an event changes its meaning or loses a field, not for new events and fields."""

SECONDS_BETWEEN_LINES = 30.0
"""Between two lines about where a run stands, if stderr is no terminal."""

_STATUS_WORDS = {
    "done": "done",
    "done_with_gaps": "done with gaps",
    "skipped": "skipped, done before",
    "failed": "failed",
    "not_started": "not started",
}

_run_log = logging.getLogger("ferflow.run")


class Bars:
    """One bar for the videos, one for the seconds of each video in progress; on stderr.

    When stderr is no terminal, a line every `SECONDS_BETWEEN_LINES` says where the run stands. One line about each
    failure or gap in both cases.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._disable = True if quiet else None  # None: tqdm decides by whether this is a terminal
        self._videos = tqdm(desc="videos", unit="video", disable=self._disable, position=0)
        self._current: dict[VideoTask, tqdm[NoReturn]] = {}
        self._lines = _Lines() if self._videos.disable and not quiet else None

    def show(self, event: WatchEvent) -> None:
        """Move the bars."""
        if self._lines is not None:
            self._lines.show(event)
        match event:
            case Planned():
                self._videos.reset(total=len(event.tasks))
            case Started():
                self._open(event.task)
            case Progressed():
                bar = self._current[event.task]
                # A header may state too short a duration; a bar beyond its end would look like an error.
                bar.total = round(max(event.of_seconds or 0.0, event.seconds), 1)
                bar.update(event.seconds - bar.n)
            case Retried():
                self._close(event.task)
            case Ended():
                self._close(event.task)
                self._videos.update()
                for line in _describe(event.report):
                    # `print` would write into the bars.
                    tqdm.write(f"ferflow: {line}", file=sys.stderr)
            case Waiting():
                if not self._quiet:
                    tqdm.write(f"ferflow: {_describe_waiting(event)}", file=sys.stderr)

    def _open(self, task: VideoTask) -> None:
        # tqdm draws two bars of the same position over each other: take the first free line below the total.
        taken = {abs(bar.pos) for bar in self._current.values()}
        self._current[task] = tqdm(
            desc=sanitize(task.source.name)[:40], unit="s", disable=self._disable, leave=False,
            position=next(place for place in count(1) if place not in taken),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} s [{elapsed}<{remaining}]",
        )  # fmt: skip

    def _close(self, task: VideoTask) -> None:
        if (bar := self._current.pop(task, None)) is not None:
            bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in list(self._current):
            self._close(task)
        self._videos.close()


class _Lines:
    """Where a run stands, for logs and terminals without bars."""

    def __init__(self) -> None:
        self._n_videos = self._n_done = 0
        self._current: dict[VideoTask, Progressed | None] = {}
        self._last = time.monotonic()

    def show(self, event: WatchEvent) -> None:
        match event:
            case Planned():
                self._n_videos, self._n_done = len(event.tasks), 0
            case Started():
                self._current[event.task] = None
            case Progressed():
                self._current[event.task] = event
            case Retried():
                self._current.pop(event.task, None)
            case Ended():
                self._current.pop(event.task, None)
                self._n_done += 1
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES and self._n_done < self._n_videos:
            self._last = time.monotonic()
            print(f"ferflow: {self._describe()}", file=sys.stderr, flush=True)  # noqa: T201

    def _describe(self) -> str:
        videos = [_describe_progress(task, event) for task, event in self._current.items()]
        return "; ".join([f"{self._n_done} of {pluralize(self._n_videos, 'input')} done", *videos])


def _describe_waiting(event: Waiting) -> str:
    written = f"; {pluralize(event.n_incomplete, 'input')} still being written" if event.n_incomplete else ""
    return f"waiting for new videos, with a look every {event.seconds:g} s{written}. Ctrl+C ends this."


def _describe_progress(task: VideoTask, event: Progressed | None) -> str:
    name = sanitize(task.source.name)
    if event is None:
        return f"{name} started"
    of = f" of {timecode(event.of_seconds)}" if event.of_seconds else ""
    return f"{name} at {timecode(event.seconds)}{of}"


class JsonLines(logging.Handler):
    """Writes each event, and each record of the log, as a line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._writing = threading.Lock()

    def show(self, event: WatchEvent) -> None:
        """Write an event of the run."""
        name, fields = _to_json(event)
        self._write(name, fields)

    def show_estimate(self, estimate: Estimate) -> None:
        """Write what the run would take; of a dry run."""
        fields = {**asdict(estimate), "table_bytes_per_hour": estimate.table_bytes_per_hour}
        self._write("estimated", fields)

    def show_failure(self, exit_code: int, message: str) -> None:
        """Write that the run could not go on."""
        self._write("failed", {"exit_code": exit_code, "message": message})

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self._write("log", {"level": record.levelname.lower(), "message": record.getMessage()})

    def _write(self, event: str, fields: Mapping[str, JsonValue]) -> None:
        """Write one complete line, whichever thread it comes from."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        # ASCII: a file name that is not valid UTF-8 must not break the line.
        line = json.dumps({"event": event, "time": now, **_to_valid_json(fields)}, allow_nan=False)
        with self._writing:
            self._stream.write(line + "\n")
            self._stream.flush()


def log_event(event: WatchEvent) -> None:
    """Write an event into the log, as text; progress within a video is left out."""
    match event:
        case Planned(tasks):
            _run_log.info("%s, %d to analyse", pluralize(len(tasks), "input"), event.n_pending)
        case Started(task):
            _run_log.info("started %s as %s", source_text(task.source), task.video_id)
        case Retried(task, report):
            _run_log.info("to be retried: %s: %s", source_text(task.source), report.error)
        case Ended(_, report):
            _run_log.info(
                "%s %s: %d frames, %d faces, %.1f s of video in %.1f s%s", report.status, report.source,
                report.n_frames, report.n_faces, report.duration_s, report.seconds,
                f"; {report.error}" if report.error else "",
            )  # fmt: skip
            for warning in report.warnings:
                _run_log.info("%s: %s", report.source, warning)
        case Waiting(n_incomplete):
            _run_log.info("waiting, %s still being written", pluralize(n_incomplete, "input"))


def event_to_json(event: WatchEvent) -> JsonObject:
    """An event as JSON, with its name as `event`; as in docs/progress.schema.json, without a time."""
    name, fields = _to_json(event)
    return {"event": name, **_to_valid_json(fields)}


def _to_json(event: WatchEvent) -> tuple[str, JsonObject]:
    """Name and fields of an event in docs/progress.schema.json."""
    match event:
        case Planned(tasks):
            return "planned", {
                "version": JSON_VERSION, "ferflow_version": __version__, "n_inputs": len(tasks),
                "n_pending": event.n_pending,
            }  # fmt: skip
        case Started(task):
            return "started", _names(task)
        case Progressed(task, seconds, of_seconds):
            return "progress", {**_names(task), "seconds": seconds, "of_seconds": of_seconds}
        case Retried(task, report):
            return "retrying", {**_names(task), "error": report.error}
        case Ended(_, report):
            return "ended", report.as_dict()
        case Waiting(n_incomplete, seconds):
            return "waiting", {"n_incomplete": n_incomplete, "seconds": seconds}
        case Finished(run):
            counts: Counter[str] = Counter(video.status for video in run.videos)
            return "finished", {"exit_code": run.exit_code, "out": source_text(run.out), "counts": {**counts}}


def _to_valid_json(fields: Mapping[str, JsonValue]) -> JsonObject:
    """With null in place of NaN and infinity, which damaged tables may contain and JSON does not have."""
    plain: JsonObject = json.loads(json.dumps(fields, default=str), parse_constant=lambda _name: None)
    return plain


def _names(task: VideoTask) -> JsonObject:
    return {"source": source_text(task.source), "video_id": task.video_id}


def format_failure(source: str, error: str) -> str:
    """A source as it was given, and why it failed."""
    # The complete path: two folders may hold files of the same name.
    why = error.removeprefix(f"{source}: ").removeprefix(f"{Path(source).name}: ")
    return f"{sanitize(source)}: {sanitize(why)}"


def _describe(report: TaskReport) -> list[str]:
    """Lines for the user about an input that ended: why it failed, and its warnings."""
    lines = []
    if report.error and report.status == "failed":
        lines.append(f"failed: {format_failure(report.source, report.error)}")
    if report.status != "skipped":
        lines += [f"{sanitize(report.source)}: {sanitize(warning)}" for warning in report.warnings]
    return lines


class Epochs:
    """A bar for training."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._bar = tqdm(
            total=total, desc="epochs", unit="epoch", disable=True if quiet else None,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
        )  # fmt: skip

    def reached(self, epochs: float) -> None:
        """Show the number of epochs done, including the fraction of the current one."""
        self._bar.update(epochs - self._bar.n)

    def ended(self, figures: Epoch) -> None:
        """Show the figures of an epoch that is done after the bar."""
        self.reached(figures.epoch)
        self._bar.set_postfix(loss=figures.loss, accuracy=figures.accuracy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def format_summary(videos: Sequence[TaskReport]) -> str:
    """A table of how each input ended, as text."""
    header = ["status", "people", "frames", "faces", "length", "frames/s", "video"]
    rows = [header, *(_to_cells(video) for video in videos)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    counts: Counter[str] = Counter(video.status for video in videos)
    total = ", ".join(
        f"{counts[status]} {words}" for status, words in _STATUS_WORDS.items() if counts[status]
    )
    return "\n".join([*(_to_line(row, widths) for row in rows), f"{total or 'nothing to do'}."])


def _to_cells(video: TaskReport) -> list[str]:
    if video.status in ("failed", "not_started"):
        return [video.status, "", "", "", "", "", sanitize(video.source)]
    counts = [str(n) for n in (video.n_people, video.n_frames, video.n_faces)]
    rate = f"{video.n_frames / video.seconds:.0f}" if video.seconds else ""
    return [video.status, *counts, timecode(video.duration_s), rate, sanitize(video.source)]


def _to_line(row: list[str], widths: list[int]) -> str:
    status, *numbers, name = row
    cells = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([status.ljust(widths[0]), *cells, name])
