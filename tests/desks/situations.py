"""The situations of docs/inputs.md, each with the file that it leaves on a desk, and how that must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.desks.cameras import chapter, grows, late_picture, phone, several_streams, tape, turned
from tests.desks.captures import game_capture, screen_and_camera
from tests.desks.recorders import FPS, face_then_slide, held_face, restamped, rounded_times

Maker = Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A file that was recorded under ordinary circumstances."""

    rows: tuple[str, ...]
    """How its rows of the table in docs/inputs.md begin."""
    name: str
    """Of the file."""
    make: Maker
    n_frames: int
    """Of the stream that is analysed."""
    stream: int | None = None
    """Number of that stream; None: the first."""
    says: str = ""
    """Pattern of its one warning; empty: there is none."""
    has_gaps: bool = False


def _strayed(number: int) -> float:
    return number / FPS + 37_600 * (number in (20, 21, 22))


def _paused(number: int) -> float:
    return number / FPS + 3600 * (number >= 30)


SITUATIONS = (
    Situation(rows=("phone held upright", "HDR of phones"), name="phone.mp4", make=phone, n_frames=15),
    Situation(
        rows=("camera that hung on its side",),
        name="ceiling.mp4",
        make=partial(turned, degrees=180, n=30),
        n_frames=30,
        says="the stored picture is turned by 180 degrees",
    ),
    Situation(
        rows=("thumbnail or preview",),
        name="thumbnail.mp4",
        make=partial(several_streams, sizes=[(320, 240), (320, 240)], frames=(1, 30)),
        n_frames=30,
        stream=1,
        says="2 video streams: #1 .* is analysed, not #0",
    ),
    Situation(
        rows=("thumbnail or preview",),
        name="screen and camera.mkv",
        make=partial(screen_and_camera, n=10),
        n_frames=10,
        says="2 video streams: #0 .*960x540.* is analysed, not #1 .*320x240",
    ),
    Situation(
        rows=("game capture",),
        name="game.mkv",
        make=partial(game_capture, n=20),
        n_frames=20,
        says="the sound starts 1.5 s before the picture",
    ),
    Situation(
        rows=("screen or call recorder",),
        name="held call.mkv",
        make=partial(held_face, moving_s=3, seconds=20, fps=10),
        n_frames=32,
    ),
    Situation(
        rows=("screen or call recorder",),
        name="slides.mp4",
        make=partial(face_then_slide, face_s=3, slide_s=20, fps=10),
        n_frames=35,
    ),
    Situation(
        rows=("call recorder whose sound starts",),
        name="late picture.mkv",
        make=partial(late_picture, late_s=3.0),
        n_frames=50,
        says="the sound starts 3.0 s before the picture",
    ),
    Situation(
        rows=("recording paused",),
        name="paused.mkv",
        make=partial(restamped, n=60, stamp=_paused),
        n_frames=60,
        says=r"timestamps jump ahead 1 time \(at 00:01.0 by 1:00:00",
        has_gaps=True,
    ),
    Situation(
        rows=("a few frames with wrong timestamps",),
        name="strays.mkv",
        make=partial(restamped, n=60, stamp=_strayed),
        n_frames=60,
        says="3 frames had timestamps far from those before and after",
    ),
    Situation(
        rows=("MKV, WebM, FLV with times rounded",), name="rounded.mkv", make=rounded_times, n_frames=90
    ),
    Situation(
        rows=("several files of one recording",),
        name="GX010001.mp4",
        make=partial(chapter, number=1),
        n_frames=15,
    ),
    Situation(
        rows=("several files of one recording",),
        name="GX020001.mp4",
        make=partial(chapter, number=2),
        n_frames=15,
    ),
    Situation(
        rows=("call whose picture changes its size",),
        name="call.ts",
        make=grows,
        n_frames=50,
        says="size changes from 320x240 to 640x480",
    ),
    Situation(rows=("anamorphic",), name="tape.mp4", make=tape, n_frames=15),
)

OTHERWISE = {
    "`--detector haar`": "an option, not a file",
    "interrupted download or card": "tests/torture/desks.py, of each of the files above",
    "markers or a session list": "tests/desks/lab_tables.py, DIALECTS",
    "the same in the code page": "tests/desks/lab_tables.py, UNREADABLE",
    "photograph of a phone as HEIC": "tests/media/tiled_heic.py",
    "animated WebP": "tests/media/test_photographs.py",
    "TIFF with JPEG inside": "tests/media/test_photographs.py",
    "folder of photographs without numbers": "tests/media/test_photographs.py",
    "folder of numbered images": "tests/media/test_photographs.py",
    "folder of numbered AVIF or HEIC": "tests/media/test_photographs.py",
    "exports of BORIS, ELAN, PsychoPy, BIDS": "tests/desks/lab_tables.py, FOREIGN",
}
"""Rows of the table without a file of their own, and what stands for them."""
