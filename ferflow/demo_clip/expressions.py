"""The expressions of the sample: landmarks of the portrait, and how far each expression moves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from ferflow.demo_clip.portrait import Mouth
from ferflow.types import Float32Array, Float64Array

PATCH_XYXY = (160, 56, 290, 206)
"""The part of the portrait that expressions may move."""
_PATCH_MARGIN = 10
"""Portrait pixels over which the movement fades out at the border of the patch."""

# Places were read off the portrait by eye.
# fmt: off
_PAIRS: Mapping[str, tuple[float, ...]] = {
    "brow": (190, 91, 262, 96, 198, 88.5, 254, 92.8, 206, 90, 246, 92.5, 213, 92.3, 238, 93.7),
    "eye_corner": (191.5, 101.5, 258.5, 104, 214, 103.5, 235, 105.5),
    "lid_upper": (197, 98.5, 253, 100.8, 203, 97.3, 247, 99.8, 209, 99, 241, 101),
    "lid_lower": (197, 103.5, 253, 106, 203, 104.8, 247, 107, 209, 104.3, 241, 106.3),
    "cheek": (192, 127, 256, 130), "nose": (213, 131, 234, 131), "mouth_corner": (202.5, 139.5, 245, 141),
    "lip_top": (209, 139.5, 238, 140, 216, 140, 230, 140),
    "upper_inner": (209, 141.8, 238, 142.5, 216, 142.8, 230, 143.3),
    "lower_inner": (209, 146, 238, 145.8, 216, 149.2, 230, 149),
    "lip_bottom": (210, 150, 238, 150, 216, 153.5, 230, 154),
    "jaw": (183, 146, 265, 148, 192, 162, 256, 163, 205, 172, 243, 174),
    "hairline": (186, 70, 268, 90, 181, 100, 272, 110, 181, 125, 270, 130, 205, 78, 240, 82),
    "neck": (186, 185, 256, 185),
}
"""Group of landmarks to x, y on the left and x, y on the right in the picture, from the outer side inwards."""
_MIDDLE: Mapping[str, tuple[float, float]] = {
    "lip_top_mid": (223, 141), "upper_inner_mid": (223, 143.5), "lower_inner_mid": (223, 150),
    "lip_bottom_mid": (223, 155), "chin": (222, 177.5), "below_lips": (223, 162), "nose_tip": (222, 127),
    "nose_base": (223, 134), "bridge": (224, 106), "forehead": (222, 81),
}
"""Landmarks on the midline, x, y."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Moves of landmarks, and what is visible between the lips."""

    mouth: Mouth | None
    """None: added to another expression, whose mouth stays."""
    moves: Mapping[str, tuple[float, ...]]
    """Group to outward, downward in portrait pixels for each pair (midline: right, down); other groups do not move."""


EXPRESSIONS: Mapping[str, Expression] = {
    "neutral": Expression("closed", {
        "mouth_corner": (-4.1, 8.2), "lip_top": (-2.5, 4.5, -1, 2.2), "lip_top_mid": (0, 1.2), "cheek": (-0.5, 2.3),
        "upper_inner": (-2.5, 5.3, -1, 3.4), "upper_inner_mid": (0, 2.6), "lower_inner": (-2.5, 2.2, -1, -2.2),
        "lower_inner_mid": (0, -3.4), "lip_bottom": (-2.5, 2.3, -1, -0.8), "lip_bottom_mid": (0, -1.5)}),
    "smile": Expression("teeth", {
        "mouth_corner": (2.5, -2.5), "lip_top": (1.2, -0.8, 0.5, -0.2), "upper_inner": (1.2, -0.8, 0.5, -0.2),
        "lower_inner": (1.2, -0.2, 0.5, 1), "lower_inner_mid": (0, 1.4), "lip_bottom": (1.2, -0.2, 0.5, 1),
        "lip_bottom_mid": (0, 1.4), "cheek": (1, -2.5), "lid_lower": (0, -0.8, 0, -1, 0, -0.8)}),
    "surprise": Expression("open", {
        "brow": (0, -3.5, 0, -5.5, 0, -6, 0, -5), "lid_upper": (0, -1.2, 0, -1.8, 0, -1.2), "chin": (0, 8),
        "lid_lower": (0, 0.4, 0, 0.6, 0, 0.4), "mouth_corner": (-7.5, 7), "lip_top": (-4, 2, -1.5, 0.4),
        "lip_top_mid": (0, -0.3), "upper_inner": (-4, 3.4, -1.5, 0.8), "upper_inner_mid": (0, 0.2),
        "lower_inner": (-4, 8.5, -1.5, 8.5), "lower_inner_mid": (0, 8.5), "lip_bottom": (-4, 9, -1.5, 8.5),
        "lip_bottom_mid": (0, 8.5), "jaw": (-1, 1, -2, 4, -2, 7), "cheek": (-1, 3), "neck": (0, 3)}),
    "frown": Expression("closed", {
        "brow": (-1, 1, -1.5, 3, -2, 4.2, -2.5, 5), "lid_upper": (0, 0.8, 0, 1, 0, 1.2), "cheek": (-0.5, 2.5),
        "lid_lower": (0, -0.3, 0, -0.4, 0, -0.3), "mouth_corner": (-4, 9), "lip_top": (-2.5, 5, -1, 2.4),
        "lip_top_mid": (0, 1.4), "upper_inner": (-2.5, 5.6, -1, 3.4), "upper_inner_mid": (0, 2.6),
        "lower_inner": (-2.5, 2.5, -1, -2.2), "lower_inner_mid": (0, -3.4), "lip_bottom": (-2.5, 2.6, -1, -0.9),
        "lip_bottom_mid": (0, -1.6)}),
    "blink": Expression(None, {
        "lid_upper": (0, 3.6, 0, 5.2, 0, 3.9), "lid_lower": (0, -0.9, 0, -1.5, 0, -0.9)}),
}
# fmt: on
"""Name to expression; `blink` is added to the others."""


def expression_shift(expression: Expression) -> Float32Array:
    """Source of each pixel of the face patch, minus its own place; float32 (h, w, 2), portrait pixels.

    Interpolated between landmarks with the kernel |r|: a thin-plate spline is smoother, but overshoots below closed
    lips and smears the chin.
    """
    from scipy.interpolate import RBFInterpolator

    x1, y1, x2, y2 = PATCH_XYXY
    # Points on the border that do not move; without them the interpolation would move the picture far outside the face.
    rim = [(x, y) for x in (x1, x2) for y in (y1, (y1 + y2) / 2, y2)]
    points, moves = (np.concatenate(parts) for parts in zip(*_landmark_moves(expression), strict=True))
    origin = np.concatenate([points, rim])
    moved = origin + np.concatenate([moves, np.zeros((len(rim), 2))])
    ys, xs = np.mgrid[y1:y2, x1:x2].astype(np.float64)
    # From moved landmarks back to the original ones, because `remap` needs the source of each pixel.
    interpolated = RBFInterpolator(moved, origin - moved, kernel="linear")
    shift = interpolated(np.stack([xs.ravel(), ys.ravel()], 1)).reshape(*xs.shape, 2)
    border = np.minimum.reduce([xs - x1, x2 - 1 - xs, ys - y1, y2 - 1 - ys])
    # The kernel has a peak at each landmark; a blur of about a pixel removes it.
    blurred = cv2.GaussianBlur(shift, (0, 0), 0.8)
    return np.asarray(blurred * np.clip(border / _PATCH_MARGIN, 0, 1)[..., None], np.float32)


def _landmark_moves(expression: Expression) -> list[tuple[Float64Array, Float64Array]]:
    """Landmarks and their moves, float64 (n, 2) each, per group."""
    parts = [
        (np.array([place]), np.array([expression.moves.get(name, (0.0, 0.0))]))
        for name, place in _MIDDLE.items()
    ]
    for name, flat in _PAIRS.items():
        places = np.array(flat).reshape(-1, 2, 2)
        moves = np.array(expression.moves.get(name, (0.0,) * (2 * len(places)))).reshape(-1, 2)
        # For the left landmark of a pair, outward is to the left.
        parts += [(places[:, 0], moves * (-1, 1)), (places[:, 1], moves)]
    return parts
