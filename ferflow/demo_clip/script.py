"""Who is where at what time in the sample, and which expression is drawn.

>>> stage = Stage.create(20.0, (1280, 720), 30)
>>> stage.place(ROLES[1], 0) is None, stage.weights(ROLES[1], 150)["smile"]
(True, 1.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from ferflow.demo_clip.expressions import EXPRESSIONS
from ferflow.errors import OptionsError

SCRIPT_SECONDS = 20.0
"""All times in the script below are on this clock; another length of the video stretches or shrinks it."""
CUT_SECONDS = 15.0
"""The shot cut: another room, both people closer."""
FRAME_WIDTH, FRAME_HEIGHT = 1280, 720
"""Scales in the script are frame pixels per portrait pixel at this size."""
_ONSET_SECONDS = 0.45
"""An expression takes this time to appear, and the same to disappear."""
# People blink every few seconds, for about a quarter of a second.
_BLINK_EVERY_SECONDS, _BLINK_SECONDS = 3.7, 0.24

Keyframe = tuple[float, float, float, float]
"""Seconds, x and y of the face centre in shares of the frame, scale."""


@dataclass(frozen=True, slots=True)
class Role:
    """One person; times are on the script's clock."""

    name: str
    shots: tuple[tuple[Keyframe, ...], tuple[Keyframe, ...]]
    """The path before and after the cut."""
    acts: tuple[tuple[float, float, str], ...]
    """(start, end, expression); at other times the face is neutral."""
    mirrored: bool
    sway_phase: float


# fmt: off
ROLES = (
    Role(
        "B",
        (((4.4, 1.32, 0.44, 1.15), (6.2, 0.80, 0.43, 1.15), (8.8, 0.80, 0.43, 1.15), (12.2, 0.13, 0.43, 1.15),
          (CUT_SECONDS, 0.14, 0.43, 1.15)),
         ((CUT_SECONDS, 0.17, 0.40, 1.35), (16.0, 0.17, 0.40, 1.35), (17.6, -0.42, 0.42, 1.35))),
        ((6.8, 8.6, "smile"), (12.6, 13.8, "surprise"), (15.0, 16.4, "smile")),
        mirrored=True,
        sway_phase=2.1,
    ),
    Role(
        "A",
        (((0.9, -0.45, 0.47, 1.75), (2.2, 0.42, 0.47, 1.75), (CUT_SECONDS, 0.44, 0.47, 1.75)),
         ((CUT_SECONDS, 0.56, 0.46, 2.2), (17.9, 0.56, 0.46, 2.2), (18.9, 1.55, 0.48, 2.2))),
        ((3.4, 6.0, "smile"), (7.2, 9.2, "surprise"), (10.2, 12.2, "frown"), (13.0, 16.6, "smile")),
        mirrored=False,
        sway_phase=0.0,
    ),
)
# fmt: on
"""B, then A: in the order of painting, the person in front last."""


_AT_REST = (("Person 1", 1.7, 3.3), ("Person 1", 6.2, 7.1), ("Person 2", 9.4, 12.2))
"""When a face is neutral, seconds of the script, by the name that the analysis gives: Person 1 is A, seen first."""


def rest_stretches(seconds: float) -> tuple[str, ...]:
    """Stretches of a sample of this length in which its people are at rest, as `Job.rest` takes them."""
    scale = seconds / SCRIPT_SECONDS
    return tuple(f"{name}={start * scale:.2f}-{end * scale:.2f}" for name, start, end in _AT_REST)


@dataclass(frozen=True, slots=True)
class Place:
    """Map from frame to portrait: portrait = centre + (frame - (x, y)) / (scale_x, scale_y)."""

    x: float
    y: float
    scale_x: float
    """Negative for a mirrored person."""
    scale_y: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Movements of the head, in addition to the path of the person."""

    roll: float
    """Radians, clockwise in the picture for a person who is not mirrored."""
    yaw: float
    pitch: float
    """Move of the middle of the face over the skull in portrait pixels, which imitates a turn of the head."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Places, poses and expressions of people for each frame index."""

    width: int
    height: int
    fps: int
    n_frames: int
    stretch: float
    """Real seconds per second of the script."""

    @classmethod
    def create(cls, seconds: float, size: tuple[int, int], fps: int) -> Stage:
        """Make a stage for this length, size (width, height) and rate.

        Raises:
            OptionsError: one of them cannot be drawn.
        """
        width, height = size
        if min(size) < 64 or width % 2 or height % 2:
            raise OptionsError(f"size must be even and at least 64x64 pixels, got {width}x{height}")
        if fps < 1:
            raise OptionsError(f"fps must be at least 1, got {fps}")
        if not (math.isfinite(seconds) and seconds * fps >= 1):
            raise OptionsError(f"seconds must cover at least one frame, got {seconds}")
        return cls(width, height, fps, round(seconds * fps), seconds / SCRIPT_SECONDS)

    @property
    def cut_frame(self) -> int:
        """First frame of the second shot."""
        # The tolerance absorbs floating point, which may put the product just above a frame index.
        return math.ceil(CUT_SECONDS * self.stretch * self.fps - 1e-9)

    @property
    def unit(self) -> float:
        """Size of the frame relative to the script's."""
        return min(self.width / FRAME_WIDTH, self.height / FRAME_HEIGHT)

    def script_seconds(self, frame_index: int) -> float:
        """Time of a frame on the script's clock."""
        return frame_index / self.fps / self.stretch

    def place(self, role: Role, frame_index: int) -> Place | None:
        """Place of the person's face centre; None while the person is not on screen."""
        now = self.script_seconds(frame_index)
        for (begin, *a), (end, *b) in pairwise(role.shots[frame_index >= self.cut_frame]):
            if begin <= now < end:
                share = smoothstep((now - begin) / (end - begin))
                x, y, scale = (p + share * (q - p) for p, q in zip(a, b, strict=True))
                break
        else:
            return None
        t = self._sway_seconds(role, frame_index)
        x, y = x + 0.004 * math.sin(1.1 * t), y + 0.004 * math.sin(1.7 * t)
        scale *= self.unit
        return Place(x * self.width, y * self.height, -scale * 0.94 if role.mirrored else scale, scale)

    def pose(self, role: Role, frame_index: int) -> Pose:
        """Pose of the head: a slow sway that is independent of the script."""
        # With different frequencies the movement does not repeat within the video.
        t = self._sway_seconds(role, frame_index)
        return Pose(
            roll=math.radians(4.5 * math.sin(0.9 * t) + 1.5 * math.sin(2.3 * t + 1)),
            yaw=9.0 * math.sin(0.75 * t + 0.6),
            pitch=3.5 * math.sin(1.25 * t + 2.0),
        )

    def weights(self, role: Role, frame_index: int) -> dict[str, float]:
        """Share of each expression, with a sum of 1, and of the blink in addition."""
        now = self.script_seconds(frame_index)
        shares = dict.fromkeys(EXPRESSIONS, 0.0)
        for begin, end, name in role.acts:
            shares[name] += smoothstep((now - begin) / _ONSET_SECONDS) * smoothstep(
                (end - now) / _ONSET_SECONDS
            )
        shares["neutral"] = max(0.0, 1.0 - sum(shares.values()))
        phase = self._sway_seconds(role, frame_index) % _BLINK_EVERY_SECONDS
        shares["blink"] = math.sin(math.pi * phase / _BLINK_SECONDS) if phase < _BLINK_SECONDS else 0.0
        return shares

    def _sway_seconds(self, role: Role, frame_index: int) -> float:
        return frame_index / self.fps + role.sway_phase


def smoothstep(x: float) -> float:
    """0 below 0, 1 above 1, a cubic with zero slope at both ends between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)
