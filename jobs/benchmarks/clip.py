"""Clips to measure speed on, drawn: cameras in a room, and recorded screens.

The noise of a camera makes the encoder use all bits of the given rate, on which the speed of decoding depends. The
rates of 720p, 480p-six, 1080p-seven and 360p are the highest that YouTube recommends for live streams at 30 frames a
second; videos with a lower rate decode faster. 720p-camera has the bits per pixel of recordings by webcams and
camcorders, and as much noise is left in it as in these (`camera_noise`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from ferflow.jobs.benchmarks.drawn_room import Room
from ferflow.jobs.benchmarks.drawn_screen import SCREEN_FPS, Screen
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.types import UInt8Array


class Drawing(Protocol):
    """Pictures that are drawn one by one."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def fps(self) -> int:
        """Pictures per second."""

    def pictures(self, count: int) -> Iterator[UInt8Array]:
        """The first pictures, BGR, uint8 (height, width, 3) each."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a clip shows, and how it is encoded."""

    drawing: Drawing
    megabits_per_s: float | None = None
    """None: as many as `crf` needs."""
    crf: int = 23
    """Quality, 0 (lossless) to 51."""


SCENES = {
    "720p": Scene(Room(1280, 720, 1, 200), 4.0),
    "480p-six": Scene(Room(854, 480, 6, 90), 2.0),
    "1080p-seven": Scene(Room(1920, 1080, 7, 150), 6.0),
    "360p": Scene(Room(640, 360, 1, 120), 1.0),
    "720p-camera": Scene(Room(1280, 720, 1, 200, noise=2.0), 2.0),
    "screen-held": Scene(Screen(1280, 720, 100, camera_fps=SCREEN_FPS), crf=0),
    "screen-moving": Scene(Screen(1280, 720, 100, camera_fps=30), crf=0),
}
"""All have 30 pictures per second. Screens are encoded without loss: lossy encoders refine a picture while it is shown,
so that hardly any decoded picture equals the one before it (`held_pictures`)."""


def draw_clip(path: Path, scene: Scene, seconds: float) -> None:
    """Write a scene as H.264."""
    drawing, megabits = scene.drawing, scene.megabits_per_s
    settings = VideoSettings(
        size=(drawing.width, drawing.height),
        frame_rate=drawing.fps,
        crf=scene.crf,
        bits_per_second=None if megabits is None else round(megabits * 1e6),
        preset="fast",
    )
    with open_video_writer(path, settings) as writer:
        for number, picture in enumerate(drawing.pictures(round(seconds * drawing.fps))):
            writer.write(picture, Fraction(number, drawing.fps))
