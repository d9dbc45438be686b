"""A complete run: plan, analyse each video, bring derived files up to date, and save `run.json` after each video.

>>> report = run(["sessions/"], "out")
>>> report.failed
[]
>>> for event in run_events(Job(inputs=("sessions/",), out=Path("out"))):
...     print(event)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from ferflow.jobs.additions import check_additions, warn_of_rest
from ferflow.jobs.copies import find_copies
from ferflow.jobs.folder_pages import derive_others, remove_outdated, write_pages
from ferflow.jobs.job import EngineName, Job
from ferflow.jobs.page_options import check_page_options, save_page_options
from ferflow.jobs.plan import plan_job
from ferflow.jobs.processing import process_tasks
from ferflow.jobs.run_events import Finished, Planned, RunEvent, RunReport, WatchEvent, refuse
from ferflow.jobs.shard_join import absorb_shards
from ferflow.jobs.shard_run import run_shard
from ferflow.models.registry import POOR_IN_VIDEO
from ferflow.options import AnalyzeOptions
from ferflow.store.object_store import is_object, source_text
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest, timestamp

log = logging.getLogger(__name__)


def run(
    inputs: Sequence[str | Path],
    out: str | Path,
    options: AnalyzeOptions | None = None,
    *,
    overwrite: bool = False,
    pages: bool = True,
    markers: Path | None = None,
    chapters: bool = False,
    markers_offset: str | None = None,
    speech: Path | None = None,
    signals: Path | None = None,
    signals_start: datetime | None = None,
    sessions: Path | None = None,
    corrections: Path | None = None,
    title: str | None = None,
    logo: Path | None = None,
    rest: Sequence[str] | None = None,
    embed_clips: bool = False,
    stimulus: str | None = None,
    engine: EngineName = "local",
    address: str | None = None,
    workers: int | None = 1,
    segment: float | None = None,
    retries: int = 1,
    fail_fast: bool = False,
) -> RunReport:
    """Analyse videos into an output folder; `run_events` is the same step by step.

    Args:
        inputs: files, folders (recursive) and globs.
        out: the output folder; created if needed.
        options: how; None: the defaults.
        overwrite: replace results made with other options, models or of another content of the same file, and
            analyse finished videos again.
        pages: write the HTML reports.
        markers: one file of markers for all videos; None: the file next to each video, if there is one.
        chapters: read the chapters of each video as markers, where there is no file of markers.
        markers_offset: clock of files of markers; see `Job.markers_offset`.
        speech: one transcript for all videos; None: the file next to each video, if there is one.
        signals: one file of continuous signals for all videos; None: the file next to each video, if there is one.
        signals_start: when the first frame of the videos was recorded, for signals with times of day; None: as the
            session list or the video files say.
        sessions: the session list; None: that of the last report, else `sessions.csv` in the output folder.
        corrections: the list of corrections; None: that of the last report, else `corrections.csv` in the output
            folder.
        title: of the report; None: as in the last one.
        logo: of the report, a picture; None: as in the last one.
        rest: stretches in which people are at rest, for calibration; see `Job.rest`.
        embed_clips: cut short clips around the peaks, for the reports.
        stimulus: what the people in all inputs watched or did; see `Job.stimulus`.
        engine: `local`, or `ray` for several machines.
        address: of the Ray cluster; see `Job.address`.
        workers: processes that analyse videos in parallel; 0: this one, in which a crash of a decoder ends the
            program; None: by CPUs and memory, of all machines with Ray. On a GPU, None and 1 are this one, too, unless
            Ray runs it.
        segment: minutes of video per segment, see `Job.segment`; None: each video is one task.
        retries: retries of a video after a transient failure.
        fail_fast: start no further video after one has failed.

    Returns:
        How each input ended; what is wrong with one of them is in there, not raised.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the disk is full.
    """
    job = Job(
        inputs=tuple(map(str, inputs)), out=Path(out), options=options or AnalyzeOptions(), overwrite=overwrite,
        pages=pages, markers=markers, chapters=chapters, markers_offset=markers_offset, speech=speech, signals=signals,
        signals_start=signals_start, sessions=sessions, corrections=corrections,
        title=title, logo=logo, rest=None if rest is None else tuple(rest), embed_clips=embed_clips,
        stimulus=stimulus, engine=engine, address=address,
        workers=workers, segment=segment, retries=retries, fail_fast=fail_fast,
    )  # fmt: skip
    return follow(run_events(job))


def follow(events: Generator[WatchEvent, None, None], *observers: Callable[[WatchEvent], None]) -> RunReport:
    """Carry out a run and hand each of its events to the observers; how it ended."""
    with closing(events):
        for event in events:
            for observe in observers:
                observe(event)
    assert isinstance(event, Finished)
    return event.report


def run_events(job: Job, *, warn_of_copies: bool = True) -> Generator[RunEvent, None, None]:
    """Carry out a job; yields what happens, when it happens. Nothing happens unless the events are consumed.

    Closing the generator ends the run: what is finished stays, no half-written file and no process is left.

    Args:
        job: the request.
        warn_of_copies: warn of files of one content, which would count several times in a report of all.

    Raises:
        OptionsError, ModelError, RecordsError: nothing can be analysed at all, or the disk is full.
    """
    check_additions(job.additions)
    folder = OutputFolder(job.out)
    check_page_options(job)
    if job.options.model in POOR_IN_VIDEO:
        log.warning("%s", POOR_IN_VIDEO[job.options.model])
    if is_object(job.out):
        from ferflow.jobs.store_run import run_to_store  # only here: few runs need it

        yield from run_to_store(job)
        return
    if job.shard is not None:
        yield from run_shard(job, job.shard)
        return
    if not folder.path.exists():
        tasks = plan_job(job)
        if not any(task.is_pending for task in tasks):  # mistyped: nothing is made
            yield from refuse(tasks, job.out)
            return
    with folder.lock():
        try:
            yield from _carry_out(job, folder, warn_of_copies=warn_of_copies)
        finally:
            folder.remove_leftovers()  # a worker that is stopped early may have written one of its two tables


def _carry_out(job: Job, folder: OutputFolder, *, warn_of_copies: bool) -> Generator[RunEvent, None, None]:
    """A run in a folder that is locked."""
    folder.remove_leftovers()
    tasks = plan_job(job)
    absorb_shards(folder)  # not before: a run that is refused changes nothing
    save_page_options(job, folder)
    for warning in find_copies(tasks, job) if warn_of_copies else ():
        log.warning("%s", warning)
    yield Planned(tuple(tasks))
    manifest = RunManifest.start(folder.manifest, options=job.options, started=timestamp())
    manifest.save(folder.manifest)
    reports = yield from process_tasks(tasks, job, manifest, folder.manifest)
    derive_others(job, folder, manifest, {task.video_id for task in tasks})
    manifest.finished = timestamp()
    manifest.arrange([source_text(task.source) for task in tasks])
    manifest.save(folder.manifest)
    warn_of_rest(folder, {task.video_id for task in tasks if task.video_id}, job.session_list)
    if job.pages:
        write_pages(folder)
    else:
        remove_outdated(folder)
    yield Finished(RunReport(job.out, tuple(reports[task] for task in tasks)))
