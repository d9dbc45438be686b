"""A whole run: plan, analyse each video, aggregate, report, and keep `run.json` true all the way.

>>> report = run(["sessions/"], "out")
>>> report.failed
[]
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout

from ferflow.errors import EXIT_PARTIAL, FerflowError, OptionsError, RecordsError, VideoError
from ferflow.jobs.listen import Engine, Listener, Silent
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.records import RecordPaths, finished_videos
from ferflow.runfile import RunFile
from ferflow.tasks import TaskReport, VideoTask, needs_timeline, plan, report_without_work, write_timeline
from ferflow.text import shown

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
        return [video for video in self.videos if video.has_gaps]

    @property
    def exit_code(self) -> int:
        """0: all done; 3: nothing could be analysed; 10: some failed or have gaps."""
        if self.failed and len(self.failed) == len(self.videos):
            return VideoError.exit_code
        return EXIT_PARTIAL if self.failed or self.with_gaps else 0


ENGINES = {"local": "ferflow.jobs.local", "ray": "ferflow.jobs.on_ray"}
"""Modules that carry out tasks; see `listen.Engine`."""


def run(
    inputs: Sequence[str | Path],
    out: str | Path,
    options: AnalyzeOptions | None = None,
    *,
    overwrite: bool = False,
    pages: bool = True,
    engine: str = "local",
    listener: Listener | None = None,
) -> RunReport:
    """Analyse videos into an output folder.

    Args:
        inputs: files, folders (recursive) and globs.
        out: the output folder; made if needed.
        options: how; None: the defaults.
        overwrite: replace results made with other options or models, and analyse finished videos again.
        pages: write the HTML reports.
        engine: `local`, or `ray` for several processes or machines.
        listener: told how it goes.

    Returns:
        How each input ended; what is wrong with one of them is in there, not raised.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all.
    """
    out, options, listener = Path(out), options or AnalyzeOptions(), listener or Silent()
    with only_run_in(out):
        tasks = plan(inputs, out, options, overwrite=overwrite)
        listener.planned(len(tasks))
        pending = [task for task in tasks if task.paths and not task.is_finished]
        tools = Tools.load(options) if pending else None
        file = _run_file(out, options, tools)
        ended: dict[int, TaskReport] = {}
        for task, report in _ends(tasks, options, tools, _engine(engine), listener):
            report = _derived(task, report, options, pages)
            ended[id(task)] = report
            listener.ended(report)
            if file.note(report.as_dict()):
                file.save(out)
        _follow(out, {task.paths.video_id for task in tasks if task.paths}, options, pages)
        file.finished = _now()
        file.save(out)
        if pages:
            _write_pages(out)
    return RunReport(out, tuple(ended[id(task)] for task in tasks))


def _ends(
    tasks: list[VideoTask], options: AnalyzeOptions, tools: Tools | None, engine: Engine, listener: Listener
) -> Iterator[tuple[VideoTask, TaskReport]]:
    """What needs no work first, then what the engine makes of the rest."""
    pending = []
    for task in tasks:
        if task.paths is None or task.is_finished:
            yield task, report_without_work(task)
        else:
            pending.append(task)
    if tools is not None:
        yield from engine.reports(pending, options, tools, listener)


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise OptionsError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    return cast(Engine, importlib.import_module(ENGINES[name]))


def _derived(task: VideoTask, report: TaskReport, options: AnalyzeOptions, pages: bool) -> TaskReport:
    """Bring what is made from a finished video's records up to date: the timeline, then the page."""
    paths = task.paths
    if paths is None or report.status == "failed":
        return report
    try:
        if needs_timeline(paths, options):
            write_timeline(paths, options)
        if pages:
            from ferflow.dashboards import refresh_session

            refresh_session(paths.out, paths.video_id)
            return replace(report, report=paths.report.relative_to(paths.out).as_posix())
    except Exception as error:  # the records are safe on disk, and the other videos must not pay for it
        log.debug("no timeline or page of %s", paths.video_id, exc_info=error)
        told = str(error) if isinstance(error, FerflowError) else f"{type(error).__name__}: {error}"
        return TaskReport.failed(task, f"{task.source.name}: analysed, but no timeline or page. {told}")
    return report


def _follow(out: Path, done: set[str], options: AnalyzeOptions, pages: bool) -> None:
    """Give the other finished videos of the folder the same bins; their records stay as they are."""
    for video_id in finished_videos(out):
        paths = RecordPaths(out, video_id)
        if video_id not in done and needs_timeline(paths, options):
            task = VideoTask(Path(video_id), paths, is_finished=True)
            _derived(task, report_without_work(task), options, pages)


def _write_pages(out: Path) -> None:
    """The overview, and pages that a changed list of people concerns; a broken list costs no results."""
    from ferflow.dashboards import refresh

    try:
        for warning in refresh(out, forgiving=True).warnings:
            log.warning("%s", shown(warning))
    except OSError as error:
        raise RecordsError(f"{out / 'index.html'}: cannot be written ({error.strerror}).") from error


def _run_file(out: Path, options: AnalyzeOptions, tools: Tools | None) -> RunFile:
    file = RunFile.continued(out, options=options.as_dict(), started=_now())
    if tools is not None:
        card = tools.classifier.card
        file.model = {"name": card.name, "sha256": card.sha256}
        file.detector = {"name": tools.detector.name, "sha256": tools.detector.sha256}
    return file


@contextmanager
def only_run_in(out: Path) -> Iterator[None]:
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
