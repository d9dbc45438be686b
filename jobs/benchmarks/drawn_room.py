"""A number of faces that move in front of a drawn room, as a camera on a stand sees them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.demo_clip import face_image
from ferflow.types import UInt8Array

_NOISE_PICTURES = 8
"""Noise pictures that are drawn once and used in turn."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is seen, and how often. The faces are the portrait of the sample (`ferflow.demo_clip`)."""

    width: int
    height: int
    n_faces: int
    face_px: int
    """Height of a face, hairline to chin, about."""
    fps: int = 30
    noise: float = 4.0
    """Of the camera: standard deviation of each pixel over time in gray levels, before the video is encoded."""

    def pictures(self, count: int) -> Iterator[UInt8Array]:
        """The first pictures, BGR, uint8 (height, width, 3) each."""
        rng = np.random.default_rng(0)
        shape = (_NOISE_PICTURES, self.height, self.width, 1)
        noise = np.round(rng.normal(0, self.noise, shape)).astype(np.int8)
        walls, (face, mask) = self._draw_walls(), self._draw_face()
        for number in range(count):
            canvas = walls.copy()
            for person in range(self.n_faces):
                _paste(canvas, face, mask, *self._place(person, number / self.fps))
            yield np.clip(canvas.astype(np.int16) + noise[number % _NOISE_PICTURES], 0, 255).astype(np.uint8)

    def _draw_face(self) -> tuple[UInt8Array, npt.NDArray[np.float32]]:
        """The head, twice as high as its face, and how much of it covers the room."""
        side = self.face_px * 5 // 3
        mask = np.zeros((side, side, 1), np.float32)
        cv2.ellipse(mask, (side // 2, side // 2), (side * 2 // 5, side * 9 // 20), 0, 0, 360, (1.0,), -1)
        soft = cv2.GaussianBlur(mask, (0, 0), side / 40)[..., None]
        return face_image(side)[..., ::-1].copy(), soft.astype(np.float32)

    def _place(self, person: int, time_s: float) -> tuple[int, int]:
        """Centre of a head in pixels: it sways in its own cell of a grid."""
        columns = math.ceil(math.sqrt(self.n_faces * self.width / self.height))
        rows = math.ceil(self.n_faces / columns)
        cell_x, cell_y = self.width / columns, self.height / rows
        sway = math.sin(time_s * (1.0 + 0.13 * person) + person), math.sin(time_s * 1.7 + 2.0 * person)
        column, row = person % columns, person // columns
        return round(cell_x * (column + 0.5 + 0.1 * sway[0])), round(cell_y * (row + 0.5 + 0.05 * sway[1]))

    def _draw_walls(self) -> UInt8Array:
        """A wall lit from one side, with rectangles on it."""
        x = np.linspace(0, 1, self.width, dtype=np.float32)[None, :, None]
        y = np.linspace(0, 1, self.height, dtype=np.float32)[:, None, None]
        wall = np.array([150, 165, 175], np.float32) * (1.1 - 0.35 * x) * (1.05 - 0.2 * y)
        room = np.clip(wall, 0, 255).astype(np.uint8)
        rng = np.random.default_rng(1)
        for _ in range(40):
            corner = rng.integers(0, (self.width, self.height))
            size = rng.integers(self.height // 40, self.height // 6, 2)
            colour = [int(level) for level in rng.integers(60, 200, 3)]
            cv2.rectangle(room, [int(c) for c in corner], [int(c) for c in corner + size], colour, -1)
        return np.asarray(cv2.GaussianBlur(room, (0, 0), self.height / 500), np.uint8)


def _paste(canvas: UInt8Array, face: UInt8Array, mask: npt.NDArray[np.float32], x: int, y: int) -> None:
    half = len(face) // 2
    top, left = max(y - half, 0), max(x - half, 0)
    part = canvas[top : y - half + len(face), left : x - half + len(face)]
    inside = (
        slice(top - y + half, top - y + half + len(part)),
        slice(left - x + half, left - x + half + part.shape[1]),
    )
    part[:] = (part + mask[inside] * (face[inside].astype(np.float32) - part)).astype(np.uint8)
