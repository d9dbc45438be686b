"""What is to be done next, where videos become several tasks: engines take tasks from it, and give it their events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from ferflow.jobs.finished_video import report_dead_worker
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed, Started, VideoEvent
from ferflow.jobs.segments.steps import Inexact, JoinTask, SegmentTask, Split, StepTask, WholeTask
from ferflow.media.inputs import size_of
from ferflow.store.run_manifest import TaskReport, VideoTask


@dataclass(slots=True, eq=False)
class _Video:
    """A video that is analysed in segments."""

    task: VideoTask
    of_seconds: float | None
    start_s: float
    seconds: dict[int, float]
    """Of video, analysed so far, per segment."""
    left: set[int]
    """Segments that are not finished."""
    is_running: set[int] = field(default_factory=set)
    work_s: float = 0.0
    """Spent on it."""
    failed: TaskReport | None = None
    """Of the first segment that failed."""
    is_inexact: bool = False


class Board:
    """The tasks of a run that wait for a worker."""

    def __init__(self, tasks: Sequence[VideoTask], *, by_size: bool = False) -> None:
        """Start with the videos of a run.

        Args:
            tasks: in the order in which they are started.
            by_size: they are ordered by size, and segments come in between; else these come first.
        """
        self._waiting = [(size_of(task.source) if by_size else 0, task) for task in tasks]
        self._by_size = by_size
        self._videos: dict[VideoTask, _Video] = {}

    def __len__(self) -> int:
        """Tasks that wait now; others may follow."""
        return len(self._waiting)

    @property
    def first(self) -> VideoTask:
        """The task to be started next."""
        return self._waiting[0][1]

    def start(self) -> Iterator[VideoEvent]:
        """Note that the first task is in progress; yields what that means for its video."""
        _, task = self._waiting.pop(0)
        if isinstance(task, SegmentTask):
            self._videos[_video_of(task)].is_running.add(task.number)
        elif not isinstance(task, StepTask):
            yield Started(task)

    def follow(self, event: VideoEvent) -> Iterator[VideoEvent]:
        """What an event of a task means for its video; a task that has ended may let others follow."""
        task = event.task
        if isinstance(event, Split):
            yield from self._split(event)
        elif isinstance(task, SegmentTask):
            yield from self._follow_segment(task, event)
        elif isinstance(task, StepTask) and isinstance(event, Ended):
            yield from self._end(task, event)
        elif not isinstance(task, StepTask):
            yield event

    def _split(self, event: Split) -> Iterator[VideoEvent]:
        task, parts = event.task, event.parts
        seconds = {
            part.number: 0.0 if part.number in event.pending else part.end_s - part.start_s for part in parts
        }
        video = _Video(
            task, event.of_seconds, parts[0].start_s, seconds, set(event.pending), work_s=event.report.seconds
        )
        self._videos[task] = video
        size = size_of(task.source) // len(parts)
        self._add([(size, SegmentTask.of(task, part=parts[number])) for number in sorted(video.left)])
        if video.left != seconds.keys():
            yield self._progress(video)
        yield from self._go_on(video)

    def _follow_segment(self, task: SegmentTask, event: VideoEvent) -> Iterator[VideoEvent]:
        video = self._videos[_video_of(task)]
        if isinstance(event, Progressed):
            video.seconds[task.number] = max(event.seconds, video.seconds[task.number])
            yield self._progress(video)
        elif isinstance(event, Ended):
            video.is_running.discard(task.number)
            video.work_s += event.report.seconds
            if isinstance(event, Inexact):
                video.is_inexact = True
            elif event.report.status == "failed":
                video.failed = video.failed or event.report
            else:
                video.left.discard(task.number)
            yield from self._go_on(video)

    def _go_on(self, video: _Video) -> Iterator[VideoEvent]:
        """What follows once no segment is left, or it is known that not all can be analysed."""
        is_lost = video.is_inexact or (video.failed is not None and video.failed.failure != "transient")
        if is_lost:
            self._waiting = [one for one in self._waiting if not _belongs_to(one[1], video)]
        if video.is_running or any(_belongs_to(task, video) for _, task in self._waiting):
            return
        if video.is_inexact:
            self._add([(size_of(video.task.source), WholeTask.of(video.task))])
        elif video.failed is not None:
            del self._videos[video.task]
            yield Ended(video.task, structs.replace(video.failed, seconds=video.work_s))
        else:
            self._waiting.insert(0, (0, JoinTask.of(video.task)))

    def _end(self, task: StepTask, event: Ended) -> Iterator[VideoEvent]:
        video = self._videos.pop(_video_of(task))
        report = structs.replace(event.report, seconds=event.report.seconds + video.work_s)
        yield Ended(video.task, report)

    def _progress(self, video: _Video) -> Progressed:
        return Progressed(video.task, video.start_s + sum(video.seconds.values()), video.of_seconds)

    def _add(self, tasks: Sequence[tuple[int, VideoTask]]) -> None:
        if self._by_size:
            self._waiting = sorted([*self._waiting, *tasks], key=lambda one: -one[0])
        else:
            self._waiting = [*tasks, *self._waiting]


def report_death(task: VideoTask, job: Job, why: str) -> TaskReport:
    """Report a task whose worker died: a transient failure, unless its video was finished before."""
    if isinstance(task, SegmentTask):
        return TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient")
    return report_dead_worker(task, job, why)


def _video_of(task: StepTask) -> VideoTask:
    assert task.video is not None
    return task.video


def _belongs_to(task: VideoTask, video: _Video) -> bool:
    return isinstance(task, StepTask) and task.video == video.task
