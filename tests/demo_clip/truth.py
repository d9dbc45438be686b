"""The truth about the sample: whose face is where in each frame, how much of it shows, and what it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferflow.demo_clip.figure import pose_shift
from ferflow.demo_clip.portrait import FACE_CENTRE
from ferflow.demo_clip.script import FRAME_HEIGHT, FRAME_WIDTH, ROLES, SCRIPT_SECONDS, Role, Stage
from ferflow.types import Float32Array

FACE_XYXY = (178.2, 62.9, 268.1, 176.2)
"""Where YuNet finds the face in the untouched portrait."""
HAIR_XYXY = (153.0, 17.0, 300.0, 178.0)
"""The head with its hair: what hides a person standing behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTruth:
    """One person as drawn. Arrays have one row per frame."""

    name: str
    """A: the portrait, in front. B: mirrored and re-lit, behind."""
    xyxy: Float32Array
    """float32 (frames, 4): the face in pixels, about as YuNet boxes it; NaN while out of frame."""
    visible: Float32Array
    """float32 (frames,) in [0, 1]: the part of that box inside the frame and not behind the other head."""
    expression: tuple[str, ...]
    """What was drawn most: neutral, smile, surprise or frown; `off` while not on screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTruth:
    """What `draw_sample` draws for the same arguments."""

    size: tuple[int, int]
    """Width, height in pixels."""
    fps: int
    n_frames: int
    cut_frame: int
    """First frame of the second shot."""
    people: tuple[PersonTruth, PersonTruth]
    """A, then B."""

    @property
    def empty(self) -> npt.NDArray[np.bool_]:
        """Bool (frames,): nothing of either face is in the frame."""
        return np.asarray((self.people[0].visible == 0) & (self.people[1].visible == 0))


def sample_script(
    *, seconds: float = SCRIPT_SECONDS, size: tuple[int, int] = (FRAME_WIDTH, FRAME_HEIGHT), fps: int = 30
) -> SampleTruth:
    """The truth behind the drawing, without drawing it.

    Raises:
        OptionsError: a length, size or rate that cannot be drawn.
    """
    stage = Stage.create(seconds, size, fps)
    b_role, a_role = ROLES
    a_boxes = np.stack([face_box(stage, a_role, i) for i in range(stage.n_frames)])
    b_boxes = np.stack([face_box(stage, b_role, i) for i in range(stage.n_frames)])
    a_hair = np.stack([face_box(stage, a_role, i, HAIR_XYXY) for i in range(stage.n_frames)])
    nobody = np.zeros_like(a_hair)
    return SampleTruth(
        size=size,
        fps=fps,
        n_frames=stage.n_frames,
        cut_frame=stage.cut_frame,
        people=(
            _person_truth(stage, a_role, a_boxes, nobody),
            _person_truth(stage, b_role, b_boxes, a_hair),
        ),
    )


def face_box(
    stage: Stage, role: Role, frame_index: int, portrait_xyxy: tuple[float, float, float, float] = FACE_XYXY
) -> Float32Array:
    """A part of the portrait as it lies in the frame, float32 (4,) xyxy; NaN when not on screen."""
    place = stage.place(role, frame_index)
    if place is None:
        return np.full(4, np.nan, np.float32)
    x1, y1, x2, y2 = portrait_xyxy
    xm, ym = (x1 + x2) / 2, (y1 + y2) / 2
    source = np.array([[x1, ym], [x2, ym], [xm, y1], [xm, y2]], np.float32)
    posed = source.copy()
    # The warp is given from the frame to the portrait; three rounds invert it to a hundredth of a pixel.
    for _ in range(3):
        posed = source + pose_shift(posed[:, 0], posed[:, 1], stage.pose(role, frame_index))
    xs = place.x + (posed[:, 0] + 0.5 - FACE_CENTRE[0]) * place.scale_x
    ys = place.y + (posed[:, 1] + 0.5 - FACE_CENTRE[1]) * place.scale_y
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)


def _person_truth(stage: Stage, role: Role, boxes: Float32Array, in_front: Float32Array) -> PersonTruth:
    frame = np.array([0, 0, stage.width, stage.height], np.float32)
    inside = _clipped(boxes, np.broadcast_to(frame, boxes.shape))
    hidden = _area(_clipped(inside, in_front))
    visible = np.nan_to_num((_area(inside) - np.nan_to_num(hidden)) / _area(boxes)).astype(np.float32)
    names = []
    for i in range(stage.n_frames):
        shares = stage.weights(role, i)
        shares.pop("blink")
        names.append(max(shares, key=lambda name: shares[name]) if _area(inside[i]) > 0 else "off")
    xyxy = np.where((_area(inside) > 0)[:, None], boxes, np.nan).astype(np.float32)
    return PersonTruth(name=role.name, xyxy=xyxy, visible=visible, expression=tuple(names))


def _clipped(boxes: Float32Array, by: Float32Array) -> Float32Array:
    near, far = np.maximum(boxes[..., :2], by[..., :2]), np.minimum(boxes[..., 2:], by[..., 2:])
    return np.concatenate([near, far], -1)


def _area(boxes: Float32Array) -> Float32Array:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])
