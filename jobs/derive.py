"""Bring the files that are derived from a finished video's records up to date: timeline, markers, clips, page."""

from __future__ import annotations

from pathlib import Path

from ferflow.analytics.markers import find_markers_file, read_markers, store_markers
from ferflow.analytics.peaks import peaks
from ferflow.analytics.person_names import NO_NAMES, PersonNames, person_timeline, read_people
from ferflow.analytics.timeline import needs_timeline, write_timeline
from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from ferflow.options import AnalyzeOptions
from ferflow.render.clips import write_clips
from ferflow.store.failure_kinds import describe_failure
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles


def check_markers(markers: Path | None) -> None:
    """Refuse a file of markers that is meant for all videos, before any work is done.

    Raises:
        OptionsError: it cannot be used.
    """
    if markers is not None:
        read_markers(markers)


def derive(source: Path, files: VideoFiles, job: Job) -> None:
    """Bring timeline, markers, clips and page of a finished video up to date; what is up to date stays.

    Args:
        source: the video; markers are looked for next to it.
        files: its files.
        job: bins of the timeline, markers, whether to make clips and pages.

    Raises:
        RecordsError: the records cannot be read, or make no timeline.
        OptionsError: its file of markers cannot be used; clips and page are made without it.
        VideoError: clips are requested, but the video is missing; the page is made without them.
    """
    if needs_timeline(files, job.options):
        files.remove_page()  # first: should the process be killed here, no page shows other numbers than the table
        write_timeline(files, job.options)
    try:
        add_markers_and_clips(source, files, markers=job.markers, embed_clips=job.embed_clips)
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


def add_markers_and_clips(
    source: Path, files: VideoFiles, *, markers: Path | None, embed_clips: bool
) -> None:
    """Store the markers of a finished video and cut its clips, as far as that is not done.

    Markers of an earlier run stay when there is no longer a file of them. Raises as `derive`.
    """
    try:
        file = markers or find_markers_file(source)
        if file is not None:
            store_markers(files, file)
    # Clips do not depend on markers: a broken file of markers must not prevent them.
    finally:
        if embed_clips:
            # The peaks that the page shows: those of persons, merged by name.
            write_clips(files, peaks(person_timeline(files, _read_names(files))))


def add_markers_and_clips_to_all(out: Path, *, markers: Path | None, embed_clips: bool) -> dict[str, str]:
    """The same for every finished video of a folder, which must be locked, without analysing anything.

    Returns:
        Why not, by video id; what is wrong with one video costs no other.
    """
    failed = {}
    for files in OutputFolder(out).finished_videos():
        source = Path(files.video_id)
        try:
            source = Path(read_metadata(files.faces).source.path)
            add_markers_and_clips(source, files, markers=markers, embed_clips=embed_clips)
        except Exception as error:
            failed[files.video_id] = describe_failure(source, error)
    return failed


def videos_with_other_bins(folder: OutputFolder, options: AnalyzeOptions) -> list[VideoFiles]:
    """Finished videos without a timeline of these bins; their records are fine."""
    return [files for files in folder.finished_videos() if needs_timeline(files, options)]


def _read_names(files: VideoFiles) -> PersonNames:
    try:
        return read_people(files.out).of(files.video_id)
    except OptionsError:  # the overview warns of a broken list
        return NO_NAMES
