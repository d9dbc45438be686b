"""One video from start to end, in whichever process: tables, timeline, page. The seam at which every engine takes over.

`Work.do()` treats one video and never raises for what is wrong with that video. What there is to do says `plan`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ferflow.analytics.timeline import needs_timeline, write_timeline
from ferflow.errors import VideoError
from ferflow.jobs.plan import meanwhile
from ferflow.jobs.report_inputs import Beside
from ferflow.media.fingerprint import fingerprint, signature
from ferflow.media.video import Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.failure_kinds import failure_of, told
from ferflow.store.records import (
    FRAMES,
    UNTRACKED,
    RecordPaths,
    RecordsWriter,
    finished_videos,
)
from ferflow.store.run_manifest import TaskReport, VideoTask, report_of, report_without_work
from ferflow.version import __version__

log = logging.getLogger(__name__)

SECONDS_BETWEEN_PROGRESS = 0.1
"""A bar need not move more often, and pipes and logs are spared."""

OnProgress = Callable[[float, float | None], None]
"""Told seconds of video analysed so far and, if the header tells, in all."""


@dataclass(slots=True)
class _Counts:
    """Sums over the batches of one video."""

    n_frames: int = 0
    n_faces: int = 0
    n_cuts: int = 0
    track_ids: set[int] = field(default_factory=set)
    last_time_s: float = 0.0

    def add(self, batch: pa.RecordBatch) -> None:
        if batch.schema.names == FRAMES.names:
            self.n_frames += batch.num_rows
            self.n_cuts += batch["is_cut"].true_count
            self.last_time_s = batch["time_s"][-1].as_py()
        else:
            self.n_faces += batch.num_rows
            self.track_ids.update(batch["track_id"].unique().to_pylist())

    @property
    def n_people(self) -> int:
        return len(self.track_ids - {UNTRACKED})


def run_task(
    task: VideoTask,
    options: AnalyzeOptions,
    tools: Tools,
    *,
    on_progress: OnProgress | None = None,
) -> TaskReport:
    """Analyse one video and write its tables.

    Args:
        task: what to do.
        options: how.
        tools: detector and classifier, loaded once for many tasks.
        on_progress: called now and then.

    Returns:
        How it ended; whatever is wrong with this video is in the report, not raised.
    """
    if task.paths is None or not task.is_pending:
        return report_without_work(task)
    started = time.monotonic()
    try:
        metadata = _analyzed(task, task.paths, options, tools, on_progress)
        write_timeline(task.paths, options)
    except Exception as error:
        return TaskReport.failed(
            task, told(task.source, error), failure=failure_of(error), seconds=time.monotonic() - started
        )
    finally:
        # A signal can strike between the making of a file and the block that looks after it.
        task.paths.remove_unfinished()
    return report_of(task.source, metadata, metadata["status"], time.monotonic() - started)


def _analyzed(
    task: VideoTask,
    paths: RecordPaths,
    options: AnalyzeOptions,
    tools: Tools,
    on_progress: OnProgress | None,
) -> dict[str, Any]:
    source, counts = task.source, _Counts()
    with (
        open_video(source, sequence_fps=options.sequence_fps, threads=options.threads) as video,
        RecordsWriter(paths, tools.classifier.card.labels) as writer,
    ):
        known_by = fingerprint(source)
        for batch in analyze_video(video, paths.video_id, options, tools):
            writer.write(batch)
            counts.add(batch)
            if on_progress is not None:
                on_progress(counts.last_time_s, video.info.duration_s_from_header)
        if counts.n_frames == 0:
            raise VideoError(
                f"{source.name}: no frame lies in the range that was asked for. Check --start and --end."
            )
        if signature(source) != known_by["signature"]:
            raise VideoError(
                f"{source.name}: changed while it was analysed. Wait until it is written, then run again."
            )
        metadata = _metadata(video, paths.video_id, options, tools, counts)
        metadata["source"] |= known_by
        writer.finish(metadata, replaces=[RecordPaths(paths.out, old) for old in task.replaces])
    return metadata


def _metadata(
    video: Video, video_id: str, options: AnalyzeOptions, tools: Tools, counts: _Counts
) -> dict[str, Any]:
    """What every table of the video carries in its footer."""
    info, card, stat = video.info, tools.classifier.card, video.info.path.stat()
    return {
        "ferflow_version": __version__,
        "video_id": video_id,
        "labels": list(card.labels),
        "model": {"name": card.name, "sha256": card.sha256},
        "detector": {"name": tools.detector.name, "sha256": tools.detector.sha256},
        "options": options.as_dict(),
        "options_digest": options.digest(),
        "source": {
            "path": str(info.path.absolute()),
            "name": info.path.name,
            "size": stat.st_size,
            "mtime": stat.st_mtime,
            "format": info.format,
            "codec": info.codec,
            "pix_fmt": info.pix_fmt,
            "width": video.size[0],
            "height": video.size[1],
            "rotation": video.rotation,
            "time_base": str(info.time_base),
            "frame_rate": info.frame_rate,
            "duration_s_from_header": info.duration_s_from_header,
        },
        "counts": {
            "n_decoded": video.n_decoded,
            "n_analysed": counts.n_frames,
            "n_failed": video.faults.n_failed,
            "n_damaged": video.faults.n_damaged,
            "n_faces": counts.n_faces,
            "n_people": counts.n_people,
            "n_cuts": counts.n_cuts,
        },
        "status": "done_with_gaps" if video.faults.gaps else "done",
        "warnings": list(video.faults.warnings),
        "gaps": [asdict(gap) for gap in video.faults.gaps],
        "duration_s": video.end_s,
    }


@dataclass(frozen=True, slots=True)
class Work:
    """How videos are treated; goes to every process that treats some."""

    options: AnalyzeOptions
    pages: bool = True
    """Write HTML pages."""
    beside: Beside = field(default_factory=Beside)
    """Markers and clips for the pages."""

    def tools(self) -> Tools:
        """What is loaded once per process.

        Raises:
            ModelError, OptionsError: see `Tools.load`.
        """
        return Tools.load(self.options)

    def do(self, task: VideoTask, tools: Tools, on_progress: OnProgress | None = None) -> TaskReport:
        """Analyse one video and make its timeline and page; what is wrong with it is in the report."""
        paced = None if on_progress is None else _paced(on_progress)
        return self.derive(task, run_task(task, self.options, tools, on_progress=paced))

    def derive(self, task: VideoTask, report: TaskReport) -> TaskReport:
        """Bring what is made from a finished video's records up to date: timeline, markers and clips, the page."""
        paths = task.paths
        if paths is None or report.status == "failed":
            return report
        try:
            if needs_timeline(paths, self.options):
                write_timeline(paths, self.options)
            try:
                self.beside.bring(task.source, paths)
            finally:  # markers that cannot be read are told of, and cost no page
                if self.pages:
                    report = replace(report, report=self._page(paths))
            return report
        except Exception as error:  # the records are safe on disk, and the other videos must not pay for it
            log.debug("no timeline or page of %s", paths.video_id, exc_info=error)
            why = told(task.source, error).removeprefix(f"{task.source.name}: ")
            return TaskReport.failed(
                task,
                f"{task.source.name}: analysed, but not all that follows. {why}",
                failure=failure_of(error),
            )
        finally:
            paths.remove_unfinished()

    def after_death(self, task: VideoTask, why: str) -> TaskReport:
        """How a video ended whose worker died: mostly as a failure that may pass, but it can have been finished."""
        now = meanwhile(task, self.options)
        if not now.is_finished:
            return TaskReport.failed(task, f"{task.source.name}: {why}", failure="passing")
        report = report_without_work(now)
        return self.derive(now, replace(report, status="done_with_gaps" if report.has_gaps else "done"))

    def follow(self, out: Path, done: set[str]) -> None:
        """Give the other finished videos of the folder the same bins; their records stay as they are."""
        others = replace(self, beside=Beside())  # markers and clips were asked for these inputs only
        for video_id in finished_videos(out):
            paths = RecordPaths(out, video_id)
            if video_id not in done and needs_timeline(paths, self.options):
                task = VideoTask(Path(video_id), paths, is_finished=True)
                others.derive(task, report_without_work(task))

    def _page(self, paths: RecordPaths) -> str:
        from ferflow.dashboards import refresh_session

        refresh_session(paths.out, paths.video_id)
        return paths.report.relative_to(paths.out).as_posix()


def _paced(on_progress: OnProgress) -> OnProgress:
    """Pass on what is new, and not more often than makes sense."""
    last = (-math.inf, -math.inf)

    def pass_on(seconds: float, of_seconds: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if seconds > last[0] and now - last[1] >= SECONDS_BETWEEN_PROGRESS:
            last = (seconds, now)
            on_progress(seconds, of_seconds)

    return pass_on
