"""Pictures of drawn people whose clothes, hair and places a test chooses, and the detections of their faces."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import cv2
import numpy as np

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.shot_detector import Change
from ferflow.media.planes import Planes
from ferflow.media.video import Frame

SKIN = (190, 140, 110)
RED, BLUE, GREEN, WHITE, BLACK, BROWN = (
    (180, 30, 40), (30, 50, 160), (40, 130, 60), (225, 225, 225), (25, 25, 25), (90, 60, 40),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A face of 40 x 50 pixels around its centre, with hair above and clothes below."""

    centre: tuple[float, float]
    clothes: tuple[int, int, int]
    hair: tuple[int, int, int] = BROWN
    height: float = 50.0
    score: float = 0.9

    @property
    def box(self) -> tuple[float, float, float, float]:
        x, y = self.centre
        return x - 0.4 * self.height, y - self.height / 2, x + 0.4 * self.height, y + self.height / 2


def picture(people: list[Person], size: tuple[int, int] = (640, 360), noise: int = 0) -> np.ndarray:
    """RGB, uint8 (H, W, 3)."""
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    for person in people:
        (x, y), h = person.centre, person.height
        cv2.rectangle(image, at(x - 0.9 * h, y + 0.55 * h), at(x + 0.9 * h, y + 2.4 * h), person.clothes, -1)
        cv2.ellipse(image, at(x, y), at(0.5 * h, 0.8 * h), 0, 0, 360, person.hair, -1)
        cv2.ellipse(image, at(x, y + 0.1 * h), at(0.36 * h, 0.5 * h), 0, 0, 360, SKIN, -1)
    if noise:
        image = np.clip(image + np.random.default_rng(noise).normal(0, 3, image.shape), 0, 255)
    return image.astype(np.uint8)


def at(x: float, y: float) -> tuple[int, int]:
    return round(x), round(y)


def planes_of(image: np.ndarray) -> Planes:
    """Planes of an RGB picture, chroma at half the size, full range."""
    yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    y, v, u = (np.ascontiguousarray(yuv[..., i]) for i in range(3))
    half = (image.shape[1] // 2, image.shape[0] // 2)
    u, v = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (u, v))
    return Planes(y, u, v, full_range=True)


def frame_of(people: list[Person], index: int = 0, fps: int = 25) -> Frame:
    """A frame of the people, with the noise of a camera."""
    return Frame(index, index, Fraction(index, fps), noisy_planes(tuple(people), index % 3 + 1))


@cache
def noisy_planes(people: tuple[Person, ...], noise: int) -> Planes:
    return planes_of(picture(list(people), noise=noise))


def faces_of(people: list[Person]) -> Detections:
    """Detections of their faces, in their order, without landmarks."""
    n = len(people)
    boxes = np.array([person.box for person in people], np.float32).reshape(n, 4)
    scores = np.array([person.score for person in people], np.float32)
    return Detections(boxes, scores, np.full((n, 5, 2), np.nan, np.float32))


def detected(
    scenes: list[list[Person]], *, cuts: tuple[int, ...] = (), cut: Change = Change.CUT, fps: int = 25
) -> list[tuple[FrameSample, Detections]]:
    """Frames with these people, a scene per frame, and their detections; new shots start at the frames `cuts`."""
    changes = [cut if index in cuts else Change.NONE for index in range(len(scenes))]
    return [
        (FrameSample(frame_of(people, index, fps), (changes[index],), 120.0), faces_of(people))
        for index, people in enumerate(scenes)
    ]
