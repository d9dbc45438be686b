"""The engine for several machines: Ray actors that share the output folder, or publish into a store.

Needs `pip install 'ferflow[ray]'`. The videos and the output folder must have the same paths on every machine of the
cluster; with an output folder in a store, each actor analyses on its own disk. Actors analyse; this process decides
whose results get their names, so that each video has one result also where a lost machine goes on unnoticed, or where
two actors analyse the same video.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from ferflow.errors import ModelError, RecordsError
from ferflow.jobs.engines.ray_actor import ActorSettings, GpuLost, Loaded, Message, NotLoaded, VideoActor
from ferflow.jobs.engines.ray_cluster import Placement, connect, is_node_alive
from ferflow.jobs.engines.ray_gpu import use_gpus
from ferflow.jobs.engines.remote_classifier import RemoteClassifier
from ferflow.jobs.engines.stragglers import Pace, find_straggler
from ferflow.jobs.engines.worker_pool import largest_first
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed, VideoEvent
from ferflow.jobs.segments.board import Board, report_death
from ferflow.jobs.segments.count import count_tasks
from ferflow.jobs.store_publish import report_dead_publisher
from ferflow.jobs.video_job import Analyzed
from ferflow.store.object_store import is_object, parse_address, source_text
from ferflow.store.published import PublishedFolder
from ferflow.store.run_manifest import VideoTask
from ferflow.store.video_files import VideoFiles

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 5.0
"""Without any message, so that a video whose actor hangs is noticed."""

SECONDS_BETWEEN_PROGRESS = 0.002
"""Per actor: all of them together send at most 500 messages a second, of which one process can read more."""

MOST_FAILED_STARTS = 3
"""An actor that dies while it loads its models is replaced so often in a run: its machine may have been lost."""

SECONDS_BEFORE_WARNING = 60.0
"""Time for actors to start, which includes loading the libraries from a network share."""

_MOST_UNREAD = 64
"""Messages of a video; an actor waits if the run has not read them."""

_PATHS = ("manifest", "markers", "speech", "signals", "sessions", "corrections", "logo")
"""Fields of a job that are files of the user's."""


def process_videos(tasks: Sequence[VideoTask], job: Job, n_workers: int) -> Generator[VideoEvent, None, None]:
    """Analyse the videos in parallel, the largest first; see `Engine`.

    Raises:
        OptionsError: Ray is not installed, or there is no cluster at the address, or no GPU in it.
        ModelError: no actor can be started.
    """
    with connect(job.address) as ray:
        placement = Placement.of(ray, job, n_videos=count_tasks(tasks, job), n_workers=n_workers)
        board = Board(largest_first(tasks), by_size=True)
        with use_gpus(ray, job.options, placement) as classifiers:
            pool = _Pool(ray, _for_actors(job, placement), placement, board, classifiers)
            try:
                pool.spawn(placement.n_actors)
                yield from pool.process()
            finally:
                pool.stop()


def _for_actors(job: Job, placement: Placement) -> Job:
    """A job for processes that run in another folder than the user's, each with its share of the threads."""
    given = {name: path.absolute() for name in _PATHS if (path := getattr(job, name)) is not None}
    options = job.options.updated(threads=placement.threads)
    out = job.out if is_object(job.out) else job.out.absolute()
    return job.updated(**given, out=out, options=options, workers=placement.n_actors)


@dataclass(slots=True, eq=False)
class _Video:
    """A video that is not finished, or a step of one."""

    task: VideoTask
    workers: list[_Worker] = field(default_factory=list)
    """Those that analyse it: one, or a second one, too, if the first is slow."""
    seconds: float = 0.0
    """Of video, the most that any of them has analysed."""
    is_published: bool = False
    """One of them replaces earlier results by its own; no other may."""
    n_lost: int = 0
    """Machines that were lost while they analysed it."""

    @property
    def may_be_copied(self) -> bool:
        """Whether a second worker may analyse it."""
        return len(self.workers) == 1 and not self.is_published


@dataclass(slots=True, eq=False)
class _Worker:
    """One actor, and what it does."""

    actor: Any
    stream: Any
    """Of messages; None: it has nothing to do."""
    classifier: RemoteClassifier | None = None
    """On a GPU; None: its own."""
    node_id: str | None = None
    """None: its models are not loaded yet."""
    video: _Video | None = None
    files: VideoFiles | None = None
    """Of its video, with names of incomplete tables that no other worker has."""
    pace: Pace = field(default_factory=lambda: Pace(0.0))

    @property
    def is_idle(self) -> bool:
        return self.stream is None

    def remove_unfinished(self) -> None:
        """Remove what it left half-written; what cannot be removed now is removed at the end of the run."""
        if self.files is not None:
            with contextlib.suppress(RecordsError):
                self.files.remove_unfinished()


class _Pool:
    """The actors of one run."""

    def __init__(
        self,
        ray: Any,
        job: Job,
        placement: Placement,
        board: Board,
        classifiers: Sequence[RemoteClassifier],
    ) -> None:
        self._ray, self._job, self._placement, self._board = ray, job, placement, board
        self._settings = ActorSettings(job, SECONDS_BETWEEN_PROGRESS * placement.n_actors)
        self._classifiers = list(classifiers)
        """On GPUs; those that are lost are removed."""
        self._may_use_cpus = not classifiers or job.options.device == "auto"
        self._actor_class = ray.remote(**placement.options())(VideoActor)
        self._workers: list[_Worker] = []
        self._again: deque[_Video] = deque()
        """Those whose machine was lost; they come first."""
        self._speeds: deque[float] = deque(maxlen=100)
        """Of the last finished videos."""
        self._n_failed_starts = 0
        self._started_at: float | None = time.monotonic()
        """None: actors have started, or a warning says that they have not."""

    def spawn(self, count: int) -> None:
        """Ask for actors. Ray starts them where and when there is room; the others wait and hold nothing up."""
        for _ in range(count):
            classifier = self._choose_classifier()
            actor = self._actor_class.remote(replace(self._settings, classifier=classifier))
            self._workers.append(_Worker(actor, _stream(actor.load), classifier=classifier))

    def _choose_classifier(self) -> RemoteClassifier | None:
        """The one that the fewest actors use; None: the actor loads one for the CPU."""
        used = [worker.classifier for worker in self._workers]
        return min(self._classifiers, key=used.count, default=None)

    def stop(self) -> None:
        """End all actors."""
        while self._workers:
            self._stop(self._workers[-1])

    @property
    def _has_waiting(self) -> bool:
        return bool(self._again or self._board)

    def process(self) -> Generator[VideoEvent, None, None]:
        """Keep every actor busy until all is done."""
        while self._has_waiting or any(worker.video for worker in self._workers):
            yield from self._assign_waiting()
            self._copy_straggler()
            for worker in self._wait():
                if worker in self._workers:  # not stopped since
                    yield from self._receive(worker)

    def _assign_waiting(self) -> Iterator[VideoEvent]:
        for worker in [worker for worker in self._workers if worker.is_idle]:
            if self._again:
                self._assign(worker, self._again.popleft())
            elif self._board:
                self._assign(worker, _Video(self._board.first))
                yield from self._board.start()

    def _assign(self, worker: _Worker, video: _Video) -> None:
        task = video.task
        if task.files is not None:
            # A name of its own: the actor of a machine that counts as lost may still be writing.
            # With a store, actors have their own folders.
            out = task.files.out if is_object(self._job.out) else self._job.out
            worker.files = replace(task.files, out=out, part=f"r{secrets.token_hex(4)}")
            source = task.source if is_object(task.source) else task.source.absolute()
            task = replace(task, source=source, files=worker.files)
        worker.video, worker.pace = video, Pace(time.monotonic())
        video.workers.append(worker)
        worker.stream = _stream(worker.actor.analyze, task)

    def _copy_straggler(self) -> None:
        """Let an idle actor analyse, too, what takes much longer than expected; the first result counts."""
        # A video of a shard is locked by the actor that analyses it: a second one would wait.
        idle = next((worker for worker in self._workers if worker.is_idle), None)
        if self._has_waiting or idle is None or self._job.shard is not None:
            return
        running = [video for worker in self._workers if (video := worker.video) and video.may_be_copied]
        paces = [video.workers[0].pace for video in running]
        found = find_straggler(paces, self._speeds, time.monotonic())
        if found is not None:
            video = running[found]
            log.info("%s: slow, analysed by a second worker, too", video.task.source)
            self._assign(idle, video)

    def _wait(self) -> list[_Worker]:
        """Workers that have a message, or died; none after a while."""
        by_stream = {worker.stream: worker for worker in self._workers if worker.stream is not None}
        streams = list(by_stream)
        ready, _ = self._ray.wait(streams, num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
        if ready:  # and the others that are: one at a time would be slow with many
            ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        else:
            self._warn_if_none_starts()
        return [by_stream[stream] for stream in ready]

    def _warn_if_none_starts(self) -> None:
        if self._started_at is None or time.monotonic() - self._started_at < SECONDS_BEFORE_WARNING:
            return
        self._started_at = None
        if all(worker.node_id is None for worker in self._workers):
            log.warning("No Ray actor has started yet: the run waits for machines with %s.", self._placement)

    def _receive(self, worker: _Worker) -> Iterator[VideoEvent]:
        try:
            message: Message = self._ray.get(next(worker.stream))
        except (self._ray.exceptions.RayError, StopIteration) as error:
            yield from self._replace(worker, error)
            return
        match message:
            case Loaded(node_id):
                worker.node_id, worker.stream = node_id, None
            case NotLoaded(reason, host):
                raise type(reason)(f"{host}: {reason}")
            case Progressed():
                yield from self._note_progress(worker, message)
            case GpuLost():
                yield from self._replace_gpu(worker)
            case Analyzed():
                self._let_publish(worker)
            case Ended():
                yield from self._end(worker, message)

    def _note_progress(self, worker: _Worker, event: Progressed) -> Iterator[VideoEvent]:
        video = worker.video
        assert video is not None
        worker.pace.seconds, worker.pace.of_seconds = event.seconds, event.of_seconds
        if event.seconds > video.seconds:  # a second worker starts at the beginning
            video.seconds = event.seconds
            yield from self._board.follow(replace(event, task=video.task))

    def _let_publish(self, worker: _Worker) -> None:
        """The first of the workers of a video has analysed it; its results count, the others are ended before."""
        video = worker.video
        assert video is not None
        video.is_published = True
        if worker.pace.seconds:  # of a very short video, none is known
            self._speeds.append(worker.pace.speed(time.monotonic()))
        self._stop_others(video, worker)
        worker.stream = _stream(worker.actor.publish)

    def _end(self, worker: _Worker, event: Ended) -> Iterator[VideoEvent]:
        video = worker.video
        assert video is not None
        worker.stream = worker.video = worker.files = None
        video.workers.remove(worker)
        if event.report.status == "failed" and video.workers:
            return  # the other worker may have better luck
        self._stop_others(video, worker)
        report = structs.replace(event.report, source=source_text(video.task.source))
        yield from self._board.follow(replace(event, task=video.task, report=report))

    def _stop_others(self, video: _Video, worker: _Worker) -> None:
        for other in [other for other in video.workers if other is not worker]:
            self._stop(other)

    def _stop(self, worker: _Worker) -> None:
        """End an actor, whatever it does."""
        self._workers.remove(worker)
        if worker.video is not None:
            worker.video.workers.remove(worker)
        # It may be dead already, or its machine out of reach.
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(worker.actor)
        worker.remove_unfinished()

    def _replace(self, worker: _Worker, error: Exception) -> Iterator[VideoEvent]:
        """An actor died, and another takes its place; its video is lost unless a second one analyses it, too."""
        video, is_lost = worker.video, self._is_machine_lost(worker)
        self._stop(worker)
        if worker.node_id is None:
            self._count_failed_start(error)
        if video is not None and not video.workers:
            yield from self._give_up(video, f"its worker died ({type(error).__name__}).", is_lost=is_lost)
        may_start = worker.node_id is not None or self._n_failed_starts <= MOST_FAILED_STARTS
        if self._has_waiting and may_start and len(self._workers) < self._placement.n_actors:
            self.spawn(1)

    def _replace_gpu(self, worker: _Worker) -> Iterator[VideoEvent]:
        """A GPU was lost: its video is started again as that of a lost machine, by an actor with another GPU."""
        video = worker.video
        assert video is not None
        if worker.classifier in self._classifiers:
            self._classifiers.remove(worker.classifier)
            log.warning("A GPU was lost; %d are left.", len(self._classifiers))
        self._stop(worker)
        if not self._classifiers and not self._may_use_cpus:
            raise ModelError("no GPU is left. Run the same command again; finished videos are kept.")
        if not video.workers:
            yield from self._give_up(video, "its GPU was lost.", is_lost=True)
        if self._has_waiting:
            self.spawn(1)

    def _is_machine_lost(self, worker: _Worker) -> bool:
        return worker.node_id is not None and not is_node_alive(self._ray, worker.node_id)

    def _give_up(self, video: _Video, why: str, *, is_lost: bool) -> Iterator[VideoEvent]:
        """No actor analyses a video any more: its machine was lost, or it may have killed its actor."""
        if is_object(self._job.out):
            published = PublishedFolder(parse_address(self._job.out))
            report = report_dead_publisher(video.task, published, why)
        else:
            report = report_death(video.task, self._job, why)
        if report.failure == "transient" and is_lost and video.n_lost < self._job.retries:
            video.n_lost += 1
            video.is_published = False
            self._again.appendleft(video)
            log.info("%s: %s Started again.", video.task.source, why)
        else:
            yield from self._board.follow(Ended(video.task, report))

    def _count_failed_start(self, error: Exception) -> None:
        self._n_failed_starts += 1
        if self._n_failed_starts > MOST_FAILED_STARTS and not self._workers:
            why = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            raise ModelError(
                f"no Ray actor could be started ({type(error).__name__}: {why.strip()}). Is ferflow installed on all "
                "machines?"
            ) from error


def _stream(method: Any, *arguments: object) -> Any:
    """Call a method of an actor, and give the stream of its messages."""
    options = {"num_returns": "streaming", "_generator_backpressure_num_objects": _MOST_UNREAD}
    return method.options(**options).remote(*arguments)
