"""Worker processes across videos: each loads its models once, then does video after video.

A worker is a `multiprocessing.Process` and a pipe of its own. Nothing is shared between workers, no queue and no
lock: one that is killed takes its own video down and nothing else. (The executors of `concurrent.futures` and
loky give up all work in flight when one process dies, and a queue's lock dies with whoever holds it.)
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ferflow.errors import ModelError
from ferflow.jobs.engines.worker_process import (
    Died,
    Ended,
    Logged,
    Progressed,
    Ready,
    ToParent,
    Unfit,
    log_here,
    work_until_told,
)
from ferflow.jobs.listener import Listener
from ferflow.jobs.video_job import Work
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.system.cpus import available_cpus

Reports = Generator[tuple[VideoTask, TaskReport], None, None]


def reports_of_crew(tasks: Sequence[VideoTask], work: Work, processes: int, listener: Listener) -> Reports:
    """Analyse videos in worker processes, the longest first; reports come as videos end. See `Engine`."""
    size = min(processes, len(tasks))
    threads = thread_share(work.options.threads or available_cpus(), size)
    crew = _Crew(replace(work, options=work.options.updated(threads=threads)))
    try:
        crew.hire(size)
        yield from crew.reports(longest_first(tasks), listener)
    finally:
        crew.dismiss()


def thread_share(threads: int, workers: int) -> int:
    """Threads of each worker, so that all of them together are no more than there should be."""
    return max(1, threads // max(workers, 1))


def longest_first(tasks: Sequence[VideoTask]) -> list[VideoTask]:
    """By what their files weigh: one long video begun last would keep a single worker busy at the end.

    Size stands for length; opening a thousand headers costs more than a better order gains.
    """
    return sorted(tasks, key=lambda task: -_weight(task))


def _weight(task: VideoTask) -> int:
    try:
        if task.source.is_dir():
            return sum(path.stat().st_size for path in task.source.iterdir())
        return task.source.stat().st_size
    except OSError:
        return 0  # gone since it was planned; its worker will say so


@dataclass(slots=True, eq=False)
class _Worker:
    """One process, our end of its pipe, and what it is doing."""

    process: BaseProcess
    connection: Connection
    task: VideoTask | None = None
    is_ready: bool = False
    """Its models are loaded."""

    def give(self, task: VideoTask) -> bool:
        """Whether it took the task."""
        with contextlib.suppress(OSError):  # it died since; the pipe will tell
            self.connection.send(task)
            self.task = task
            return True
        return False

    def message(self) -> ToParent:
        """What it says, or that it died, also in the middle of a word."""
        try:
            return self.connection.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            self.process.join()
            return Died(self.process.exitcode)

    def dismiss(self) -> None:
        """End it at once, and what it left half done."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()
        if self.task is not None and self.task.paths is not None:
            self.task.paths.remove_unfinished()


class _Crew:
    """The workers of one run."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._workers: list[_Worker] = []

    def hire(self, count: int) -> None:
        """Start workers; they load their models on their own."""
        for _ in range(count):
            self._workers.append(_hired(self._work))

    def dismiss(self) -> None:
        """End all of them at once."""
        while self._workers:
            self._workers.pop().dismiss()

    def reports(self, tasks: Sequence[VideoTask], listener: Listener) -> Reports:
        """Keep every worker busy until all is done."""
        waiting = deque(tasks)
        while waiting or any(worker.task for worker in self._workers):
            for worker in self._next_to_speak():
                message = worker.message()
                if isinstance(message, Died):
                    yield from self._replaced(worker, message, waiting)
                elif isinstance(message, Progressed) and worker.task is not None:
                    listener.progress(worker.task, message.seconds, message.of_seconds)
                elif isinstance(message, Logged):
                    log_here(message.record)
                elif isinstance(message, Unfit):
                    raise message.error
                elif isinstance(message, Ended) and worker.task is not None:
                    task, worker.task = worker.task, None
                    yield task, message.report
                if isinstance(message, Ready | Ended):
                    worker.is_ready = True
                    self._give_next(worker, waiting, listener)

    def _next_to_speak(self) -> list[_Worker]:
        by_connection = {worker.connection: worker for worker in self._workers}
        return [by_connection[connection] for connection in wait(list(by_connection))]  # type: ignore[index]

    def _give_next(self, worker: _Worker, waiting: deque[VideoTask], listener: Listener) -> None:
        if waiting and worker.give(waiting[0]):
            listener.started(waiting.popleft())

    def _replaced(self, worker: _Worker, death: Died, waiting: deque[VideoTask]) -> Reports:
        """Its video failed, for a reason that may pass; another worker takes its place."""
        task = worker.task
        self._workers.remove(worker)
        worker.dismiss()
        if not worker.is_ready and not self._workers:
            raise ModelError(f"no worker process could be started: the last one {death}. Use --workers 1.")
        if worker.is_ready and waiting:
            self.hire(1)
        if task is not None:
            why = f"its worker {death}. Often that is too little memory: use fewer --workers."
            yield task, self._work.after_death(task, why)


def _hired(work: Work) -> _Worker:
    context = get_context("spawn")  # a fork would copy locks of threads that do not exist in it
    ours, theirs = context.Pipe()
    level = logging.getLogger("ferflow").getEffectiveLevel()
    process = context.Process(
        target=work_until_told, args=(theirs, work, level), name="ferflow-worker", daemon=True
    )
    with _without_interrupts():
        process.start()
    theirs.close()  # or the end of the pipe would never be seen
    return _Worker(process, ours)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl+C in a terminal reaches every process; that of a child must be left to its parent.

    What is blocked here stays blocked in the child, and reaches us once it is unblocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
