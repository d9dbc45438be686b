"""The faces people make in the sample: landmarks of the portrait, and where each expression puts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferflow.demo_clip.portrait import Mouth

_Pair = tuple[float, float, float, float]
"""(x, y) left, (x, y) right in the picture; a group lists its pairs from the outer side inwards."""
PAIRS: Mapping[str, tuple[_Pair, ...]] = {
    "brow": ((190, 91, 262, 96), (198, 88.5, 254, 92.8), (206, 90, 246, 92.5), (213, 92.3, 238, 93.7)),
    "eye_corner": ((191.5, 101.5, 258.5, 104), (214, 103.5, 235, 105.5)),
    "lid_upper": ((197, 98.5, 253, 100.8), (203, 97.3, 247, 99.8), (209, 99, 241, 101)),
    "lid_lower": ((197, 103.5, 253, 106), (203, 104.8, 247, 107), (209, 104.3, 241, 106.3)),
    "cheek": ((192, 127, 256, 130),),
    "nose": ((213, 131, 234, 131),),
    "mouth_corner": ((202.5, 139.5, 245, 141),),
    "lip_top": ((209, 139.5, 238, 140), (216, 140, 230, 140)),
    "upper_inner": ((209, 141.8, 238, 142.5), (216, 142.8, 230, 143.3)),
    "lower_inner": ((209, 146, 238, 145.8), (216, 149.2, 230, 149)),
    "lip_bottom": ((210, 150, 238, 150), (216, 153.5, 230, 154)),
    "jaw": ((183, 146, 265, 148), (192, 162, 256, 163), (205, 172, 243, 174)),
    "hairline": ((186, 70, 268, 90), (181, 100, 272, 110), (181, 125, 270, 130), (205, 78, 240, 82)),
    "neck": ((186, 185, 256, 185),),
}
"""Group of landmarks to its pairs, in portrait pixels."""
MIDDLE: Mapping[str, tuple[float, float]] = {
    "lip_top_mid": (223, 141),
    "upper_inner_mid": (223, 143.5),
    "lower_inner_mid": (223, 150),
    "lip_bottom_mid": (223, 155),
    "chin": (222, 177.5),
    "below_lips": (223, 162),
    "nose_tip": (222, 127),
    "nose_base": (223, 134),
    "bridge": (224, 106),
    "forehead": (222, 81),
}
"""Landmarks on the midline, (x, y) in portrait pixels."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Where landmarks go, and what shows between the lips."""

    moves: Mapping[str, tuple[tuple[float, float], ...]]
    """Group to (outward, downward) in portrait pixels, one per pair; groups not named stay."""
    mouth: Mouth | None
    """None: laid over another expression, whose mouth it leaves alone."""


EXPRESSIONS: Mapping[str, Expression] = {
    "neutral": Expression(
        {
            "mouth_corner": ((-4.5, 5.0),),
            "lip_top": ((-2.5, 2.6), (-1.0, 1.2)),
            "lip_top_mid": ((0, 0.6),),
            "upper_inner": ((-2.5, 4.2), (-1.0, 3.3)),
            "upper_inner_mid": ((0, 2.6),),
            "lower_inner": ((-2.5, 1.2), (-1.0, -2.2)),
            "lower_inner_mid": ((0, -3.4),),
            "lip_bottom": ((-2.5, 1.0), (-1.0, -0.6)),
            "lip_bottom_mid": ((0, -1.0),),
            "cheek": ((-0.5, 1.5),),
        },
        mouth="closed",
    ),
    "smile": Expression(
        {
            "mouth_corner": ((2.5, -2.5),),
            "lip_top": ((1.2, -0.8), (0.5, -0.2)),
            "upper_inner": ((1.2, -0.8), (0.5, -0.2)),
            "lower_inner": ((1.2, -0.2), (0.5, 1.0)),
            "lower_inner_mid": ((0, 1.4),),
            "lip_bottom": ((1.2, -0.2), (0.5, 1.0)),
            "lip_bottom_mid": ((0, 1.4),),
            "cheek": ((1.0, -2.5),),
            "lid_lower": ((0, -0.8), (0, -1.0), (0, -0.8)),
        },
        mouth="teeth",
    ),
    "surprise": Expression(
        {
            "brow": ((0, -3.5), (0, -5.5), (0, -6.0), (0, -5.0)),
            "lid_upper": ((0, -1.2), (0, -1.8), (0, -1.2)),
            "lid_lower": ((0, 0.4), (0, 0.6), (0, 0.4)),
            "mouth_corner": ((-7.5, 7.0),),
            "lip_top": ((-4.0, 2.0), (-1.5, 0.4)),
            "lip_top_mid": ((0, -0.3),),
            "upper_inner": ((-4.0, 3.4), (-1.5, 0.8)),
            "upper_inner_mid": ((0, 0.2),),
            "lower_inner": ((-4.0, 8.5), (-1.5, 8.5)),
            "lower_inner_mid": ((0, 8.5),),
            "lip_bottom": ((-4.0, 9.0), (-1.5, 8.5)),
            "lip_bottom_mid": ((0, 8.5),),
            "jaw": ((-1.0, 1.0), (-2.0, 4.0), (-2.0, 7.0)),
            "chin": ((0, 8.0),),
            "cheek": ((-1.0, 3.0),),
            "neck": ((0, 3.0),),
        },
        mouth="open",
    ),
    "frown": Expression(
        {
            "brow": ((-1.0, 1.0), (-1.5, 3.0), (-2.0, 4.2), (-2.5, 5.0)),
            "lid_upper": ((0, 0.8), (0, 1.0), (0, 1.2)),
            "lid_lower": ((0, -0.3), (0, -0.4), (0, -0.3)),
            "mouth_corner": ((-4.0, 9.0),),
            "lip_top": ((-2.5, 5.0), (-1.0, 2.4)),
            "lip_top_mid": ((0, 1.4),),
            "upper_inner": ((-2.5, 5.6), (-1.0, 3.4)),
            "upper_inner_mid": ((0, 2.6),),
            "lower_inner": ((-2.5, 2.5), (-1.0, -2.2)),
            "lower_inner_mid": ((0, -3.4),),
            "lip_bottom": ((-2.5, 2.6), (-1.0, -0.9)),
            "lip_bottom_mid": ((0, -1.6),),
            "cheek": ((-0.5, 2.5),),
        },
        mouth="closed",
    ),
    "blink": Expression(
        {
            "lid_upper": ((0, 3.6), (0, 5.2), (0, 3.9)),
            "lid_lower": ((0, -0.9), (0, -1.5), (0, -0.9)),
        },
        mouth=None,
    ),
}
"""Name to expression; `blink` lies on top of the others."""
