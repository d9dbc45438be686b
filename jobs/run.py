"""A whole run: plan, analyse each video, aggregate, report, and keep `run.json` true all the way.

>>> report = run(["sessions/"], "out")
>>> report.failed
[]
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

from ferflow.errors import EXIT_PARTIAL, OptionsError, RecordsError, VideoError
from ferflow.jobs.listener import Engine, Listener, Silent
from ferflow.jobs.plan import plan
from ferflow.jobs.report_inputs import Beside
from ferflow.jobs.video_job import Work
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import held, sweep
from ferflow.store.run_manifest import RunFile, TaskReport, VideoTask, report_without_work
from ferflow.system.cpus import available_cpus
from ferflow.system.memory import available_memory, default_workers
from ferflow.text import shown

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2.0
"""What may pass gets so much time for it, on top of that of all other videos."""

Reports = Generator[tuple[VideoTask, TaskReport], None, None]


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


ENGINES = {"local": "ferflow.jobs.engines.local", "ray": "ferflow.jobs.engines.ray_engine"}
"""Modules that carry out tasks; see `listen.Engine`."""


def run(
    inputs: Sequence[str | Path],
    out: str | Path,
    options: AnalyzeOptions | None = None,
    *,
    overwrite: bool = False,
    pages: bool = True,
    engine: str = "local",
    workers: int | None = 1,
    retries: int = 1,
    fail_fast: bool = False,
    listener: Listener | None = None,
    beside: Beside | None = None,
) -> RunReport:
    """Analyse videos into an output folder.

    Args:
        inputs: files, folders (recursive) and globs.
        out: the output folder; made if needed.
        options: how; None: the defaults.
        overwrite: replace results made with other options, models or of another content of the same file, and
            analyse finished videos again.
        pages: write the HTML reports.
        engine: `local`, or `ray` for several machines.
        workers: processes that analyse videos side by side; 1: this one; None: as many as cores and memory
            bear. Several need what `multiprocessing` needs of a script: `if __name__ == "__main__":`.
        retries: how often a video is tried again after a failure that may pass.
        fail_fast: begin no further video after one has failed.
        listener: told how it goes.
        beside: markers and clips; None: the markers beside each video, and no clips.

    Returns:
        How each input ended; what is wrong with one of them is in there, not raised.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the disk is full.
    """
    if (workers is not None and workers < 1) or retries < 0:
        raise OptionsError(f"workers must be at least 1 and retries at least 0, got {workers} and {retries}")
    out, work = Path(out), Work(options or AnalyzeOptions(), pages, beside or Beside())
    listener = listener or Silent()
    carry = _Carry(work, _engine(engine), workers, retries, listener)
    work.beside.check()
    with held(out):
        sweep(out)
        tasks = plan(inputs, out, work.options, overwrite=overwrite)
        listener.planned(tasks)
        file = RunFile.continued(out, options=work.options.as_dict(), started=_now())
        file.save(out)
        ended = _all_ended(tasks, carry, file, out, fail_fast=fail_fast)
        work.follow(out, {task.paths.video_id for task in tasks if task.paths})
        file.finished = _now()
        file.arrange([str(task.source) for task in tasks])
        file.save(out)
        if pages:
            _write_pages(out)
    return RunReport(out, tuple(ended))


def _all_ended(
    tasks: list[VideoTask], carry: _Carry, file: RunFile, out: Path, *, fail_fast: bool
) -> list[TaskReport]:
    """Carry out the tasks; whatever ends is written down and told at once."""
    ended: dict[int, TaskReport] = {}
    with closing(carry.out(tasks)) as reports:
        for task, report in reports:
            ended[id(task)] = report
            carry.listener.ended(report)
            if _note(file, task, report):
                file.save(out)
            if report.failure == "disk_full":
                raise RecordsError(f"{report.error} Finished videos are kept.")
            if fail_fast and report.status == "failed":
                break
    for task in tasks:
        if id(task) not in ended:
            ended[id(task)] = TaskReport.not_begun(
                task, "not analysed: the run stopped at the first failure."
            )
            carry.listener.ended(ended[id(task)])
            file.note(ended[id(task)].as_dict())
    return [ended[id(task)] for task in tasks]


def _note(file: RunFile, task: VideoTask, report: TaskReport) -> bool:
    """Write down how a task ended; whether that is worth saving."""
    if report.status == "failed":
        return file.note(report.as_dict())
    return file.note(report.as_dict(), replaces=task.replaces, model_of=task.paths)


@dataclass(frozen=True, slots=True)
class _Carry:
    """How tasks are carried out."""

    work: Work
    engine: Engine
    workers: int | None
    retries: int
    listener: Listener

    def out(self, tasks: Sequence[VideoTask]) -> Generator[tuple[VideoTask, TaskReport], None, None]:
        """How each task ended: first what needs no analysis, then the others, then what is tried again."""
        for task in tasks:
            if not task.is_pending:
                yield task, self.work.derive(task, report_without_work(task))
        pending = [task for task in tasks if task.is_pending]
        processes = self._processes(len(pending))
        for attempt in range(1, self.retries + 2):
            failed: list[VideoTask] = []
            yield from self._attempt(pending, processes, attempt, failed)
            if not failed:
                return
            time.sleep(RETRY_AFTER_SECONDS)
            # One at a time: too little memory is what most often ends a worker.
            pending, processes = failed, min(processes, 1)

    def _attempt(
        self, tasks: list[VideoTask], processes: int, attempt: int, failed: list[VideoTask]
    ) -> Generator[tuple[VideoTask, TaskReport], None, None]:
        if not tasks:
            return
        with closing(self.engine.reports(tasks, self.work, processes, self.listener)) as reports:
            for task, report in reports:
                if report.failure == "passing" and attempt <= self.retries:
                    log.warning("%s It will be tried again.", report.error)
                    self.listener.retrying(task, report)
                    failed.append(task)
                else:
                    yield task, replace(report, attempts=attempt)

    def _processes(self, n_pending: int) -> int:
        """Processes beside this one; a single worker is this process itself."""
        workers = self.workers
        if workers is None:
            workers = default_workers(n_pending, available_cpus(), available_memory(), self.work.options)
        workers = min(workers, n_pending)
        return workers if workers > 1 else 0


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise OptionsError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    return cast(Engine, importlib.import_module(ENGINES[name]))


def _write_pages(out: Path) -> None:
    """The overview, and pages that a changed list of people concerns; a broken list costs no results."""
    from ferflow.dashboards import refresh

    try:
        done = refresh(out, forgiving=True)
        for warning in (*done.warnings, *done.failed.values()):
            log.warning("%s", shown(warning))
    except OSError as error:
        raise RecordsError(f"{out / 'index.html'}: cannot be written ({error.strerror}).") from error


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
