"""The engine that everybody has: one video after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ferflow.jobs.listen import Listener
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.tasks import TaskReport, VideoTask, run_task


def reports(
    tasks: Sequence[VideoTask], options: AnalyzeOptions, tools: Tools, listener: Listener
) -> Iterator[tuple[VideoTask, TaskReport]]:
    """Analyse the videos, in order; see `Engine`."""
    for task in tasks:
        listener.started(task)
        yield task, run_task(task, options, tools, on_progress=listener.progress)
