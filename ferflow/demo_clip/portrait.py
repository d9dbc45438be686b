"""The photograph from which both people of the sample are made: the places of its parts, and its colours for person B.

All places are in pixels of the 512 x 512 image, read off it by eye.

>>> face_image(96).shape
(96, 96, 3)
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError, VideoError
from ferflow.types import Float32Array, UInt8Array

Mouth = Literal["teeth", "closed", "open"]
"""`teeth` is the photograph; the other two are also drawn without the creases of the smile."""

FACE_CENTRE = (223.1, 119.6)
"""x, y: the point of a person that the script places, and about which it scales."""
FIGURE_TOP = 10
"""No row above this one is painted."""
_CROP_CENTRE, _CROP_HALF = (225, 106), 96
"""Square around the head, for `face_image`."""
SILHOUETTE = (
    (277, 32), (262, 24), (247, 18), (223, 17), (201, 23), (186, 37), (171, 45), (158, 56), (153, 68), (154, 92),
    (157, 103), (164, 113), (170, 119), (172, 127), (177, 131), (183, 132), (184, 142), (187, 151), (174, 149),
    (153, 151), (143, 156), (132, 166), (126, 180), (125, 186), (114, 189), (114, 196), (117, 203), (111, 208),
    (92, 225), (69, 242), (52, 262), (44, 280), (37, 310), (27, 345), (22, 385), (22, 420), (24, 445), (24, 470),
    (31, 495), (42, 511), (511, 511), (511, 489), (505, 480), (499, 462), (494, 450), (490, 420), (482, 397),
    (465, 373), (440, 356), (415, 346), (395, 344), (375, 346), (359, 349), (361, 333), (357, 323), (354, 303),
    (350, 288), (341, 264), (331, 253), (304, 234), (300, 222), (289, 203), (272, 184), (254, 174), (256, 161),
    (263, 150), (265, 137), (272, 135), (278, 129), (288, 119), (295, 109), (300, 92), (299, 73), (295, 56),
    (288, 43),
)  # fmt: skip
"""Outline of the person against the photograph's backdrop."""
_FACE_OUTLINE = (
    (186, 66), (195, 76), (205, 80), (228, 82), (245, 85), (258, 89), (266, 90), (271, 110), (273, 127), (281, 128),
    (274, 138), (266, 142), (264, 152), (257, 163), (257, 192), (185, 192), (186, 156), (182, 140), (168, 130),
    (170, 119), (179, 121), (180, 110), (184, 90),
)  # fmt: skip
_MOUTH_OPENING = (
    (202.5, 139.5), (209, 141.6), (216, 142.6), (223, 143.3), (230, 143.1), (238, 142.3), (245, 141), (238, 146),
    (230, 149.3), (223, 150.3), (216, 149.5), (209, 146.3),
)  # fmt: skip
_PARTING = (
    (202.5, 139), (209, 142.6), (216, 144.4), (223, 145.2), (230, 144.9), (238, 143), (245, 140.5), (238, 145.5),
    (230, 147.7), (223, 148.2), (216, 147.4), (209, 145),
)  # fmt: skip
"""The line where closed lips meet. It is drawn as wide as the open mouth, and the expression squeezes it to a line."""
_LOWER_LIP = (slice(151, 154), slice(214, 232))
_DARK_RGB = np.array([62, 26, 26], np.float32)
_FOLDS = (((204, 128), (197, 138)), ((241, 129), (249, 141)))
"""Creases from nose to mouth that a relaxed face does not have."""


def read_portrait() -> UInt8Array:
    """The photograph, uint8 (512, 512, 3), RGB.

    Raises:
        VideoError: scikit-image or its picture is not installed.
    """
    try:
        from skimage import data

        image: UInt8Array = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]
    except (ImportError, OSError) as error:
        raise VideoError(
            f"the portrait for the sample cannot be read ({error}). Run: pip install 'ferflow[demo]'"
        ) from error
    return image


def face_image(size: int) -> UInt8Array:
    """The portrait's head, for drawing videos with a face that detectors find.

    Returns:
        uint8 (size, size, 3), RGB; the face is about half as wide as the picture.

    Raises:
        OptionsError: size below 8 pixels.
        VideoError: the portrait is missing.
    """
    if size < 8:
        raise OptionsError(f"face_image: size must be at least 8 pixels, got {size}")
    (x, y), half = _CROP_CENTRE, _CROP_HALF
    crop = read_portrait()[y - half : y + half, x - half : x + half]
    return resize(crop, (size, size))


def draw_mouths(image: Float32Array) -> dict[Mouth, Float32Array]:
    """Draw the portrait with teeth, closed lips and an open mouth, each float32 (512, 512, 3)."""
    creases = np.zeros((512, 512), np.float32)
    for begin, end in _FOLDS:
        cv2.line(creases, begin, end, 1.0, 5, cv2.LINE_AA)
    share = np.clip(cv2.GaussianBlur(creases, (0, 0), 2.5), 0, 0.85)[..., None]
    smooth = image + share * (cv2.GaussianBlur(image, (0, 0), 5) - image)
    opening = draw_mask(_MOUTH_OPENING, 0.5)[..., None]
    lips = 0.88 * image[_LOWER_LIP].mean(axis=(0, 1))
    parting = draw_mask(_PARTING, 0.6)[..., None]
    closed = smooth + opening * (lips - smooth)
    return {
        "teeth": image,
        "closed": np.asarray(closed + parting * (_DARK_RGB - closed), np.float32),
        "open": np.asarray(smooth + opening * (_DARK_RGB - smooth), np.float32),
    }


def extend_edge(image: Float32Array) -> Float32Array:
    """Continue the person's own colours past the silhouette, where the photograph's backdrop would be visible."""
    # A blur of the person alone, divided by the blur of its mask: the mean of the person's pixels near each place.
    core = np.asarray(draw_mask(SILHOUETTE, 1.2) > 0.93, np.float32)[..., None]
    near = cv2.GaussianBlur(image * core, (0, 0), 2.5)
    weight = cv2.GaussianBlur(core, (0, 0), 2.5)[..., None]
    edge = near / np.maximum(weight, 1e-3)
    return np.asarray(np.where(core > 0, image, edge), np.float32)


def recolour(image: Float32Array) -> Float32Array:
    """Give the portrait the colours of person B, float32 (512, 512, 3).

    Dark hair, warmer skin, a blue suit and cooler light.
    """
    rows = np.arange(512, dtype=np.float32)[:, None]
    face = draw_mask(_FACE_OUTLINE, 1.5)
    above_collar = np.clip((150 - rows) / 6, 0, 1)
    below_collar = np.clip((rows - 192) / 6, 0, 1) * (1 - face)
    hair = (above_collar * (1 - face))[..., None]
    image = np.asarray(image / 255, np.float32)
    dark = (image**1.35) * np.array([0.42, 0.33, 0.30], np.float32)
    skin = (image**1.25) * np.array([0.98, 0.86, 0.76], np.float32)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # The suit is orange; its hue is around 0, hence both ends of the circle.
    orange = np.clip((hsv[..., 1] - 0.35) / 0.2, 0, 1) * ((hsv[..., 0] < 40) | (hsv[..., 0] > 340))
    hsv[..., 0], hsv[..., 1], hsv[..., 2] = 205, hsv[..., 1] * 0.6, hsv[..., 2] * 0.62
    blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    out = image + face[..., None] * (skin - image)
    out = out + (orange * below_collar)[..., None] * (blue - out)
    out = out + hair * (dark - out)
    return np.asarray(np.clip(out * np.array([0.93, 0.97, 1.04], np.float32), 0, 1) * 255, np.float32)


def draw_mask(points: tuple[tuple[float, float], ...], blur: float) -> Float32Array:
    """Soft mask, float32 (512, 512) in [0, 1]; `blur` is the edge's sigma in portrait px."""
    mask = np.zeros((512, 512), np.uint8)
    # Four fractional bits: at integer pixels the outline of the mouth would have visible steps.
    cv2.fillPoly(mask, [np.round(np.array(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur), np.float32)


def resize(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize to (width, height): averages areas where that is narrower, else cubic; same dtype."""
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
