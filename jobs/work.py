"""What is done with one video from start to end, in whichever process: tables, timeline, page."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferflow.jobs.plan import meanwhile
from ferflow.jobs.report_inputs import Beside
from ferflow.jobs.video_job import (
    OnProgress,
    TaskReport,
    VideoTask,
    needs_timeline,
    report_without_work,
    run_task,
    write_timeline,
)
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.store.failure_kinds import failure_of, told
from ferflow.store.records import RecordPaths, finished_videos

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 0.1
"""A bar need not move more often, and pipes and logs are spared."""


@dataclass(frozen=True, slots=True)
class Work:
    """How videos are treated; goes to every process that treats some."""

    options: AnalyzeOptions
    pages: bool = True
    """Write HTML pages."""
    beside: Beside = field(default_factory=Beside)
    """Markers and clips for the pages."""

    def tools(self) -> Tools:
        """What is loaded once per process.

        Raises:
            ModelError, OptionsError: see `Tools.load`.
        """
        return Tools.load(self.options)

    def do(self, task: VideoTask, tools: Tools, on_progress: OnProgress | None = None) -> TaskReport:
        """Analyse one video and make its timeline and page; what is wrong with it is in the report."""
        paced = None if on_progress is None else _paced(on_progress)
        return self.derive(task, run_task(task, self.options, tools, on_progress=paced))

    def derive(self, task: VideoTask, report: TaskReport) -> TaskReport:
        """Bring what is made from a finished video's records up to date: timeline, markers and clips, the page."""
        paths = task.paths
        if paths is None or report.status == "failed":
            return report
        try:
            if needs_timeline(paths, self.options):
                write_timeline(paths, self.options)
            try:
                self.beside.bring(task.source, paths)
            finally:  # markers that cannot be read are told of, and cost no page
                if self.pages:
                    report = replace(report, report=self._page(paths))
            return report
        except Exception as error:  # the records are safe on disk, and the other videos must not pay for it
            log.debug("no timeline or page of %s", paths.video_id, exc_info=error)
            why = told(task.source, error).removeprefix(f"{task.source.name}: ")
            return TaskReport.failed(
                task,
                f"{task.source.name}: analysed, but not all that follows. {why}",
                failure=failure_of(error),
            )
        finally:
            paths.remove_unfinished()

    def after_death(self, task: VideoTask, why: str) -> TaskReport:
        """How a video ended whose worker died: mostly as a failure that may pass, but it can have been finished."""
        now = meanwhile(task, self.options)
        if not now.is_finished:
            return TaskReport.failed(task, f"{task.source.name}: {why}", failure="passing")
        report = report_without_work(now)
        return self.derive(now, replace(report, status="done_with_gaps" if report.has_gaps else "done"))

    def follow(self, out: Path, done: set[str]) -> None:
        """Give the other finished videos of the folder the same bins; their records stay as they are."""
        others = replace(self, beside=Beside())  # markers and clips were asked for these inputs only
        for video_id in finished_videos(out):
            paths = RecordPaths(out, video_id)
            if video_id not in done and needs_timeline(paths, self.options):
                task = VideoTask(Path(video_id), paths, is_finished=True)
                others.derive(task, report_without_work(task))

    def _page(self, paths: RecordPaths) -> str:
        from ferflow.dashboards import refresh_session

        refresh_session(paths.out, paths.video_id)
        return paths.report.relative_to(paths.out).as_posix()


def _paced(on_progress: OnProgress) -> OnProgress:
    """Pass on what is new, and not more often than makes sense."""
    last = (-math.inf, -math.inf)

    def pass_on(seconds: float, of_seconds: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if seconds > last[0] and now - last[1] >= SECONDS_BETWEEN_PROGRESS:
            last = (seconds, now)
            on_progress(seconds, of_seconds)

    return pass_on
