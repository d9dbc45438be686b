"""A whole run: plan, analyse each video, aggregate, report, and keep `run.json` true all the way.

>>> report = run(["sessions/"], "out")
>>> report.failed
[]
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from ferflow.errors import EXIT_PARTIAL, RecordsError, VideoError
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.records import RecordPaths
from ferflow.runfile import RunFile, earlier_entries
from ferflow.tasks import TaskReport, VideoTask, needs_timeline, plan, run_task, write_timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended."""

    out: Path
    videos: tuple[TaskReport, ...]

    @property
    def failed(self) -> list[TaskReport]:
        """Inputs without results."""
        return [video for video in self.videos if video.status == "failed"]

    @property
    def with_gaps(self) -> list[TaskReport]:
        """Inputs of which a part could not be read."""
        return [video for video in self.videos if video.status == "done_with_gaps"]

    @property
    def exit_code(self) -> int:
        """0: all done; 3: nothing could be analysed; 10: some failed or have gaps."""
        if self.failed and len(self.failed) == len(self.videos):
            return VideoError.exit_code
        return EXIT_PARTIAL if self.failed or self.with_gaps else 0


class Listener(Protocol):
    """Who wants to know how it goes."""

    def planned(self, n_videos: int) -> None:
        """So many inputs there are."""

    def started(self, task: VideoTask) -> None:
        """A video is about to be analysed."""

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """So many seconds of it are done, of so many if the header tells."""

    def ended(self, report: TaskReport) -> None:
        """It is done, skipped or failed."""


class Silent:
    """Nobody."""

    def planned(self, n_videos: int) -> None:
        """See `Listener`."""

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""


def run(
    inputs: Sequence[str | Path],
    out: str | Path,
    options: AnalyzeOptions | None = None,
    *,
    overwrite: bool = False,
    pages: bool = True,
    listener: Listener | None = None,
) -> RunReport:
    """Analyse videos into an output folder.

    Args:
        inputs: files, folders (recursive) and globs.
        out: the output folder; made if needed.
        options: how; None: the defaults.
        overwrite: replace results made with other options or models, and analyse finished videos again.
        pages: write the HTML reports.
        listener: told how it goes.

    Returns:
        How each input ended; what is wrong with one of them is in there, not raised.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all.
    """
    out, options, listener = Path(out), options or AnalyzeOptions(), listener or Silent()
    with _only_run_in(out):
        tasks = plan(inputs, out, options, overwrite=overwrite)
        listener.planned(len(tasks))
        pending = any(task.paths and not task.is_finished for task in tasks)
        tools = Tools.load(options) if pending else None
        file = _run_file(out, options, tools)
        reports = []
        for report in _reports(tasks, options, tools, listener, pages):
            reports.append(report)
            if report.status != "skipped":
                file.put(report.as_dict())
            file.save(out)
        file.finished = _now()
        file.save(out)
        if pages:
            from ferflow.dashboards import write_index

            write_index(out)
    return RunReport(out, tuple(reports))


def _reports(
    tasks: list[VideoTask], options: AnalyzeOptions, tools: Tools | None, listener: Listener, pages: bool
) -> Iterator[TaskReport]:
    for task in tasks:
        listener.started(task)
        report = run_task(task, options, tools, on_progress=listener.progress)
        if report.status != "failed" and task.paths is not None:
            report = _derived(task.paths, report, options, pages)
        listener.ended(report)
        yield report


def _derived(paths: RecordPaths, report: TaskReport, options: AnalyzeOptions, pages: bool) -> TaskReport:
    """Bring what is made from the records up to date: the timeline, then the page."""
    stale = needs_timeline(paths, options)
    if stale:
        write_timeline(paths, options)
    if not pages:
        return report
    from ferflow.dashboards import write_session_report

    if stale or report.status != "skipped" or not paths.report.exists():
        try:
            write_session_report(paths.out, paths.video_id)
        except Exception as error:  # the data is safe on disk; a page must not cost the other videos theirs
            log.debug("no page for %s", paths.video_id, exc_info=error)
            return replace(report, warnings=[*report.warnings, f"no page ({type(error).__name__}: {error})"])
    return replace(report, report=paths.report.relative_to(paths.out).as_posix())


def _run_file(out: Path, options: AnalyzeOptions, tools: Tools | None) -> RunFile:
    model = detector = None
    if tools is not None:
        card = tools.classifier.card
        model = {"name": card.name, "sha256": card.sha256}
        detector = {"name": tools.detector.name, "sha256": tools.detector.sha256}
    file = RunFile(options=options.as_dict(), model=model, detector=detector, started=_now())
    file.videos = earlier_entries(out)
    return file


@contextmanager
def _only_run_in(out: Path) -> Iterator[None]:
    """Hold the folder; the operating system lets go of it when the process ends, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".ferflow.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise RecordsError(
            f"{out}: another ferflow is writing here. Wait for it, or use another -o."
        ) from None
    except OSError as error:
        raise RecordsError(f"{out}: cannot be written ({error.strerror}). Use another -o.") from error
    try:
        yield
    finally:
        lock.release()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
