"""Draw things in front of faces: masks, hands, microphones, scarves, objects, glasses, hair.

    drawn = draw_cover(image, points, rng, "mask")
    drawn.image, drawn.mouth_covered       # uint8 (48, 48), share of the mouth that is behind it

Places and sizes follow the five landmarks of the face. How much of the mouth is behind what was drawn is computed from
its outline, so that the same drawings serve as covered faces and as clear faces with something beside the mouth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from ferflow.types import Float32Array, Float64Array, UInt8Array

Rng = np.random.Generator

FINE = 3
"""Outlines are drawn this many times larger and reduced, so that their edges are as soft as those of a picture."""

MEDIAN_POINTS = np.array([[15.3, 19.0], [32.1, 19.0], [23.9, 28.4], [17.1, 35.8], [30.9, 35.9]], np.float32)
"""Landmarks of the median face of FER2013, pixels of a 48-pixel crop, where those of a face are not known."""

LOWER_FACE = ("mask", "scarf", "palm", "fingers", "microphone", "object")
"""Kinds that often cover the mouth."""
UPPER_FACE = ("glasses", "hair")
"""Kinds that never cover it."""


@dataclass(frozen=True, slots=True)
class CoveredFace:
    """A face with something drawn in front of it."""

    image: UInt8Array
    """uint8 (S, S)."""
    mouth_covered: float
    """Share of the mouth's area that is behind it, 0..1."""


@dataclass(frozen=True, slots=True)
class _Cover:
    """What is drawn: both float32 (S * FINE, S * FINE)."""

    opacity: Float32Array
    grey: Float32Array


class _Face:
    """Coordinates of a face: (0, 0) between the eyes, (0, 1) between the corners of the mouth, x along the eyes.

    In these units, a frontal face of FER2013 has its eyes at x -0.5 and 0.5, the tip of its nose at y 0.55, its chin at
    about y 1.6, and its cheeks at x -0.9 and 0.9.
    """

    def __init__(self, points: Float32Array, side: int, skin: float) -> None:
        right_eye, left_eye, _, *corners = points.astype(np.float64)
        self.origin = (right_eye + left_eye) / 2
        self.down = np.mean(corners, axis=0) - self.origin
        across = left_eye - right_eye
        # As long as `down`: in profile, the eyes are closer together, but a hand or a mask is not narrower.
        self.across = across * (np.linalg.norm(self.down) / max(float(np.linalg.norm(across)), 1e-3))
        self.side, self.skin = side * FINE, skin

    def to_pixels(self, places: Float64Array) -> Float64Array:
        """Pixels of the fine image (N, 2) at places (N, 2) of the face."""
        pixels: Float64Array = self.origin + places[:, :1] * self.across + places[:, 1:] * self.down
        return (pixels + 0.5) * FINE - 0.5

    @property
    def unit(self) -> float:
        """Pixels of the fine image per unit."""
        return float(np.linalg.norm(self.down)) * FINE

    def blank(self) -> Float32Array:
        """An empty fine image."""
        return np.zeros((self.side, self.side), np.float32)

    def polygon(self, places: Float64Array) -> Float32Array:
        """Opacity of a filled polygon."""
        return cv2.fillPoly(self.blank(), [np.round(self.to_pixels(places)).astype(np.int32)], 1.0)  # type: ignore[return-value]

    def line(self, places: Float64Array, width: float) -> Float32Array:
        """Opacity of a line with round ends; its width in units."""
        pixels = np.round(self.to_pixels(places)).astype(np.int32)
        thickness = max(1, round(width * self.unit))
        return cv2.polylines(self.blank(), [pixels], False, 1.0, thickness, cv2.LINE_AA)  # type: ignore[return-value]

    def disc(self, place: Float64Array, radii: tuple[float, float], degrees: float = 0.0) -> Float32Array:
        """Opacity of a filled ellipse; radii in units."""
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        turn = np.deg2rad(degrees)
        x, y = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
        outline = np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
        return self.polygon(place + outline)


def draw_cover(image: UInt8Array, points: Float32Array, rng: Rng, kind: str) -> CoveredFace:
    """Draw one thing in front of a face.

    Args:
        image: uint8 (S, S), a face as the classifier sees it.
        points: float32 (5, 2), its landmarks in pixels of the image, in the order of `detections.LANDMARKS`.
        rng: decides place, size and look.
        kind: one of `LOWER_FACE` or `UPPER_FACE`.
    """
    side = image.shape[0]
    face = _Face(points, side, _skin_level(image, points))
    cover = _PAINTERS[kind](face, rng)
    opacity = cv2.resize(cover.opacity, (side, side), interpolation=cv2.INTER_AREA)
    # Weighted by opacity, so that the grey level outside the outline does not show at its edge.
    weighted = cv2.resize(cover.opacity * cover.grey, (side, side), interpolation=cv2.INTER_AREA)
    mixed = image * (1 - opacity) + weighted
    mouth = face.disc(np.array([0.0, 1.0]), (0.42, 0.2))
    covered = float((mouth * cover.opacity).sum() / max(float(mouth.sum()), 1.0))
    return CoveredFace(np.clip(np.round(mixed), 0, 255).astype(np.uint8), covered)


def _skin_level(image: UInt8Array, points: Float32Array) -> float:
    """Grey level of the skin: the median between eyes and mouth."""
    left, right = points[:, 0].min(), points[:, 0].max()
    top, bottom = points[:2, 1].mean(), points[3:, 1].mean()
    inside = np.clip(np.array([top, bottom + 1, left, right + 1]).astype(int), 0, image.shape[0])
    part = image[inside[0] : inside[1], inside[2] : inside[3]]
    return float(np.median(part)) if part.size else 128.0


def _mask(face: _Face, rng: Rng) -> _Cover:
    """A surgical or cloth mask with folds and straps."""
    top, bottom, half = rng.uniform(0.2, 0.65), rng.uniform(1.4, 1.8), rng.uniform(0.65, 0.95)
    outline = [
        [-half, top + 0.2], [-half * 0.5, top + 0.08], [0, top - rng.uniform(0, 0.15)], [half * 0.5, top + 0.08],
        [half, top + 0.2], [half * 0.95, bottom - 0.35], [half * 0.45, bottom], [-half * 0.45, bottom],
        [-half * 0.95, bottom - 0.35],
    ]  # fmt: skip
    opacity = face.polygon(np.array(outline))
    grey = _shaded(face, rng, rng.uniform(15, 250))
    for fold in np.linspace(top + 0.3, bottom - 0.2, int(rng.integers(0, 5))):
        line = face.line(
            np.array([[-half * 0.9, fold - 0.05], [0, fold + 0.05], [half * 0.9, fold - 0.05]]), 0.04
        )
        grey += line * rng.uniform(-35, 10)
    for sign in (-1, 1):
        if rng.random() < 0.7:
            strap = face.line(
                np.array([[sign * half, top + 0.25], [sign * 1.3, rng.uniform(-0.1, 0.4)]]), 0.05
            )
            opacity = np.maximum(opacity, strap)
    return _Cover(opacity, grey)


def _scarf(face: _Face, rng: Rng) -> _Cover:
    """A scarf, a raised collar, a table edge or a cup's rim: everything below a curve."""
    x = np.linspace(-2.5, 2.5, 12)
    level = rng.uniform(0.45, 1.9)
    y = level + rng.uniform(-0.25, 0.25) * x + rng.uniform(-0.06, 0.12) * x**2 + rng.normal(0, 0.03, 12)
    outline = np.column_stack([np.r_[x, 2.5, -2.5], np.r_[y, 4.0, 4.0]])
    grey = _shaded(face, rng, rng.uniform(10, 245)) + _stripes(face, rng) * rng.uniform(0, 40)
    return _Cover(face.polygon(outline), grey)


def _palm(face: _Face, rng: Rng) -> _Cover:
    """A hand laid over the lower face, on a cheek, at the chin or the forehead."""
    x, y = _place(rng, over_mouth=0.6)
    degrees = rng.uniform(0, 360)
    radii = (rng.uniform(0.45, 0.75), rng.uniform(0.3, 0.5))
    opacity = face.disc(np.array([x, y]), radii, degrees)
    grey = _shaded(face, rng, _hand_level(face, rng))
    direction = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    across = np.array([-direction[1], direction[0]])
    for finger in np.linspace(-0.33, 0.33, int(rng.integers(3, 5))):
        start = np.array([x, y]) + direction * radii[0] * 0.6 + across * finger
        line = np.array([start, start + direction * rng.uniform(0.35, 0.7)])
        opacity = np.maximum(opacity, face.line(line, 0.2))
        grey += face.line(line + across * 0.1, 0.04) * rng.uniform(-60, -15)
    wrist = np.array([[x, y] - direction * radii[0] * 0.5, [x, y] - direction * 3.0])
    return _Cover(np.maximum(opacity, face.line(wrist, rng.uniform(0.4, 0.6))), grey)


def _fingers(face: _Face, rng: Rng) -> _Cover:
    """Two to four fingers, next to each other, coming from a side or from below."""
    x, y = _place(rng, over_mouth=0.6)
    angle = rng.uniform(-0.6, np.pi + 0.6)  # from the right, from below, from the left
    direction = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-direction[1], direction[0]])
    opacity, grey = face.blank(), _shaded(face, rng, _hand_level(face, rng))
    width = rng.uniform(0.17, 0.25)
    count = int(rng.integers(2, 5))
    for i in range(count):
        offset = (i - (count - 1) / 2) * width * rng.uniform(0.9, 1.05)
        tip = np.array([x, y]) + across * offset - direction * rng.uniform(0.25, 0.6)
        line = np.array([tip, tip + direction * 3.0])
        opacity = np.maximum(opacity, face.line(line, width))
        grey += face.line(line + across * width / 2, 0.04) * rng.uniform(-70, -15)
    return _Cover(opacity, grey)


def _microphone(face: _Face, rng: Rng) -> _Cover:
    """A hand-held microphone: a ball with a highlight, and a handle."""
    x, y = (
        (rng.uniform(-0.2, 0.2), rng.uniform(0.9, 1.15))
        if rng.random() < 0.5
        else _place(rng, over_mouth=0.2)
    )
    radius = rng.uniform(0.25, 0.5)
    centre = np.array([x, y])
    ball = face.disc(centre, (radius, radius * rng.uniform(0.9, 1.2)))
    level = rng.uniform(10, 110)
    grey = _shaded(face, rng, level) + _stripes(face, rng) * rng.uniform(0, 30)
    grey += face.disc(
        centre + rng.uniform(-0.4, 0.1, 2) * radius, (radius * 0.4, radius * 0.3)
    ) * rng.uniform(0, 70)
    end = np.array([x + rng.uniform(-1.2, 1.2), y + 2.5])
    handle = face.line(np.array([centre, end]), radius * rng.uniform(0.5, 0.9))
    return _Cover(np.maximum(ball, handle), cv2.GaussianBlur(grey, (0, 0), FINE / 2))  # type: ignore[arg-type]


def _object(face: _Face, rng: Rng) -> _Cover:
    """A cup, a telephone, a book, a caption: a rectangle or an ellipse of any grey and pattern."""
    x, y = _place(rng, over_mouth=0.5)
    half = rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.7)
    degrees = rng.uniform(-30, 30)
    grey = _shaded(face, rng, rng.uniform(5, 250)) + _stripes(face, rng) * rng.uniform(0, 90)
    if rng.random() < 0.4:
        return _Cover(face.disc(np.array([x, y]), half, degrees), grey)
    turn = np.deg2rad(degrees)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    rotated = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return _Cover(face.polygon(rotated + np.array([x, y])), grey)


def _glasses(face: _Face, rng: Rng) -> _Cover:
    """Glasses with thin or thick frames, clear or dark."""
    width, height = rng.uniform(0.28, 0.42), rng.uniform(0.2, 0.34)
    frame, level = rng.uniform(0.03, 0.1), rng.uniform(0, 120)
    opacity = face.blank()
    dark = rng.random() < 0.3
    for sign in (-1, 1):
        centre = np.array([sign * 0.5, rng.uniform(0.0, 0.08)])
        outer = face.disc(centre, (width, height))
        glass = rng.uniform(0.7, 1.0) if dark else rng.uniform(0, 0.15)
        inner = face.disc(centre, (width - frame, height - frame))
        opacity = np.maximum(opacity, outer - inner * (1 - glass))
        temple = np.array([[sign * (0.5 + width), 0.0], [sign * 1.4, rng.uniform(-0.15, 0.1)]])
        opacity = np.maximum(opacity, face.line(temple, frame))
    bridge = face.line(np.array([[width - 0.5, 0.0], [0.5 - width, 0.0]]), frame)
    return _Cover(np.maximum(opacity, bridge), _shaded(face, rng, level))


def _hair(face: _Face, rng: Rng) -> _Cover:
    """Hair, a cap or a veil over the forehead and one side of the face."""
    sign = rng.choice([-1.0, 1.0])
    level, side = rng.uniform(-0.7, -0.1), rng.uniform(0.45, 1.1)
    outline = np.array(
        [[-3, -3], [3, -3], [3, 3], [1.4, 3], [side, 1.2], [side * rng.uniform(0.7, 1.1), 0.2],
         [0.1, level], [-0.9, level + rng.uniform(-0.2, 0.3)], [-3, level + 0.5]]
    )  # fmt: skip
    outline[:, 0] *= sign
    grey = _shaded(face, rng, rng.uniform(5, 190)) + _stripes(face, rng) * rng.uniform(5, 50)
    return _Cover(face.polygon(outline), grey)


_PAINTERS: Mapping[str, Callable[[_Face, Rng], _Cover]] = MappingProxyType(
    {
        "mask": _mask, "scarf": _scarf, "palm": _palm, "fingers": _fingers, "microphone": _microphone,
        "object": _object, "glasses": _glasses, "hair": _hair,
    }
)  # fmt: skip


def _place(rng: Rng, *, over_mouth: float) -> tuple[float, float]:
    """A place at the mouth with this chance, otherwise anywhere on the face or beside it."""
    if rng.random() < over_mouth:
        return rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.2)
    return rng.uniform(-1.3, 1.3), rng.uniform(-0.8, 2.0)


def _hand_level(face: _Face, rng: Rng) -> float:
    """Hands are about as light as the face; gloves and other people's hands are not."""
    return face.skin * rng.uniform(0.75, 1.2) if rng.random() < 0.85 else rng.uniform(10, 245)


def _shaded(face: _Face, rng: Rng, level: float) -> Float32Array:
    """A surface of this grey level with a gradient, soft folds and noise: float32 grey levels."""
    side = face.side
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    grey = level + x * rng.uniform(-60, 60) + y * rng.uniform(-60, 60)
    coarse = rng.normal(0, rng.uniform(1, 18), (6, 6)).astype(np.float32)
    grey += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0, rng.uniform(0, 10), (side // FINE, side // FINE)).astype(np.float32)
    grey += cv2.resize(fine, (side, side), interpolation=cv2.INTER_LINEAR)
    shaded: Float32Array = np.clip(grey, 0, 255).astype(np.float32)
    return shaded


def _stripes(face: _Face, rng: Rng) -> Float32Array:
    """Stripes or a weave, -1..1."""
    y, x = np.mgrid[0 : face.side, 0 : face.side].astype(np.float32) / face.side
    angle, waves = rng.uniform(0, np.pi), rng.uniform(3, 16)
    stripes = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6))
    if rng.random() < 0.3:
        stripes = stripes * np.sin(2 * np.pi * waves * (y * np.cos(angle) - x * np.sin(angle)))
    wave: Float32Array = stripes.astype(np.float32)
    return wave
