"""Who is where when in the sample, and what they do there: the script, and the stage it is played on.

>>> stage = Stage.checked(20.0, (1280, 720), 30)
>>> stage.place(ROLES[1], 0) is None, stage.weights(ROLES[1], 150)["smile"]
(True, 1.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ferflow.demo_clip.expressions import EXPRESSIONS
from ferflow.demo_clip.portrait import FACE_CENTRE, FACE_XYXY
from ferflow.demo_clip.warp import Pose, pose_shift
from ferflow.errors import OptionsError
from ferflow.types import Float32Array

SCRIPT_SECONDS = 20.0
"""Every time in the script below is on this clock; another length stretches or shrinks it."""
CUT_SECONDS = 15.0
"""The hard shot cut: another room, both people nearer."""
FRAME_HEIGHT = 720
FRAME_WIDTH = 1280
"""Scales in the script are frame pixels per portrait pixel at this size."""
_ONSET_SECONDS = 0.45
"""An expression takes this long to appear, and as long to go."""
_BLINK_EVERY_SECONDS = 3.7
_BLINK_SECONDS = 0.24


@dataclass(frozen=True, slots=True)
class Mark:
    """A face centre at a time: x, y in shares of the frame, scale in frame px per portrait px (720p)."""

    seconds: float
    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Role:
    """One person: path, mimicry and look; times are on the script's clock."""

    name: str
    marks: tuple[Mark, ...]
    acts: tuple[tuple[float, float, str], ...]
    """(from, to, expression); in between the face is neutral."""
    mirrored: bool
    sway_phase: float


ROLES = (
    Role(
        "B",
        (
            Mark(4.4, 1.32, 0.44, 1.15), Mark(6.2, 0.80, 0.43, 1.15), Mark(8.8, 0.80, 0.43, 1.15),
            Mark(12.2, 0.13, 0.43, 1.15), Mark(CUT_SECONDS, 0.14, 0.43, 1.15),
            Mark(CUT_SECONDS, 0.17, 0.40, 1.35), Mark(16.0, 0.17, 0.40, 1.35),
            Mark(17.6, -0.42, 0.42, 1.35),
        ),
        ((6.8, 8.6, "smile"), (12.6, 13.8, "surprise"), (15.0, 16.4, "smile")),
        mirrored=True,
        sway_phase=2.1,
    ),
    Role(
        "A",
        (
            Mark(0.9, -0.45, 0.47, 1.75), Mark(2.2, 0.42, 0.47, 1.75), Mark(CUT_SECONDS, 0.44, 0.47, 1.75),
            Mark(CUT_SECONDS, 0.56, 0.46, 2.2), Mark(17.9, 0.56, 0.46, 2.2), Mark(18.9, 1.55, 0.48, 2.2),
        ),
        ((3.4, 6.0, "smile"), (7.2, 9.2, "surprise"), (10.2, 12.2, "frown"), (13.0, 16.6, "smile")),
        mirrored=False,
        sway_phase=0.0,
    ),
)  # fmt: skip
"""B, then A: the order they are painted in, the one in front last."""


@dataclass(frozen=True, slots=True)
class Place:
    """Frame to posed portrait: portrait = centre + (frame - (x, y)) / (scale_x, scale_y)."""

    x: float
    y: float
    scale_x: float
    """Negative for a mirrored person."""
    scale_y: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Turns frame numbers into where people are and what they do."""

    width: int
    height: int
    fps: int
    n_frames: int
    stretch: float
    """Real seconds per second of the script."""

    @classmethod
    def checked(cls, seconds: float, size: tuple[int, int], fps: int) -> Stage:
        """A stage for this length, size (width, height) and rate.

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
        return math.ceil(CUT_SECONDS * self.stretch * self.fps - 1e-9)

    @property
    def unit(self) -> float:
        """Size of the frame against the script's."""
        return min(self.width / FRAME_WIDTH, self.height / FRAME_HEIGHT)

    def script_seconds(self, frame_index: int) -> float:
        """When a frame is, on the script's clock."""
        return frame_index / self.fps / self.stretch

    def place(self, role: Role, frame_index: int) -> Place | None:
        """Where the person's face centre is; None when not on stage."""
        now = self.script_seconds(frame_index)
        shot = [m for i, m in enumerate(role.marks) if self._in_shot(role, i, frame_index)]
        after = next((i for i, m in enumerate(shot) if m.seconds > now), None)
        if after is None or now < shot[0].seconds:
            return None
        a, b = shot[after - 1], shot[after]
        k = smooth((now - a.seconds) / (b.seconds - a.seconds))
        x, y, scale = (p + k * (q - p) for p, q in ((a.x, b.x), (a.y, b.y), (a.scale, b.scale)))
        t = frame_index / self.fps + role.sway_phase
        x += 0.004 * math.sin(1.1 * t)
        y += 0.004 * math.sin(1.7 * t)
        scale *= self.unit
        return Place(x * self.width, y * self.height, -scale * 0.94 if role.mirrored else scale, scale)

    def _in_shot(self, role: Role, mark_index: int, frame_index: int) -> bool:
        """Whether a mark belongs to the frame's shot; of two at the cut, the second is the new one's."""
        mark = role.marks[mark_index]
        begins = mark_index > 0 and role.marks[mark_index - 1].seconds == CUT_SECONDS == mark.seconds
        second = mark.seconds > CUT_SECONDS or begins
        return second == (frame_index >= self.cut_frame)

    def pose(self, role: Role, frame_index: int) -> Pose:
        """How the head is held: a slow sway that knows nothing of the script."""
        t = frame_index / self.fps + role.sway_phase
        return Pose(
            roll=math.radians(4.5 * math.sin(0.9 * t) + 1.5 * math.sin(2.3 * t + 1)),
            yaw=9.0 * math.sin(0.75 * t + 0.6),
            pitch=3.5 * math.sin(1.25 * t + 2.0),
        )

    def weights(self, role: Role, frame_index: int) -> dict[str, float]:
        """Share of each expression, 1 in all, and of the blink on top of them."""
        now = self.script_seconds(frame_index)
        shares = dict.fromkeys(EXPRESSIONS, 0.0)
        for begin, end, name in role.acts:
            shares[name] += smooth((now - begin) / _ONSET_SECONDS) * smooth((end - now) / _ONSET_SECONDS)
        shares["neutral"] = max(0.0, 1.0 - sum(shares.values()))
        phase = (frame_index / self.fps + role.sway_phase) % _BLINK_EVERY_SECONDS
        shares["blink"] = math.sin(math.pi * phase / _BLINK_SECONDS) if phase < _BLINK_SECONDS else 0.0
        return shares

    def face_box(
        self, role: Role, frame_index: int, portrait_xyxy: tuple[float, float, float, float] = FACE_XYXY
    ) -> Float32Array:
        """A part of the portrait as it lies in the frame, float32 (4,) xyxy; NaN when not on stage."""
        place = self.place(role, frame_index)
        if place is None:
            return np.full(4, np.nan, np.float32)
        x1, y1, x2, y2 = portrait_xyxy
        xm, ym = (x1 + x2) / 2, (y1 + y2) / 2
        source = np.array([[x1, ym], [x2, ym], [xm, y1], [xm, y2]], np.float32)
        posed = source.copy()
        # The warp is given from the frame to the portrait; three rounds undo it to a hundredth of a pixel.
        for _ in range(3):
            posed = source + pose_shift(posed[:, 0], posed[:, 1], self.pose(role, frame_index))
        xs = place.x + (posed[:, 0] + 0.5 - FACE_CENTRE[0]) * place.scale_x
        ys = place.y + (posed[:, 1] + 0.5 - FACE_CENTRE[1]) * place.scale_y
        return np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)


def smooth(x: float) -> float:
    """0 up to 0, 1 from 1, with level ends between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)
