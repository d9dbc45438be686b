"""Clips to measure speed on: a number of faces that move in front of a drawn room.

The faces are the portrait of the sample (`ferflow.demo_clip`). Noise as of a camera makes the encoder use all bits
of the given rate, on which the speed of decoding depends. The rates are the highest that YouTube recommends for live
streams at 30 frames a second; videos with a lower rate decode faster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.demo_clip import face_image
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.types import UInt8Array

_NOISE_LEVELS, _NOISE_PICTURES = 4.0, 8
"""Standard deviation in gray levels; number of noise pictures that are drawn once and used in turn."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a clip shows."""

    width: int
    height: int
    n_faces: int
    face_px: int
    """Height of a face, hairline to chin, about."""
    megabits_per_s: float
    fps: int = 30


SCENES = {
    "720p": Scene(1280, 720, 1, 200, 4.0),
    "480p-six": Scene(854, 480, 6, 90, 2.0),
    "1080p-seven": Scene(1920, 1080, 7, 150, 6.0),
    "360p": Scene(640, 360, 1, 120, 1.0),
}


def draw_clip(path: Path, scene: Scene, seconds: float) -> None:
    """Write a scene as H.264."""
    settings = VideoSettings(
        size=(scene.width, scene.height),
        frame_rate=scene.fps,
        bits_per_second=round(scene.megabits_per_s * 1e6),
        preset="fast",
    )
    with open_video_writer(path, settings) as writer:
        for number, picture in enumerate(draw_pictures(scene, round(seconds * scene.fps))):
            writer.write(picture, Fraction(number, scene.fps))


def draw_pictures(scene: Scene, count: int) -> Iterator[UInt8Array]:
    """BGR, uint8 (height, width, 3) each."""
    rng = np.random.default_rng(0)
    shape = (_NOISE_PICTURES, scene.height, scene.width, 1)
    noise = np.round(rng.normal(0, _NOISE_LEVELS, shape)).astype(np.int8)
    room, (face, mask) = _draw_room(scene), _draw_face(scene)
    for number in range(count):
        canvas = room.copy()
        for person in range(scene.n_faces):
            _paste(canvas, face, mask, *_place(scene, person, number / scene.fps))
        yield np.clip(canvas.astype(np.int16) + noise[number % _NOISE_PICTURES], 0, 255).astype(np.uint8)


def _draw_face(scene: Scene) -> tuple[UInt8Array, npt.NDArray[np.float32]]:
    """The head, twice as high as its face, and how much of it covers the room."""
    side = scene.face_px * 5 // 3
    mask = np.zeros((side, side, 1), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (side * 2 // 5, side * 9 // 20), 0, 0, 360, (1.0,), -1)
    soft = cv2.GaussianBlur(mask, (0, 0), side / 40)[..., None]
    return face_image(side)[..., ::-1].copy(), soft.astype(np.float32)


def _place(scene: Scene, person: int, time_s: float) -> tuple[int, int]:
    """Centre of a head in pixels: it sways in its own cell of a grid."""
    columns = math.ceil(math.sqrt(scene.n_faces * scene.width / scene.height))
    rows = math.ceil(scene.n_faces / columns)
    cell_x, cell_y = scene.width / columns, scene.height / rows
    sway = math.sin(time_s * (1.0 + 0.13 * person) + person), math.sin(time_s * 1.7 + 2.0 * person)
    column, row = person % columns, person // columns
    return round(cell_x * (column + 0.5 + 0.1 * sway[0])), round(cell_y * (row + 0.5 + 0.05 * sway[1]))


def _paste(canvas: UInt8Array, face: UInt8Array, mask: npt.NDArray[np.float32], x: int, y: int) -> None:
    half = len(face) // 2
    top, left = max(y - half, 0), max(x - half, 0)
    part = canvas[top : y - half + len(face), left : x - half + len(face)]
    inside = (
        slice(top - y + half, top - y + half + len(part)),
        slice(left - x + half, left - x + half + part.shape[1]),
    )
    part[:] = (part + mask[inside] * (face[inside].astype(np.float32) - part)).astype(np.uint8)


def _draw_room(scene: Scene) -> UInt8Array:
    """A wall lit from one side, with rectangles on it."""
    x = np.linspace(0, 1, scene.width, dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, scene.height, dtype=np.float32)[:, None, None]
    wall = np.array([150, 165, 175], np.float32) * (1.1 - 0.35 * x) * (1.05 - 0.2 * y)
    room = np.clip(wall, 0, 255).astype(np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(40):
        corner = rng.integers(0, (scene.width, scene.height))
        size = rng.integers(scene.height // 40, scene.height // 6, 2)
        colour = [int(level) for level in rng.integers(60, 200, 3)]
        cv2.rectangle(room, [int(c) for c in corner], [int(c) for c in corner + size], colour, -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), scene.height / 500), np.uint8)
