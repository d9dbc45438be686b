"""How long a run will take and how much it will write, from measured rates. Nothing is written.

>>> estimate = estimate_run(plan(job.inputs, job.out, job.options), job)
>>> estimate.video_hours, estimate.hours
(12.5, 4.1)

Rates are those of earlier videos in the output folder, where these were analysed with the same options, by the same
version and with as many threads for each; else those of a short analysis of up to three of the pending videos.
"""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean
from typing import Literal

from ferflow.errors import FerflowError, RecordsError
from ferflow.jobs.engines.worker_pool import largest_first, with_thread_share
from ferflow.jobs.job import Job
from ferflow.jobs.processing import choose_n_workers
from ferflow.jobs.segments.count import count_tasks
from ferflow.jobs.trial import Pace, Trial, select_seconds
from ferflow.media.inputs import size_of
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import TableBytes
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles
from ferflow.system.resident_child import ResidentChild
from ferflow.text import sanitize
from ferflow.version import __version__

log = logging.getLogger(__name__)

Basis = Literal["earlier_results", "trial"]
"""Where rates come from."""

LEAST_EARLIER_SECONDS = 30.0
"""Least work of earlier runs whose rates are used: less says little about a long run."""
_MOST_EARLIER_VIDEOS = 200
"""The latest; more would take long to read and change little."""
_HEADER_SECONDS = 3.0
"""For headers; the lengths of videos that are not reached follow from their sizes."""
_TRIALS = 3
_TRIAL_SECONDS = 1.5
_LAST_TRIAL_SECONDS = 6.0
"""Time since the start after which no trial begins."""
_SECONDS_PER_CALL = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Cost of videos: a fixed part for each, and a part for each second of it."""

    basis: Basis
    n_measured: int
    """Videos that were measured."""
    video_work_s: float
    """Seconds of work of one worker for each video."""
    second_work_s: float
    """Seconds of work of one worker for each second of video."""
    video_bytes: float
    """Size of the tables, a part for each video."""
    second_bytes: float
    """Size of the tables, a part for each second of video."""
    video_page_bytes: float | None = None
    """Size of pages; None: unknown, or no pages are written."""
    second_page_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The pending videos, and their cost in time and disk space; None: unknown."""

    n_videos: int
    """Pending videos that can be opened."""
    n_unreadable: int
    """Pending videos that cannot be opened, and will fail."""
    n_headers: int
    """Whose header was read and states a length; the lengths of the others follow from their sizes."""
    video_hours: float | None
    """Length of all of them together, between `start` and `end` of the options."""
    n_workers: int
    hours: float | None
    """Time until `n_workers` have analysed all of them."""
    table_bytes: int | None
    """By a trial: without TIMELINE."""
    page_bytes: int | None
    basis: Basis | None
    n_measured: int
    """Videos that the rates come from."""

    @property
    def table_bytes_per_hour(self) -> int | None:
        """Per hour of video."""
        if self.table_bytes is None or not self.video_hours:
            return None
        return round(self.table_bytes / self.video_hours)


def estimate_run(tasks: Sequence[VideoTask], job: Job) -> Estimate | None:
    """Estimate the pending videos; takes up to ten seconds, reads videos in a child process, and writes nothing.

    Args:
        tasks: as planned.
        job: the request that they belong to.

    Returns:
        None: nothing is pending.
    """
    pending = [task for task in tasks if task.is_pending]
    if not pending:
        return None
    started = time.monotonic()
    # Only a run knows what a cluster has: the estimate is for this machine, and says for how many workers.
    n_workers = choose_n_workers(count_tasks(pending, job), job.on_this_machine())
    of_worker = with_thread_share(job, n_workers) if n_workers else job
    with closing(
        ResidentChild(partial(Trial, of_worker.options), seconds_per_call=_SECONDS_PER_CALL)
    ) as child:
        lengths = _read_lengths(pending, child)
        rates = find_earlier_rates(OutputFolder(job.out), of_worker) if lengths.seconds else None
        if rates is None:
            rates = _combine(list(_try_some(lengths, child, started)))
    return _estimate(lengths, rates, max(n_workers, 1))


@dataclass(frozen=True, slots=True)
class _Lengths:
    """Lengths of the pending videos, between `start` and `end` of the options."""

    seconds: dict[VideoTask, float]
    """Length of each video that can be opened, the largest file first; empty if no header states a length."""
    n_readable: int
    n_unreadable: int
    n_headers: int


def _read_lengths(pending: Sequence[VideoTask], child: ResidentChild[Trial]) -> _Lengths:
    read: dict[VideoTask, float] = {}
    unreadable: set[VideoTask] = set()
    started = time.monotonic()
    # In random order, so that those that are reached in time stand for the others.
    for task in random.Random(0).sample(pending, len(pending)):
        try:
            if (length_s := child.call(Trial.read_length, task.source)) is not None:
                read[task] = length_s
        except (FerflowError, OSError) as error:  # the run will say so, too
            log.debug("%s: no length (%s)", task.source, error)
            unreadable.add(task)
        if time.monotonic() - started > _HEADER_SECONDS:
            break
    readable = [task for task in largest_first(pending) if task not in unreadable]
    read_bytes = sum(size_of(task.source) for task in read)
    per_byte = sum(read.values()) / read_bytes if read_bytes else 0.0
    seconds = {task: read.get(task, size_of(task.source) * per_byte) for task in readable} if read else {}
    return _Lengths(seconds, len(readable), len(unreadable), len(read))


def find_earlier_rates(folder: OutputFolder, job: Job) -> Rates | None:
    """The rates of earlier videos in the folder that were analysed as the job will; None: too few of them.

    Args:
        folder: the output folder; need not exist.
        job: as a worker gets it, with its share of the threads.
    """
    try:
        manifest = RunManifest.load(folder.manifest)
    except RecordsError:  # the run will say so
        return None
    entries = [] if manifest is None else manifest.videos[-_MOST_EARLIER_VIDEOS:]
    found = [each for entry in entries if (each := _measure_earlier(folder, entry, job.options)) is not None]
    work_s, video_s = sum(each.work_s for each in found), sum(each.video_s for each in found)
    if work_s < LEAST_EARLIER_SECONDS or not video_s:
        return None
    tables = [table for each in found for table in each.tables]
    rates = Rates(
        basis="earlier_results",
        n_measured=len(found),
        video_work_s=0.0,
        second_work_s=work_s / video_s,
        video_bytes=sum(table.rest for table in tables) / len(found),
        second_bytes=sum(table.rows for table in tables) / video_s,
    )
    pages = [each.page_bytes for each in found]
    if not job.pages or not all(pages):
        return rates
    # What all pages have in common is at most the smallest of them.
    least = min(pages)
    return replace(
        rates, video_page_bytes=least, second_page_bytes=sum(page - least for page in pages) / video_s
    )


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What a video took in an earlier run."""

    work_s: float
    video_s: float
    tables: list[TableBytes]
    page_bytes: int
    """0: there is no page."""


def _measure_earlier(folder: OutputFolder, entry: TaskReport, options: AnalyzeOptions) -> _Earlier | None:
    """None: it was analysed in another way, or its tables cannot be read."""
    if entry.status not in FINISHED or entry.video_id is None or entry.seconds <= 0:
        return None
    try:
        files = folder.video(entry.video_id)
        footer = read_metadata(files.faces)
        if not _takes_as_long(footer, options):
            return None
        tables = [TableBytes.of_file(path) for path in (files.frames, files.faces, files.timeline)]
    except RecordsError:
        return None
    video_s = select_seconds(footer.duration_s, footer.options, footer.source.frame_rate)
    return _Earlier(entry.seconds, video_s, tables, _page_bytes(files))


def _takes_as_long(footer: VideoMetadata, options: AnalyzeOptions) -> bool:
    """Whether an analysis with these options takes as long as that one did, for each second of video."""
    return (
        footer.ferflow_version == __version__
        and footer.options_digest == options.digest()
        and all(
            getattr(footer.options, name) == getattr(options, name)
            for name in ("model", "threads", "device", "backend", "hwaccel")
        )
    )


def _page_bytes(files: VideoFiles) -> int:
    try:
        return files.report.stat().st_size
    except OSError:
        return 0


def _try_some(lengths: _Lengths, child: ResidentChild[Trial], started: float) -> Iterator[Pace]:
    """Analyse the first seconds of a few videos."""
    for task in _spread(lengths.seconds):
        if time.monotonic() - started > _LAST_TRIAL_SECONDS:
            return
        try:
            pace = child.call(Trial.measure, task.source, seconds=_TRIAL_SECONDS)
        except (FerflowError, OSError) as error:
            log.warning("%s: not tried for the estimate (%s)", sanitize(task.source.name), sanitize(error))
            continue
        if pace is not None:
            yield pace


def _spread(seconds: dict[VideoTask, float]) -> list[VideoTask]:
    """A few videos, each of which stands for an equal part of the total length."""
    total, reached = sum(seconds.values()), 0.0
    chosen: list[VideoTask] = []
    for task, length_s in seconds.items():
        reached += length_s
        if len(chosen) < _TRIALS and reached * _TRIALS >= total * (len(chosen) + 0.5):
            chosen.append(task)
    return chosen


def _combine(paces: Sequence[Pace]) -> Rates | None:
    if not paces:
        return None
    return Rates(
        basis="trial",
        n_measured=len(paces),
        video_work_s=mean(pace.start_s for pace in paces),
        second_work_s=mean(pace.work_per_second for pace in paces),
        video_bytes=mean(pace.file_bytes for pace in paces),
        second_bytes=mean(pace.row_bytes / pace.video_s if pace.video_s else 0.0 for pace in paces),
    )


def _estimate(lengths: _Lengths, rates: Rates | None, n_workers: int) -> Estimate:
    video_s = sum(lengths.seconds.values())
    known = Estimate(
        n_videos=lengths.n_readable,
        n_unreadable=lengths.n_unreadable,
        n_headers=lengths.n_headers,
        video_hours=video_s / 3600 if lengths.seconds else None,
        n_workers=n_workers,
        hours=None,
        table_bytes=None,
        page_bytes=None,
        basis=None,
        n_measured=0,
    )
    if rates is None:
        return known

    def total(per_video: float | None, per_second: float | None) -> int | None:
        if per_video is None or per_second is None:
            return None
        return round(len(lengths.seconds) * per_video + video_s * per_second)

    work_s = [rates.video_work_s + length_s * rates.second_work_s for length_s in lengths.seconds.values()]
    return replace(
        known,
        hours=_last_end_s(work_s, n_workers) / 3600,
        table_bytes=total(rates.video_bytes, rates.second_bytes),
        page_bytes=total(rates.video_page_bytes, rates.second_page_bytes),
        basis=rates.basis,
        n_measured=rates.n_measured,
    )


def _last_end_s(work_s: Sequence[float], n_workers: int) -> float:
    """When the last task ends, in seconds, where each worker takes the next task in this order."""
    free_at = [0.0] * n_workers
    for each in work_s:
        heapq.heapreplace(free_at, free_at[0] + each)
    return max(free_at)
