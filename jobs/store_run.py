"""Run a job whose output folder is in an object store: analyse on the local disk, then publish video by video."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from msgspec import structs

from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.page_options import save_page_options
from ferflow.jobs.plan import find_inputs, model_sha256
from ferflow.jobs.processing import process_tasks
from ferflow.jobs.run_events import Ended, Finished, Planned, Retried, RunEvent, RunReport, refuse
from ferflow.jobs.shard import Shard
from ferflow.jobs.shard_inputs import choose_inputs
from ferflow.jobs.shard_run import start_manifest
from ferflow.jobs.store_merge import merge_in_store
from ferflow.jobs.store_plan import StorePlan, plan_store
from ferflow.jobs.store_publish import SESSIONS, fetch_file, fetch_lists, publish_video, was_not_published
from ferflow.store.object_store import check_usable, parse_address, source_text
from ferflow.store.output_folder import CORRECTIONS, PAGE_OPTIONS, SHARDS, OutputFolder
from ferflow.store.published import PublishedFolder, Settings
from ferflow.store.run_manifest import (
    FINISHED,
    TaskReport,
    VideoTask,
    timestamp,
)
from ferflow.store.scratch import scratch_folder
from ferflow.store.shard_manifest import ShardManifest, shard_path
from ferflow.store.video_files import PAGE_STATUSES

log = logging.getLogger(__name__)

SECONDS_BETWEEN_RECORDS = 30.0
"""How often the record of a run is stored while it lasts: what is published is known without it."""
MOST_FAILURES = 3
"""Results in a row that the store does not take, after which the run ends: all others would be lost, too."""


def run_to_store(job: Job) -> Generator[RunEvent, None, None]:
    """Carry out a job, or one shard of it, into a store; yields what happens, as `run.run_events` does.

    Several processes may run into the same folder at the same time, without locks: each input gets one result. A run
    without shards ends with a merge.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the store cannot be used.
    """
    published = PublishedFolder(parse_address(job.out))
    check_usable(published.address)
    settings = Settings(options=job.options, model_sha256=model_sha256(job.options))
    found = find_inputs(job)
    if all(one.problem is not None for one in found):  # mistyped: nothing is made
        yield from refuse([VideoTask(one.path, None, problem=one.problem) for one in found], job.out)
        return
    shard = job.shard or Shard(1, 1)
    own = choose_inputs(shard, found)
    with scratch_folder() as scratch:
        local = structs.replace(job, out=scratch / "out", pages=False)
        folder = OutputFolder(local.out)
        folder.path.mkdir()
        _fetch(published, folder, shard)
        plan = plan_store(local, folder, published, own.inputs)
        published.agree_on(settings)
        _store_lists(job, published, scratch)
        for video_id in plan.unfinished:  # a run was killed between the commit and the last copy
            published.finish(plan.commits[video_id])
        manifest = start_manifest(folder, local, shard, own, plan.tasks)
        record = _Record(published, manifest, shard_path(folder, shard.number, shard.count))
        yield Planned(tuple(plan.tasks))
        reports = yield from _process(plan, _for_engine(job, local), published, record)
        manifest.finished = timestamp()
        manifest.arrange([source_text(task.source) for task in plan.tasks])
        record.store()
    if job.shard is None:
        merge_in_store(published, pages=job.pages)
    yield Finished(RunReport(job.out, tuple(reports[task] for task in plan.tasks)))


def plan_store_job(job: Job) -> list[VideoTask]:
    """What a run of the job would do, as `plan.plan_job` says it for a folder; nothing is written.

    Raises:
        OptionsError, ModelError, RecordsError: as `run_to_store`.
    """
    published = PublishedFolder(parse_address(job.out))
    check_usable(published.address)
    shard = job.shard or Shard(1, 1)
    own = choose_inputs(shard, find_inputs(job))
    with scratch_folder() as scratch:
        local = structs.replace(job, out=scratch / "out", pages=False)
        folder = OutputFolder(local.out)
        folder.path.mkdir()
        _fetch(published, folder, shard)
        tasks = plan_store(local, folder, published, own.inputs).tasks
    published.check_settings(Settings(options=job.options, model_sha256=model_sha256(job.options)))
    return tasks


def _for_engine(job: Job, local: Job) -> Job:
    """The job for the engine: with the folder on this disk, or for machines that publish themselves, the store's."""
    if job.engine == "local":
        return structs.replace(local, shard=None)
    # They find the lists in the store, where the run has put them.
    is_stored = job.session_list is None or _may_be_stored(job.session_list)
    lists = {"sessions": None, "manifest": None} if is_stored else {}
    return structs.replace(job, shard=None, pages=False, corrections=None, **lists)


def _may_be_stored(sessions: Path) -> bool:
    return sessions.suffix.lower() not in (".jsonl", ".parquet")


def _fetch(published: PublishedFolder, folder: OutputFolder, shard: Shard) -> None:
    """Bring the user's lists to the local disk, and what an earlier process recorded of this shard."""
    record = shard_path(folder, shard.number, shard.count)
    fetch_lists(published, folder)
    fetch_file(published, f"{SHARDS}/{record.name}", record)


@dataclass(slots=True)
class _Record:
    """What a run or a shard records, in a file that no other process writes unless it is the same shard."""

    published: PublishedFolder
    manifest: ShardManifest
    path: Path
    _stored_at: float = field(default=-SECONDS_BETWEEN_RECORDS)

    def store(self) -> None:
        """Store it now."""
        self.manifest.save(self.path)
        self.published.store(PurePosixPath(SHARDS, self.path.name), self.path)
        self._stored_at = time.monotonic()

    def store_at_times(self) -> None:
        """Store it if it was not for a while."""
        if time.monotonic() - self._stored_at >= SECONDS_BETWEEN_RECORDS:
            self.store()


def _process(
    plan: StorePlan, job: Job, published: PublishedFolder, record: _Record
) -> Generator[RunEvent, None, dict[VideoTask, TaskReport]]:
    """Events of all tasks; a video has ended when it is published."""
    reports: dict[VideoTask, TaskReport] = {}
    record.store_at_times()
    for task in plan.tasks:
        if task.is_finished and task.video_id is not None:
            report = plan.commits[task.video_id].report
            record.manifest.note(report)
            reports[task] = structs.replace(
                report, status="skipped", source=source_text(task.source), seconds=0.0
            )
            yield Ended(task, reports[task])
    left = [task for task in plan.tasks if task not in reports]
    n_failed = 0
    with closing(process_tasks(left, job, record.manifest, record.path)) as events:
        for event in events:
            if not isinstance(event, Ended | Retried):
                yield event
                continue
            if isinstance(event, Ended):
                if job.engine == "local":  # others publish where they analyse
                    event = publish_video(event, published)
                    record.manifest.note(event.report)
                reports[event.task] = event.report
            report = event.report
            yield event
            if report.status in FINISHED or was_not_published(report):
                n_failed = n_failed + 1 if was_not_published(report) else 0
            if was_not_published(report) and job.fail_fast:
                raise RecordsError(f"{report.error} Finished videos are kept.")
            if n_failed >= MOST_FAILURES:
                raise RecordsError(f"{report.error} The store did not take {n_failed} results in a row.")
            record.store_at_times()
    return reports


def _store_lists(job: Job, published: PublishedFolder, scratch: Path) -> None:
    """Store the lists that a merge needs, and title and logo; a list of the user that is there is never replaced."""
    for given, name in ((job.session_list, SESSIONS), (job.corrections, CORRECTIONS)):
        if given is None:
            continue
        if not _may_be_stored(given):
            log.warning("%s: not stored as %s, which must be a CSV; the overview will lack it.", given, name)
        elif not published.create(name, given.read_bytes()):
            if job.engine == "ray":
                raise OptionsError(
                    f"{given}: differs from {name} in the store, which the machines of Ray read. Use another -o, or "
                    "replace it there."
                )
            log.warning("%s: %s in the store differs from it and stays; the overview uses that.", given, name)
    if job.title is not None or job.logo is not None:
        page = OutputFolder(scratch / "page")
        save_page_options(structs.replace(job, sessions=None, manifest=None, corrections=None), page)
        published.store(PurePosixPath(PAGE_STATUSES, f"{PAGE_OPTIONS}.json"), page.page_status(PAGE_OPTIONS))
