"""Who wants to know how a run goes, and how engines are plugged in."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from ferflow.jobs.video_job import Work
from ferflow.store.run_manifest import TaskReport, VideoTask


class Listener(Protocol):
    """Told how it goes, in the thread that runs; several videos may be under way at once."""

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """These inputs there are."""

    def started(self, task: VideoTask) -> None:
        """A video is about to be analysed."""

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """So many seconds of it are done, of so many if the header tells."""

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """It failed for a reason that may pass, and will be tried again."""

    def ended(self, report: TaskReport) -> None:
        """It is done, skipped or failed."""


class Silent:
    """A `Listener` for nobody, and a base for those who want to know little."""

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """See `Listener`."""

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """See `Listener`."""

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""


class Several:
    """A `Listener` that tells others."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.planned(tasks)

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.started(task)

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.progress(task, seconds, of_seconds)

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.retrying(task, report)

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.ended(report)


class Engine(Protocol):
    """A module of `ferflow.jobs` that carries out tasks."""

    def reports(
        self, tasks: Sequence[VideoTask], work: Work, processes: int, listener: Listener
    ) -> Generator[tuple[VideoTask, TaskReport], None, None]:
        """Carry out tasks that are not finished yet, and tell how each ended, in any order.

        Closing the iterator stops what is under way and leaves no half-written file and no process.

        Args:
            tasks: videos to analyse; each writes its own files.
            work: what is done with each.
            processes: so many beside this one; 0: do it here.
            listener: told when a video starts, and how it goes.

        Raises:
            ModelError, OptionsError: nothing can be analysed at all.
        """
