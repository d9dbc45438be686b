"""The two movements of the portrait: its features into an expression, and the head as a whole into a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.demo_clip.expressions import MIDDLE, PAIRS, Expression
from ferflow.types import Float32Array

PATCH_XYXY = (160, 56, 290, 206)
"""The part of the portrait that expressions may move."""
_PATCH_MARGIN = 10
"""Portrait pixels over which the movement fades at the patch's border."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Movements of the head, beyond the path of the person."""

    roll: float
    """Radians, clockwise on screen for an unmirrored person."""
    yaw: float
    pitch: float
    """How far the tip of the face slides over the skull, portrait px: a turn of the head, faked."""


def pose_shift(x: npt.NDArray[Any], y: npt.NDArray[Any], pose: Pose) -> Float32Array:
    """How far the pose carries a point of the portrait, float32 x.shape + (2,), portrait px.

    The head turns about the neck and as one, fading out over collar and shoulders; yaw and pitch move the
    middle of the face more than its rim, as a rounded thing does.
    """
    head = np.hypot((x - 225) / 95, (y - 95) / 105)
    as_one = 1 - np.clip((head - 0.78) / 0.5, 0, 1)
    as_one = as_one * as_one * (3 - 2 * as_one)
    dome = np.clip(1 - ((x - 224) / 74) ** 2 - ((y - 108) / 92) ** 2, 0, 1) ** 1.5
    dome = dome + 0.22 * np.exp(-(((x - 222) / 11) ** 2) - ((y - 124) / 15) ** 2)
    sine, versine = math.sin(pose.roll), math.cos(pose.roll) - 1
    from_neck_x, from_neck_y = x - 222, y - 185
    dx = as_one * (versine * from_neck_x - sine * from_neck_y + 0.35 * pose.yaw) + dome * pose.yaw
    dy = as_one * (sine * from_neck_x + versine * from_neck_y + 0.35 * pose.pitch) + dome * pose.pitch
    return np.stack([dx, dy], -1).astype(np.float32)


def expression_shift(expression: Expression) -> Float32Array:
    """Where each pixel of the face patch comes from, less its own place; float32 (h, w, 2), portrait px.

    Interpolated between landmarks with the kernel |r|: a thin-plate spline, smoother, overshoots below closed
    lips and smears the chin.
    """
    points, moves = [], []
    for name, pairs in PAIRS.items():
        wanted = expression.moves.get(name, ((0.0, 0.0),) * len(pairs))
        for (xl, yl, xr, yr), (outward, downward) in zip(pairs, wanted, strict=True):
            points += [(xl, yl), (xr, yr)]
            moves += [(-outward, downward), (outward, downward)]
    for name, point in MIDDLE.items():
        points.append(point)
        moves.append(expression.moves.get(name, ((0.0, 0.0),))[0])
    x1, y1, x2, y2 = PATCH_XYXY
    rim = [(x, y) for x in (x1, x2) for y in (y1, (y1 + y2) / 2, y2)]
    landed = np.array(points + rim) + np.array(moves + [(0.0, 0.0)] * len(rim))
    origin = np.array(points + rim)
    ys, xs = np.mgrid[y1:y2, x1:x2].astype(np.float64)
    shift = _interpolated(landed, origin - landed, np.stack([xs, ys], -1))
    border = np.minimum.reduce([xs - x1, x2 - 1 - xs, ys - y1, y2 - 1 - ys])
    # The kernel has a tip at each landmark; a pixel of blur takes it off.
    blurred = cv2.GaussianBlur(shift, (0, 0), 0.8)
    return np.asarray(blurred * np.clip(border / _PATCH_MARGIN, 0, 1)[..., None], np.float32)


def _interpolated(
    at: npt.NDArray[np.float64], values: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Radial basis interpolation, kernel |r| and a constant: (n, 2) values at (n, 2) places, for (..., 2)."""
    n = len(at)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = np.linalg.norm(at[:, None] - at[None], axis=-1)
    system[n, n] = 0
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((1, 2))]))
    reach = np.linalg.norm(points[..., None, :] - at, axis=-1)
    return np.asarray(reach @ weights[:n] + weights[n])
