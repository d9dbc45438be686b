"""Augmentation that imitates crops from video: images are moved, lit, blurred, compressed, covered.

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

from ferflow.types import Int64Array, UInt8Array

Rng = np.random.Generator


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
AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {"video": Augmentation(), "light": LIGHT, "none": NO_AUGMENTATION}
)
"""By the name that `ferflow train --augment` takes."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The source of random numbers."""

    seed: int
    epoch: int

    def rng(self, row: int) -> Rng:
        """Return the generator of one row in this epoch."""
        return np.random.default_rng((self.seed, self.epoch, row))


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
        out[i] = _disturb(image, draw.rng(int(row)), how, size)
    return out


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
    return _u8(
        cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


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
