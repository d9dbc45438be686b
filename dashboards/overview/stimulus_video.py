"""The video of a stimulus on the overview: where the page finds it. Nothing is copied."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ferflow.analytics.stimuli import Stimulus
from ferflow.dashboards.session_report.video_player import url_between
from ferflow.errors import VideoError
from ferflow.media.inputs import VIDEO_SUFFIXES
from ferflow.system.child_process import call_in_child


@dataclass(frozen=True, slots=True)
class StimulusVideo:
    """A stimulus as a page can show it."""

    title: str
    """The file's name, or the text."""
    url: str | None
    """Relative to the page; None: there is no video to show."""
    problem: str = ""
    """Why not, in a sentence; empty if no video was to be expected."""
    duration_s: float | None = None
    """Length of the video, as its header says; None: unknown."""


def find_stimulus_video(stimulus: Stimulus, page: Path) -> StimulusVideo:
    """Find the video of a stimulus.

    Whether a browser plays it, the browser says: it knows its own formats, and another one may play what it does not.

    Args:
        stimulus: as the session list or a job names it.
        page: where the page is written.
    """
    if stimulus.path is not None:
        return (
            _describe_file(stimulus.path, page)
            if _is_video(stimulus.name)
            else StimulusVideo(stimulus.name, None)
        )
    title = PurePosixPath(stimulus.name.replace("\\", "/")).name
    if not title or not _is_video(title):
        return StimulusVideo(stimulus.name, None)
    problem = (
        "The video of the stimulus was not found, so it is not shown here. Give its path, from the folder of the "
        "session list or in full."
    )
    return StimulusVideo(title, None, problem)


def _describe_file(path: Path, page: Path) -> StimulusVideo:
    try:
        duration_s = call_in_child(_read_duration, path)
    except VideoError as error:
        return StimulusVideo(path.name, None, f"The stimulus is not shown here: {error}")
    return StimulusVideo(path.name, url_between(page, path), duration_s=duration_s if duration_s else None)


def _read_duration(path: Path) -> float | None:
    """Seconds, as the header says."""
    from ferflow.media.container import Container  # here: only the child needs a decoder

    with closing(Container(path, threads=1)) as container:
        return container.info.duration_s_from_header


def _is_video(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
