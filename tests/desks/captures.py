"""Game captures: drawn gameplay with the picture of a player in a corner, as recorders of games write it (Matroska)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import face_frames, portrait
from tests.desks.streams import Pictures, Sound, write_streams

WIDTH, HEIGHT = 960, 540
CAMERA = (680, 360, 240, 135)
"""x, y, width and height of the player's picture."""
FPS = 15


def draw_capture(
    n: int = 60, *, camera: tuple[int, int, int, int] | None = CAMERA, border: int = 3
) -> list[np.ndarray]:
    """A scrolling game, RGB, with the picture of a player in it."""
    rng = np.random.default_rng(1)
    game = cv2.resize(rng.integers(20, 140, (9, 48, 3), dtype=np.uint8), (3 * WIDTH, HEIGHT))
    face = portrait()[0:300, 60:420]
    images = []
    for number in range(n):
        image = game[:, 24 * number : 24 * number + WIDTH].copy()
        if camera is not None:
            x, y, width, height = camera
            image[max(y - border, 0) : y + height + border, max(x - border, 0) : x + width + border] = 235
            moved = np.roll(face, number % 7, axis=1)
            image[y : y + height, x : x + width] = cv2.resize(moved, (width, height))
        images.append(image)
    return images


def held_times(n: int, *, late_s: float) -> list[float]:
    """Times of `n` frames: after the first half, the last picture is shown for two seconds more."""
    return [late_s + number / FPS + 2 * (number >= n // 2) for number in range(n)]


def game_capture(path: Path, *, n: int = 30, late_s: float = 1.5) -> Path:
    """A capture whose sound starts `late_s` before the picture, and which holds a picture for two seconds."""
    times = held_times(n, late_s=late_s)
    return write_streams(path, [Pictures(draw_capture(n), times)], Sound(0.0, times[-1]))


def screen_and_camera(path: Path, *, n: int = 30) -> Path:
    """The game as one video stream, which is the default, and the player's camera as another."""
    times: Sequence[float] = [number / FPS for number in range(n)]
    return write_streams(
        path,
        [
            Pictures(draw_capture(n, camera=None), times, is_default=True),
            Pictures(face_frames(n), times, is_default=False),
        ],
        Sound(0.0, times[-1]),
    )
