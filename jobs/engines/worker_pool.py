"""A pool of worker processes: each loads its models once, then processes video after video.

A worker is a `multiprocessing.Process` with a pipe of its own. Workers share nothing, no queue and no lock: one that
is killed loses its own video and nothing else. (The executors of `concurrent.futures` and loky give up all work in
progress when one process dies, and the lock of a queue can be lost with the process that holds it.)
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ferflow.errors import ModelError
from ferflow.jobs.engines.worker_process import (
    Assignment,
    CannotStart,
    Died,
    Logged,
    Message,
    Ready,
)
from ferflow.jobs.engines.worker_start import start_worker
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed, VideoEvent
from ferflow.jobs.segments.board import Board, report_death
from ferflow.jobs.segments.steps import SegmentTask
from ferflow.media.inputs import size_of
from ferflow.store.run_manifest import VideoTask
from ferflow.store.segment_files import SegmentFiles
from ferflow.system.child_process import handle_record
from ferflow.system.cpus import available_cpus


def process_in_workers(
    tasks: Sequence[VideoTask], job: Job, n_workers: int
) -> Generator[VideoEvent, None, None]:
    """Analyse videos in worker processes, the largest first. See `Engine`."""
    if job.segment is None:
        n_workers = min(n_workers, len(tasks))
    pool = _Pool(with_thread_share(job, n_workers), Board(largest_first(tasks), by_size=True))
    try:
        pool.spawn(n_workers)
        yield from pool.process()
    finally:
        pool.stop()


def with_thread_share(job: Job, n_workers: int) -> Job:
    """The job as each worker gets it: all of them together use no more threads than the job allows."""
    threads = threads_per_worker(job.options.threads or available_cpus(), n_workers)
    return job.updated(options=job.options.updated(threads=threads), workers=n_workers)


def threads_per_worker(threads: int, n_workers: int) -> int:
    """Threads of each worker, at least one."""
    return max(1, threads // max(n_workers, 1))


def largest_first(tasks: Sequence[VideoTask]) -> list[VideoTask]:
    """By file size: one long video started last would keep a single worker busy at the end.

    Size is used in place of duration: to open a thousand headers would cost more than a better order gains.
    """
    return sorted(tasks, key=lambda task: -size_of(task.source))


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, our end of its pipe, and the task it processes."""

    process: BaseProcess
    connection: Connection
    task: VideoTask | None = None
    is_ready: bool = False
    """Its models are loaded."""

    def assign(self, task: VideoTask) -> bool:
        """Whether the task was sent."""
        with contextlib.suppress(OSError):  # the worker died since; its pipe will show it
            self.connection.send(task)
            self.task = task
            return True
        return False

    def receive(self) -> Message:
        """Its next message, or that it died, also in the middle of one."""
        try:
            return self.connection.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            self.process.join()
            return Died(self.process.exitcode)

    def stop(self, *, is_shard: bool) -> None:
        """Kill it, and remove what it left half-written."""
        # SIGKILL at once: a worker has nothing to save, and a decoder in C would delay any other end.
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()
        # Of a shard, another process may have gone on with this video as soon as this one died.
        if self.task is not None and self.task.files is not None and not is_shard:
            self.task.files.remove_unfinished()
            if isinstance(self.task, SegmentTask):
                SegmentFiles.of(self.task.files).remove_unfinished(self.task.number)


class _Pool:
    """The workers of one run."""

    def __init__(self, job: Job, board: Board) -> None:
        self._job, self._board = job, board
        self._is_shard = job.shard is not None
        self._workers: list[_Worker] = []

    def spawn(self, count: int) -> None:
        """Start workers; they load their models in parallel."""
        for _ in range(count):
            self._workers.append(_spawn_worker(self._job))

    def stop(self) -> None:
        """Kill all workers."""
        while self._workers:
            self._workers.pop().stop(is_shard=self._is_shard)

    def process(self) -> Generator[VideoEvent, None, None]:
        """Keep every worker busy until all is done."""
        while self._board or any(worker.task for worker in self._workers):
            for worker in self._wait():
                yield from self._handle(worker, worker.receive())

    def _wait(self) -> list[_Worker]:
        """Workers that have a message, or died."""
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[connection] for connection in wait(list(by_connection))]  # type: ignore[index]

    def _handle(self, worker: _Worker, message: Message) -> Iterator[VideoEvent]:
        match message:
            case Progressed():
                yield from self._board.follow(message)
            case Ended():
                worker.task = None
                yield from self._board.follow(message)
                yield from self._assign_waiting()
            case Ready():
                worker.is_ready = True
                yield from self._assign_waiting()
            case Logged(record):
                handle_record(record)
            case CannotStart(error):
                raise error
            case Died():
                yield from self._replace(worker, message)

    def _assign_waiting(self) -> Iterator[VideoEvent]:
        """Give a task to each worker that has none, as far as there are tasks."""
        for worker in [one for one in self._workers if one.is_ready and one.task is None]:
            # Taken from the board only once it is sent: a worker that died in the meantime must not take it along.
            if self._board and worker.assign(self._board.first):
                yield from self._board.start()

    def _replace(self, worker: _Worker, death: Died) -> Iterator[VideoEvent]:
        """Its video failed, for a transient reason; a new worker takes its place."""
        task = worker.task
        self._workers.remove(worker)
        worker.stop(is_shard=self._is_shard)
        # A worker that died while it loaded its models is not replaced: the next would most likely die in the same way.
        if not worker.is_ready and not self._workers:
            raise ModelError(f"no worker process could be started: the last one {death}")
        if task is not None:
            report = report_death(task, self._job, f"its worker {death}")
            yield from self._board.follow(Ended(task, report))
        if worker.is_ready and self._board:
            self.spawn(1)


def _spawn_worker(job: Job) -> _Worker:
    worker = _Worker(*start_worker())
    assignment = Assignment(job, logging.getLogger("ferflow").getEffectiveLevel())
    with contextlib.suppress(OSError):  # it died since; its pipe will show it
        worker.connection.send(assignment)
    return worker
