"""The one way to write a video: MP4, the frames' own times, sound if there is any.

>>> with open_video_writer(Path("clip.mp4"), VideoSettings(size=(640, 360))) as writer:
...     for frame in video.frames_between(Fraction(10), Fraction(17)):
...         writer.write(frame.bgr((640, 360)), frame.time - 10)

A copy of a video with other pictures keeps the source's timestamps, exactly (`write_picture`).

The file appears under its name when the block ends without an error, and only then.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import av.container
import av.error
import cv2
import numpy as np

from ferflow.errors import VideoError
from ferflow.media.planes import UNSPECIFIED_MATRIX, Planes
from ferflow.media.yuv_picture import YuvPicture, pixel_format
from ferflow.options import CodecName
from ferflow.store.atomic_files import atomic_write
from ferflow.system.scheduling import keep_scheduling
from ferflow.types import Float32Array, UInt8Array

_AAC_FRAME_SAMPLES = 1024
"""Samples that AAC encodes together; an encoder accepts fewer only in its last frame."""
_BT601, _LIMITED_RANGE, _FULL_RANGE = 6, 1, 2
"""ITU-T H.273 matrix coefficients, and FFmpeg's AVColorRange; the first two are of OpenCV's conversion from BGR."""
_FALLBACK = "mpeg4"
_FALLBACK_QUALITY = {"qscale": "3"}
"""MPEG-4 Part 2 and its options, used where this FFmpeg was built without an H.264 encoder."""
_LONGEST_TIMESCALE = 2**31 - 1
"""Units per second, in the headers of MP4."""


@dataclass(frozen=True, slots=True)
class _Encoder:
    """An encoder of FFmpeg; options that make it about as fast, and files about as large, as x264's `veryfast`."""

    name: str
    crf: int
    """That looks about like x264 at 23, the default there."""
    options: dict[str, str]
    tag: str = ""


_ENCODERS: dict[CodecName, _Encoder] = {
    "h264": _Encoder("libx264", 23, {}),
    "h265": _Encoder("libx265", 28, {"x265-params": "log-level=none"}, tag="hvc1"),
    "vp9": _Encoder("libvpx-vp9", 31, {"deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
    "av1": _Encoder("libsvtav1", 35, {"preset": "9"}),
}


@dataclass(frozen=True, slots=True)
class Colours:
    """How players turn the planes into colours: values of ITU-T H.273, and the range."""

    matrix: int = _BT601
    full_range: bool = False
    primaries: int = UNSPECIFIED_MATRIX
    transfer: int = UNSPECIFIED_MATRIX

    @classmethod
    def of(cls, planes: Planes) -> Colours:
        """As planes are meant; what their source does not say stays unsaid, so that a copy is shown as the source."""
        return cls(planes.matrix, planes.full_range, planes.primaries, planes.transfer)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How pictures are encoded."""

    size: tuple[int, int]
    """(width, height) in pixels. Both even, except for `write_picture`: chroma has half of each."""
    frame_rate: int = 30
    """For the header; frames keep the times they are written with."""
    time_base: Fraction = Fraction(1, 90_000)
    """Unit of the timestamps in the file, in seconds: MPEG's clock of 90 kHz, in which a frame has an integer duration
    at 24, 25, 30 and 30000/1001 frames per second."""
    codec: CodecName = "h264"
    crf: int | None = 23
    """Quality, 0 (lossless) to 51, of VP9 and AV1 to 63; None: usual for the codec. Ignored where a bit rate is
    given."""
    bits_per_second: int | None = None
    preset: str = "veryfast"
    """Of x264: slower presets give smaller files of the same quality."""
    threads: int = 2
    """Of the encoder. A fixed number, because another one gives other bytes."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, as it should be shown."""
    colours: Colours = Colours()
    movie_timescale: int | None = None
    """Units per second in which delays of whole streams are stored; see `common_timescale`. None: 1000."""


def common_timescale(time_base: Fraction, rates: Iterable[int]) -> int | None:
    """Units per second in which every time of a stream of pictures and of sound is a whole number, so that MP4 stores
    the delays of both exactly; None where its headers cannot hold so many.
    """
    found = math.lcm(time_base.denominator, *rates)
    return found if found <= _LONGEST_TIMESCALE else None


class AudioTrack(Protocol):
    """The sound of a video file that is being written, interleaved with its pictures."""

    def add_to(self, container: av.container.OutputContainer) -> None:
        """Add a stream; called once, before anything is written."""

    def write_until(self, time_s: Fraction, *, is_end: bool = False) -> None:
        """Write the sound up to a time of the file: players expect sound and pictures interleaved.

        Args:
            time_s: seconds from the start of the file; never less than in the last call.
            is_end: nothing follows after `time_s`, so the encoder must give all that it still keeps.
        """


class EncodedSamples:
    """An `AudioTrack` of samples in memory, encoded as AAC."""

    def __init__(self, samples: Float32Array, *, rate: int, bits_per_second: int | None = None) -> None:
        """Keep the samples.

        Args:
            samples: float32 (channels, N) in [-1, 1], 1 or 2 channels, from the start of the file on.
            rate: samples per second.
            bits_per_second: None: the encoder's default.
        """
        self._samples, self._rate, self._bits_per_second = samples, rate, bits_per_second
        self._layout = "mono" if len(samples) == 1 else "stereo"
        self._n_written = 0

    def add_to(self, container: av.container.OutputContainer) -> None:
        """See `AudioTrack`."""
        self._container = container
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout)
        if self._bits_per_second is not None:
            self._stream.bit_rate = self._bits_per_second

    def write_until(self, time_s: Fraction, *, is_end: bool = False) -> None:
        """See `AudioTrack`."""
        n_due = min(round(time_s * self._rate), self._samples.shape[1])
        while self._n_written + (1 if is_end else _AAC_FRAME_SAMPLES) <= n_due:
            end = min(self._n_written + _AAC_FRAME_SAMPLES, n_due)
            part = np.ascontiguousarray(self._samples[:, self._n_written : end])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._n_written
            self._container.mux(self._stream.encode(frame))
            self._n_written = end
        if is_end:
            self._container.mux(self._stream.encode(None))


class VideoWriter:
    """Encodes pictures one by one; made by `open_video_writer`."""

    def __init__(
        self,
        path: Path,
        container: av.container.OutputContainer,
        settings: VideoSettings,
        audio: AudioTrack | None,
    ) -> None:
        self._path, self._container, self._settings, self._audio = path, container, settings, audio
        self._stream = _add_video_stream(container, settings)
        if audio is not None:
            audio.add_to(container)
        self._last_pts: int | None = None
        self._step = round(Fraction(1, settings.frame_rate) / settings.time_base)

    def write(self, image: UInt8Array, time_s: Fraction) -> None:
        """Encode the next picture.

        Args:
            image: uint8 (height, width, 3), BGR, of the size in the settings.
            time_s: when it is shown, seconds from the start of the file. A picture that is not at least one unit of
                the time base later than the last one is left out.

        Raises:
            ValueError: the picture has another size.
            VideoError: it cannot be written.
        """
        if (image.shape[1], image.shape[0]) != self._settings.size:
            raise ValueError(f"picture must be {self._settings.size}, got {image.shape[1::-1]}")
        pts = round(time_s / self._settings.time_base)
        # Two pictures may fall on one unit of the time base; MP4 needs timestamps that increase.
        if self._last_pts is not None and pts <= self._last_pts:
            return
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        self._write(av.VideoFrame.from_ndarray(planes, format="yuv420p"), pts)

    def write_picture(self, picture: YuvPicture, pts: int, duration: int = 0) -> None:
        """Encode the next picture of a copy of a video.

        Args:
            picture: of the size in the settings.
            pts: when it is shown, in units of the time base, as it will be in the file. MP4 needs timestamps that
                increase: one that does not becomes that of the last picture and 1.
            duration: of the picture, in the same units, for the last one; 0: unknown.

        Raises:
            VideoError: it cannot be written.
        """
        picture.frame.duration = duration
        self._write(picture.frame, pts if self._last_pts is None else max(pts, self._last_pts + 1))

    def _write(self, frame: av.VideoFrame, pts: int) -> None:
        if self._last_pts is not None:
            self._step = pts - self._last_pts
        frame.pts, frame.time_base = pts, self._settings.time_base
        with _write_errors_of(self._path):
            self._encode(frame)
            if self._audio is not None:
                self._audio.write_until(pts * self._settings.time_base)
        self._last_pts = pts

    def finish(self) -> None:
        """Write what the encoders still keep, and the index; the last picture is shown as long as the one before it."""
        with _write_errors_of(self._path):
            self._encode(None)
            if self._audio is not None:
                end = (-1 if self._last_pts is None else self._last_pts) + self._step
                self._audio.write_until(end * self._settings.time_base, is_end=True)
            self._container.close()

    def _encode(self, picture: av.VideoFrame | None) -> None:
        # The first picture opens the encoder.
        with contextlib.nullcontext() if self._stream.codec_context.is_open else keep_scheduling():
            packets = self._stream.encode(picture)
        self._container.mux(packets)


@contextlib.contextmanager
def open_video_writer(
    path: Path, settings: VideoSettings, audio: AudioTrack | None = None, *, out: Path | None = None
) -> Iterator[VideoWriter]:
    """Write an MP4 file that gets its name only when it is complete.

    Args:
        path: the file; one of that name is replaced.
        settings: how pictures are encoded.
        audio: the sound; None: the file has no sound.
        out: the output folder that it is in; None: the user has named the file.

    Raises:
        VideoError: it cannot be encoded.
        RecordsError: it cannot be written.
    """
    with atomic_write(path, out=out) as part, open_part_writer(part, settings, audio, name=path) as writer:
        yield writer


@contextlib.contextmanager
def open_part_writer(
    part: Path, settings: VideoSettings, audio: AudioTrack | None = None, *, name: Path
) -> Iterator[VideoWriter]:
    """As `open_video_writer`, into a file of `atomic_write`, which the caller checks before it gets its name.

    Args:
        part: the file, replaced.
        settings: how pictures are encoded.
        audio: the sound; None: the file has no sound.
        name: what the file will be called, for messages.

    Raises:
        VideoError: it cannot be written.
    """
    # With the index at the start (faststart), browsers play a file before it is loaded completely.
    with _write_errors_of(name):
        container = av.open(str(part), "w", format="mp4", options=_muxer_options(settings))
    try:
        with _write_errors_of(name):
            writer = VideoWriter(name, container, settings, audio)
        yield writer
        writer.finish()
    finally:
        # After an error the file is discarded, so that errors of closing do not matter; after `finish` it is closed.
        with contextlib.suppress(av.error.FFmpegError, OSError):
            container.close()


def _muxer_options(settings: VideoSettings) -> dict[str, str]:
    options = {"movflags": "faststart", "video_track_timescale": str(settings.time_base.denominator)}
    if settings.movie_timescale is not None:
        options["movie_timescale"] = str(settings.movie_timescale)
    return options


def _add_video_stream(container: av.container.OutputContainer, settings: VideoSettings) -> av.VideoStream:
    encoder = _find_encoder(settings.codec)
    options = _encoder_options(encoder, settings)
    stream = cast(
        av.VideoStream, container.add_stream(encoder.name, rate=settings.frame_rate, options=options)
    )
    if settings.bits_per_second is not None:
        stream.bit_rate = settings.bits_per_second
    elif encoder.name == _ENCODERS["vp9"].name:
        stream.bit_rate = 0  # otherwise the quality is limited by FFmpeg's default of 200 kbit/s
    stream.width, stream.height = settings.size
    stream.pix_fmt = pixel_format(settings.size)
    context, colours = stream.codec_context, settings.colours
    if encoder.tag:
        context.codec_tag = encoder.tag
    stream.time_base = context.time_base = settings.time_base
    context.thread_count = settings.threads
    context.sample_aspect_ratio = settings.pixel_aspect
    # Without these tags players guess the matrix of the colours from the size of the picture.
    context.colorspace, context.color_range = (
        colours.matrix,
        _FULL_RANGE if colours.full_range else _LIMITED_RANGE,
    )
    context.color_primaries, context.color_trc = colours.primaries, colours.transfer
    return stream


def _find_encoder(codec: CodecName) -> _Encoder:
    """The encoder of a codec.

    Raises:
        VideoError: this FFmpeg was built without it.
    """
    encoder = _ENCODERS[codec]
    if codec == "av1":
        # SVT-AV1 writes thirty lines to the terminal, unless its environment says: errors only.
        os.environ.setdefault("SVT_LOG", "1")
    if encoder.name in av.codecs_available:
        return encoder
    if codec == "h264":
        return _Encoder(_FALLBACK, 0, {})
    raise VideoError(f"codec {codec}: PyAV was built without {encoder.name}. Use another --codec.")


def _encoder_options(encoder: _Encoder, settings: VideoSettings) -> dict[str, str]:
    if encoder.name == _FALLBACK:
        return _FALLBACK_QUALITY if settings.bits_per_second is None else {}
    crf = encoder.crf if settings.crf is None else settings.crf
    quality = {"crf": str(crf)} if settings.bits_per_second is None else {}
    preset = {"preset": settings.preset} if settings.codec in ("h264", "h265") else {}
    return preset | encoder.options | quality


@contextlib.contextmanager
def _write_errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: the video could not be written ({error}). Check the folder's rights and free space."
        ) from error
