"""One video, one task: the seam at which every engine takes over.

`plan()` says what there is to do and refuses what must not be mixed; `run_task()` does one video and never
raises for what is wrong with that video.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ferflow import __version__
from ferflow.errors import FerflowError, RecordsError, VideoError
from ferflow.inputs import Found, discover, video_id_of
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.records import (
    FRAMES,
    UNTRACKED,
    RecordPaths,
    RecordsWriter,
    finished_videos,
    read_metadata,
    read_table,
    write_table,
)
from ferflow.timeline import timeline
from ferflow.video import Video, open_video

log = logging.getLogger(__name__)

MOST_BINS = 1_000_000
"""Eleven days of seconds; a single broken timestamp could ask for more than fits into memory."""

_TIMELINE_COLUMNS = ["time_s", "frame_index", "track_id", "yaw", "pitch"]
"""What a timeline is made of, beside the probabilities."""

Status = Literal["done", "done_with_gaps", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One input and what is to be done with it."""

    source: Path
    paths: RecordPaths | None
    """None: it cannot be analysed, see `problem`."""
    is_finished: bool = False
    """Its records lie in the output folder, made with the same options and models."""
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """How one input ended."""

    source: str
    video_id: str | None = None
    status: Status
    error: str | None = None
    """One line: what, why, what to do."""
    warnings: list[str] = field(default_factory=list)
    n_frames: int = 0
    """Analysed frames."""
    n_faces: int = 0
    n_people: int = 0
    duration_s: float = 0.0
    """Of the video."""
    seconds: float = 0.0
    """Spent on it."""
    has_gaps: bool = False
    """A part could not be read; also told of a skipped video, so that a second run ends like the first."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Where: `start_s`, `end_s` (None: to the end) and `n_frames` (None: unknown) of each, see `faults.Gap`."""
    report: str | None = None
    """Path of its page, relative to the output folder."""

    @classmethod
    def failed(cls, task: VideoTask, error: str, seconds: float = 0.0) -> TaskReport:
        """An input without results."""
        video_id = task.paths.video_id if task.paths else None
        return cls(source=str(task.source), video_id=video_id, status="failed", error=error, seconds=seconds)

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


def plan(
    inputs: Sequence[str | Path], out: Path, options: AnalyzeOptions, *, overwrite: bool = False
) -> list[VideoTask]:
    """What `run` would do, in order; nothing is written.

    Raises:
        RecordsError: the output folder holds results made with other options or another model; `overwrite`
            excuses those of these inputs.
        ModelError: the model that options name is missing or altered.
    """
    taken: set[str] = set()
    tasks = [_task(found, out, taken) for found in discover(inputs, out=out)]
    finished = set(finished_videos(out))
    mine = {task.paths.video_id for task in tasks if task.paths}
    # All tables of a folder are read as one, so all must be made alike, also those of other inputs.
    _refuse_other_results(out, finished - mine if overwrite else finished, options)
    return [
        replace(
            task, is_finished=not overwrite and task.paths is not None and task.paths.video_id in finished
        )
        for task in tasks
    ]


def run_task(
    task: VideoTask,
    options: AnalyzeOptions,
    tools: Tools,
    *,
    on_progress: Callable[[float, float | None], None] | None = None,
) -> TaskReport:
    """Analyse one video and write its tables.

    Args:
        task: what to do.
        options: how.
        tools: detector and classifier, loaded once for many tasks.
        on_progress: called with seconds of video analysed so far and, if the header tells, in all.

    Returns:
        How it ended; whatever is wrong with this video is in the report, not raised.
    """
    if task.paths is None or task.is_finished:
        return report_without_work(task)
    started = time.monotonic()
    try:
        metadata = _analyzed(task.source, task.paths, options, tools, on_progress)
        write_timeline(task.paths, options)
    except Exception as error:
        return TaskReport.failed(task, _told(task, error), time.monotonic() - started)
    finally:
        # A signal can strike between the making of a file and the block that looks after it.
        task.paths.remove_unfinished()
    return _report(task.source, metadata, metadata["status"], time.monotonic() - started)


def report_without_work(task: VideoTask) -> TaskReport:
    """How a task ended that cannot be done, or was done by an earlier run."""
    if task.paths is None:
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
    table = timeline(
        read_table(paths.frames),
        read_table(paths.faces, [*_TIMELINE_COLUMNS, *(f"prob_{label}" for label in metadata["labels"])]),
        video_id=paths.video_id,
        bin_seconds=options.bin_seconds,
        labels=metadata["labels"],
        participants=metadata["options"]["participants"],
    )
    write_table(paths.timeline, table, metadata | {"bin_seconds": options.bin_seconds})
    # Arrow keeps freed memory for later; a long run would carry that of its longest video to the end.
    pa.default_memory_pool().release_unused()


def needs_timeline(paths: RecordPaths, options: AnalyzeOptions) -> bool:
    """Whether a finished video lacks its timeline, or has one with other bins."""
    try:
        return bool(read_metadata(paths.timeline).get("bin_seconds") != options.bin_seconds)
    except RecordsError:
        return True


def _analyzed(
    source: Path,
    paths: RecordPaths,
    options: AnalyzeOptions,
    tools: Tools,
    on_progress: Callable[[float, float | None], None] | None,
) -> dict[str, Any]:
    counts = _Counts()
    with (
        open_video(source, sequence_fps=options.sequence_fps, threads=options.threads) as video,
        RecordsWriter(paths, tools.classifier.card.labels) as writer,
    ):
        for batch in analyze_video(video, paths.video_id, options, tools):
            writer.write(batch)
            counts.add(batch)
            if on_progress is not None:
                on_progress(counts.last_time_s, video.info.duration_s_from_header)
        if counts.n_frames == 0:
            raise VideoError(
                f"{source.name}: no frame lies in the range that was asked for. Check --start and --end."
            )
        metadata = _metadata(video, paths.video_id, options, tools, counts)
        writer.finish(metadata)
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


def model_sha256(options: AnalyzeOptions) -> str:
    """Identifies the expression model that options name.

    Raises:
        ModelError: no such model, or its files are altered.
    """
    return resolve(options.model).sha256


def _task(found: Found, out: Path, taken: set[str]) -> VideoTask:
    if found.problem is not None:
        return VideoTask(found.path, None, problem=found.problem)
    try:
        return VideoTask(found.path, RecordPaths(out, _unique(video_id_of(found.path), taken)))
    except VideoError as error:
        return VideoTask(found.path, None, problem=str(error))
    except OSError as error:
        return VideoTask(found.path, None, problem=f"{found.path.name}: cannot be read ({error.strerror}).")


def _refuse_other_results(out: Path, videos: set[str], options: AnalyzeOptions) -> None:
    model = model_sha256(options)
    for video_id in sorted(videos):
        found = read_metadata(RecordPaths(out, video_id).faces)
        if found["options_digest"] != options.digest():
            made_with = "other options"
        elif found["model"]["sha256"] != model:
            made_with = "another model"
        else:
            continue
        raise RecordsError(
            f"{out}: holds results of {video_id} made with {made_with}. "
            "Use another -o, or --overwrite together with all videos of this folder."
        )


def _unique(video_id: str, taken: set[str]) -> str:
    """The same file under two folders has one id; the second copy gets a number."""
    name, number = video_id, 2
    while name in taken:
        name, number = f"{video_id}-{number}", number + 1
    taken.add(name)
    return name


def _report(source: Path, metadata: dict[str, Any], status: Status, seconds: float) -> TaskReport:
    counts = metadata["counts"]
    return TaskReport(
        source=str(source),
        video_id=metadata["video_id"],
        status=status,
        warnings=metadata["warnings"],
        has_gaps=metadata["status"] == "done_with_gaps",
        gaps=metadata.get("gaps", []),
        n_frames=counts["n_analysed"],
        n_faces=counts["n_faces"],
        n_people=counts["n_people"],
        duration_s=metadata["duration_s"],
        seconds=seconds,
    )


def _told(task: VideoTask, error: Exception) -> str:
    if isinstance(error, FerflowError):
        return str(error)
    # Not foreseen, so worth a trace in the log; still no reason to lose the other videos.
    log.debug("unexpected error in %s", task.source, exc_info=error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{task.source.name}: no space left for its tables. Free some and run the same command again."
    return f"{task.source.name}: unexpected {type(error).__name__}: {error}. Run with -v, and report it."
