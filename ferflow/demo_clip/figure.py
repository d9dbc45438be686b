"""One person as a cut-out picture: an expression on the face, a pose of the head, painted into a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

import cv2
import numpy as np

from ferflow.demo_clip.expressions import EXPRESSIONS, PATCH_XYXY
from ferflow.demo_clip.portrait import (
    FACE_CENTRE,
    FIGURE_TOP,
    SILHOUETTE,
    Mouth,
    draw_mask,
    draw_mouths,
    extend_edge,
    resize,
)
from ferflow.demo_clip.script import Place, Pose
from ferflow.types import Float32Array, Float64Array, UInt8Array

_Floats = Float32Array | Float64Array

_CELL = 8
"""Frame pixels between the points at which the pose warp is computed. It is smooth, so that interpolation between them
is precise enough, and much faster."""


def pose_shift(x: _Floats, y: _Floats, pose: Pose) -> Float32Array:
    """Move of points of the portrait by the pose, float32 x.shape + (2,), portrait pixels.

    The head turns about the neck as one piece, and the move fades out over collar and shoulders; yaw and pitch move the
    middle of the face more than its edge, as on a rounded surface.
    """
    # Ellipses of head, face and nose, in portrait pixels, read off it by eye.
    head = np.hypot((x - 225) / 95, (y - 95) / 105)
    as_one = 1 - np.clip((head - 0.78) / 0.5, 0, 1)
    # Smoothstep has a slope of 0 at both ends: an abrupt edge of the warp would be visible as a fold.
    as_one = as_one * as_one * (3 - 2 * as_one)
    dome = np.clip(1 - ((x - 224) / 74) ** 2 - ((y - 108) / 92) ** 2, 0, 1) ** 1.5
    dome = dome + 0.22 * np.exp(-(((x - 222) / 11) ** 2) - ((y - 124) / 15) ** 2)
    sine, versine = math.sin(pose.roll), math.cos(pose.roll) - 1
    from_neck_x, from_neck_y = x - 222, y - 185
    dx = as_one * (versine * from_neck_x - sine * from_neck_y + 0.35 * pose.yaw) + dome * pose.yaw
    dy = as_one * (sine * from_neck_x + versine * from_neck_y + 0.35 * pose.pitch) + dome * pose.pitch
    return np.stack([dx, dy], -1).astype(np.float32)


class Figure:
    """One person's picture, cut out, at the resolution of the first shot; `draw_face` redraws its face."""

    def __init__(self, image: Float32Array, density: float, shifts: Mapping[str, Float32Array]) -> None:
        side = round(512 * density)
        self.density = side / 512
        """Sprite pixels per portrait pixel."""
        alpha = draw_mask(SILHOUETTE, 0.9)[..., None]
        self._sprite = _premultiply(extend_edge(image), alpha, side)
        x1, y1, x2, y2 = (round(v * self.density) for v in PATCH_XYXY)
        self._patch = (slice(y1, y2), slice(x1, x2))
        self._faces = {
            mouth: _premultiply(extend_edge(picture), alpha, side)[self._patch].astype(np.float32)
            for mouth, picture in draw_mouths(image).items()
        }
        self._grid = np.stack(np.meshgrid(np.arange(x2 - x1), np.arange(y2 - y1)), -1).astype(np.float32)
        self._shifts = {
            name: cv2.resize(shift, (x2 - x1, y2 - y1)) * np.float32(self.density)
            for name, shift in shifts.items()
        }

    def draw_face(self, shares: Mapping[str, float]) -> UInt8Array:
        """Draw an expression on the sprite, uint8 (side, side, 4), which is overwritten by the next call."""
        source = self._grid.copy()
        for name, share in shares.items():
            if share > 0:
                source += self._shifts[name] * np.float32(share)
        face = np.full_like(self._faces["teeth"], 0.5)  # so that the conversion to uint8 rounds
        for mouth in get_args(Mouth):
            share = sum(share for name, share in shares.items() if EXPRESSIONS[name].mouth == mouth)
            if share > 0:
                face += self._faces[mouth] * np.float32(share)
        self._sprite[self._patch] = _remap(face.astype(np.uint8), source)
        return self._sprite


def paint(canvas: UInt8Array, figure: Figure, shares: Mapping[str, float], place: Place, pose: Pose) -> None:
    """Draw a person into an RGB frame, uint8 (h, w, 3)."""
    height, width = canvas.shape[:2]
    # A mirrored person has a negative scale, so that its right edge may come first.
    across = sorted(place.x + (edge - FACE_CENTRE[0]) * place.scale_x for edge in (0, 512))
    x1, x2 = max(0, math.floor(across[0])), min(width, math.ceil(across[1]))
    y1 = max(0, math.floor(place.y + (FIGURE_TOP - FACE_CENTRE[1]) * place.scale_y))
    if x1 >= x2 or y1 >= height:
        return
    cols, rows = (x2 - x1) // _CELL + 3, (height - y1) // _CELL + 3
    # Cell centres, starting one cell outside the region on each side: the interpolation then repeats no value at the
    # border.
    xs = x1 + _CELL * (np.arange(cols, dtype=np.float32) - 0.5) - 0.5
    ys = y1 + _CELL * (np.arange(rows, dtype=np.float32) - 0.5) - 0.5
    grid_x, grid_y = np.meshgrid(
        (xs + 0.5 - place.x) / place.scale_x + FACE_CENTRE[0] - 0.5,
        (ys + 0.5 - place.y) / place.scale_y + FACE_CENTRE[1] - 0.5,
    )
    source = np.stack([grid_x, grid_y], -1) - pose_shift(grid_x, grid_y, pose)
    source = np.asarray((source + 0.5) * figure.density - 0.5, np.float32)
    dense = cv2.resize(source, (cols * _CELL, rows * _CELL), interpolation=cv2.INTER_LINEAR)
    dense = dense[_CELL : _CELL + height - y1, _CELL : _CELL + x2 - x1]
    drawn = _remap(figure.draw_face(shares), np.asarray(dense, np.float32))
    # Colours are multiplied by alpha already: the frame is darkened by 1 - alpha, and the person added.
    region = canvas[y1:height, x1:x2]
    through = cv2.cvtColor(255 - drawn[..., 3], cv2.COLOR_GRAY2RGB)
    region[:] = cv2.add(cv2.multiply(region, through, scale=1 / 255), cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB))


def _premultiply(image: Float32Array, alpha: Float32Array, side: int) -> UInt8Array:
    """uint8 (side, side, 4): colour times alpha, and alpha; resizing such pixels gives no dark or coloured edge."""
    both = np.concatenate([image * alpha, alpha * 255], -1).astype(np.float32)
    return np.clip(np.round(resize(both, (side, side))), 0, 255).astype(np.uint8)


def _remap(image: UInt8Array, source: Float32Array) -> UInt8Array:
    """Pixels of `image` (h, w, 4) at float32 (H, W, 2) x, y; transparent outside it."""
    # OpenCV takes no second map together with a two-channel first one, but its type stubs require one.
    return np.asarray(cv2.remap(image, source, None, cv2.INTER_LINEAR), np.uint8)  # type: ignore[call-overload]
