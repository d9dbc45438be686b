"""The one way to write a video: H.264 in MP4, the frames' own times, sound if there is any.

>>> with open_video_writer(Path("clip.mp4"), VideoSettings(size=(640, 360))) as writer:
...     for frame in video.frames_between(Fraction(10), Fraction(17)):
...         writer.write(frame.bgr((640, 360)), frame.time - 10)

The file appears under its name when the block ends, whole or not at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
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
from ferflow.store.atomic_files import atomic_write
from ferflow.types import Float32Array, UInt8Array

_AAC_FRAME_SAMPLES = 1024
"""Samples that AAC encodes together."""
_BT601, _LIMITED_RANGE = 6, 1
"""ITU-T H.273 matrix coefficients, and FFmpeg's AVColorRange, of what OpenCV makes of BGR."""
_FALLBACK_QUALITY = {"qscale": "3"}
"""Of MPEG-4 Part 2, where this FFmpeg cannot write H.264."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How pictures are encoded."""

    size: tuple[int, int]
    """(width, height) in pixels, both even: chroma has half of each."""
    frame_rate: int = 30
    """For the header; frames keep the times they are written with."""
    time_base: Fraction = Fraction(1, 90_000)
    """Unit of the timestamps in the file, in seconds."""
    crf: int = 23
    """Quality of H.264, 0 (lossless) to 51; ignored where a bit rate is given."""
    bits_per_second: int | None = None
    preset: str = "veryfast"
    """Of x264: how much time is spent on a small file."""
    threads: int = 2
    """Of the encoder. Fixed, because another number of threads gives other bytes."""


class AudioTrack(Protocol):
    """The sound of a video that is written, in step with its pictures."""

    def add_to(self, container: av.container.OutputContainer) -> None:
        """Add a stream; called once, before anything is written."""

    def write_until(self, time_s: Fraction, *, is_end: bool = False) -> None:
        """Write the sound up to a time of the file: players want sound and pictures interleaved.

        Args:
            time_s: seconds from the start of the file; never less than in the last call.
            is_end: nothing is written after `time_s`, so what an encoder holds back is due.
        """


class EncodedSamples:
    """An `AudioTrack` of samples in memory, encoded as AAC."""

    def __init__(self, samples: Float32Array, *, rate: int, bits_per_second: int | None = None) -> None:
        """Keep the samples.

        Args:
            samples: float32 (channels, N) in [-1, 1], 1 or 2 channels, from the start of the file on.
            rate: samples per second.
            bits_per_second: None: the encoder's own choice.
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
    """Encodes pictures as they come; made by `open_video_writer`."""

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
        self._last_pts = -1
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
        if pts <= self._last_pts:
            return
        if self._last_pts >= 0:
            self._step = pts - self._last_pts
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts, picture.time_base = pts, self._settings.time_base
        with _write_errors_of(self._path):
            self._encode(picture)
            if self._audio is not None:
                self._audio.write_until(pts * self._settings.time_base)
        self._last_pts = pts

    def finish(self) -> None:
        """Write what the encoders hold back, and the index; the last picture is shown as long as the one before."""
        with _write_errors_of(self._path):
            self._encode(None)
            if self._audio is not None:
                self._audio.write_until((self._last_pts + self._step) * self._settings.time_base, is_end=True)
            self._container.close()

    def _encode(self, picture: av.VideoFrame | None) -> None:
        self._container.mux(self._stream.encode(picture))


@contextlib.contextmanager
def open_video_writer(
    path: Path, settings: VideoSettings, audio: AudioTrack | None = None
) -> Iterator[VideoWriter]:
    """Write an MP4 file that bears its name only when it is whole.

    Args:
        path: the file; one of that name is replaced.
        settings: how pictures are encoded.
        audio: the sound; None: none.

    Raises:
        VideoError: it cannot be written.
    """
    with atomic_write(path) as part:
        # Players begin to show a file before it is loaded only with the index in front.
        with _write_errors_of(path):
            container = av.open(str(part), "w", format="mp4", options={"movflags": "faststart"})
        try:
            with _write_errors_of(path):
                writer = VideoWriter(path, container, settings, audio)
            yield writer
            writer.finish()
        finally:
            with contextlib.suppress(
                av.error.FFmpegError, OSError
            ):  # after an error there is nothing to keep
                container.close()


def _add_video_stream(container: av.container.OutputContainer, settings: VideoSettings) -> av.VideoStream:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = _encoder_options(codec, settings)
    stream = cast(av.VideoStream, container.add_stream(codec, rate=settings.frame_rate, options=options))
    if settings.bits_per_second is not None:
        stream.bit_rate = settings.bits_per_second
    stream.width, stream.height = settings.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    stream.time_base = context.time_base = settings.time_base
    context.thread_count = settings.threads
    # Tagged, so that no player guesses the colours from the size.
    context.colorspace, context.color_range = _BT601, _LIMITED_RANGE
    return stream


def _encoder_options(codec: str, settings: VideoSettings) -> dict[str, str]:
    if codec != "libx264":
        return _FALLBACK_QUALITY if settings.bits_per_second is None else {}
    quality = {"crf": str(settings.crf)} if settings.bits_per_second is None else {}
    return {"preset": settings.preset} | quality


@contextlib.contextmanager
def _write_errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: the video could not be written ({error}). Check the folder's rights and free space."
        ) from error
