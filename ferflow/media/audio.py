"""The sound of a stretch of a video, for clips.

>>> read_audio(Path("talk.mp4"), Fraction(60), Fraction(67)).shape
(2, 336000)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import numpy.typing as npt

from ferflow.media.container import open_container

RATE = 48_000
"""Samples per second."""
LAYOUT = "stereo"

_WARM_UP_SECONDS = 0.5
"""Decoding starts this much earlier: the first packets after a seek give wrong sound."""
_INTERLEAVING_SECONDS = 10
"""Streams of a file are interleaved within this time. Pictures later than the end by more show that no more sound of
the stretch follows, so that the rest of a long file is not read."""

Samples = npt.NDArray[np.float32]


def read_audio(path: Path, start_s: Fraction, end_s: Fraction) -> Samples | None:
    """Decode the sound of [start_s, end_s) on the file's own clock.

    Every sample is placed by its timestamp: what is missing or cannot be decoded is silence, and later sound stays in
    step with the pictures.

    Args:
        path: the video.
        start_s: seconds.
        end_s: seconds.

    Returns:
        float32 (2, samples), `RATE` samples per second from `start_s` on, in [-1, 1]; None if there is no sound.

    Raises:
        VideoError: the file cannot be opened.
    """
    samples = np.zeros((2, round((end_s - start_s) * RATE)), dtype=np.float32)
    has_sound = False
    with open_container(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, av.AudioStream) or stream.codec_context is None:
            return None
        with contextlib.suppress(
            av.error.FFmpegError
        ):  # raw streams cannot seek: they are decoded from the start
            container.seek(int((start_s - Fraction(_WARM_UP_SECONDS)) * av.time_base))
        for time_s, part in _resample(container, stream, end_s):
            first = round((time_s - start_s) * RATE)
            part = part[:, max(0, -first) : max(0, samples.shape[1] - first)]
            samples[:, max(0, first) : max(0, first) + part.shape[1]] = part
            has_sound = has_sound or part.shape[1] > 0
    # Sound stored as floats may contain NaN and values above 1; an encoder refuses NaN.
    return np.clip(np.nan_to_num(samples), -1, 1) if has_sound else None


def _resample(
    container: av.container.InputContainer, stream: av.AudioStream, end_s: Fraction
) -> Iterator[tuple[Fraction, Samples]]:
    """Yield time in seconds and samples of the decoded frames up to `end_s`."""
    resampler = av.AudioResampler(format="fltp", layout=LAYOUT, rate=RATE)
    for frame in _decode_until(container, stream, end_s):
        # A frame whose format changes within the stream is refused: it becomes silence, not the end of the sound.
        with contextlib.suppress(av.error.FFmpegError, ValueError):
            for part in resampler.resample(frame):
                if part.pts is not None and part.time_base is not None:
                    yield part.pts * part.time_base, part.to_ndarray().astype(np.float32)


def _begins_after(frame: av.AudioFrame, end_s: Fraction) -> bool:
    return frame.pts is not None and frame.time_base is not None and frame.pts * frame.time_base >= end_s


def _decode_until(
    container: av.container.InputContainer, stream: av.AudioStream, end_s: Fraction
) -> Iterator[av.AudioFrame | None]:
    """Yield frames up to `end_s`, then None, at which a resampler gives the samples that it still keeps."""
    with contextlib.suppress(av.error.FFmpegError):  # a damaged file: the sound ends where reading fails
        # The pictures' packets are read too, but not decoded: they show when the sound has ended before `end_s`.
        for packet in container.demux(stream, *container.streams.video[:1]):
            if packet.stream is not stream:
                if packet.dts is not None and packet.dts * packet.time_base > end_s + _INTERLEAVING_SECONDS:
                    break
                continue
            with contextlib.suppress(av.error.InvalidDataError):
                for frame in packet.decode():
                    if not isinstance(frame, av.AudioFrame) or _begins_after(frame, end_s):
                        yield None
                        return
                    yield frame
    yield None
