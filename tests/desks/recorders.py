"""Files as recorders write them: screen and call recorders, cameras that pause or set their clock, converters.

Pictures are `numbered_image`s, so that a test can tell which of them was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.conftest import face_frames, numbered_image, write_video

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


def held_face(path: Path, *, moving_s: int = 20, seconds: int = 60, fps: int = FPS) -> Path:
    """A call in which nothing moves from `moving_s` on, so that no frame is written until the last one.

    It ends after `seconds`: the muxer states 40 ms for a frame that nothing follows.
    """
    times = [number / fps for number in range(moving_s * fps + 1)] + [seconds - max(1 / fps, 0.04)]
    return _write_at(path, face_frames(len(times), step=1), times)


def face_then_slide(
    path: Path, *, face_s: int = 20, slide_s: int = 40, every_s: int = 4, fps: int = FPS
) -> Path:
    """A speaker, and then a slide, of which a frame is written every `every_s` seconds."""
    faces = face_frames(face_s * fps, step=1)
    times = [number / fps for number in range(len(faces))] + [*range(face_s, face_s + slide_s, every_s)]
    slide = np.full_like(faces[0], 200)
    slide[60:180:20, 40:280] = 30
    return _write_at(path, [*faces, *[slide] * (slide_s // every_s)], times)


def _write_at(path: Path, images: Sequence[np.ndarray], times_s: Sequence[float]) -> Path:
    return write_video(path, images, pts=[round(time_s * 1000) for time_s in times_s])


def _numbered(n: int) -> Sequence[np.ndarray]:
    return [numbered_image(number % 50) for number in range(n)]
