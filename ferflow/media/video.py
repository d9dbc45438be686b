"""Frames and their true time, out of any local video file or numbered images.

>>> with open_video(Path("talk.mp4")) as video:
...     for frame in video.frames(Selection()):
...         print(frame.index, frame.time_s, frame.planes)

Time is `(pts - first pts) * time_base`, so it is also right with a variable frame rate, a delayed start and dropped
frames. Only where timestamps are wrong or jump, time is that of `media.clock`, with a warning. Frames that
cannot be decoded are skipped and counted in `video.report`, which also states where they are missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.filter
import numpy as np
from av.buffer import Buffer

from ferflow.errors import DecodeError
from ferflow.media.clock import Clock, TimedFrame, longest_hold_s
from ferflow.media.container import MAX_PIXELS, Container, Source, SourceEvent
from ferflow.media.decode_report import DecodeReport, Lost, NoTimestamps
from ferflow.media.frame_skipping import SkippedFrame, cell_index, rounding_s
from ferflow.media.image_sequence import ImageSequence
from ferflow.media.parts import Part
from ferflow.media.planes import Planes, planes_from_frame
from ferflow.options import AnalyzeOptions, HwaccelName, TimePoint, ZeroName
from ferflow.store.metadata import SourceInfo
from ferflow.text import timecode
from ferflow.types import UInt8Array

# Values of FFmpeg's AVFrameSideDataType. FFmpeg appends new kinds at the end (the last one of FFmpeg 8 is 31, EXIF), so
# that 64 values also cover kinds of later versions.
_DISPLAY_MATRIX = 6
_OTHER_SIDE_DATA = [kind for kind in range(64) if kind != _DISPLAY_MATRIX]

_CODECS_WITHOUT_FIELDS = frozenset({"png", "apng"})

MAX_FRAMES_AT_ONE_TIME = 1000
"""The stream ends after this many frames in a row with the same timestamp: no real video has so many, but a broken or
hostile file can have hours of them."""


_LEAST_LEAD_S = 1.0
"""Seconds by which sound starts before the picture, from which on a warning says so."""


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One decoded picture and its place in time.

    Its planes are, for most formats, views of the decoder's memory; `bgr` computes a colour picture at each call.
    So a frame takes the memory of its planes and no more, whatever its consumer does with it.
    """

    index: int
    """0-based count of decoded frames; of `Video.frames_between`: of the frames it yields."""
    pts: int
    """The container's timestamp, in units of `VideoInfo.time_base`."""
    time: Fraction
    """Seconds after the first frame, exact."""
    planes: Planes
    """Upright."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height, as it should be shown, upright."""
    duration: int = 0
    """As the container states it, in units of `VideoInfo.time_base`; 0: unknown."""

    @property
    def time_s(self) -> float:
        """Seconds after the first frame."""
        return float(self.time)

    def bgr(self, size: tuple[int, int] | None = None) -> UInt8Array:
        """The picture in colour, upright; see `Planes.bgr`."""
        return self.planes.bgr(size)

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
        """The selection that options describe; it has state, so each video needs its own."""
        return cls(every=options.every, fps=options.fps, start=options.start, end=options.end)

    @property
    def state(self) -> tuple[int, int]:
        """What `resume` needs to go on after the frames so far."""
        return self._n_seen, self._last_cell

    def resume(self, n_seen: int, last_cell: int) -> None:
        """Go on where another selection ended, see `state`."""
        self._n_seen, self._last_cell = n_seen, last_cell

    def is_over(self, index: int, time_s: float) -> bool:
        """Whether this frame and all later ones are past the end."""
        return self.end is not None and self.end.reached(time_s, index)

    def fps_and_start(self) -> tuple[float, float] | None:
        """Frames per second and start in seconds, where these two alone decide which frames are taken; else None."""
        start = self.start or TimePoint(seconds=0.0)
        return (self.fps, start.seconds) if self.fps is not None and start.seconds is not None else None

    def takes(self, index: int, time_s: float, rounded_s: float) -> bool:
        """Whether this frame is analysed; called once per frame, in order; for the rounding see `cell_index`."""
        if self.start is not None and not self.start.reached(time_s, index):
            return False
        if self.fps is not None:
            cell = cell_index(time_s, self.fps, rounded_s)
            is_first_of_cell, self._last_cell = cell > self._last_cell, cell
            return is_first_of_cell
        self._n_seen += 1
        return (self._n_seen - 1) % self.every == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is read: what of the options decides which pictures it shows, and when."""

    sequence_fps: float = 25.0
    """Frames per second of images."""
    stream: int | None = None
    """Number of the video stream; None: the best one."""
    turn: int | None = None
    """Degrees clockwise by which stored pictures are turned; None: as the file says."""
    zero: ZeroName = "video"
    """What time 0 is."""

    @classmethod
    def of(cls, options: AnalyzeOptions) -> Reading:
        """As options say, before `auto` is decided."""
        turn = int(options.rotate) if options.rotate.isdecimal() else None
        return cls(sequence_fps=options.sequence_fps, stream=options.stream, turn=turn, zero=options.zero)

    @classmethod
    def again(cls, options: AnalyzeOptions, source: SourceInfo) -> Reading:
        """As the analysis read the file that a footer describes."""
        return replace(cls.of(options), turn=source.turned)


class Video:
    """An open video: what it is, its frames (once), and what went wrong."""

    def __init__(self, source: Source, reading: Reading | None = None) -> None:
        self.source = source
        """Where frames come from."""
        self._reading = reading or Reading()
        self.info = source.info
        self.turn = self._reading.turn
        """See `Reading.turn`; may be set before the first frame is read."""
        self.report = DecodeReport()
        self.rotation = 0
        """Degrees counter-clockwise by which the first picture was turned upright."""
        self.size: tuple[int, int] = (self.info.width, self.info.height)
        """(width, height) in pixels, upright; until the first frame is decoded, what the header states."""
        self._hardware = source.hardware if isinstance(source, Container) else None
        self._part: Part | None = None
        self._clock = self.new_clock()
        self._size_now: tuple[int, int] | None = None
        self._pose_now: tuple[int, int, int] | None = None
        self._is_mirrored = False
        self._has_fields = self.info.format != "images" and self.info.codec not in _CODECS_WITHOUT_FIELDS
        self._n_size_changes = 0

    @property
    def hwaccel(self) -> str | None:
        """Kind of device that decoded; None: software."""
        return self._hardware.used if self._hardware is not None else None

    @property
    def end_s(self) -> float:
        """Seconds from the first frame to the end of the last one decoded so far."""
        return self._clock.end_s

    def frames(self, selection: Selection) -> Iterator[Frame]:
        """Decode, in order.

        Raises:
            DecodeError: the stream has no frame that can be decoded.
        """
        report, clock, rounded_s = self.report, self._clock, rounding_s(self.info.time_base)
        self._note_choices()
        self._prepare(selection)
        # The clock also sees frames that are skipped or damaged: a jump of their timestamps moves later frames.
        for timed in clock.run(self._decode()):
            if isinstance(timed, Lost | NoTimestamps):
                report.add(timed)
                continue
            index, time_s, picture = report.n_decoded, float(timed.time), timed.picture
            if selection.is_over(index, time_s):
                break
            # Frames that are skipped or damaged are counted too, so that an index does not depend on the selection.
            self._count(timed)
            if isinstance(picture, SkippedFrame) or picture.is_corrupt:
                continue
            if clock.n_at_one_time >= MAX_FRAMES_AT_ONE_TIME:
                report.stop(
                    f"{MAX_FRAMES_AT_ONE_TIME} frames in a row have the same timestamp; the rest was not read",
                    time_s,
                )
                break
            if selection.takes(index, time_s, rounded_s):
                yield self._frame(picture, index, timed.time)
        else:  # only where the stream was read to its end can frames be missing there
            report.check_end(clock.own_end_s, self.info.duration_s_from_header)
        if self._hardware is not None and self._hardware.warning is not None:
            report.warnings.append(self._hardware.warning)
        if report.n_decoded == 0:
            raise self._no_frame()
        report.write_warnings()

    def _prepare(self, selection: Selection) -> None:
        """Let the selection go on where the parts before end, and the decoder skip what it will not take."""
        if self._part is not None:
            selection.resume(self._part.n_seen, self._part.last_cell)
        may_skip = isinstance(self.source, Container) and not self._clock.lead_s
        if may_skip and (sampling := selection.fps_and_start()) is not None:
            cast(Container, self.source).skip_frames(*sampling)

    def limit_to(self, part: Part) -> None:
        """Let `frames` begin with a part, and go on beyond its end; their indices and times are those of the video.

        Called before the first frame is read. `frames` then raises `InexactPartError` where the part cannot be read
        exactly.
        """
        self._part = part
        self.report.n_decoded = part.n_earlier
        if part.number:
            self._clock.resume(part.first_pts * self.info.time_base, part.earlier_s(self.info.time_base))

    def _decode(self) -> Iterator[SourceEvent]:
        if self._part is None:
            return self.source.decode()
        return cast(Container, self.source).decode_part(self._part)

    def _count(self, timed: TimedFrame) -> None:
        report, time_s = self.report, float(timed.time)
        report.n_decoded += 1
        if timed.jump_s is not None:
            report.add_jump(time_s, float(timed.jump_s))
        if timed.is_stray:
            report.add_stray(time_s)
        if not isinstance(timed.picture, SkippedFrame) and timed.picture.is_corrupt:
            report.add_damaged()
        else:
            report.add_usable(time_s)

    def frames_between(self, start_s: Fraction, end_s: Fraction) -> Iterator[Frame]:
        """The frame that is shown at `start_s`, and those after it up to `end_s`.

        Decoding starts at the last key frame before `start_s`. Times are those of `frames`, unless timestamps jump
        somewhere before. Nothing is added to `report`.

        Args:
            start_s: seconds after the first frame.
            end_s: seconds after the first frame.

        Raises:
            DecodeError: the stream has no frame that can be decoded.
        """
        origin_s = self.origin_s()
        # The frame shown at `start_s` is the last one not after it, which is known only when the next one comes.
        shown: tuple[av.VideoFrame, Fraction] | None = None
        index = 0
        for picture in _usable(self.source.decode(int((origin_s + start_s) / self.info.time_base))):
            time = self._own_time_s(picture) - origin_s
            if time > end_s:
                break
            if time > start_s:
                if shown is not None:
                    yield self._frame(shown[0], index, shown[1])
                    index, shown = index + 1, None
                yield self._frame(picture, index, time)
                index += 1
            else:
                shown = picture, time
        if shown is not None:
            yield self._frame(shown[0], index, shown[1])

    def key_frames(self, count: int, length_s: float) -> Iterator[Frame]:
        """At most `count` frames at which decoding can start, at about equal distances over `length_s` seconds.

        Each takes the time of one frame to decode. Nothing is added to `report`.

        Raises:
            DecodeError: the stream has no frame that can be decoded.
        """
        origin_s, last_pts, last_start = self.origin_s(), None, None
        for number in range(count):
            time = Fraction(length_s).limit_denominator(1000) * number / count
            from_pts = int((origin_s + time) / self.info.time_base)
            start = self.source.find_start(from_pts)
            if start is not None and start == last_start:
                continue
            last_start = start
            picture = next(iter(_usable(self.source.decode(from_pts))), None)
            if picture is not None and picture.pts != last_pts:
                last_pts = picture.pts
                yield self._frame(picture, number, self._own_time_s(picture) - origin_s)

    def origin_s(self) -> Fraction:
        """The zero of time on the file's own clock, in seconds; the file's sound uses the same clock.

        Raises:
            DecodeError: the stream has no frame that can be decoded.
        """
        if self._clock.first_s is None:
            first = next((e for e in self.source.decode() if isinstance(e, av.VideoFrame)), None)
            if first is None:
                raise self._no_frame()
            self._clock.first_s = self._own_time_s(first)
        return self._clock.first_s - self._clock.lead_s

    def close(self) -> None:
        """Close the file."""
        self.source.close()

    def new_clock(self) -> Clock:
        """A clock for this video, before its first frame."""
        # 0 also where a stray timestamp makes the average rate nearly 0.
        rate = Fraction(self.info.frame_rate or 0).limit_denominator(1001)
        step_s = 1 / rate if rate else Fraction(1, 25)
        lead_s = max(self.info.sound_lead_s or Fraction(0), Fraction(0))
        return Clock(
            self.info.time_base,
            step_s=step_s,
            longest_hold_s=longest_hold_s(self.info.format),
            lead_s=lead_s if self._reading.zero == "audio" else Fraction(0),
        )

    def _note_choices(self) -> None:
        """Warn of what the file has besides what is analysed."""
        info, warnings = self.info, self.report.warnings
        if info.other_streams:
            warnings.append(
                f"{1 + len(info.other_streams)} video streams: {info.stream_text} is analysed, not "
                f"{', '.join(info.other_streams)}; --stream chooses"
            )
        lead_s = float(info.sound_lead_s or 0)
        if self._reading.zero == "audio" and lead_s <= 0:
            why = (
                "there is no sound"
                if info.sound_lead_s is None
                else "the sound does not start before the picture"
            )
            warnings.append(f"zero audio: {why}, so that times count from the first picture")
        elif lead_s >= _LEAST_LEAD_S:
            zero = (
                "sound"
                if self._reading.zero == "audio"
                else "first picture, with --zero audio from the sound"
            )
            warnings.append(
                f"the sound starts {lead_s:.1f} s before the picture; times count from the {zero}"
            )

    def _own_time_s(self, picture: av.VideoFrame) -> Fraction:
        return (picture.pts or 0) * (picture.time_base or self.info.time_base)

    def _no_frame(self) -> DecodeError:
        # The header of a picture over the limit is not read either.
        large = f", or its picture has more than {MAX_PIXELS // 10**6} megapixels" * (not self.info.width)
        return DecodeError(
            f"{self.info.path.name}: no frame could be decoded. "
            f"The file is damaged or not a video{large}; export it again."
        )

    def _frame(self, picture: av.VideoFrame, index: int, time: Fraction) -> Frame:
        rotation = quarter_turn(picture.rotation) if self.turn is None else -self.turn % 360
        planes = planes_from_frame(
            picture, rotation, mirrored=self._mirrored(picture), has_fields=self._has_fields
        )
        self._note_size(planes, rotation, float(time))
        aspect = self.info.pixel_aspect if rotation % 180 == 0 else 1 / self.info.pixel_aspect
        return Frame(index, picture.pts or 0, time, planes, aspect, picture.duration or 0)

    def _mirrored(self, picture: av.VideoFrame) -> bool:
        # Within a stream this is read only where the rotation or the size changes. Reading takes a millisecond, and
        # PyAV makes a reference cycle of a picture and its side data, so that pictures stay in memory until the garbage
        # collector runs: a minute of 720p took 878 MiB instead of 350. Images of a sequence are files of their own, and
        # each may be mirrored.
        pose = (picture.rotation, picture.width, picture.height)
        if pose != self._pose_now or isinstance(self.source, ImageSequence):
            self._pose_now, self._is_mirrored = pose, _is_mirrored(picture)
        return self._is_mirrored

    def _note_size(self, planes: Planes, rotation: int, time_s: float) -> None:
        size = (planes.width, planes.height)
        if self._size_now is None:
            self.rotation, self.size = rotation, size
        elif size != self._size_now:
            self._n_size_changes += 1
            if self._n_size_changes == 1:
                self.report.warnings.append(describe_size_change(self._size_now, size, time_s))
        self._size_now = size


SIZE_CHANGES = "the picture's size changes from"
"""How the warning begins that `describe_size_change` gives."""


def describe_size_change(before: tuple[int, int], after: tuple[int, int], time_s: float) -> str:
    """A warning; sizes are (width, height) in pixels."""
    return (
        f"{SIZE_CHANGES} {before[0]}x{before[1]} to {after[0]}x{after[1]} at {timecode(time_s)}; "
        "boxes are in pixels of their own frame"
    )


def _usable(events: Iterable[SourceEvent]) -> Iterator[av.VideoFrame]:
    return (event for event in events if isinstance(event, av.VideoFrame) and not event.is_corrupt)


@contextlib.contextmanager
def open_video(
    path: Path,
    reading: Reading | None = None,
    *,
    threads: int | None = None,
    hwaccel: HwaccelName = "none",
) -> Iterator[Video]:
    """Open a local video file, or a folder of numbered images.

    Args:
        path: a file, or a folder of images.
        reading: how it is read; None: as it says.
        threads: number of decoder threads; None: one more than there are CPUs, at most 16.
        hwaccel: see `AnalyzeOptions`; what a device cannot do, software does, with a warning in the report.

    Raises:
        VideoError: missing, empty, not a video, no video stream, too large; the message states which.
    """
    reading = reading or Reading()
    source: Source = (
        ImageSequence(path, reading.sequence_fps)
        if os.path.isdir(path)  # noqa: PTH112  `Path.is_dir` raises without permission for a parent folder
        else Container(path, threads=threads, stream=reading.stream, hwaccel=hwaccel)
    )
    with contextlib.closing(Video(source, reading)) as video:
        if isinstance(source, ImageSequence) and (n := source.n_unnumbered):
            video.report.warnings.append(f"images without a number in their names are left out: {n}")
        if isinstance(source, ImageSequence) and hwaccel != "none":
            video.report.warnings.append(
                f"hwaccel {hwaccel}: images are decoded by software; leave --hwaccel out for them"
            )
        yield video


def _is_mirrored(picture: av.VideoFrame) -> bool:
    """Whether the display matrix mirrors the picture; PyAV's rotation is then the one after an upside-down flip."""
    matrix = _without_other_side_data(picture).side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    # The matrix is 3x3; its upper left 2x2 part turns and mirrors, and mirrors where its determinant is negative.
    a, b, _, c, d = np.frombuffer(memoryview(cast("Buffer", matrix)), np.int32)[:5].astype(float)
    return bool(a * d - b * c < 0)


def _without_other_side_data(picture: av.VideoFrame) -> av.VideoFrame:
    """The same picture with its display matrix and no other side data.

    PyAV (18 and 19) wraps all side data of a picture as soon as one entry is read. It then frees the metadata of an
    entry twice, which ends the process (the colour profile of a PNG has metadata), and it raises for kinds that it has
    no name for, such as the EXIF data of photographs. So FFmpeg deletes the other kinds before PyAV sees them.
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


def quarter_turn(degrees: int) -> int:
    """The multiple of 90 degrees, 0 to 270, that is nearest."""
    return round(degrees / 90) * 90 % 360
