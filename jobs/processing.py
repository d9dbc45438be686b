"""Carry out the tasks of a run: engines, retries, and the manifest after each video."""

from __future__ import annotations

import importlib
import itertools
import logging
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

from msgspec import structs

from ferflow.analytics.stimuli import locate_stimulus
from ferflow.errors import RecordsError
from ferflow.jobs.engines.protocol import Engine
from ferflow.jobs.finished_video import update_finished
from ferflow.jobs.job import ENGINES, Job
from ferflow.jobs.run_events import Ended, Retried, VideoEvent
from ferflow.jobs.segments.count import count_tasks
from ferflow.store.metadata import read_metadata
from ferflow.store.run_manifest import RunManifest, TaskReport, VideoTask
from ferflow.system.cpus import available_cpus
from ferflow.system.memory import CPUS_PER_WORKER, available_memory, default_workers
from ferflow.system.runtime import may_use_gpu

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2.0
"""Pause before retries, after all other videos, for a network share to come back; a guess, not measured."""


def process_tasks(
    tasks: Sequence[VideoTask], job: Job, manifest: RunManifest, path: Path
) -> Generator[VideoEvent | Retried, None, dict[VideoTask, TaskReport]]:
    """Carry out all tasks and record in a manifest how each ended; returns the reports.

    Args:
        tasks: all inputs, also those that need no analysis.
        job: the request.
        manifest: gets an entry per input.
        path: where the manifest is saved after each input.

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
                _record_end(manifest, event, job, path)
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


def _record_end(manifest: RunManifest, event: Ended, job: Job, path: Path) -> None:
    """Record in the manifest how an input ended, and its stimulus."""
    report, task = event.report, event.task
    if report.status == "failed":
        has_changed = manifest.note(report)
    else:
        made = event.metadata
        if made is None and task.files is not None and task.files.faces.exists():
            made = read_metadata(task.files.faces)
        has_changed = manifest.note(report, replaces=task.replaces, made=made)
        if job.stimulus is not None and task.video_id is not None:
            has_changed |= manifest.note_stimulus(task.video_id, locate_stimulus(job.stimulus))
    if has_changed:
        manifest.save(path)


def _process_with_retries(
    tasks: Sequence[VideoTask], job: Job
) -> Generator[VideoEvent | Retried, None, None]:
    """First the inputs that need no analysis, then the others, then retries."""
    for task in tasks:
        if not task.is_pending:
            yield Ended(task, update_finished(task, job))
    pending = [task for task in tasks if task.is_pending]
    n_workers = choose_n_workers(count_tasks(pending, job), job)
    for attempt in itertools.count(1):
        pending = yield from _process_once(pending, job, n_workers, attempt)
        if not pending:
            return
        time.sleep(RETRY_AFTER_SECONDS)
        # One at a time: too little memory is the most frequent reason why a worker dies. Ray counts the memory of its
        # actors, and the videos of a machine that was lost would take days one by one.
        if job.engine == "local":
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
                yield replace(event, report=structs.replace(event.report, attempts=attempt))
    return failed


def choose_n_workers(n_pending: int, job: Job) -> int:
    """Number of processes in addition to this one; 0: videos are analysed in this one, or Ray's engine chooses.

    Args:
        n_pending: videos, and segments of them, see `segments.count`.
        job: the request.
    """
    workers = job.workers
    if job.engine == "ray":  # what this machine has says nothing of a cluster
        return min(workers or 0, n_pending)
    # A second process on the GPU would load everything there again, and take seconds to start.
    if workers in (None, 1) and may_use_gpu(job.options):
        return 0
    if workers is None:
        # Segments are for speed, and one worker per CPU is faster.
        cpus = available_cpus() * (1 if job.segment is None else CPUS_PER_WORKER)
        workers = default_workers(n_pending, cpus, available_memory(), job.options)
    return min(workers, n_pending)
