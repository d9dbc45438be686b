"""How many tasks a run has, where long videos become several: so many workers can be busy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ferflow.errors import FerflowError
from ferflow.jobs.job import Job
from ferflow.options import AnalyzeOptions
from ferflow.store.object_store import is_object
from ferflow.store.run_manifest import VideoTask
from ferflow.system.child_process import call_in_child
from ferflow.system.cpus import available_cpus


def count_tasks(tasks: Sequence[VideoTask], job: Job) -> int:
    """Number of videos and segments, as far as headers state lengths; one per video without `Job.segment`.

    Args:
        tasks: pending ones.
        job: the request.
    """
    if job.segment is None or not tasks or len(tasks) >= max(available_cpus(), job.workers or 0):
        return len(tasks)
    with suppress(FerflowError):  # the child died of a damaged file
        local = [task.source for task in tasks if not is_object(task.source)]  # others are not split
        lengths = call_in_child(_read_lengths, local, job.options)
        counts = [max(1, round(length_s / (job.segment * 60))) for length_s in lengths]
        return len(tasks) - len(local) + sum(counts)
    return len(tasks)


def _read_lengths(paths: Sequence[Path], options: AnalyzeOptions) -> list[float]:
    """Lengths of videos by their headers, seconds; 0: unknown."""
    from ferflow.media.video import Reading, open_video

    found = []
    for path in paths:
        length_s = 0.0
        with suppress(FerflowError, OSError), open_video(path, Reading.of(options)) as video:
            length_s = video.info.duration_s_from_header or 0.0
        found.append(length_s)
    return found
