"""Bring the files that are derived from a finished video's records up to date: additions, timeline, page."""

from __future__ import annotations

from pathlib import Path

from ferflow.jobs.additions import add_to_video
from ferflow.jobs.job import Job
from ferflow.store.video_files import VideoFiles


def derive(source: Path, files: VideoFiles, job: Job) -> None:
    """Bring markers, signals, timeline, clips and page of a finished video up to date; what is up to date stays.

    Args:
        source: the video; markers and signals are looked for next to it.
        files: its files.
        job: bins of the timeline, what to add, whether to make pages.

    Raises:
        RecordsError: the records cannot be read, or make no timeline.
        OptionsError: its file of markers or signals cannot be used; the rest is made without it.
        VideoError: clips are requested, but the video is missing; the page is made without them.
    """
    try:
        add_to_video(source, files, job.additions, job.options.bin_seconds)
    finally:
        _update_page(files, pages=job.pages)


def _update_page(files: VideoFiles, *, pages: bool) -> None:
    """Write the page if it is stale; without `pages`, remove it in that case."""
    if not pages and not files.report.exists():
        return
    # Only here: what draws pages takes a quarter of a second to import, in each worker.
    from ferflow.dashboards import refresh_session, remove_stale_page

    if pages:
        refresh_session(files.out, files.video_id)
    else:
        remove_stale_page(files.out, files.video_id)
