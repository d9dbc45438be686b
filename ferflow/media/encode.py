"""The one way to write a video: H.264 in MP4, the frames' own times, sound if there is any.

>>> with open_video_writer(Path("clip.mp4"), VideoSettings(size=(640, 360))) as writer:
...     for frame in video.frames_between(Fraction(10), Fraction(17)):
...         writer.write(frame.bgr((640, 360)), frame.time - 10)

The file appears under its name when the block ends without an error, and only then.
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
"""Samples that AAC encodes together; an encoder accepts fewer only in its last frame."""
_BT601, _LIMITED_RANGE = 6, 1
"""ITU-T H.273 matrix coefficients, and FFmpeg's AVColorRange, of OpenCV's conversion from BGR."""
_FALLBACK_QUALITY = {"qscale": "3"}
"""Options of MPEG-4 Part 2, which is used where this FFmpeg was built without an H.264 encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How pictures are encoded."""

    size: tuple[int, int]
    """(width, height) in pixels, both even: chroma has half of each."""
    frame_rate: int = 30
    """For the header; frames keep the times they are written with."""
    time_base: Fraction = Fraction(1, 90_000)
    """Unit of the timestamps in the file, in seconds: MPEG's clock of 90 kHz, in which a frame has an integer duration
    at 24, 25, 30 and 30000/1001 frames per second."""
    crf: int = 23
    """Quality of H.264, 0 (lossless) to 51; ignored where a bit rate is given."""
    bits_per_second: int | None = None
    preset: str = "veryfast"
    """Of x264: slower presets give smaller files of the same quality."""
    threads: int = 2
    """Of the encoder. A fixed number, because another one gives other bytes."""


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
        # Two pictures may fall on one unit of the time base; MP4 needs timestamps that increase.
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
        """Write what the encoders still keep, and the index; the last picture is shown as long as the one before it."""
        with _write_errors_of(self._path):
            self._encode(None)
            if self._audio is not None:
                self._audio.write_until((self._last_pts + self._step) * self._settings.time_base, is_end=True)
            self._container.close()

    def _encode(self, picture: av.VideoFrame | None) -> None:
        self._container.mux(self._stream.encode(picture))


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
    with atomic_write(path, out=out) as part:
        # With the index at the start (faststart), browsers play a file before it is loaded completely.
        with _write_errors_of(path):
            container = av.open(str(part), "w", format="mp4", options={"movflags": "faststart"})
        try:
            with _write_errors_of(path):
                writer = VideoWriter(path, container, settings, audio)
            yield writer
            writer.finish()
        finally:
            # After an error the file is discarded, so that errors of closing do not matter; after `finish` it is
            # closed.
            with contextlib.suppress(av.error.FFmpegError, OSError):
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
    # Without these tags players guess the matrix of the colours from the size of the picture.
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
