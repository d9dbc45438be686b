"""A complete run: plan, analyse each video, bring derived files up to date, and save `run.json` after each video.

>>> report = run(["sessions/"], "out")
>>> report.failed
[]
>>> for event in run_events(Job(inputs=("sessions/",), out=Path("out"))):
...     print(event)
"""

from __future__ import annotations

import importlib
import itertools
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import cast

from msgspec import structs

from ferflow.analytics.stimuli import locate_stimulus
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.additions import check_additions, warn_of_rest
from ferflow.jobs.copies import find_copies
from ferflow.jobs.engines.protocol import Engine
from ferflow.jobs.finished_video import bring_up_to_date, update_finished
from ferflow.jobs.job import ENGINES, EngineName, Job
from ferflow.jobs.plan import plan
from ferflow.jobs.run_events import (
    Ended,
    Finished,
    Planned,
    Retried,
    RunEvent,
    RunReport,
    VideoEvent,
    WatchEvent,
)
from ferflow.jobs.timelines import stale_timelines
from ferflow.models.registry import POOR_IN_VIDEO
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people
from ferflow.store.run_manifest import RunManifest, TaskReport, VideoTask, report_without_work
from ferflow.system.cpus import available_cpus
from ferflow.system.memory import available_memory, default_workers
from ferflow.system.runtime import may_use_gpu
from ferflow.text import sanitize

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2.0
"""Pause before retries, in addition to the time that all other videos take, for a share to come back; not measured."""


def run(
    inputs: Sequence[str | Path],
    out: str | Path,
    options: AnalyzeOptions | None = None,
    *,
    overwrite: bool = False,
    pages: bool = True,
    markers: Path | None = None,
    chapters: bool = False,
    markers_offset: str | None = None,
    speech: Path | None = None,
    signals: Path | None = None,
    signals_start: datetime | None = None,
    sessions: Path | None = None,
    corrections: Path | None = None,
    title: str | None = None,
    logo: Path | None = None,
    rest: Sequence[str] | None = None,
    embed_clips: bool = False,
    stimulus: str | None = None,
    engine: EngineName = "local",
    workers: int | None = 1,
    retries: int = 1,
    fail_fast: bool = False,
) -> RunReport:
    """Analyse videos into an output folder; `run_events` is the same step by step.

    Args:
        inputs: files, folders (recursive) and globs.
        out: the output folder; created if needed.
        options: how; None: the defaults.
        overwrite: replace results made with other options, models or of another content of the same file, and
            analyse finished videos again.
        pages: write the HTML reports.
        markers: one file of markers for all videos; None: the file next to each video, if there is one.
        chapters: read the chapters of each video as markers, where there is no file of markers.
        markers_offset: clock of files of markers; see `Job.markers_offset`.
        speech: one transcript for all videos; None: the file next to each video, if there is one.
        signals: one file of continuous signals for all videos; None: the file next to each video, if there is one.
        signals_start: when the first frame of the videos was recorded, for signals with times of day; None: as the
            session list or the video files say.
        sessions: the session list; None: that of the last report, else `sessions.csv` in the output folder.
        corrections: the list of corrections; None: that of the last report, else `corrections.csv` in the output
            folder.
        title: of the report; None: as in the last one.
        logo: of the report, a picture; None: as in the last one.
        rest: stretches in which people are at rest, for calibration; see `Job.rest`.
        embed_clips: cut short clips around the peaks, for the reports.
        stimulus: what the people in all inputs watched or did; see `Job.stimulus`.
        engine: `local`, or `ray` for several machines.
        workers: processes that analyse videos in parallel; 0: this one, in which a crash of a decoder ends the
            program; None: by CPUs and memory. On a GPU, None and 1 are this one, too.
        retries: retries of a video after a transient failure.
        fail_fast: start no further video after one has failed.

    Returns:
        How each input ended; what is wrong with one of them is in there, not raised.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the disk is full.
    """
    job = Job(
        inputs=tuple(map(str, inputs)), out=Path(out), options=options or AnalyzeOptions(), overwrite=overwrite,
        pages=pages, markers=markers, chapters=chapters, markers_offset=markers_offset, speech=speech, signals=signals,
        signals_start=signals_start, sessions=sessions, corrections=corrections,
        title=title, logo=logo, rest=None if rest is None else tuple(rest), embed_clips=embed_clips,
        stimulus=stimulus, engine=engine,
        workers=workers, retries=retries, fail_fast=fail_fast,
    )  # fmt: skip
    return follow(run_events(job))


def follow(events: Generator[WatchEvent, None, None], *observers: Callable[[WatchEvent], None]) -> RunReport:
    """Carry out a run and hand each of its events to the observers; how it ended."""
    with closing(events):
        for event in events:
            for observe in observers:
                observe(event)
    assert isinstance(event, Finished)
    return event.report


def run_events(job: Job, *, warn_of_copies: bool = True) -> Generator[RunEvent, None, None]:
    """Carry out a job; yields what happens, when it happens. Nothing happens unless the events are consumed.

    Closing the generator ends the run: what is finished stays, no half-written file and no process is left.

    Args:
        job: the request.
        warn_of_copies: warn of files of one content, which would count several times in a report of all.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the disk is full.
    """
    check_additions(job.additions)
    folder = OutputFolder(job.out)
    _check_page_options(job)
    if job.options.model in POOR_IN_VIDEO:
        log.warning("%s", POOR_IN_VIDEO[job.options.model])
    if not folder.path.exists():
        tasks = plan(job.inputs, job.out, job.options, overwrite=job.overwrite, sessions=job.sessions)
        if not any(task.is_pending for task in tasks):  # mistyped: nothing is made
            yield from _refuse(tasks, job)
            return
    with folder.lock():
        try:
            yield from _carry_out(job, folder, warn_of_copies=warn_of_copies)
        finally:
            folder.remove_leftovers()  # a worker that is stopped early may have written one of its two tables


def _carry_out(job: Job, folder: OutputFolder, *, warn_of_copies: bool) -> Generator[RunEvent, None, None]:
    """A run in a folder that is locked."""
    folder.remove_leftovers()
    tasks = plan(job.inputs, job.out, job.options, overwrite=job.overwrite, sessions=job.sessions)
    _save_page_options(job, folder)
    for warning in find_copies(tasks, job) if warn_of_copies else ():
        log.warning("%s", warning)
    yield Planned(tuple(tasks))
    manifest = RunManifest.start(folder.manifest, options=job.options, started=_now())
    manifest.save(folder.manifest)
    reports = yield from _process(tasks, job, manifest, folder)
    _derive_others(job, folder, manifest, {task.video_id for task in tasks})
    manifest.finished = _now()
    manifest.arrange([str(task.source) for task in tasks])
    manifest.save(folder.manifest)
    warn_of_rest(folder, {task.video_id for task in tasks if task.video_id}, job.sessions)
    if job.pages:
        write_pages(folder)
    else:
        _remove_outdated(folder)
    yield Finished(RunReport(job.out, tuple(reports[task] for task in tasks)))


def _refuse(tasks: Sequence[VideoTask], job: Job) -> Generator[RunEvent, None, None]:
    """How a run ends of which no input can be analysed."""
    yield Planned(tuple(tasks))
    reports = [report_without_work(task) for task in tasks]
    for task, report in zip(tasks, reports, strict=True):
        yield Ended(task, report)
    yield Finished(RunReport(job.out, tuple(reports)))


def _check_page_options(job: Job) -> None:
    """Refuse a title or logo that cannot be used, before any work is done.

    Raises:
        OptionsError: one cannot.
    """
    if job.title is not None or job.logo is not None:
        from ferflow.dashboards import PageOptions

        PageOptions().updated(title=job.title, logo=job.logo)


def _save_page_options(job: Job, folder: OutputFolder) -> None:
    """Remember what is given for all pages before the first one is written, which may happen on another machine."""
    if any(given is not None for given in (job.title, job.logo, job.sessions, job.corrections)):
        from ferflow.dashboards import save_options

        save_options(
            folder.path, title=job.title, logo=job.logo, sessions=job.sessions, corrections=job.corrections
        )


def _process(
    tasks: Sequence[VideoTask], job: Job, manifest: RunManifest, folder: OutputFolder
) -> Generator[VideoEvent | Retried, None, dict[VideoTask, TaskReport]]:
    """Carry out all tasks, record how each ended, and return that.

    Raises:
        RecordsError: the disk is full.
    """
    reports: dict[VideoTask, TaskReport] = {}
    # Closed when this function stops early: otherwise the workers would run until the generator is collected.
    with closing(_process_with_retries(tasks, job)) as events:
        for event in events:
            if isinstance(event, Ended):
                reports[event.task] = event.report
                # Before it is passed on: a consumer may stop there, and the next run reads `run.json`.
                _record_end(manifest, event, job, folder)
            yield event
            if isinstance(event, Ended) and event.report.failure == "disk_full":
                # Every other video would fail in the same way.
                raise RecordsError(f"{event.report.error} Finished videos are kept.")
            if isinstance(event, Ended) and event.report.status == "failed" and job.fail_fast:
                break
    for task in tasks:
        if task not in reports:
            why = "not analysed: the run stopped at the first failure."
            reports[task] = TaskReport.not_started(task, why)
            manifest.note(reports[task])
            yield Ended(task, reports[task])
    return reports


def _record_end(manifest: RunManifest, event: Ended, job: Job, folder: OutputFolder) -> None:
    """Record in `run.json` how an input ended, and its stimulus."""
    report, task = event.report, event.task
    if report.status == "failed":
        has_changed = manifest.note(report)
    else:
        has_changed = manifest.note(report, replaces=task.replaces, model_of=task.files)
        if job.stimulus is not None and task.video_id is not None:
            has_changed |= manifest.note_stimulus(task.video_id, locate_stimulus(job.stimulus))
    if has_changed:
        manifest.save(folder.manifest)


def _process_with_retries(
    tasks: Sequence[VideoTask], job: Job
) -> Generator[VideoEvent | Retried, None, None]:
    """First the inputs that need no analysis, then the others, then retries."""
    for task in tasks:
        if not task.is_pending:
            yield Ended(task, update_finished(task, job))
    pending = [task for task in tasks if task.is_pending]
    n_workers = _choose_n_workers(len(pending), job)
    for attempt in itertools.count(1):
        pending = yield from _process_once(pending, job, n_workers, attempt)
        if not pending:
            return
        time.sleep(RETRY_AFTER_SECONDS)
        # One at a time: too little memory is the most frequent reason why a worker dies.
        n_workers = min(n_workers, 1)


def _process_once(
    tasks: Sequence[VideoTask], job: Job, n_workers: int, attempt: int
) -> Generator[VideoEvent | Retried, None, list[VideoTask]]:
    """Events of one pass over the videos; returns those that failed for a transient reason, to be retried."""
    failed: list[VideoTask] = []
    if not tasks:
        return failed
    engine = cast(Engine, importlib.import_module(ENGINES[job.engine]))
    with closing(engine.process_videos(tasks, job, n_workers)) as events:
        for event in events:
            if not isinstance(event, Ended):
                yield event
            elif event.report.failure == "transient" and attempt <= job.retries:
                log.warning("%s It will be retried.", event.report.error)
                failed.append(event.task)
                yield Retried(event.task, event.report)
            else:
                yield Ended(event.task, structs.replace(event.report, attempts=attempt))
    return failed


def _choose_n_workers(n_pending: int, job: Job) -> int:
    """Number of processes in addition to this one; 0: videos are analysed in this one."""
    workers = job.workers
    # A second process on the GPU would load everything there again, and take seconds to start.
    if workers in (None, 1) and may_use_gpu(job.options):
        return 0
    if workers is None:
        workers = default_workers(n_pending, available_cpus(), available_memory(), job.options)
    return min(workers, n_pending)


def _derive_others(
    job: Job, folder: OutputFolder, manifest: RunManifest, of_this_run: set[str | None]
) -> None:
    """Give the other finished videos of the folder current timelines with the same bins; their records stay."""
    # Those additions were meant for the inputs.
    bins_only = structs.replace(
        job,
        markers=None,
        chapters=False,
        markers_offset=None,
        speech=None,
        signals=None,
        rest=None,
        embed_clips=False,
    )
    for files in stale_timelines(folder, job.options):
        if files.video_id not in of_this_run:
            task = VideoTask(Path(files.video_id), files, is_finished=True)
            bring_up_to_date(task, bins_only, report_without_work(task))
            manifest.note_people(files.video_id, count_people(files))


def write_pages(folder: OutputFolder) -> None:
    """The overview, and pages that a changed list of people concerns; a broken list costs no results."""
    from ferflow.dashboards import last_options, refresh
    from ferflow.dashboards.exports.export_status import update_exports

    try:
        done = refresh(folder.path, forgiving=True)
        for warning in (*done.warnings, *done.failed.values()):
            log.warning("%s", sanitize(warning))
        with suppress(OptionsError):  # a broken list, which is warned of
            for warning in update_exports(folder.path, last_options(folder.path)):
                log.warning("%s", sanitize(warning))
    except OSError as error:
        raise RecordsError(f"{folder.index}: cannot be written ({error.strerror}).") from error


def _remove_outdated(folder: OutputFolder) -> None:
    """Remove the overview if it is outdated, and warn of what was exported of an earlier state."""
    if not folder.has_pages:  # most such folders: what makes pages is not even imported
        return
    from ferflow.dashboards import remove_stale_overview
    from ferflow.dashboards.exports.export_status import describe_outdated

    remove_stale_overview(folder.path)
    for warning in describe_outdated(folder):
        log.warning("%s", sanitize(warning))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
