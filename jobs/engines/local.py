"""The engine that everybody has: this machine, in this process or in several."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial

from ferflow.jobs.listener import Listener
from ferflow.jobs.video_job import Work
from ferflow.store.run_manifest import TaskReport, VideoTask


def reports(
    tasks: Sequence[VideoTask], work: Work, processes: int, listener: Listener
) -> Generator[tuple[VideoTask, TaskReport], None, None]:
    """Analyse the videos, in order here or the longest first in workers; see `Engine`."""
    if processes == 0:
        return _here(tasks, work, listener)
    from ferflow.jobs.engines.worker_pool import reports_of_crew

    return reports_of_crew(tasks, work, processes, listener)


def _here(
    tasks: Sequence[VideoTask], work: Work, listener: Listener
) -> Generator[tuple[VideoTask, TaskReport], None, None]:
    tools = work.tools()
    for task in tasks:
        listener.started(task)
        yield task, work.do(task, tools, partial(listener.progress, task))
