"""Files as cameras, phones and editing programs write them: several streams, late pictures, wrong orientation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from tests.conftest import face_frames, write_video

FPS = 25
RATE = 16_000


def several_streams(
    path: Path, sizes: Sequence[tuple[int, int]], *, frames: Sequence[int], default: int | None = None
) -> Path:
    """A file with several video streams.

    Args:
        path: the file to write.
        sizes: of each stream, width and height.
        frames: of each stream, how many.
        default: place of the stream that is marked as the default; None: as the muxer does.
    """
    with av.open(str(path), "w") as file:
        streams = []
        for place, (width, height) in enumerate(sizes):
            stream = file.add_stream(
                "libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"}
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            if default is not None:
                stream.disposition = Disposition.default if place == default else Disposition(0)
            streams.append(stream)
        for number in range(max(frames)):
            for stream, (width, height), count in zip(streams, sizes, frames, strict=True):
                if number < count:
                    picture = np.full((height, width, 3), 20 + 2 * number, np.uint8)
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            file.mux(stream.encode(None))
    return path


def late_picture(path: Path, *, late_s: float, seconds: float = 2.0) -> Path:
    """A call recorder that starts with the sound, and the picture `late_s` later; before it, if negative."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        first_picture, first_sound = max(late_s, 0.0), max(-late_s, 0.0)
        for number in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number + round(first_picture * FPS), Fraction(1, FPS)
            file.mux(stream.encode(frame))
        for number in range(round((seconds + first_picture) * 10)):
            samples = av.AudioFrame.from_ndarray(
                np.zeros((1, RATE // 10), np.int16), format="s16", layout="mono"
            )
            samples.sample_rate, samples.time_base = RATE, Fraction(1, RATE)
            samples.pts = round(first_sound * RATE) + number * RATE // 10
            file.mux(sound.encode(samples))
        file.mux(stream.encode(None))
        file.mux(sound.encode(None))
    return path


def turned(path: Path, degrees: int, *, n: int = 75, rotation: int = 0) -> Path:
    """A camera that hung on its side or its head: a face, turned clockwise, 5 s at 15 frames per second.

    Args:
        path: the file to write.
        degrees: by which the stored picture must be turned clockwise, so that it is upright.
        n: frames.
        rotation: degrees counter-clockwise by which the file says that the picture is to be turned.
    """
    images = [np.ascontiguousarray(np.rot90(image, degrees // 90)) for image in face_frames(n)]
    return write_video(
        path, images, pts=[round(1000 * number / 15) for number in range(n)], rotation=rotation
    )


def grows(path: Path) -> Path:
    """A call whose picture becomes twice as large after a second, as calls do once the line is good: MPEG-TS."""
    parts = []
    for place, size in enumerate(((320, 240), (640, 480))):
        part = path.with_name(f"part {place}.ts")
        images = face_frames(25, size=size, step=0)
        stamps = [round(90_000 * (number + 25 * place) / FPS) for number in range(25)]
        write_video(part, images, pts=stamps, time_base=Fraction(1, 90_000))
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path
