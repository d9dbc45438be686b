"""What videos that are analysed on the local disk need of a store: the user's lists, and the result published."""

from __future__ import annotations

import logging
from pathlib import Path

from ferflow.errors import RecordsError
from ferflow.jobs.run_events import Ended
from ferflow.store.failure_kinds import failure_of
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import CORRECTIONS, PEOPLE_LIST, OutputFolder
from ferflow.store.published import PublishedFolder, Source, list_files
from ferflow.store.run_manifest import FINISHED, TaskReport, VideoTask

log = logging.getLogger(__name__)

SESSIONS = "sessions.csv"
_LISTS = (SESSIONS, PEOPLE_LIST, CORRECTIONS, "forgotten.json")
"""Files of the user that a run reads."""

_NOT_PUBLISHED = "analysed, but not published."
NOT_REACHED = "the store cannot be used."


def fetch_lists(published: PublishedFolder, folder: OutputFolder) -> None:
    """Bring the user's lists to the local disk, as far as the store has any.

    Raises:
        RecordsError: the store or the disk cannot be used.
    """
    for name in _LISTS:
        fetch_file(published, name, folder.path / name)


def fetch_file(published: PublishedFolder, name: str, place: Path) -> None:
    """Bring one file to the local disk if the store has it; raises as `fetch_lists`."""
    if (content := published.load_text(name)) is not None:
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)


def publish_video(ended: Ended, published: PublishedFolder) -> Ended:
    """Publish the result of a video, if it has one, and remove its files from the local disk.

    Args:
        ended: how its analysis ended.
        published: where results are published.

    Returns:
        How the video ended, by what is published: of several attempts, the result of the first one counts.
    """
    task, files = ended.task, ended.task.files
    if files is None or ended.report.status not in FINISHED:
        return ended
    try:
        metadata = read_metadata(files.faces)
        source = metadata.source
        known = Source(source.path, source.signature, source.sha256, metadata.options.region)
        commit = published.publish(files, known, ended.report)
    except (RecordsError, OSError) as error:
        report = TaskReport.failed(
            task,
            f"{task.source.name}: {_NOT_PUBLISHED} {error}",
            failure=failure_of(error),
            seconds=ended.report.seconds,
        )
        return Ended(task, report)
    finally:
        for path in list_files(files):
            path.unlink(missing_ok=True)
    if commit.report != ended.report:
        log.warning("%s: another run has published it meanwhile; that result stays.", task.source.name)
    return Ended(task, commit.report, metadata)


def was_not_published(report: TaskReport) -> bool:
    """Whether a video failed because of the store."""
    text = report.error or ""
    return report.status == "failed" and (_NOT_PUBLISHED in text or NOT_REACHED in text)


def report_dead_publisher(task: VideoTask, published: PublishedFolder, why: str) -> TaskReport:
    """Report a video whose process died: a transient failure, unless its result was committed before."""
    failed = TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient")
    if task.video_id is None:
        return failed
    try:
        commit = published.load_commit(task.video_id)
        if commit is not None:
            published.finish(commit)
    except RecordsError as error:
        log.debug("%s: %s", task.video_id, error)
        return failed
    return failed if commit is None else commit.report
