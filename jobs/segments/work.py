"""Carry out a task of an engine: a video, or a step of one. Every engine calls `process_video` or `process_in_steps`.

What is wrong with one video is in its report and never raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import structs

from ferflow.errors import RecordsError, VideoError
from ferflow.jobs import video_job
from ferflow.jobs.finished_video import claim_task
from ferflow.jobs.job import Job
from ferflow.jobs.plan import replan
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.jobs.segments.observe import SPACINGS, FrameObservations, PartObserver
from ferflow.jobs.segments.plan import (
    SegmentPlan,
    SegmentState,
    basis_of,
    count_segments,
    load_plan,
    load_state,
    save_plan,
    save_state,
)
from ferflow.jobs.segments.replay import ObservedPart, Replay
from ferflow.jobs.segments.steps import Inexact, JoinTask, SegmentTask, Split, WholeTask, report_step
from ferflow.jobs.video_job import (
    Analyzed,
    Pace,
    RowCounts,
    check_unchanged,
    describe_analysis,
    remove_segments,
)
from ferflow.media.fingerprint import Fingerprint, fingerprint
from ferflow.media.parts import InexactPartError
from ferflow.media.split import CannotSplitError, split_video
from ferflow.media.video import SIZE_CHANGES, Reading, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.regions import Region, parse_regions
from ferflow.store.failure_kinds import describe_failure, failure_of
from ferflow.store.metadata import FrameCounts, SourceInfo, VideoMetadata, to_json_values
from ferflow.store.object_store import is_object
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import RecordsWriter
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.segment_files import SegmentFiles, SegmentWriter, read_groups
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize

log = logging.getLogger(__name__)


def process_video(task: VideoTask, job: Job, tools: Tools) -> Generator[Progressed | Ended, None, None]:
    """Carry out a task; see `process_in_steps`."""
    with closing(process_in_steps(task, job, tools)) as events:
        for event in events:
            if not isinstance(event, Analyzed):
                yield event


def process_in_steps(
    task: VideoTask, job: Job, tools: Tools
) -> Generator[Progressed | Analyzed | Ended, None, None]:
    """Carry out a task; see `video_job.process_in_steps`.

    Closing the generator ends it and leaves no half-written file.
    """
    match task:
        case SegmentTask():
            yield from _observe(task, job, tools)
        case JoinTask():
            yield from video_job.process_in_steps(task, job, tools, _join)
        case WholeTask():
            yield from _analyze_whole(task, job, tools)
        case _ if job.segment is not None and task.files is not None:
            yield from _split(task, task.files, job, tools)
        case _:
            yield from video_job.process_in_steps(task, job, tools)


def _analyze_whole(
    task: VideoTask, job: Job, tools: Tools
) -> Generator[Progressed | Analyzed | Ended, None, None]:
    if task.files is not None:
        remove_segments(task.files)
    yield from video_job.process_in_steps(task, job, tools)


def _split(
    task: VideoTask, files: VideoFiles, job: Job, tools: Tools
) -> Generator[Progressed | Analyzed | Ended, None, None]:
    """Say which segments a video has; analyse it, if it is not split."""
    started = time.monotonic()
    with claim_task(task, job) as finished:
        plan = None if finished is not None else _find_plan(task, files, job, tools)
    if plan is None:
        yield from _analyze_whole(task, job, tools)
        return
    own = SegmentFiles.of(files)
    pending = [part.number for part in plan.parts if load_state(own, part.number, plan.basis) is None]
    yield Split.of(
        task,
        seconds=time.monotonic() - started,
        parts=plan.parts,
        pending=tuple(pending),
        of_seconds=plan.of_seconds,
    )


def _find_plan(task: VideoTask, files: VideoFiles, job: Job, tools: Tools) -> SegmentPlan | None:
    """The plan of an earlier run that was interrupted, or a new one; None: the video is not split."""
    own, options = SegmentFiles.of(files), task.options(job.options)
    if is_object(task.source):  # each segment would fetch all of it again
        log.warning(
            "%s: analysed in one segment, since it is in an object store.", sanitize(task.source.name)
        )
        return None
    try:
        known_by = fingerprint(task.source)
        basis = basis_of(options, tools, job.segment or 0.0, known_by.sha256)
        plan = load_plan(own, basis)
        if plan is None:
            own.remove()
            plan = _make_plan(task, job, basis, known_by)
        if plan is not None:
            plan = structs.replace(plan, source=str(task.source.absolute()), signature=known_by.signature)
            save_plan(own, plan)
    except RecordsError as error:
        log.warning(
            "%s: analysed in one segment, since its segments cannot be kept. %s",
            sanitize(task.source.name),
            error,
        )
        return None
    except (VideoError, OSError) as error:
        # Whatever is wrong with it, the analysis of all of it says so in the usual way.
        log.debug("%s: no segments", task.source, exc_info=error)
        return None
    except Exception as error:  # one video must not end the run
        log.warning(
            "%s: analysed in one segment, since it could not be split (unexpected %s).",
            sanitize(task.source.name),
            type(error).__name__,
        )
        log.debug("%s: no segments", task.source, exc_info=error)
        return None
    return plan


def _make_plan(task: VideoTask, job: Job, basis: str, known_by: Fingerprint) -> SegmentPlan | None:
    options, minutes, n_workers = task.options(job.options), job.segment or 0.0, max(job.workers or 1, 1)
    with open_video(task.source, Reading.of(options), threads=options.threads) as video:
        wanted = 1

        def count(seconds: float) -> int:
            nonlocal wanted
            wanted = count_segments(seconds, minutes, n_workers)
            return wanted

        try:
            parts = split_video(video, Selection.of(options), count, SPACINGS)
            if len(parts) < min(wanted, 2):
                raise CannotSplitError("it has no key frame at which to split it")
        except CannotSplitError as error:
            header_s = video.info.duration_s_from_header
            is_short = header_s is not None and count_segments(header_s, minutes, n_workers) == 1
            level = logging.DEBUG if is_short else logging.WARNING  # a short one would not be split anyway
            log.log(level, "%s: analysed in one segment, since %s.", sanitize(task.source.name), error)
            return None
        if len(parts) < 2:
            return None
        return SegmentPlan(
            basis=basis,
            source=str(task.source),
            signature=known_by.signature,
            sha256=known_by.sha256,
            of_seconds=video.info.duration_s_from_header,
            parts=tuple(parts),
        )


def _observe(task: SegmentTask, job: Job, tools: Tools) -> Generator[Progressed | Ended, None, None]:
    """Observe a segment, if no other process has; whatever is wrong with it is in the report."""
    assert task.files is not None
    assert task.part is not None
    started = time.monotonic()
    own = SegmentFiles.of(task.files)
    try:
        with _claim_segment(task, job) as is_finished:
            plan = load_plan(own)
            if not is_finished and plan is None:
                raise RecordsError(f"{own.plan}: was removed. Run the same command again.")
            if plan is not None and load_state(own, task.number, plan.basis) is None:
                options = task.options(job.options)
                yield from _write_segment(task, plan, own, PartObserver(task.part, options, tools))
    except InexactPartError as error:
        log.warning("%s It is damaged, or unusual; it is analysed in one segment.", error)
        yield Inexact(task, report_step(task, seconds=time.monotonic() - started))
    except Exception as error:
        where = describe_failure(task.source, error)
        seconds = time.monotonic() - started
        yield Ended(task, TaskReport.failed(task, where, failure=failure_of(error), seconds=seconds))
    else:
        yield Ended(task, report_step(task, seconds=time.monotonic() - started))


@contextmanager
def _claim_segment(task: SegmentTask, job: Job) -> Iterator[bool]:
    """Keep other processes from a segment of a video of a shard; whether one has finished the video since."""
    if job.shard is None or task.files is None:
        yield False
        return
    with OutputFolder(task.files.out).claim(f"{task.files.video_id}.{task.number:04}"):
        yield replan(task, job.options).is_finished


def _write_segment(
    task: SegmentTask, plan: SegmentPlan, own: SegmentFiles, observer: PartObserver
) -> Generator[Progressed, None, None]:
    source, options, tools, part = task.source, observer.options, observer.tools, observer.part
    counts, pace = RowCounts(), Pace()
    labels = tools.classifier.card.labels
    with (
        open_video(source, Reading.of(options), threads=options.threads, hwaccel=options.hwaccel) as video,
        SegmentWriter(own, part.number, n_labels=len(labels)) as writer,
    ):
        check_unchanged(source, plan.fingerprint)
        for rows in observer.observe(video):
            if isinstance(rows, FrameObservations):
                writer.frames.write(rows.batch)
                counts.n_frames += rows.batch.num_rows
                if pace.is_due(rows.last_s):
                    yield Progressed(task, rows.last_s - part.start_s, part.end_s - part.start_s)
            else:
                writer.faces.write(rows.batch)
        check_unchanged(source, plan.fingerprint)
        metadata = describe_analysis(video, own.video_id, options, tools, counts.of(video.report))
        writer.finish()
        state = SegmentState(
            basis=plan.basis,
            digest=own.digest(part.number),
            metadata=to_json_values(metadata),
            regions=tuple(map(_write_region, observer.regions)),
            next_cuts=tuple(observer.next_cuts),
        )
        save_state(own, part.number, state)


def _write_region(region: Region) -> str:
    return region.spec if region.name is None else f"{region.name}={region.spec}"


def _join(
    task: VideoTask, files: VideoFiles, options: AnalyzeOptions, tools: Tools
) -> Generator[Progressed | Analyzed, None, VideoMetadata]:
    """Write the records of a video whose segments are observed; see `video_job.WriteRecords`."""
    own = SegmentFiles.of(files)
    plan, known = _load_all(own)
    first, last = known[0].video, known[-1].video
    labels, counts = tuple(tools.classifier.card.labels), RowCounts()
    replay = Replay(files.video_id, options, labels)
    observed = [
        ObservedPart(read_groups(own.frames(number)), read_groups(own.faces(number)), state.next_cuts)
        for number, state in enumerate(known)
    ]
    with RecordsWriter(files, labels) as writer:
        check_unchanged(task.source, plan.fingerprint)
        for rows in replay.run(observed, parse_regions(known[0].regions), end_s=last.duration_s):
            writer.write(rows)
            counts.add(rows)
        check_unchanged(task.source, plan.fingerprint)
        metadata = structs.replace(
            first,
            options=options,
            source=_locate(first.source, task.source, plan.fingerprint),
            counts=_add_up(known, counts),
            status=last.status,
            warnings=tuple(_merge_warnings(known, replay)),
            gaps=last.gaps,
            duration_s=last.duration_s,
        )
        yield Analyzed(task)
        writer.finish(metadata, replaces=[OutputFolder(files.out).video(old) for old in task.replaces])
    return metadata


def _load_all(own: SegmentFiles) -> tuple[SegmentPlan, list[SegmentState]]:
    """The plan of a video, and what is known of each of its segments.

    Raises:
        RecordsError: one of them is not finished.
    """
    plan = load_plan(own)
    if plan is not None:
        states = [load_state(own, part.number, plan.basis) for part in plan.parts]
        finished = [state for state in states if state is not None]
        if len(finished) == len(states):
            return plan, finished
    raise RecordsError(f"{own.folder}: segments were removed or changed. Run the same command again.")


def _locate(source: SourceInfo, path: Path, known_by: Fingerprint) -> SourceInfo:
    """Where a source is now: it may have been moved since its first segment was observed."""
    return structs.replace(
        source,
        path=str(path.absolute()),
        name=path.name,
        mtime=path.stat().st_mtime,
        signature=known_by.signature,
        sha256=known_by.sha256,
    )


def _add_up(states: list[SegmentState], rows: RowCounts) -> FrameCounts:
    counts = [state.video.counts for state in states]
    # A segment counts beyond its end, too, where the next one counts again, but for its first frame: only the segment
    # before knows that it repeats a picture.
    n_twice = sum(is_repeat for state in states[:-1] for _, _, is_repeat in state.next_cuts[1:])
    return FrameCounts(
        n_decoded=counts[-1].n_decoded,
        n_analysed=rows.n_frames,
        n_failed=counts[-1].n_failed,
        n_damaged=counts[-1].n_damaged,
        n_repeated=sum(one.n_repeated for one in counts) - n_twice,
        n_faces=rows.n_faces,
        n_people=rows.n_people,
        n_cuts=rows.n_cuts,
    )


def _merge_warnings(states: list[SegmentState], replay: Replay) -> Iterator[str]:
    """The warnings of all segments, each once."""
    texts = [text for state in states for text in state.video.warnings if not text.startswith(SIZE_CHANGES)]
    changes = [] if replay.size_change is None else [replay.size_change]
    yield from dict.fromkeys([*changes, *texts, *replay.warnings])
