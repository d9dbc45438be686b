"""One video from start to end, in whichever process: tables, timeline, page. Engines call `segments.work`.

What is wrong with one video is in its report and never raised. `plan` decides what there is to do.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ferflow.errors import RecordsError, VideoError
from ferflow.jobs.finished_video import bring_up_to_date, claim_task
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.media.decode_report import DecodeReport
from ferflow.media.fingerprint import Fingerprint, content_sha256, fingerprint, signature, size_and_time
from ferflow.media.object_file import check_complete, forget_failures
from ferflow.media.video import Reading, Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.failure_kinds import describe_failure, failure_of
from ferflow.store.metadata import FrameCounts, ModelIdentity, SourceInfo, VideoMetadata
from ferflow.store.object_store import absolute_source, is_object, parse_address, permit
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FaceRows, FrameRows, RecordsWriter, Rows
from ferflow.store.run_manifest import TaskReport, VideoTask, report_without_work
from ferflow.store.segment_files import SegmentFiles
from ferflow.store.video_files import VideoFiles
from ferflow.version import __version__

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 0.1
"""A bar need not move more often, and pipes and logs stay small."""


@dataclass(frozen=True, slots=True)
class Analyzed:
    """All frames of a video are analysed; the next step replaces earlier results by the new ones."""

    task: VideoTask


WriteRecords = Callable[
    [VideoTask, VideoFiles, AnalyzeOptions, Tools], Generator[Progressed | Analyzed, None, VideoMetadata]
]
"""Writes the records of a video; yields `Analyzed` before anything in the folder changes."""


def process_in_steps(
    task: VideoTask, job: Job, tools: Tools, write: WriteRecords | None = None
) -> Generator[Progressed | Analyzed | Ended, None, None]:
    """Analyse one video, write its tables and bring what is derived from them up to date.

    Closing the generator ends the analysis and leaves no half-written file.

    Args:
        task: a pending one.
        job: how videos are analysed, and what is derived.
        tools: detector and classifier, loaded once for many videos.
        write: writes its records; None: by an analysis of all of it.

    Yields:
        `Analyzed` says that results are about to be published: nothing in the folder has changed before.
    """
    if is_object(task.source):
        permit(parse_address(task.source))  # in a worker, this task is what the user has given
    with claim_task(task, job) as finished:
        if finished is not None:
            yield Ended(task, bring_up_to_date(task, job, finished))
            return
        report = yield from _analyze(task, task.options(job.options), tools, write or _write_records)
        yield Ended(task, bring_up_to_date(task, job, report))


def _analyze(
    task: VideoTask, options: AnalyzeOptions, tools: Tools, write: WriteRecords
) -> Generator[Progressed | Analyzed, None, TaskReport]:
    """Write the records of one video; whatever is wrong with it is in the report."""
    if task.files is None:
        return report_without_work(task)
    started = time.monotonic()
    try:
        metadata = yield from write(task, task.files, options, tools)
        remove_segments(task.files)
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
) -> Generator[Progressed | Analyzed, None, VideoMetadata]:
    source, counts, pace = task.source, RowCounts(), Pace()
    forget_failures(source)
    # The digest of an object comes after the last frame, when its bytes are here.
    before_opening = Fingerprint(signature(source), "") if is_object(source) else None
    with (
        open_video(source, Reading.of(options), threads=options.threads, hwaccel=options.hwaccel) as video,
        RecordsWriter(files, tools.classifier.card.labels) as writer,
    ):
        # Before the first frame, compared after the last: a file that is still being copied differs by then.
        known_by = before_opening or fingerprint(source)
        for rows in analyze_video(video, files.video_id, options, tools):
            writer.write(rows)
            counts.add(rows)
            if pace.is_due(counts.last_time_s):
                yield Progressed(task, counts.last_time_s, video.info.duration_s_from_header)
        if counts.n_frames == 0:
            raise VideoError(f"{source.name}: no frame in the requested range. Check --start and --end.")
        check_complete(source)
        if is_object(source):
            known_by = known_by._replace(sha256=content_sha256(source))
        check_unchanged(source, known_by)
        metadata = describe_analysis(video, files.video_id, options, tools, counts.of(video.report))
        known = replace(metadata.source, signature=known_by.signature, sha256=known_by.sha256)
        metadata = replace(metadata, source=known)
        yield Analyzed(task)
        writer.finish(metadata, replaces=[OutputFolder(files.out).video(old) for old in task.replaces])
    return metadata


def remove_segments(files: VideoFiles) -> None:
    """Remove the files of segments of a video, also those of an earlier run; a warning says if that fails."""
    try:
        SegmentFiles.of(files).remove()
    except RecordsError as error:
        log.warning("%s Small pictures of faces may be left there.", error)


def check_unchanged(source: Path, before: Fingerprint) -> None:
    """Refuse a source that was changed or removed since its fingerprint was taken.

    Raises:
        VideoError: it was.
    """
    try:
        if signature(source) == before.signature:
            return
    except FileNotFoundError as error:
        raise VideoError(
            f"{source.name}: was removed while it was analysed. Put it back, then run again."
        ) from error
    raise VideoError(
        f"{source.name}: changed while it was analysed. Wait until it is complete, then run again."
    )


@dataclass(slots=True)
class RowCounts:
    """Sums over the batches of one video."""

    n_frames: int = 0
    n_faces: int = 0
    n_cuts: int = 0
    n_people: int = 0
    last_time_s: float = 0.0

    def add(self, rows: Rows) -> None:
        """Count further rows."""
        batch = rows.batch
        if isinstance(rows, FrameRows):
            self.n_frames += batch.num_rows
            self.n_cuts += batch["is_cut"].true_count
            self.last_time_s = batch["time_s"][-1].as_py()
        elif isinstance(rows, FaceRows):
            self.n_faces += batch.num_rows
        else:
            self.n_people = len(batch["person_id"].drop_null().unique())

    def of(self, report: DecodeReport) -> FrameCounts:
        """With what the decoder counted."""
        return FrameCounts(
            n_decoded=report.n_decoded, n_analysed=self.n_frames, n_failed=report.n_failed,
            n_damaged=report.n_damaged, n_repeated=report.n_repeated, n_faces=self.n_faces, n_people=self.n_people,
            n_cuts=self.n_cuts,
        )  # fmt: skip


@dataclass(slots=True)
class Pace:
    """Decides when progress is reported: if it is new, and not too often."""

    seconds: float = -math.inf
    at: float = -math.inf

    def is_due(self, seconds: float) -> bool:
        """Whether to report that a video is analysed up to this time, in seconds."""
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
        model=identify_model(tools),
        detector=identify_detector(tools),
        options=options,
        options_digest=options.digest(),
        source=_source_info(video),
        counts=counts,
        status="done_with_gaps" if report.gaps else "done",
        warnings=tuple(report.warnings),
        gaps=tuple(report.gaps),
        duration_s=video.end_s,
    )


def identify_model(tools: Tools) -> ModelIdentity:
    """The expression model, for footers."""
    card = tools.classifier.card
    return ModelIdentity(name=card.name, sha256=card.sha256, neutral_prior=card.neutral_prior)


def identify_detector(tools: Tools) -> ModelIdentity:
    """The detector, for footers."""
    return ModelIdentity(name=tools.detector.name, sha256=tools.detector.sha256)


def _source_info(video: Video) -> SourceInfo:
    info = video.info
    size, mtime = size_and_time(info.path)
    return SourceInfo(
        path=absolute_source(info.path),
        name=info.path.name,
        size=size,
        mtime=mtime,
        format=info.format,
        codec=info.codec,
        hwaccel=video.hwaccel,
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
