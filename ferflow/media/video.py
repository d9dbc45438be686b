"""Frames and their true time, out of any local video file or numbered images.

>>> with open_video(Path("talk.mp4")) as video:
...     for frame in video.frames(Selection()):
...         print(frame.index, frame.time_s, frame.planes)

Time is `(pts - first pts) * time_base`: variable frame rate, a delayed start and dropped frames keep it. Only
where broken timestamps run backwards does it go on by the usual step, with a warning. Frames that cannot be
decoded are skipped and counted in `video.faults`, which also says where they are missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.filter
import numpy as np
from av.buffer import Buffer

from ferflow.errors import DecodeError
from ferflow.media.container import Container, Source
from ferflow.media.decode_report import Faults
from ferflow.media.frame_skipping import SkippedFrame
from ferflow.media.image_sequence import ImageSequence
from ferflow.media.planes import Planes, planes_from_frame
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.text import timecode

# Numbers of FFmpeg's AVFrameSideDataType, which only grows at its end: 31 (EXIF) is the last of FFmpeg 8.
_DISPLAY_MATRIX = 6
_OTHER_SIDE_DATA = [kind for kind in range(64) if kind != _DISPLAY_MATRIX]

MAX_FRAMES_AT_ONE_TIME = 1000
"""So many frames in a row with one timestamp end the stream: no video stands still for so long, but a broken or
hostile file can go on so for hours."""


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One decoded picture and its place in time."""

    index: int
    """0-based count of decoded frames."""
    pts: int
    """As the container has it, in units of `time_base`."""
    time_s: float
    """Seconds after the first frame."""
    planes: Planes
    pixel_aspect: float = 1.0
    """Width of a pixel over its height, as it should be shown."""

    def __repr__(self) -> str:
        return f"Frame({self.index}, {self.time_s:.3f} s, {self.planes})"


@dataclass(slots=True)
class Selection:
    """Which frames are analysed, by index (`every`) or by time (`fps`, at most one frame per 1/fps cell)."""

    every: int = 1
    fps: float | None = None
    start: TimePoint | None = None
    end: TimePoint | None = None
    _n_seen: int = 0
    _last_cell: int = -1

    @classmethod
    def of(cls, options: AnalyzeOptions) -> Selection:
        """The selection that options ask for; it has memory, so each video needs its own."""
        return cls(every=options.every, fps=options.fps, start=options.start, end=options.end)

    def is_over(self, index: int, time_s: float) -> bool:
        """Whether this frame and all later ones lie past the end."""
        return self.end is not None and self.end.reached(time_s, index)

    def samples(self) -> tuple[float, float] | None:
        """Frames per second and seconds of the start, if these alone decide which frames are taken."""
        starts = self.start or TimePoint(seconds=0.0)
        return (self.fps, starts.seconds) if self.fps is not None and starts.seconds is not None else None

    def takes(self, index: int, time_s: float) -> bool:
        """Whether this frame is analysed; to be asked once per frame, in order."""
        if self.start is not None and not self.start.reached(time_s, index):
            return False
        if self.fps is not None:
            # The tolerance keeps 0.2 s * 5 fps in cell 1, whatever the last bit of 0.2 says.
            cell = int(time_s * self.fps + 1e-6)
            fresh, self._last_cell = cell > self._last_cell, cell
            return fresh
        self._n_seen += 1
        return (self._n_seen - 1) % self.every == 0


class Video:
    """An open video: what it is, its frames (once), and what went wrong."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.info = source.info
        self.faults = Faults()
        self.n_decoded = 0
        self.rotation = 0
        """Degrees counter-clockwise by which the first picture was turned upright."""
        self.size: tuple[int, int] = (self.info.width, self.info.height)
        """(width, height) in pixels, upright; known for sure after the first frame."""
        self._clock = _Clock()
        self._size_now: tuple[int, int] | None = None
        self._pose_now: tuple[int, int, int] | None = None
        self._is_mirrored = False
        self._n_size_changes = 0
        self._usable_s = 0.0
        self._n_lost_noted = self._n_jumps_noted = 0

    @property
    def end_s(self) -> float:
        """Seconds from the first frame to the end of the last one decoded so far."""
        return self._clock.end_s

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """Decode, in order.

        Raises:
            DecodeError: the stream holds no frame that can be decoded.
        """
        if isinstance(self._source, Container) and (samples := selection.samples()) is not None:
            self._source.spare(*samples)
        for picture in self._source.pictures(self.faults):
            time_s = self._clock.time_of(picture, self.info.time_base)
            index = self.n_decoded
            if selection.is_over(index, time_s):
                break
            self.n_decoded += 1
            if isinstance(picture, SkippedFrame):
                continue
            if picture.is_corrupt:
                self.faults.n_damaged += 1
                continue
            self._note_gap(time_s)
            if self._clock.n_at_one_time >= MAX_FRAMES_AT_ONE_TIME:
                self.faults.ended_early = (
                    f"{MAX_FRAMES_AT_ONE_TIME} frames in a row bear one timestamp; the rest was not read"
                )
                self.faults.lost(None, after_s=time_s, until_s=None)
                break
            if selection.takes(index, time_s):
                yield self._frame(picture, index, time_s)
        else:
            self._check_whole()
        self._check_decoded()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _frame(self, picture: av.VideoFrame, index: int, time_s: float) -> Frame:
        rotation = _quarter_turn(picture.rotation)
        planes = planes_from_frame(picture, rotation, mirrored=self._mirrored(picture))
        self._note_size(planes, rotation, time_s)
        aspect = self.info.pixel_aspect if rotation % 180 == 0 else 1 / self.info.pixel_aspect
        return Frame(index, picture.pts or 0, time_s, planes, aspect)

    def _mirrored(self, picture: av.VideoFrame) -> bool:
        # Within a stream it is asked where the picture turns or changes its size: it costs a millisecond, and PyAV ties
        # a picture to its side data in a circle, so that hundreds of megabytes would wait for the garbage collector.
        pose = (picture.rotation, picture.width, picture.height)
        if pose != self._pose_now or isinstance(self._source, ImageSequence):
            self._pose_now, self._is_mirrored = pose, _is_mirrored(picture)
        return self._is_mirrored

    def _note_size(self, planes: Planes, rotation: int, time_s: float) -> None:
        size = (planes.width, planes.height)
        if self._size_now is None:
            self.rotation, self.size = rotation, size
        elif size != self._size_now:
            self._n_size_changes += 1
            if self._n_size_changes == 1:
                self.faults.warnings.append(
                    "the picture's size changes from {}x{} to {}x{} at {}; "
                    "boxes are in pixels of their own frame".format(*self._size_now, *size, timecode(time_s))
                )
        self._size_now = size

    def _note_gap(self, time_s: float) -> None:
        """To be asked at each usable frame: what happened since the last one?"""
        n_lost = self.faults.n_failed + self.faults.n_damaged - self._n_lost_noted
        n_jumps = len(self._clock.jumps_s) - self._n_jumps_noted
        if n_lost or n_jumps:
            self.faults.lost(n_lost or None, after_s=self._usable_s, until_s=time_s)
        self._n_lost_noted += n_lost
        self._n_jumps_noted += n_jumps
        self._usable_s = time_s

    def _check_whole(self) -> None:
        """Note what is missing between the last usable frame and the end."""
        faults, promised = self.faults, self.info.duration_s_from_header
        n_lost = faults.n_failed + faults.n_damaged - self._n_lost_noted
        # Headers round; more than this is a cut-off file.
        is_cut_off = promised is not None and promised - self.end_s > max(0.5, 0.005 * promised)
        if is_cut_off:
            faults.warnings.append(
                f"truncated: frames end at {timecode(self.end_s)}, the header promises {timecode(promised)}"
            )
        if n_lost or is_cut_off or faults.ended_early:
            known = n_lost if n_lost and not is_cut_off and not faults.ended_early else None
            faults.lost(known, after_s=self._usable_s, until_s=None)

    def _check_decoded(self) -> None:
        """Put into words what was missing."""
        faults, jumps = self.faults, self._clock.jumps_s
        if self.n_decoded == 0:
            raise DecodeError(
                f"{self.info.path.name}: no frame could be decoded. "
                "The file is damaged or not a video; export it again."
            )
        where = f" (after {faults.where()})" if faults.gaps else ""
        if faults.n_failed:
            faults.warnings.append(
                f"{_frames(faults.n_failed)} could not be decoded{where}, {self.n_decoded} could"
            )
        if faults.n_damaged:
            faults.warnings.append(
                f"{_frames(faults.n_damaged)} of {self.n_decoded} decoded damaged and left out{where}"
            )
        if faults.ended_early:
            faults.warnings.append(faults.ended_early)
        if jumps:
            told = ", ".join(timecode(jump) for jump in jumps[:3])
            faults.warnings.append(f"timestamps jump back {len(jumps)} times (at {told}); time goes on there")


@dataclass(slots=True)
class _Clock:
    """Seconds after the first frame. Broken timestamps that run backwards go on by the usual step instead."""

    first_pts: int | None = None
    last_s: float = 0.0
    end_s: float = 0.0
    jumps_s: list[float] = field(default_factory=list)
    n_at_one_time: int = 0
    """Frames in a row, this one included, that bear one timestamp."""
    _step_s: float = 0.0
    _shift_s: float = 0.0

    def time_of(self, picture: av.VideoFrame | SkippedFrame, time_base: Fraction) -> float:
        time_base, pts = picture.time_base or time_base, picture.pts or 0
        if self.first_pts is None:
            self.first_pts = pts
        time_s = float((pts - self.first_pts) * time_base) + self._shift_s
        if time_s < self.last_s:
            self._shift_s += self.last_s + self._step_s - time_s
            time_s = self.last_s + self._step_s
            self.jumps_s.append(time_s)
        elif time_s > self.last_s:
            self._step_s = time_s - self.last_s
        self.n_at_one_time = 1 if time_s > self.last_s else self.n_at_one_time + 1
        self.last_s = time_s
        self.end_s = time_s + max(float((picture.duration or 0) * time_base), self._step_s)
        return time_s


@contextlib.contextmanager
def open_video(path: Path, *, sequence_fps: float = 25.0, threads: int | None = None) -> Iterator[Video]:
    """Open a local video file, or a folder of numbered images.

    Args:
        path: a file, or a folder that holds images.
        sequence_fps: frames per second of images.
        threads: of the decoder; None: as many as there are CPUs.

    Raises:
        VideoError: missing, empty, not a video, no video stream, too large; one line says which.
    """
    source: Source = (
        ImageSequence(path, sequence_fps)
        if os.path.isdir(path)  # noqa: PTH112  `Path.is_dir` raises where the way there is barred
        else Container(path, threads=threads)
    )
    with contextlib.closing(Video(source)) as video:
        yield video


def _frames(n: int) -> str:
    return f"{n} frame" if n == 1 else f"{n} frames"


def _is_mirrored(picture: av.VideoFrame) -> bool:
    """Whether the display matrix turns the picture over; its rotation is then that after an upside-down flip."""
    matrix = _without_other_side_data(picture).side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d = np.frombuffer(memoryview(cast("Buffer", matrix)), np.int32)[:5].astype(float)
    return bool(a * d - b * c < 0)


def _without_other_side_data(picture: av.VideoFrame) -> av.VideoFrame:
    """The same picture with its display matrix and no other side data.

    PyAV (18 and 19) wraps all side data of a picture as soon as one entry is asked for. It then frees the metadata of
    an entry twice, which ends the process: PNG's colour profiles have some. And it raises for kinds that it has no
    name for, such as the EXIF data of stills. So FFmpeg drops the other kinds before PyAV sees them.
    """
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    for kind in _OTHER_SIDE_DATA:
        last.link_to(drop := graph.add("sidedata", f"mode=delete:type={kind}"))
        last = drop
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(picture)
    return cast(av.VideoFrame, graph.pull())


def _quarter_turn(degrees: int) -> int:
    return round(degrees / 90) * 90 % 360
