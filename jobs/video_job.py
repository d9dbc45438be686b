"""One video, one task: the seam at which every engine takes over.

`run_task()` does one video and never raises for what is wrong with that video. What there is to do says `plan`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ferflow import __version__
from ferflow.analytics.timeline import timeline
from ferflow.errors import RecordsError, VideoError
from ferflow.media.fingerprint import fingerprint, signature
from ferflow.media.video import Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.failure_kinds import Failure, failure_of, told
from ferflow.store.records import (
    FRAMES,
    UNTRACKED,
    Blocks,
    RecordPaths,
    RecordsWriter,
    read_metadata,
    read_table,
    write_table,
)
from ferflow.system.memory import give_back

MOST_BINS = 1_000_000
"""Eleven days of seconds; a single broken timestamp could ask for more than fits into memory."""

_TIMELINE_COLUMNS = ["frame_index", "track_id", "yaw", "pitch"]
"""What a timeline is made of, beside the probabilities."""

Status = Literal["done", "done_with_gaps", "failed", "skipped"]
"""`skipped`: done by an earlier run, or, with an `error`, not begun because the run stopped."""

OnProgress = Callable[[float, float | None], None]
"""Told seconds of video analysed so far and, if the header tells, in all."""


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One input and what is to be done with it."""

    source: Path
    paths: RecordPaths | None
    """None: it cannot be analysed, see `problem`."""
    is_finished: bool = False
    """Its records lie in the output folder, made with the same options and models."""
    problem: str | None = None
    """Why it is not analysed; one line."""
    replaces: tuple[str, ...] = ()
    """Ids of results of an earlier content of this source, which go when the new ones come."""

    @property
    def is_pending(self) -> bool:
        """Whether there is work to do."""
        return self.paths is not None and self.problem is None and not self.is_finished

    @property
    def video_id(self) -> str | None:
        """Id of its files, if it can have any."""
        return self.paths.video_id if self.paths else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """How one input ended."""

    source: str
    video_id: str | None = None
    status: Status
    error: str | None = None
    """One line: what, why, what to do."""
    failure: Failure | None = None
    """What kind of failure, if it is one."""
    attempts: int = 1
    """How often it was tried; 0: not at all."""
    warnings: list[str] = field(default_factory=list)
    n_frames: int = 0
    """Analysed frames."""
    n_faces: int = 0
    n_people: int = 0
    duration_s: float = 0.0
    """Of the video."""
    seconds: float = 0.0
    """Spent on it."""
    n_failed: int = 0
    """Frames that could not be decoded."""
    n_damaged: int = 0
    """Frames that were decoded, but damaged, and so not analysed."""
    has_gaps: bool = False
    """A part could not be read; also told of a skipped video, so that a second run ends like the first."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Where: `start_s`, `end_s` (None: to the end) and `n_frames` (None: unknown) of each, see `faults.Gap`."""
    report: str | None = None
    """Path of its page, relative to the output folder."""

    @classmethod
    def failed(
        cls, task: VideoTask, error: str, *, failure: Failure = "input", seconds: float = 0.0
    ) -> TaskReport:
        """An input without results."""
        return cls(
            source=str(task.source), video_id=task.video_id, status="failed", error=error, failure=failure,
            seconds=seconds,
        )  # fmt: skip

    @classmethod
    def not_begun(cls, task: VideoTask, why: str) -> TaskReport:
        """An input that the run did not come to."""
        return cls(source=str(task.source), video_id=task.video_id, status="skipped", error=why, attempts=0)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


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
    return _report(task.source, metadata, metadata["status"], time.monotonic() - started)


def report_without_work(task: VideoTask) -> TaskReport:
    """How a task ended that cannot be done, or was done by an earlier run."""
    if task.paths is None or task.problem is not None:
        return TaskReport.failed(task, task.problem or "cannot be analysed")
    return _report(task.source, read_metadata(task.paths.faces), "skipped", 0.0)


def write_timeline(paths: RecordPaths, options: AnalyzeOptions) -> None:
    """Aggregate a finished video's records into its timeline; a page made from an older one goes.

    Raises:
        RecordsError: the records cannot be read, or make more bins than a timeline can have.
    """
    metadata = read_metadata(paths.faces)
    if (n_bins := metadata["duration_s"] / options.bin_seconds) > MOST_BINS:
        raise RecordsError(
            f"{paths.video_id}: {n_bins:.0f} bins of {options.bin_seconds:g} s are more than {MOST_BINS}. "
            "Give a longer --bin; if the video is not that long, its timestamps are broken."
        )
    paths.report.unlink(missing_ok=True)
    give_back()
    table = timeline(
        read_table(paths.frames, ["frame_index", "time_s", "n_faces"]),
        Blocks(paths.faces, [*_TIMELINE_COLUMNS, *(f"prob_{label}" for label in metadata["labels"])]),
        video_id=paths.video_id,
        bin_seconds=options.bin_seconds,
        labels=metadata["labels"],
        participants=metadata["options"]["participants"],
    )
    write_table(paths.timeline, table, metadata | {"bin_seconds": options.bin_seconds})
    give_back()


def needs_timeline(paths: RecordPaths, options: AnalyzeOptions) -> bool:
    """Whether a finished video lacks its timeline, or has one with other bins."""
    try:
        return bool(read_metadata(paths.timeline).get("bin_seconds") != options.bin_seconds)
    except RecordsError:
        return True


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


def _report(source: Path, metadata: dict[str, Any], status: Status, seconds: float) -> TaskReport:
    counts = metadata["counts"]
    return TaskReport(
        source=str(source),
        video_id=metadata["video_id"],
        status=status,
        warnings=metadata["warnings"],
        has_gaps=metadata["status"] == "done_with_gaps",
        gaps=metadata.get("gaps", []),
        n_failed=counts["n_failed"],
        n_damaged=counts["n_damaged"],
        n_frames=counts["n_analysed"],
        n_faces=counts["n_faces"],
        n_people=counts["n_people"],
        duration_s=metadata["duration_s"],
        seconds=seconds,
    )
