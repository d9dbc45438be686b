"""Files as cameras, phones and editing programs write them: several streams, late pictures, wrong orientation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.conftest import face_frames, write_video
from tests.desks.streams import Pictures, Sound, write_streams
from tests.desks.twins import LOOKS, Look, Scene, write, write_chapters

FPS = 25


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
    return write_streams(
        path,
        [
            Pictures(
                [np.full((height, width, 3), 20 + 2 * number, np.uint8) for number in range(count)],
                [number / FPS for number in range(count)],
                None if default is None else place == default,
            )
            for place, ((width, height), count) in enumerate(zip(sizes, frames, strict=True))
        ],
    )


def late_picture(path: Path, *, late_s: float, seconds: float = 2.0) -> Path:
    """A call recorder that starts with the sound, and the picture `late_s` later; before it, if negative."""
    first_picture, first_sound = max(late_s, 0.0), max(-late_s, 0.0)
    numbers = range(round(seconds * FPS))
    pictures = Pictures(
        [np.full((48, 64, 3), 20 + number, np.uint8) for number in numbers],
        [first_picture + number / FPS for number in numbers],
    )
    return write_streams(path, [pictures], Sound(first_sound, first_sound + first_picture + seconds))


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


def phone(path: Path, *, n: int = 15) -> Path:
    """A phone held upright: HDR, stored on its side, and the file says so."""
    return write(path, _scene(n, size=(240, 320)), Look(quarter_turns=1, transfer=LOOKS["HLG"].transfer))


def tape(path: Path, *, n: int = 15) -> Path:
    """A digitised tape, whose pixels are wider than high."""
    return write(path, _scene(n), LOOKS["anamorphic"])


def chapter(path: Path, number: int, *, n: int = 30) -> Path:
    """One of the two files, 1 or 2, into which a camera splits a recording; each counts from 0."""
    with TemporaryDirectory() as folder:
        parts = write_chapters(Path(folder), _scene(n))
        path.write_bytes(parts[number - 1].read_bytes())
    return path


def _scene(n: int, size: tuple[int, int] = (320, 240)) -> Scene:
    return [(Fraction(number, 15), image) for number, image in enumerate(face_frames(n, size=size))]
