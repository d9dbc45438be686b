"""Writing files of several streams, each with times of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

MS = Fraction(1, 1000)
RATE = 16_000
"""Of sound, samples a second."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A video stream."""

    images: Sequence[np.ndarray]
    """RGB, of one size."""
    times_s: Sequence[float]
    """Of each image, rising."""
    is_default: bool | None = None
    """Whether the stream is marked as the default; None: as the muxer does."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A stream of silence, from one time to another."""

    start_s: float
    end_s: float


def write_streams(path: Path, videos: Sequence[Pictures], sound: Sound | None = None) -> Path:
    """Write H.264 streams, and one of sound after them; timestamps are whole milliseconds."""
    with av.open(str(path), "w") as file:
        streams = [_add_video(file, one) for one in videos]
        audio = file.add_stream("pcm_s16le", rate=RATE, layout="mono") if sound else None
        order = sorted(
            (time_s, place, number)
            for place, one in enumerate(videos)
            for number, time_s in enumerate(one.times_s)
        )
        for time_s, place, number in order:
            frame = av.VideoFrame.from_ndarray(videos[place].images[number], format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), MS
            file.mux(streams[place].encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
        if audio and sound:
            _mux_silence(file, audio, sound)
    return path


def _add_video(file: av.container.OutputContainer, pictures: Pictures) -> av.VideoStream:
    # Without a delay, so that frames of all streams are written in the order of their times.
    stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
    stream.height, stream.width = pictures.images[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = MS
    if pictures.is_default is not None:
        stream.disposition = Disposition.default if pictures.is_default else Disposition(0)
    return stream


def _mux_silence(file: av.container.OutputContainer, stream: av.AudioStream, sound: Sound) -> None:
    tenth = RATE // 10
    for number in range(round((sound.end_s - sound.start_s) * 10)):
        samples = av.AudioFrame.from_ndarray(np.zeros((1, tenth), np.int16), format="s16", layout="mono")
        samples.sample_rate, samples.time_base = RATE, Fraction(1, RATE)
        samples.pts = round(sound.start_s * RATE) + number * tenth
        file.mux(stream.encode(samples))
    file.mux(stream.encode(None))
