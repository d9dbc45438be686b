"""One video from start to end by a process without the disk of the run: analysed here, published in a store."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Generator
from dataclasses import replace

from msgspec import structs

from ferflow.errors import RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.jobs.segments.work import process_in_steps
from ferflow.jobs.store_publish import NOT_REACHED, fetch_lists, publish_video
from ferflow.jobs.video_job import Analyzed
from ferflow.pipeline import Tools
from ferflow.store.failure_kinds import failure_of
from ferflow.store.object_store import parse_address
from ferflow.store.output_folder import OutputFolder
from ferflow.store.published import PublishedFolder
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.scratch import scratch_folder


def process_in_store(
    task: VideoTask, job: Job, tools: Tools
) -> Generator[Progressed | Analyzed | Ended, None, None]:
    """Analyse one video in a folder of its own on the local disk, and publish the result; see `process_in_steps`.

    Args:
        task: a pending one.
        job: its `out` is the address of a store.
        tools: detector and classifier.
    """
    assert task.files is not None
    published = PublishedFolder(parse_address(job.out))
    try:
        with scratch_folder() as scratch:
            folder = OutputFolder(scratch / "out")
            folder.path.mkdir()
            fetch_lists(published, folder)
            here = replace(task, files=replace(task.files, out=folder.path))
            for event in process_in_steps(here, structs.replace(job, out=folder.path), tools):
                if isinstance(event, Ended):
                    ended = publish_video(event, published)
                else:
                    yield event
    except (RecordsError, OSError) as error:
        report = TaskReport.failed(
            task, f"{task.source.name}: {NOT_REACHED} {error}", failure=failure_of(error)
        )
        ended = Ended(task, report)
    if ended.report.failure == "disk_full":  # of this machine; another one may have room
        where = f"(temporary folder {tempfile.gettempdir()} of {platform.node()})"
        report = structs.replace(ended.report, failure="transient", error=f"{ended.report.error} {where}")
        ended = Ended(task, report)
    # Not before the folder is removed: after its last video, a process may be ended at once.
    yield ended
