"""One video from start to end, in whichever process: tables, timeline, page. Every engine calls these functions.

What is wrong with one video is in its report and never raised. `plan` decides what there is to do.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Generator
from dataclasses import dataclass

from msgspec.structs import replace

from ferflow.errors import VideoError
from ferflow.jobs.derive import derive
from ferflow.jobs.job import Job
from ferflow.jobs.plan import replan
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.media.fingerprint import fingerprint, signature
from ferflow.media.video import Reading, Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.failure_kinds import describe_failure, failure_of
from ferflow.store.metadata import FrameCounts, ModelIdentity, SourceInfo, VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FaceRows, FrameRows, RecordsWriter, Rows, count_people, store_source
from ferflow.store.run_manifest import TaskReport, VideoTask, report_without_work
from ferflow.store.video_files import VideoFiles
from ferflow.version import __version__

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 0.1
"""A bar need not move more often, and pipes and logs stay small."""


def process_video(task: VideoTask, job: Job, tools: Tools) -> Generator[Progressed | Ended, None, None]:
    """Analyse one video, write its tables and bring what is derived from them up to date.

    Closing the generator ends the analysis and leaves no half-written file.

    Args:
        task: a pending one.
        job: how videos are analysed, and what is derived.
        tools: detector and classifier, loaded once for many videos.
    """
    report = yield from _analyze(task, task.options(job.options), tools)
    yield Ended(task, bring_up_to_date(task, job, report))


def bring_up_to_date(task: VideoTask, job: Job, report: TaskReport) -> TaskReport:
    """Bring what is derived from a video's records up to date; returns its report, another one if that fails."""
    files = task.files
    if files is None or report.status == "failed":
        return report
    try:
        derive(task.source, files, job)
    except Exception as error:  # the records are on disk, and the other videos must not fail with it
        log.debug("no timeline or page of %s", files.video_id, exc_info=error)
        why = describe_failure(task.source, error).removeprefix(f"{task.source.name}: ")
        return TaskReport.failed(
            task,
            f"{task.source.name}: analysed, but not all that follows. {why}",
            failure=failure_of(error),
            seconds=report.seconds,
        )
    finally:
        files.remove_unfinished()
    page = files.report.relative_to(files.out).as_posix() if job.pages else None
    return replace(report, report=page, n_people=count_people(files))


def update_finished(task: VideoTask, job: Job) -> TaskReport:
    """Bring an input up to date that needs no analysis, or cannot have one; how it ended."""
    try:
        _note_moved_source(task)
    except Exception as error:  # one video must not end the run
        return TaskReport.failed(task, describe_failure(task.source, error), failure=failure_of(error))
    return bring_up_to_date(task, job, report_without_work(task))


def _note_moved_source(task: VideoTask) -> None:
    """Store in the tables of a finished video where its source is, if it was moved or renamed."""
    if task.files is None or not task.is_finished:
        return
    stored, path = read_metadata(task.files.faces).source, task.source.absolute()
    if stored.sha256 is None or os.path.lexists(stored.path) or str(path) == stored.path:
        return
    task.files.remove_page()  # first: it names the file, and has a player of it
    now = replace(
        stored, path=str(path), name=path.name, mtime=path.stat().st_mtime, signature=signature(path)
    )
    store_source(task.files, now)


def report_dead_worker(task: VideoTask, job: Job, why: str) -> TaskReport:
    """Report a video whose worker died: a transient failure, unless the video was finished before."""
    now = replan(task, job.options)
    if not now.is_finished:
        return TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient")
    report = report_without_work(now)
    return bring_up_to_date(now, job, replace(report, status="done_with_gaps" if report.has_gaps else "done"))


def _analyze(
    task: VideoTask, options: AnalyzeOptions, tools: Tools
) -> Generator[Progressed, None, TaskReport]:
    """Write the records of one video; whatever is wrong with it is in the report."""
    if task.files is None:
        return report_without_work(task)
    started = time.monotonic()
    try:
        metadata = yield from _write_records(task, task.files, options, tools)
    except Exception as error:
        return TaskReport.failed(
            task,
            describe_failure(task.source, error),
            failure=failure_of(error),
            seconds=time.monotonic() - started,
        )
    finally:
        # A signal can interrupt between the creation of a file and the `with` block that would remove it.
        task.files.remove_unfinished()
    seconds = time.monotonic() - started
    return TaskReport.of_records(task.source, metadata, status=metadata.status, seconds=seconds)


def _write_records(
    task: VideoTask, files: VideoFiles, options: AnalyzeOptions, tools: Tools
) -> Generator[Progressed, None, VideoMetadata]:
    source, counts, pace = task.source, _Counts(), _Pace()
    with (
        open_video(source, Reading.of(options), threads=options.threads) as video,
        RecordsWriter(files, tools.classifier.card.labels) as writer,
    ):
        # Before the first frame, compared after the last: a file that is still being copied differs by then.
        known_by = fingerprint(source)
        for rows in analyze_video(video, files.video_id, options, tools):
            writer.write(rows)
            counts.add(rows)
            if pace.is_due(counts.last_time_s):
                yield Progressed(task, counts.last_time_s, video.info.duration_s_from_header)
        if counts.n_frames == 0:
            raise VideoError(f"{source.name}: no frame in the requested range. Check --start and --end.")
        if signature(source) != known_by.signature:
            raise VideoError(
                f"{source.name}: changed while it was analysed. Wait until it is complete, then run again."
            )
        metadata = describe_analysis(video, files.video_id, options, tools, counts.of(video))
        known = replace(metadata.source, signature=known_by.signature, sha256=known_by.sha256)
        metadata = replace(metadata, source=known)
        writer.finish(metadata, replaces=[OutputFolder(files.out).video(old) for old in task.replaces])
    return metadata


@dataclass(slots=True)
class _Counts:
    """Sums over the batches of one video."""

    n_frames: int = 0
    n_faces: int = 0
    n_cuts: int = 0
    n_people: int = 0
    last_time_s: float = 0.0

    def add(self, rows: Rows) -> None:
        batch = rows.batch
        if isinstance(rows, FrameRows):
            self.n_frames += batch.num_rows
            self.n_cuts += batch["is_cut"].true_count
            self.last_time_s = batch["time_s"][-1].as_py()
        elif isinstance(rows, FaceRows):
            self.n_faces += batch.num_rows
        else:
            self.n_people = len(batch["person_id"].drop_null().unique())

    def of(self, video: Video) -> FrameCounts:
        """With what the decoder counted."""
        report = video.report
        return FrameCounts(
            n_decoded=report.n_decoded, n_analysed=self.n_frames, n_failed=report.n_failed,
            n_damaged=report.n_damaged, n_faces=self.n_faces, n_people=self.n_people, n_cuts=self.n_cuts,
        )  # fmt: skip


@dataclass(slots=True)
class _Pace:
    """Decides when progress is reported: if it is new, and not too often."""

    seconds: float = -math.inf
    at: float = -math.inf

    def is_due(self, seconds: float) -> bool:
        now = time.monotonic()
        if seconds <= self.seconds or now - self.at < SECONDS_BETWEEN_PROGRESS:
            return False
        self.seconds, self.at = seconds, now
        return True


def describe_analysis(
    video: Video, video_id: str, options: AnalyzeOptions, tools: Tools, counts: FrameCounts
) -> VideoMetadata:
    """Metadata for the footers of the tables, except for the fingerprint of the source."""
    card, report = tools.classifier.card, video.report
    return VideoMetadata(
        ferflow_version=__version__,
        video_id=video_id,
        labels=tuple(card.labels),
        model=ModelIdentity(name=card.name, sha256=card.sha256, neutral_prior=card.neutral_prior),
        detector=ModelIdentity(name=tools.detector.name, sha256=tools.detector.sha256),
        options=options,
        options_digest=options.digest(),
        source=_source_info(video),
        counts=counts,
        status="done_with_gaps" if report.gaps else "done",
        warnings=tuple(report.warnings),
        gaps=tuple(report.gaps),
        duration_s=video.end_s,
    )


def _source_info(video: Video) -> SourceInfo:
    info, stat = video.info, video.info.path.stat()
    return SourceInfo(
        path=str(info.path.absolute()),
        name=info.path.name,
        size=stat.st_size,
        mtime=stat.st_mtime,
        format=info.format,
        codec=info.codec,
        pix_fmt=info.pix_fmt,
        width=video.size[0],
        height=video.size[1],
        rotation=video.rotation,
        time_base=info.time_base,
        stream=info.stream,
        other_streams=info.other_streams,
        turned=video.turn,
        frame_rate=info.frame_rate,
        duration_s_from_header=info.duration_s_from_header,
    )
