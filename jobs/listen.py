"""Who wants to know how a run goes, and how engines are plugged in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.tasks import TaskReport, VideoTask


class Listener(Protocol):
    """Told how it goes; an engine that works elsewhere reports no progress within a video."""

    def planned(self, n_videos: int) -> None:
        """So many inputs there are."""

    def started(self, task: VideoTask) -> None:
        """A video is about to be analysed."""

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """So many seconds of it are done, of so many if the header tells."""

    def ended(self, report: TaskReport) -> None:
        """It is done, skipped or failed."""


class Silent:
    """A `Listener` for nobody."""

    def planned(self, n_videos: int) -> None:
        """See `Listener`."""

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""


class Engine(Protocol):
    """A module of `ferflow.jobs` that carries out tasks."""

    def reports(
        self, tasks: Sequence[VideoTask], options: AnalyzeOptions, tools: Tools, listener: Listener
    ) -> Iterator[tuple[VideoTask, TaskReport]]:
        """Carry out tasks that are not finished yet, and tell how each ended, in any order.

        Args:
            tasks: videos to analyse; each writes its own files.
            options: how.
            tools: loaded here, for an engine that works in this process.
            listener: told when a video starts, and of progress if the engine can see it.
        """
