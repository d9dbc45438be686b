"""What a child process measures for an estimate: lengths by headers, and the pace of an analysis, by a short one.

>>> child = ResidentChild(partial(Trial, options), seconds_per_call=10)
>>> child.call(Trial.measure, path, seconds=2.0)
Pace(video_s=6.4, start_s=0.3, work_per_second=0.2, ...)

The parent imports this module, too, and loads neither decoders nor runtimes: the methods do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import structs

from ferflow.media.image_list import list_images
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.store.object_store import is_object, parse_address, permit
from ferflow.store.records import FaceRows, FrameRows, Rows, TableBytes
from ferflow.store.schemas import FRAMES, faces_schema

if TYPE_CHECKING:
    from ferflow.pipeline import Tools

MOST_VIDEO_SECONDS = 30.0
"""Longest part of a video in a trial; with fast options it is reached before the time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the analysis of the first part of a video took."""

    video_s: float
    """Seconds of video that were analysed."""
    start_s: float
    """Seconds until the first rows, for each video again."""
    work_per_second: float
    """Seconds of work per second of video from then on; 0 where the first rows were all."""
    row_bytes: int
    """Size on disk of the rows of FRAMES and FACES."""
    file_bytes: int
    """Size on disk of the rest of these files, which does not depend on the length of the video."""


class Trial:
    """Reads videos for an estimate; models are loaded when they are first needed."""

    def __init__(self, options: AnalyzeOptions) -> None:
        self._options = options
        self._tools: Tools | None = None

    def read_length(self, path: Path) -> float | None:
        """Seconds of a video that the options select, by its header; None: the header does not say.

        Raises:
            VideoError: it cannot be opened.
        """
        from ferflow.media.video import Reading, open_video

        if is_object(path):
            permit(parse_address(path))
        with open_video(path, Reading.of(self._options), threads=1) as video:
            info = video.info
        # Images have no header that says it.
        is_folder = path.is_dir()
        length_s = (
            len(list_images(path)) / self._options.sequence_fps if is_folder else info.duration_s_from_header
        )
        return None if length_s is None else select_seconds(length_s, self._options, info.frame_rate)

    def measure(self, path: Path, *, seconds: float) -> Pace | None:
        """Analyse the start of a video for about so many seconds and write nothing; None: nothing is selected.

        Raises:
            VideoError: it cannot be analysed.
            ModelError, OptionsError: nothing can be.
        """
        from ferflow.pipeline import Tools, analyze

        if self._tools is None:
            self._tools = Tools.load(self._options)
        # From its first frame, whatever the options select: to decode what is skipped could take all the time.
        options = structs.replace(self._options, start=None, end=TimePoint(seconds=MOST_VIDEO_SECONDS))
        clock = _Clock(started=time.monotonic())
        with closing(analyze(path, options, tools=self._tools)) as parts:
            for rows in parts:
                clock.note(rows)
                if clock.is_measured and clock.seconds() >= seconds:
                    break
            else:
                clock.has_ended = True
        return clock.pace(self._tools.classifier.card.labels)


def select_seconds(length_s: float, options: AnalyzeOptions, frame_rate: float | None) -> float:
    """Seconds from `start` to `end` in a video of this length; 0 where it ends before its start."""
    start_s = 0.0 if options.start is None else _seconds_of(options.start, frame_rate)
    end_s = length_s if options.end is None else min(length_s, _seconds_of(options.end, frame_rate))
    return max(0.0, end_s - start_s)


def _seconds_of(point: TimePoint, frame_rate: float | None) -> float:
    if point.frame_index is not None:
        return point.frame_index / (frame_rate or 25.0)
    return point.seconds or 0.0


@dataclass(slots=True)
class _Clock:
    """When which rows came."""

    started: float
    has_ended: bool = False
    """The video, before the time was over."""
    _came: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of the clock, and of the last frame of a batch."""
    _frames: list[pa.RecordBatch] = field(default_factory=list)
    _faces: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def is_measured(self) -> bool:
        """Whether there are rows after the first ones."""
        return len(self._came) > 1

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def note(self, rows: Rows) -> None:
        if isinstance(rows, FrameRows):
            self._frames.append(rows.batch)
            self._came.append((self.seconds(), rows.batch["time_s"][-1].as_py()))
        elif isinstance(rows, FaceRows):
            self._faces.append(rows.batch)

    def pace(self, labels: Sequence[str]) -> Pace | None:
        if not self._came:
            return None
        (first_s, first_at), (last_s, last_at) = self._came[0], self._came[-1]
        # The last faces of a video are classified after its last frame was read.
        took_s = (self.seconds() if self.has_ended else last_s) - first_s
        tables = [
            TableBytes.of_batches(self._frames, FRAMES),
            TableBytes.of_batches(self._faces, faces_schema(labels)),
        ]
        return Pace(
            video_s=last_at,
            start_s=first_s,
            work_per_second=took_s / (last_at - first_at) if last_at > first_at else 0.0,
            row_bytes=sum(table.rows for table in tables),
            file_bytes=sum(table.rest for table in tables),
        )
