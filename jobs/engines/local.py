"""The engine without further dependencies: it runs on this machine, in this process or in several."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing

from ferflow.jobs.job import Job
from ferflow.jobs.run_events import VideoEvent
from ferflow.jobs.segments.board import Board
from ferflow.store.run_manifest import VideoTask


def process_videos(tasks: Sequence[VideoTask], job: Job, n_workers: int) -> Generator[VideoEvent, None, None]:
    """Analyse the videos, in order in this process or the largest first in workers; see `Engine`."""
    if n_workers == 0:
        return _in_this_process(tasks, job)
    from ferflow.jobs.engines.worker_pool import process_in_workers

    return process_in_workers(tasks, job, n_workers)


def _in_this_process(tasks: Sequence[VideoTask], job: Job) -> Generator[VideoEvent, None, None]:
    # Only here: where workers do the work, this process loads neither decoders nor runtimes.
    from ferflow.jobs.segments.work import process_video
    from ferflow.pipeline import Tools

    tools, board = Tools.load(job.options), Board(tasks)
    while board:
        task = board.first
        yield from board.start()
        with closing(process_video(task, job, tools)) as events:
            for event in events:
                yield from board.follow(event)
