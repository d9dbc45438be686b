"""What follows from all finished videos of a folder, after a run or merge: timelines of one kind, and the overview."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.finished_video import bring_up_to_date
from ferflow.jobs.job import Job
from ferflow.jobs.timelines import stale_timelines
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people
from ferflow.store.run_manifest import RunManifest, VideoTask, report_without_work
from ferflow.text import sanitize

log = logging.getLogger(__name__)


def derive_others(
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


def remove_outdated(folder: OutputFolder) -> None:
    """Remove the overview if it is outdated, and warn of what was exported of an earlier state."""
    if not folder.has_pages:  # most such folders: what makes pages is not even imported
        return
    from ferflow.dashboards import remove_stale_overview
    from ferflow.dashboards.exports.export_status import describe_outdated

    remove_stale_overview(folder.path)
    for warning in describe_outdated(folder):
        log.warning("%s", sanitize(warning))
