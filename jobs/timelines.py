"""Keep the timelines of finished videos up to date."""

from __future__ import annotations

from pathlib import Path

from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.timeline import is_current, usual_bins, write_timeline
from ferflow.errors import RecordsError
from ferflow.jobs.lists import read_name_lists, read_names, read_persons
from ferflow.models.timeline_basis import find_basis
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles


def update_timeline(
    files: VideoFiles, bin_seconds: float | None = None, *, sessions: Path | None = None
) -> None:
    """Write the timeline of a finished video unless it is current.

    Args:
        files: of the video; its markers must be stored already, since a stretch at rest is a calibration.
        bin_seconds: length of its bins; None: as they are.
        sessions: the session list; None: that of the folder.

    Raises:
        RecordsError: the records cannot be read, or make no timeline.
    """
    basis = find_basis(read_persons(files, read_names(files, sessions)))
    if not is_current(files, basis, bin_seconds):
        files.remove_page()  # first: should the process be killed here, no page shows other numbers than the table
        write_timeline(files, basis, usual_bins(files) if bin_seconds is None else bin_seconds)


def stale_timelines(folder: OutputFolder, options: AnalyzeOptions) -> list[VideoFiles]:
    """Finished videos without a current timeline of these bins; their records are fine."""
    lists = read_name_lists(folder.path, folder.find_sources())
    return [
        files
        for files in folder.finished_videos()
        if _is_stale(files, lists.of(files.video_id), options.bin_seconds)
    ]


def _is_stale(files: VideoFiles, names: PersonNames, bin_seconds: float) -> bool:
    try:
        basis = find_basis(read_persons(files, names))
    except RecordsError:  # no timeline can be made of it, and the page or `ferflow doctor` says why
        return False
    return not is_current(files, basis, bin_seconds)
