"""A copy of a video with other pictures: as many frames, at the same times, with the same sound.

    with open_video(path, reading) as video:
        for frame in rewrite(video, video.frames(Selection()), Rewrite(target=Path("out.mp4")), painter):
            print(frame.time_s)

The picture is upright and as large as the source's, 8-bit and 4:2:0, with the source's colours; frames that could not
be decoded are missing, as from its analysis.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol

from ferflow.errors import VideoError
from ferflow.media.copied_audio import CopiedAudio
from ferflow.media.encode import (
    Colours,
    VideoSettings,
    VideoWriter,
    common_timescale,
    open_part_writer,
    open_video_writer,
)
from ferflow.media.prefetch import map_ahead, prefetch
from ferflow.media.video import Frame, Selection, Video
from ferflow.media.yuv_picture import YuvPicture
from ferflow.options import CodecName, TimePoint
from ferflow.render.shown_faces import Key
from ferflow.system.cpus import available_cpus

_FRAMES_AHEAD = 6
_FINEST_TIME_BASE = Fraction(1, 1_000_000)
"""Seconds. In finer units, the header of MP4 could not say that a picture is shown for an hour."""
_ENCODER_THREADS = 4


class Painter(Protocol):
    """Changes the pictures of a video; may be called by several threads at once, for several frames."""

    def paint(self, frame: Frame, picture: YuvPicture) -> None:
        """Change a picture.

        Args:
            frame: what it shows.
            picture: of the size of the video's first frame, which later ones need not have.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a video."""

    start: TimePoint | None = None
    """None: at the first frame."""
    end: TimePoint | None = None
    """The first frame that is left out; None: none is."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the video."""
        return self.start is None and self.end is None

    @property
    def key(self) -> Key:
        """By what its frames are found in tables."""
        return "frame_index"

    def frames(self, video: Video) -> Iterator[Frame]:
        """Its frames; see `Video.frames`."""
        return video.frames(Selection(start=self.start, end=self.end))

    def length_s(self, video: Video) -> float | None:
        """Seconds, as far as headers say; None: unknown."""
        start_s = self.start.seconds if self.start else 0.0
        end_s = self.end.seconds if self.end else None
        total_s = video.info.duration_s_from_header
        if end_s is None or (total_s is not None and total_s < end_s):
            end_s = total_s
        return None if start_s is None or end_s is None else max(end_s - start_s, 0.0)


WHOLE = Stretch()


@dataclass(frozen=True, slots=True)
class Between:
    """A short part of a video that is found without decoding what is before."""

    start_s: float
    """Seconds after the zero of time."""
    end_s: float

    @property
    def is_whole(self) -> bool:
        """It is not all of the video."""
        return False

    @property
    def key(self) -> Key:
        """By what its frames are found in tables: their numbers are not known."""
        return "pts"

    def frames(self, video: Video) -> Iterator[Frame]:
        """Its frames; see `Video.frames_between`. The first one may be shown before the start."""
        # 0.6 as a float is a little less than three fifths, at which a frame may start.
        start_s, end_s = (Fraction(side).limit_denominator(10**6) for side in (self.start_s, self.end_s))
        return video.frames_between(start_s, end_s)

    def length_s(self, video: Video) -> float:
        """Seconds."""
        return self.end_s - self.start_s


Part = Stretch | Between


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What is written, and how."""

    target: Path
    out: Path | None = None
    """The output folder that it is in; None: the user has named the file."""
    part: Path | None = None
    """The file that is written, which the caller gives its name; None: it gets its name when it is complete."""
    codec: CodecName = "h264"
    crf: int | None = None
    """None: usual for the codec."""
    is_part: bool = False
    """Whether the frames are a part of the video: times then count from the first one, and the sound ends with the last
    one. Otherwise times are those of the source, and the sound is all of it."""


def rewrite(video: Video, frames: Iterable[Frame], wanted: Rewrite, painter: Painter) -> Iterator[Frame]:
    """Write the copy; the file has its name when the iterator ends.

    Args:
        video: open.
        frames: of it, in order of time.
        wanted: the file.
        painter: changes the pictures.

    Yields:
        Each frame when it is written.

    Raises:
        VideoError: nothing can be decoded, or it cannot be encoded.
        RecordsError: the file cannot be written.
    """
    with ExitStack() as stack:
        decoded = stack.enter_context(closing(prefetch(frames, _FRAMES_AHEAD)))
        first = next(decoded, None)
        if first is None:
            raise VideoError(f"{video.info.path.name}: no frame in this part. Check --start and --end.")
        size = first.planes.width, first.planes.height
        clock = _Clock.of(video, first, is_part=wanted.is_part)
        threads = available_cpus()
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="ferflow-paint"))
        paint = partial(_paint, painter=painter, size=size)
        painted = stack.enter_context(closing(map_ahead(pool, paint, chain((first,), decoded), threads + 1)))
        audio = _open_audio(video, first, clock, wanted)
        if audio is not None:
            stack.enter_context(audio)
            video.report.warnings.extend(filter(None, [audio.describe_converted()]))
        settings = _settings(first, clock, wanted, audio)
        writer = stack.enter_context(_open_writer(wanted, settings, audio))
        for frame, picture in painted:
            _write(writer, picture, frame, clock)
            yield frame


def _paint(frame: Frame, *, painter: Painter, size: tuple[int, int]) -> YuvPicture:
    picture = YuvPicture.of(frame.planes, size)
    painter.paint(frame, picture)
    return picture


@dataclass(frozen=True, slots=True)
class _Clock:
    """From the time of a frame to the timestamps of the new file."""

    time_base: Fraction
    origin_s: Fraction
    """By the source's own clock, of the zero of time of its frames."""
    shift_s: Fraction
    """By how much the new file is earlier than the source's own clock."""

    @classmethod
    def of(cls, video: Video, first: Frame, *, is_part: bool) -> _Clock:
        origin_s = video.origin_s()
        start_s = first.time + origin_s
        # Players skip what is before zero.
        shift_s = start_s if is_part or start_s < 0 else Fraction(0)
        return cls(max(video.info.time_base, _FINEST_TIME_BASE), origin_s, shift_s)

    def pts(self, frame: Frame) -> int:
        # Equal to the source's own, except where these jump.
        return round((frame.time + self.origin_s - self.shift_s) / self.time_base)


def _open_writer(
    wanted: Rewrite, settings: VideoSettings, audio: CopiedAudio | None
) -> AbstractContextManager[VideoWriter]:
    if wanted.part is not None:
        return open_part_writer(wanted.part, settings, audio, name=wanted.target)
    return open_video_writer(wanted.target, settings, audio, out=wanted.out)


def _write(writer: VideoWriter, picture: YuvPicture, frame: Frame, clock: _Clock) -> None:
    writer.write_picture(picture, clock.pts(frame), frame.duration)


def _open_audio(video: Video, first: Frame, clock: _Clock, wanted: Rewrite) -> CopiedAudio | None:
    path = video.info.path
    if os.path.isdir(path):  # noqa: PTH112 - of images
        return None
    start_s = first.time + clock.origin_s if wanted.is_part else None
    return CopiedAudio(path, start_s=start_s, shift_s=clock.shift_s, ends_with_pictures=wanted.is_part)


def _settings(first: Frame, clock: _Clock, wanted: Rewrite, audio: CopiedAudio | None) -> VideoSettings:
    return VideoSettings(
        size=(first.planes.width, first.planes.height),
        time_base=clock.time_base,
        codec=wanted.codec,
        crf=wanted.crf,
        threads=_ENCODER_THREADS,
        pixel_aspect=Fraction(first.pixel_aspect).limit_denominator(1000),
        colours=Colours.of(first.planes),
        movie_timescale=common_timescale(clock.time_base, audio.rates if audio else ()),
    )
