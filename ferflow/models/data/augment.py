"""Augmentation that imitates crops from video: images are moved, lit, blurred, compressed, covered, partly shaded.

The changes to an image depend only on (seed, epoch, row), never on batches, threads or earlier random numbers, so a
resumed run sees exactly what an uninterrupted run sees:

    batch = augment(images, rows, Draw(seed=1, epoch=7), Augmentation(), size=48)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt
from msgspec import Struct, structs

from ferflow.models.data.covers import MEDIAN_POINTS, draw_cover
from ferflow.models.data.labelled_faces import SIZE
from ferflow.types import Int64Array, UInt8Array

Rng = np.random.Generator

_FILM = 3
"""Part of `Draw.rng`; 1 is used for mixup, 2 for drawn covers."""
_COVERS = ("glasses", "glasses", "hair", "fingers", "palm", "microphone", "object")


class Augmentation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far images may be changed. Values are drawn uniformly from their ranges; `*_chance` is per image."""

    rotation_degrees: float = 10.0
    """Largest rotation in either direction."""
    scale: float = 0.12
    """Up to this share larger or smaller: the boxes of detectors differ by that much."""
    shift: float = 0.07
    """Up to this share of the side, along each axis."""
    shear: float = 0.0
    """Up to this many pixels sideways per pixel of height."""
    mirror_border: bool = False
    """Continue the image at its borders by its mirror image, and not by repeating its outermost pixels."""
    flip_chance: float = 0.5
    light_chance: float = 0.5
    """Brightness, contrast and gamma together."""
    brightness: float = 40.0
    """Grey levels of 255."""
    contrast: float = 0.35
    gamma: float = 0.35
    """The exponent is 1 +- this."""
    blur_chance: float = 0.1
    shrink_chance: float = 0.1
    """Resized to 20 to 40 px and back: a small face in the video."""
    jpeg_chance: float = 0.1
    """Quality 15 to 60."""
    erase_chance: float = 0.25
    """A rectangle of noise or grey over up to a sixth of the image: hands, hair, subtitles."""
    motion_chance: float = 0.0
    """Blurred along a line of 3 to 7 px: a moving head or camera."""
    shade_chance: float = 0.0
    """Light from one side: up to 60 % darker towards the other."""
    cover_chance: float = 0.0
    """Glasses, hair, a hand, a microphone or an object drawn in front (`data.covers`), mostly beside the mouth."""


NO_AUGMENTATION = Augmentation(
    rotation_degrees=0, scale=0, shift=0, flip_chance=0, light_chance=0, blur_chance=0, shrink_chance=0,
    jpeg_chance=0, erase_chance=0,
)  # fmt: skip
FLIP_AND_SHIFT = structs.replace(NO_AUGMENTATION, flip_chance=0.5, shift=0.04)
"""The most that early papers did."""
LIGHT = Augmentation(
    scale=0.1, shift=0.06, light_chance=0.3, brightness=30, contrast=0.25, gamma=0.25, blur_chance=0.05,
    shrink_chance=0.05, jpeg_chance=0.05, erase_chance=0.1,
)  # fmt: skip
"""Moves images nearly as far as `Augmentation()`, and lights, blurs, compresses and covers them about half as often:
for a later cycle, when a network underfits the data set rather than overfits it."""
FILMED = structs.replace(
    LIGHT, mirror_border=True, light_chance=0.4, blur_chance=0.1, shrink_chance=0.2, jpeg_chance=0.25, erase_chance=0.1,
    motion_chance=0.1, shade_chance=0.15, cover_chance=0.15,
)  # fmt: skip
"""Moves images as `LIGHT`, and adds the disturbances of video that `Augmentation()` does not have."""
AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {"video": Augmentation(), "light": LIGHT, "filmed": FILMED, "none": NO_AUGMENTATION}
)
"""By the name that `ferflow train --augment` takes."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The source of random numbers."""

    seed: int
    epoch: int

    def rng(self, row: int, *part: int) -> Rng:
        """Return the generator of one row in this epoch, or of a part of what is drawn for it."""
        return np.random.default_rng((self.seed, self.epoch, row, *part))


def augment(images: UInt8Array, rows: Int64Array, draw: Draw, how: Augmentation, *, size: int) -> UInt8Array:
    """Augment a batch, each image independently.

    Args:
        images: uint8 (N, S, S).
        rows: (N,), the row of each image in the data set, from which its random numbers are derived.
        draw: seed and epoch.
        how: ranges.
        size: side of the result, pixels.

    Returns:
        uint8 (N, size, size).
    """
    out = np.empty((len(images), size, size), np.uint8)
    for i, (image, row) in enumerate(zip(images, rows, strict=True)):
        out[i] = _disturb(_film(image, draw, int(row), how), draw.rng(int(row)), how, size)
    return out


def _film(image: UInt8Array, draw: Draw, row: int, how: Augmentation) -> UInt8Array:
    """Apply what was added after the first models were trained; their runs must not see other random numbers."""
    if not (how.motion_chance or how.shade_chance or how.cover_chance):
        return image
    rng = draw.rng(row, _FILM)
    chances = rng.random(3)
    if chances[0] < how.cover_chance:
        image = _cover(image, rng)
    if chances[1] < how.shade_chance:
        image = _shade(image, rng)
    if chances[2] < how.motion_chance:
        image = _blur_by_motion(image, rng)
    return image


def _cover(image: UInt8Array, rng: Rng) -> UInt8Array:
    scale = image.shape[0] / SIZE
    points = (MEDIAN_POINTS + rng.normal(0, 1.0, (1, 2))) * scale
    return draw_cover(image, points.astype(np.float32), rng, str(rng.choice(_COVERS))).image


def _shade(image: UInt8Array, rng: Rng) -> UInt8Array:
    """Darken towards one side; soft, as a face turns away from a window."""
    side, angle = image.shape[0], rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:side, 0:side] / (side - 1) - 0.5
    along = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(-0.25, 0.25)
    light = 1 - rng.uniform(0.2, 0.6) / (1 + np.exp(-along * rng.uniform(4, 20)))
    return _u8(np.round(image * light))


def _blur_by_motion(image: UInt8Array, rng: Rng) -> UInt8Array:
    length, angle = int(rng.integers(3, 8)), rng.uniform(0, np.pi)
    centre = length // 2
    reach = np.round(centre * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    kernel = np.zeros((2 * centre + 1, 2 * centre + 1), np.float32)
    cv2.line(kernel, (centre - reach[0], centre - reach[1]), (centre + reach[0], centre + reach[1]), 1.0)
    return _u8(cv2.filter2D(image, -1, kernel / kernel.sum()))


def _disturb(image: UInt8Array, rng: Rng, how: Augmentation, size: int) -> UInt8Array:
    # Drawn first and together: whether an image gets one change does not depend on what another change draws.
    chances = rng.random(6)
    image = _warp(image, rng, how, size, flip=chances[0] < how.flip_chance)
    if chances[1] < how.light_chance:
        image = _light(image, rng, how)
    if chances[2] < how.blur_chance:
        image = _u8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)))
    if chances[3] < how.shrink_chance:
        image = _shrink(image, rng)
    if chances[4] < how.jpeg_chance:
        image = _jpeg(image, int(rng.integers(15, 61)))
    if chances[5] < how.erase_chance:
        image = _erase(image, rng)
    return image


def _warp(image: UInt8Array, rng: Rng, how: Augmentation, size: int, *, flip: bool) -> UInt8Array:
    """Rotate, scale, shift, flip and resize with a single interpolation, so that pixels are smoothed only once."""
    side = image.shape[0]
    angle = np.deg2rad(rng.uniform(-how.rotation_degrees, how.rotation_degrees))
    zoom = size / side * (1 + rng.uniform(-how.scale, how.scale))
    shift = rng.uniform(-how.shift, how.shift, 2) * size
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Not drawn without shear: it would move all random numbers after it, and so the augmentation of every recipe.
    if how.shear:
        turn = turn @ np.array([[1.0, rng.uniform(-how.shear, how.shear)], [0.0, 1.0]])
    if flip:
        turn = turn @ np.diag([-1.0, 1.0])
    centre = np.full(2, (side - 1) / 2)
    offset = (size - 1) / 2 + shift - turn @ centre
    matrix = np.column_stack([turn, offset])
    border = cv2.BORDER_REFLECT_101 if how.mirror_border else cv2.BORDER_REPLICATE
    return _u8(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border))


def _light(image: UInt8Array, rng: Rng, how: Augmentation) -> UInt8Array:
    """Change gamma, then contrast around mid-grey, then brightness; clip as a camera does."""
    grey = (np.arange(256) / 255) ** (1 + rng.uniform(-how.gamma, how.gamma)) * 255
    grey = (grey - 128) * (1 + rng.uniform(-how.contrast, how.contrast)) + 128
    grey += rng.uniform(-how.brightness, how.brightness)
    return _u8(cv2.LUT(image, np.clip(grey, 0, 255).astype(np.uint8)))


def _shrink(image: UInt8Array, rng: Rng) -> UInt8Array:
    # The 20 to 40 px are those of a 48 px crop; early epochs train on smaller images.
    small = max(8, round(image.shape[0] * rng.uniform(20, 40) / 48))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return _u8(cv2.resize(shrunk, image.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    assert decoded is not None  # just encoded
    return _u8(decoded)


def _erase(image: UInt8Array, rng: Rng) -> UInt8Array:
    side = image.shape[0]
    height, width = np.maximum(1, (side * rng.uniform(0.15, 0.4, 2)).astype(int))
    top, left = rng.integers(0, side - height), rng.integers(0, side - width)
    patch = rng.integers(0, 256, (height, width)) if rng.random() < 0.5 else int(rng.integers(0, 256))
    # In place: `_warp` made this image, so it is not a row of the data set.
    image[top : top + height, left : left + width] = patch
    return image


def _u8(image: npt.NDArray[np.generic]) -> UInt8Array:
    """The stubs of cv2 do not say that uint8 gives uint8."""
    return image.astype(np.uint8, copy=False)
