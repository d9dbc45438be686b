"""Frames and their true time, out of any local video file or numbered images.

>>> with open_video(Path("talk.mp4")) as video:
...     for frame in video.frames(Selection()):
...         print(frame.index, frame.time_s, frame.planes)

Time is `(pts - first pts) * time_base`: variable frame rate, a delayed start and dropped frames keep it. Only
where broken timestamps run backwards does it go on by the usual step, with a warning. Frames that cannot be
decoded are skipped and counted in `video.faults`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from ferflow.errors import DecodeError
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.planes import Planes, planes_of
from ferflow.sequence import ImageSequence
from ferflow.source import Container, Faults, Source
from ferflow.sparing import Spared
from ferflow.text import timecode


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
            if isinstance(picture, Spared):
                continue
            if picture.is_corrupt:
                self.faults.n_damaged += 1
            elif selection.takes(index, time_s):
                yield self._frame(picture, index, time_s)
        else:
            self._check_whole()
        self._check_decoded()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _frame(self, picture: av.VideoFrame, index: int, time_s: float) -> Frame:
        rotation = _quarter_turn(picture.rotation)
        planes = planes_of(picture, rotation)
        if index == 0:
            self.rotation, self.size = rotation, (planes.width, planes.height)
        aspect = self.info.pixel_aspect if rotation % 180 == 0 else 1 / self.info.pixel_aspect
        return Frame(index, picture.pts or 0, time_s, planes, aspect)

    def _check_decoded(self) -> None:
        faults, clock = self.faults, self._clock
        if self.n_decoded == 0:
            raise DecodeError(
                f"{self.info.path.name}: no frame could be decoded. "
                "The file is damaged or not a video; export it again."
            )
        if faults.n_failed:
            faults.warnings.append(f"{faults.n_failed} frames could not be decoded, {self.n_decoded} could")
        if faults.n_damaged:
            faults.warnings.append(
                f"{faults.n_damaged} of {self.n_decoded} decoded frames are damaged and left out"
            )
        if clock.jumps_s:
            where = ", ".join(timecode(jump) for jump in clock.jumps_s[:3])
            faults.warnings.append(
                f"timestamps jump back {len(clock.jumps_s)} times (at {where}); time goes on there"
            )

    def _check_whole(self) -> None:
        promised = self.info.duration_s_from_header
        # Headers round, and count audio that outlasts the picture; more than a second is a cut-off file.
        if promised is not None and promised - self.end_s > max(1.0, 0.05 * promised):
            self.faults.warnings.append(
                f"truncated: frames end at {timecode(self.end_s)}, the header promises {timecode(promised)}"
            )


@dataclass(slots=True)
class _Clock:
    """Seconds after the first frame. Broken timestamps that run backwards go on by the usual step instead."""

    first_pts: int | None = None
    last_s: float = 0.0
    end_s: float = 0.0
    jumps_s: list[float] = field(default_factory=list)
    _step_s: float = 0.0
    _shift_s: float = 0.0

    def time_of(self, picture: av.VideoFrame | Spared, time_base: Fraction) -> float:
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
        ImageSequence(path, sequence_fps, threads=threads)
        if path.is_dir()
        else Container(path, threads=threads)
    )
    with contextlib.closing(Video(source)) as video:
        yield video


def _quarter_turn(degrees: int) -> int:
    return round(degrees / 90) * 90 % 360
