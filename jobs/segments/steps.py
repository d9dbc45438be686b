"""The steps of a video that is analysed in segments, as tasks and events that engines pass on like those of videos."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from ferflow.jobs.run_events import Ended
from ferflow.media.parts import Part
from ferflow.store.run_manifest import TaskReport, VideoTask


@dataclass(frozen=True, slots=True)
class StepTask(VideoTask):
    """A step of the analysis of a video."""

    video: VideoTask | None = None
    """The task of the video, as it was planned."""

    @classmethod
    def of(cls, video: VideoTask, **more: Any) -> Self:
        """The step of a video."""
        shared = {one.name: getattr(video, one.name) for one in fields(VideoTask)}
        return cls(**shared, video=video, **more)


@dataclass(frozen=True, slots=True)
class SegmentTask(StepTask):
    """Observe a segment."""

    part: Part | None = None

    @property
    def number(self) -> int:
        """Of the segment, from 0 on."""
        assert self.part is not None
        return self.part.number


@dataclass(frozen=True, slots=True)
class JoinTask(StepTask):
    """Make the tables of a video whose segments are all observed."""


@dataclass(frozen=True, slots=True)
class WholeTask(StepTask):
    """Analyse a video in one go after all."""


@dataclass(frozen=True, slots=True)
class Split(Ended):
    """A video was split: in place of its `Ended`, its steps follow."""

    parts: tuple[Part, ...] = ()
    """All segments."""
    pending: tuple[int, ...] = ()
    """Numbers of those that no earlier run has finished."""
    of_seconds: float | None = None
    """Duration of the video as its header states it; None: unknown."""

    @classmethod
    def of(cls, task: VideoTask, *, seconds: float, **more: Any) -> Self:
        """The split of a video; it took some seconds."""
        return cls(task, report_step(task, seconds=seconds), **more)


@dataclass(frozen=True, slots=True)
class Inexact(Ended):
    """A segment cannot be read exactly: the video must be analysed in one go."""


def report_step(task: VideoTask, *, seconds: float) -> TaskReport:
    """How a step ended that went well; the report of the video follows."""
    return TaskReport(source=str(task.source), video_id=task.video_id, status="done", seconds=seconds)
