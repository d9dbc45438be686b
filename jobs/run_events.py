"""What happens in a run, as a stream of typed events. Everything that reports on a run consumes them.

A run yields `Planned`, then events of its videos, of which several may be in progress at once, then `Finished`:

    Started  Progressed*  Ended                        a video that is analysed
    Started  Progressed*  Retried  Started ... Ended   ... and fails once for a transient reason
    Ended                                              a video that needs no analysis, or cannot have any
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import EXIT_PARTIAL, VideoError
from ferflow.store.metadata import VideoMetadata
from ferflow.store.run_manifest import TaskReport, VideoTask, report_without_work


@dataclass(frozen=True, slots=True)
class Planned:
    """The inputs are known; nothing has been analysed yet."""

    tasks: tuple[VideoTask, ...]

    @property
    def n_pending(self) -> int:
        """Videos to analyse in this run."""
        return sum(task.is_pending for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Started:
    """The analysis of a video begins."""

    task: VideoTask


@dataclass(frozen=True, slots=True)
class Progressed:
    """A part of a video is analysed; at most ten of these a second and video."""

    task: VideoTask
    seconds: float
    """Of video, analysed so far."""
    of_seconds: float | None
    """Duration of the video as its header states it; None: unknown."""


@dataclass(frozen=True, slots=True)
class Retried:
    """A video failed for a transient reason, and will be started again after all others."""

    task: VideoTask
    report: TaskReport


@dataclass(frozen=True, slots=True)
class Ended:
    """An input is done, skipped, failed or will not be started; exactly one of these per input."""

    task: VideoTask
    report: TaskReport
    metadata: VideoMetadata | None = None
    """Of the tables, where these may be on no disk of this machine."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended."""

    out: Path
    videos: tuple[TaskReport, ...]
    """One per input, in the order of the inputs."""

    @property
    def failed(self) -> list[TaskReport]:
        """Inputs that failed; those that were not started are not among them."""
        return [video for video in self.videos if video.status == "failed"]

    @property
    def with_gaps(self) -> list[TaskReport]:
        """Inputs of which a part could not be read."""
        return [video for video in self.videos if video.has_gaps]

    @property
    def exit_code(self) -> int:
        """0: all done; 3: every input failed; 10: some failed, have gaps or were not started."""
        # Where the run stopped at the first failure, 10 even if nothing is done: the same command has more to do.
        if self.failed and len(self.failed) == len(self.videos):
            return VideoError.exit_code
        return EXIT_PARTIAL if self.failed or self.with_gaps else 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The run came to its end; the last event."""

    report: RunReport


@dataclass(frozen=True, slots=True)
class Waiting:
    """Inputs are watched, and all that are complete have been analysed; until the next look nothing happens."""

    n_incomplete: int
    """Inputs that are still being written."""
    seconds: float
    """Time until the next look."""


VideoEvent = Started | Progressed | Ended
"""What engines yield."""

RunEvent = Planned | VideoEvent | Retried | Finished
"""What a run yields."""

WatchEvent = RunEvent | Waiting
"""What several runs of one job yield, while its inputs are watched: `Planned` before each of them, `Finished` once."""


def refuse(tasks: Sequence[VideoTask], out: Path) -> Iterator[RunEvent]:
    """Events of a run into an output folder in which no input can be analysed."""
    yield Planned(tuple(tasks))
    reports = [report_without_work(task) for task in tasks]
    for task, report in zip(tasks, reports, strict=True):
        yield Ended(task, report)
    yield Finished(RunReport(out, tuple(reports)))
