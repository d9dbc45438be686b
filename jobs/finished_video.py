"""What is done with a video whose records are on disk: no decoder and no model is loaded for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.jobs.derive import derive
from ferflow.jobs.job import Job
from ferflow.jobs.plan import replan
from ferflow.media.fingerprint import signature
from ferflow.store.failure_kinds import describe_failure, failure_of
from ferflow.store.metadata import read_metadata
from ferflow.store.object_store import is_object
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people, store_source
from ferflow.store.run_manifest import TaskReport, VideoTask, report_without_work

log = logging.getLogger(__name__)


def bring_up_to_date(task: VideoTask, job: Job, report: TaskReport) -> TaskReport:
    """Bring what is derived from a video's records up to date; returns its report, another one if that fails."""
    files = task.files
    if files is None or report.status == "failed":
        return report
    try:
        derive(task.source, files, job)
    except Exception as error:  # the records are on disk, and the other videos must not fail with it
        log.debug("no timeline or page of %s", files.video_id, exc_info=error)
        why = describe_failure(task.source, error).removeprefix(f"{task.source.name}: ")
        return TaskReport.failed(
            task,
            f"{task.source.name}: analysed, but not all that follows. {why}",
            failure=failure_of(error),
            seconds=report.seconds,
        )
    finally:
        files.remove_unfinished()
    page = files.report.relative_to(files.out).as_posix() if job.pages else None
    return replace(report, report=page, n_people=count_people(files))


def update_finished(task: VideoTask, job: Job) -> TaskReport:
    """Bring an input up to date that needs no analysis, or cannot have one; how it ended."""
    with claim_task(task, job):
        try:
            _note_moved_source(task)
        except Exception as error:  # one video must not end the run
            return TaskReport.failed(task, describe_failure(task.source, error), failure=failure_of(error))
        return bring_up_to_date(task, job, report_without_work(task))


def _note_moved_source(task: VideoTask) -> None:
    """Store in the tables of a finished video where its source is, if it was moved or renamed."""
    if task.files is None or not task.is_finished:
        return
    stored, path = read_metadata(task.files.faces).source, task.source.absolute()
    if is_object(task.source) or is_object(stored.path):  # a copy of an object looks like a moved one
        return
    if stored.sha256 is None or os.path.lexists(stored.path) or str(path) == stored.path:
        return
    task.files.remove_page()  # first: it names the file, and has a player of it
    now = replace(
        stored, path=str(path), name=path.name, mtime=path.stat().st_mtime, signature=signature(path)
    )
    store_source(task.files, now)


@contextmanager
def claim_task(task: VideoTask, job: Job) -> Iterator[TaskReport | None]:
    """Keep other processes from a video of a shard; what is not of a shard needs no claim, its folder is locked.

    Yields:
        The report of a video that another process has finished since it was planned; None: it is still to be analysed,
        or was finished before.
    """
    if job.shard is None or task.files is None:
        yield None
        return
    with OutputFolder(task.files.out).claim(task.files.video_id):
        yield None if task.is_finished else _find_finished(task, job)


def _find_finished(task: VideoTask, job: Job) -> TaskReport | None:
    try:
        now = replan(task, job.options)
        return report_without_work(now) if now.is_finished else None
    except RecordsError:  # tables that cannot be read are replaced
        return None


def report_dead_worker(task: VideoTask, job: Job, why: str) -> TaskReport:
    """Report a video whose worker died: a transient failure, unless the video was finished before."""
    now = replan(task, job.options)
    if not now.is_finished:
        return TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient")
    report = report_without_work(now)
    return bring_up_to_date(now, job, replace(report, status="done_with_gaps" if report.has_gaps else "done"))
