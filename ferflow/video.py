"""Frames and their true time, out of any local video file or numbered images.

>>> with open_video(Path("talk.mp4")) as video:
...     for frame in video.frames(Selection()):
...         print(frame.index, frame.time_s, frame.planes)

Time is `(pts - first pts) * time_base` and nothing else: variable frame rate, a delayed start and dropped
frames keep it. Frames that cannot be decoded are skipped and counted in `video.faults`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from ferflow.errors import DecodeError
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.planes import Planes, planes_of
from ferflow.sequence import ImageSequence
from ferflow.source import Container, Faults, Source


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
        self.last_time_s: float | None = None
        """Time of the last decoded frame, in seconds after the first."""
        self.rotation = 0
        """Degrees counter-clockwise by which pictures are turned upright; known after the first frame."""
        self.size: tuple[int, int] = (self.info.width, self.info.height)
        """(width, height) in pixels, upright; known for sure after the first frame."""

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """Decode, in order.

        Raises:
            DecodeError: the stream holds no frame that can be decoded.
        """
        first_pts: int | None = None
        for picture in self._source.pictures(self.faults):
            pts, time_base = picture.pts or 0, picture.time_base or self.info.time_base
            if first_pts is None:
                first_pts = pts
                self.rotation = _quarter_turn(picture.rotation)
            index, time_s = self.n_decoded, float((pts - first_pts) * time_base)
            if selection.is_over(index, time_s):
                return
            self.n_decoded += 1
            self.last_time_s = time_s
            if picture.is_corrupt:
                self.faults.n_failed += 1
            elif selection.takes(index, time_s):
                yield self._frame(picture, index, pts, time_s)
        self._check_end()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _frame(self, picture: av.VideoFrame, index: int, pts: int, time_s: float) -> Frame:
        planes = planes_of(picture, self.rotation)
        self.size = (planes.width, planes.height)
        aspect = self.info.pixel_aspect if self.rotation % 180 == 0 else 1 / self.info.pixel_aspect
        return Frame(index, pts, time_s, planes, aspect)

    def _check_end(self) -> None:
        name, faults = self.info.path.name, self.faults
        if self.n_decoded == 0:
            raise DecodeError(
                f"{name}: no frame could be decoded. The file is damaged or not a video; export it again."
            )
        if faults.n_failed:
            faults.warnings.append(f"{faults.n_failed} frames could not be decoded, {self.n_decoded} could")
        promised, reached = self.info.duration_s_from_header, self.last_time_s or 0.0
        # Headers round and count audio that outlasts the picture; a second more is a cut-off file.
        if promised is not None and promised - reached > max(1.0, 0.05 * promised):
            faults.warnings.append(
                f"truncated: frames end at {timecode(reached)}, the header promises {timecode(promised)}"
            )


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
    source: Source = ImageSequence(path, sequence_fps) if path.is_dir() else Container(path, threads=threads)
    with contextlib.closing(Video(source)) as video:
        yield video


def timecode(seconds: float) -> str:
    """`mm:ss.s`, or `h:mm:ss.s` from an hour on; tenths are cut off, so that none lies ahead of its time."""
    tenths = int(seconds * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    text = f"{minutes % 60:02d}:{rest // 10:02d}.{rest % 10}"
    return text if minutes < 60 else f"{minutes // 60}:{text}"


def _quarter_turn(degrees: int) -> int:
    return round(degrees / 90) * 90 % 360
