"""Files as recorders write them: screen and call recorders, cameras that pause or set their clock, converters.

Pictures are `numbered_image`s, so that a test can tell which of them was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.conftest import numbered_image, write_video

FPS = 30
MS = Fraction(1, 1000)


def rounded_times(path: Path, n: int = 90, *, fps: int = FPS) -> Path:
    """A converter to Matroska, WebM or FLV: timestamps in whole milliseconds."""
    codec = "libvpx" if path.suffix == ".webm" else "libx264"
    stamps = [round(1000 * number / fps) for number in range(n)]
    return write_video(path, _numbered(n), pts=stamps, time_base=MS, codec=codec)


def restamped(path: Path, n: int, stamp: Callable[[int], float]) -> Path:
    """A recorder whose timestamps are wrong.

    Args:
        path: the file to write, Matroska.
        n: frames, at 30 per second.
        stamp: seconds that the file states for the frame of a number.
    """
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(path), "w", format="matroska", container_options=options) as file:
        stream = file.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = MS
        for number, image in enumerate(_numbered(n)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(1000 * number / FPS), MS
            for packet in stream.encode(frame):
                packet.pts = round(1000 * stamp(number))
                # The muxer refuses times of decoding that run backwards or are after those of presentation.
                packet.dts = number - 10**9
                file.mux_one(packet)
    return path


def _numbered(n: int) -> Sequence[np.ndarray]:
    return [numbered_image(number % 50) for number in range(n)]
