"""Draw a short video to try ferflow on: two people, a crossing, a cut, and stretches with nobody.

Both people are warps of one public-domain portrait (NASA, Eileen Collins, as shipped in scikit-image); it
is read from that package at run time. Smiles and surprise are drawn by moving landmarks and what lies
between them. What a network calls those faces is for the network to say: `PersonTruth.expression` is what was
*drawn*, not what is felt or recognised.

>>> truth = sample_script(seconds=20.0)
>>> truth.cut_frame, truth.people[0].name
(450, 'A')
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError, VideoError

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""

SCRIPT_SECONDS = 20.0
"""Every time in the script below is on this clock; another length stretches or shrinks it."""
CUT_SECONDS = 15.0
"""The hard shot cut: another room, both people nearer."""
FRAME_HEIGHT = 720
FRAME_WIDTH = 1280
"""Scales in the script are frame pixels per portrait pixel at this size."""
AUDIO_RATE_HZ = 48_000

# ---- The portrait: everything below is in pixels of the 512 x 512 image, read off it by eye. ----

_FACE_XYXY = (178.2, 62.9, 268.1, 176.2)
"""Where YuNet sees the face in the untouched portrait."""
_FACE_CENTRE = (223.1, 119.6)
_HAIR_XYXY = (153.0, 17.0, 300.0, 178.0)
"""The head with its hair: what hides a person standing behind."""
_FIGURE_TOP = 10
_CROP_CENTRE, _CROP_HALF = (225, 106), 96
"""Square round the head for `face_image`."""

_SILHOUETTE = (
    (277, 32), (262, 24), (247, 18), (223, 17), (201, 23), (186, 37), (171, 45), (158, 56), (153, 68),
    (154, 92), (157, 103), (164, 113), (170, 119), (172, 127), (177, 131), (183, 132), (184, 142),
    (187, 151), (174, 149), (153, 151), (143, 156), (132, 166), (126, 180), (125, 186), (114, 189),
    (114, 196), (117, 203), (111, 208), (92, 225), (69, 242), (52, 262), (44, 280), (37, 310), (27, 345),
    (22, 385), (22, 420), (24, 445), (24, 470), (31, 495), (42, 511), (511, 511), (511, 489), (505, 480),
    (499, 462), (494, 450), (490, 420), (482, 397), (465, 373), (440, 356), (415, 346), (395, 344),
    (375, 346), (359, 349), (361, 333), (357, 323), (354, 303), (350, 288), (341, 264), (331, 253),
    (304, 234), (300, 222), (289, 203), (272, 184), (254, 174), (256, 161), (263, 150), (265, 137),
    (272, 135), (278, 129), (288, 119), (295, 109), (300, 92), (299, 73), (295, 56), (288, 43),
)  # fmt: skip
_FACE_OUTLINE = (
    (186, 66), (195, 76), (205, 80), (228, 82), (245, 85), (258, 89), (266, 90), (271, 110), (273, 127),
    (281, 128), (274, 138), (266, 142), (264, 152), (257, 163), (257, 192), (185, 192), (186, 156),
    (182, 140), (168, 130), (170, 119), (179, 121), (180, 110), (184, 90),
)  # fmt: skip
_MOUTH_OPENING = (
    (202.5, 139.5), (209, 141.6), (216, 142.6), (223, 143.3), (230, 143.1), (238, 142.3), (245, 141),
    (238, 146), (230, 149.3), (223, 150.3), (216, 149.5), (209, 146.3),
)  # fmt: skip
_PARTING = (
    (202.5, 139), (209, 142.6), (216, 144.4), (223, 145.2), (230, 144.9), (238, 143), (245, 140.5),
    (238, 145.5), (230, 147.7), (223, 148.2), (216, 147.4), (209, 145),
)  # fmt: skip
"""Where closed lips meet; drawn inside the open mouth, which closing then squeezes to a line."""
_LOWER_LIP = (slice(151, 154), slice(214, 232))
_DARK_RGB = np.array([62, 26, 26], np.float32)
_FOLDS = (((204, 128), (197, 138)), ((241, 129), (249, 141)))
"""Creases from nose to mouth that a relaxed face does not have."""

# (x, y) left and right in the picture, from the outer side inwards; a single point lies on the midline.
_Pair = tuple[float, float, float, float]
_PAIRS: Mapping[str, tuple[_Pair, ...]] = {
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
_MIDDLE: Mapping[str, tuple[float, float]] = {
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


Mouth = Literal["teeth", "closed", "open"]
"""`teeth` is the photograph; the others also lose the smile's creases."""


@dataclass(frozen=True, slots=True)
class _Expression:
    """Where landmarks go, and what shows between the lips."""

    moves: Mapping[str, tuple[tuple[float, float], ...]]
    """Group to (outward, downward) in portrait pixels, one per pair; groups not named stay."""
    mouth: Mouth | None
    """None: laid over another expression, whose mouth it leaves alone."""


_EXPRESSIONS: Mapping[str, _Expression] = {
    "neutral": _Expression(
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
    "smile": _Expression(
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
    "surprise": _Expression(
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
    "frown": _Expression(
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
    "blink": _Expression(
        {
            "lid_upper": ((0, 3.6), (0, 5.2), (0, 3.9)),
            "lid_lower": ((0, -0.9), (0, -1.5), (0, -0.9)),
        },
        mouth=None,
    ),
}
_PATCH_XYXY = (160, 56, 290, 206)
"""The part of the portrait that expressions may move."""
_PATCH_MARGIN = 10
"""Portrait pixels over which the movement fades at the patch's border."""

# ---- The script, in seconds of SCRIPT_SECONDS. ----


@dataclass(frozen=True, slots=True)
class _Mark:
    """A face centre at a time: x, y in shares of the frame, scale in frame px per portrait px (720p)."""

    seconds: float
    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class _Role:
    """One person: path, mimicry and look."""

    name: str
    marks: tuple[_Mark, ...]
    acts: tuple[tuple[float, float, str], ...]
    """(from, to, expression); in between the face is neutral."""
    mirrored: bool
    sway_phase: float


_ROLES = (
    _Role(  # Behind: drawn first.
        "B",
        (
            _Mark(4.4, 1.32, 0.44, 1.15), _Mark(6.2, 0.80, 0.43, 1.15), _Mark(8.8, 0.80, 0.43, 1.15),
            _Mark(12.2, 0.13, 0.43, 1.15), _Mark(CUT_SECONDS, 0.14, 0.43, 1.15),
            _Mark(CUT_SECONDS, 0.17, 0.40, 1.35), _Mark(16.0, 0.17, 0.40, 1.35),
            _Mark(17.6, -0.42, 0.42, 1.35),
        ),
        ((6.8, 8.6, "smile"), (12.6, 13.8, "surprise"), (15.0, 16.4, "smile")),
        mirrored=True,
        sway_phase=2.1,
    ),
    _Role(
        "A",
        (
            _Mark(0.9, -0.45, 0.47, 1.75), _Mark(2.2, 0.42, 0.47, 1.75), _Mark(CUT_SECONDS, 0.44, 0.47, 1.75),
            _Mark(CUT_SECONDS, 0.56, 0.46, 2.2), _Mark(17.9, 0.56, 0.46, 2.2), _Mark(18.9, 1.55, 0.48, 2.2),
        ),
        ((3.4, 6.0, "smile"), (7.2, 9.2, "surprise"), (10.2, 12.2, "frown"), (13.0, 16.6, "smile")),
        mirrored=False,
        sway_phase=0.0,
    ),
)  # fmt: skip
_ONSET_SECONDS = 0.45
"""An expression takes this long to appear, and as long to go."""
_BLINK_EVERY_SECONDS = 3.7
_BLINK_SECONDS = 0.24
_TITLE_UNTIL_SECONDS = 0.9
_TITLE = ("ferflow sample", "drawn from one public-domain portrait (NASA)", "no real scene, no real feelings")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTruth:
    """One person as drawn. Arrays have one row per frame."""

    name: str
    """A: the portrait, in front. B: mirrored and re-lit, behind."""
    xyxy: FloatArray
    """float32 (frames, 4): the face in pixels, about as YuNet boxes it; NaN while out of frame."""
    visible: FloatArray
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
    stage = _Stage.checked(seconds, size, fps)
    b_role, a_role = _ROLES
    a_boxes = np.stack([stage.face_box(a_role, i) for i in range(stage.n_frames)])
    b_boxes = np.stack([stage.face_box(b_role, i) for i in range(stage.n_frames)])
    a_hair = np.stack([stage.face_box(a_role, i, _HAIR_XYXY) for i in range(stage.n_frames)])
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


def draw_sample(
    path: Path,
    *,
    seconds: float = SCRIPT_SECONDS,
    size: tuple[int, int] = (FRAME_WIDTH, FRAME_HEIGHT),
    fps: int = 30,
    progress: Progress | None = None,
) -> None:
    """Write the sample as MP4: H.264 (MPEG-4 Part 2 where libx264 is missing) and quiet AAC sound.

    The file appears under its name only when it is whole. The same arguments give the same pictures.

    Raises:
        OptionsError: a length, size or rate that cannot be drawn, or a folder that is not there.
        VideoError: the portrait is missing, or the file cannot be written.
    """
    import av

    stage = _Stage.checked(seconds, size, fps)
    if not path.parent.is_dir():
        raise OptionsError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    portrait = _portrait()
    unfinished = path.with_name(path.name + ".tmp")
    try:
        _encode(unfinished, stage, _draw_frames(stage, portrait), progress)
        unfinished.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(
            f"{path}: the sample could not be written ({error}). Check the folder's rights and free space."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def face_image(size: int) -> ByteArray:
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
    crop = _portrait()[y - half : y + half, x - half : x + half]
    return _resized(crop, (size, size))


# ---- Time and place ----


@dataclass(frozen=True, slots=True)
class _Pose:
    """Movements of the head, beyond the path of the person."""

    roll: float
    """Radians, clockwise on screen for an unmirrored person."""
    yaw: float
    pitch: float
    """How far the tip of the face slides over the skull, portrait px: a turn of the head, faked."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Frame to posed portrait: portrait = centre + (frame - (x, y)) / (scale_x, scale_y)."""

    x: float
    y: float
    scale_x: float
    """Negative for a mirrored person."""
    scale_y: float


@dataclass(frozen=True, slots=True)
class _Stage:
    """Turns frame numbers into where people are and what they do."""

    width: int
    height: int
    fps: int
    n_frames: int
    stretch: float
    """Real seconds per second of the script."""

    @classmethod
    def checked(cls, seconds: float, size: tuple[int, int], fps: int) -> _Stage:
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
        return math.ceil(CUT_SECONDS * self.stretch * self.fps - 1e-9)

    @property
    def unit(self) -> float:
        """Size of the frame against the script's."""
        return min(self.width / FRAME_WIDTH, self.height / FRAME_HEIGHT)

    def script_seconds(self, frame_index: int) -> float:
        return frame_index / self.fps / self.stretch

    def place(self, role: _Role, frame_index: int) -> _Place | None:
        """Where the person's face centre is; None when not on stage."""
        now = self.script_seconds(frame_index)
        shot = [m for i, m in enumerate(role.marks) if self._in_shot(role, i, frame_index)]
        after = next((i for i, m in enumerate(shot) if m.seconds > now), None)
        if after is None or now < shot[0].seconds:
            return None
        a, b = shot[after - 1], shot[after]
        k = _smooth((now - a.seconds) / (b.seconds - a.seconds))
        x, y, scale = (p + k * (q - p) for p, q in ((a.x, b.x), (a.y, b.y), (a.scale, b.scale)))
        t = frame_index / self.fps + role.sway_phase
        x += 0.004 * math.sin(1.1 * t)
        y += 0.004 * math.sin(1.7 * t)
        scale *= self.unit
        return _Place(x * self.width, y * self.height, -scale * 0.94 if role.mirrored else scale, scale)

    def _in_shot(self, role: _Role, mark_index: int, frame_index: int) -> bool:
        """Whether a mark belongs to the frame's shot; of two at the cut, the second is the new one's."""
        mark = role.marks[mark_index]
        begins = mark_index > 0 and role.marks[mark_index - 1].seconds == CUT_SECONDS == mark.seconds
        second = mark.seconds > CUT_SECONDS or begins
        return second == (frame_index >= self.cut_frame)

    def pose(self, role: _Role, frame_index: int) -> _Pose:
        t = frame_index / self.fps + role.sway_phase
        return _Pose(
            roll=math.radians(4.5 * math.sin(0.9 * t) + 1.5 * math.sin(2.3 * t + 1)),
            yaw=9.0 * math.sin(0.75 * t + 0.6),
            pitch=3.5 * math.sin(1.25 * t + 2.0),
        )

    def weights(self, role: _Role, frame_index: int) -> dict[str, float]:
        """Share of each expression, 1 in all, and of the blink on top of them."""
        now = self.script_seconds(frame_index)
        shares = dict.fromkeys(_EXPRESSIONS, 0.0)
        for begin, end, name in role.acts:
            shares[name] += _smooth((now - begin) / _ONSET_SECONDS) * _smooth((end - now) / _ONSET_SECONDS)
        shares["neutral"] = max(0.0, 1.0 - sum(shares.values()))
        phase = (frame_index / self.fps + role.sway_phase) % _BLINK_EVERY_SECONDS
        shares["blink"] = math.sin(math.pi * phase / _BLINK_SECONDS) if phase < _BLINK_SECONDS else 0.0
        return shares

    def face_box(
        self, role: _Role, frame_index: int, portrait_xyxy: tuple[float, float, float, float] = _FACE_XYXY
    ) -> FloatArray:
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
            posed = source + _pose_shift(posed[:, 0], posed[:, 1], self.pose(role, frame_index))
        xs = place.x + (posed[:, 0] + 0.5 - _FACE_CENTRE[0]) * place.scale_x
        ys = place.y + (posed[:, 1] + 0.5 - _FACE_CENTRE[1]) * place.scale_y
        return np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)


def _smooth(x: float) -> float:
    """0 up to 0, 1 from 1, with level ends between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


def _person_truth(stage: _Stage, role: _Role, boxes: FloatArray, in_front: FloatArray) -> PersonTruth:
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


def _clipped(boxes: FloatArray, by: FloatArray) -> FloatArray:
    near, far = np.maximum(boxes[..., :2], by[..., :2]), np.minimum(boxes[..., 2:], by[..., 2:])
    return np.concatenate([near, far], -1)


def _area(boxes: FloatArray) -> FloatArray:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _pose_shift(x: npt.NDArray[Any], y: npt.NDArray[Any], pose: _Pose) -> FloatArray:
    """How far the pose carries a point of the portrait, float32 x.shape + (2,), portrait px.

    The head turns about the neck and as one, fading out over collar and shoulders; yaw and pitch move the
    middle of the face more than its rim, as a rounded thing does.
    """
    head = np.hypot((x - 225) / 95, (y - 95) / 105)
    as_one = 1 - np.clip((head - 0.78) / 0.5, 0, 1)
    as_one = as_one * as_one * (3 - 2 * as_one)
    dome = np.clip(1 - ((x - 224) / 74) ** 2 - ((y - 108) / 92) ** 2, 0, 1) ** 1.5
    dome = dome + 0.22 * np.exp(-(((x - 222) / 11) ** 2) - ((y - 124) / 15) ** 2)
    sine, versine = math.sin(pose.roll), math.cos(pose.roll) - 1
    from_neck_x, from_neck_y = x - 222, y - 185
    dx = as_one * (versine * from_neck_x - sine * from_neck_y + 0.35 * pose.yaw) + dome * pose.yaw
    dy = as_one * (sine * from_neck_x + versine * from_neck_y + 0.35 * pose.pitch) + dome * pose.pitch
    return np.stack([dx, dy], -1).astype(np.float32)


# ---- The portrait and its warps ----


def _portrait() -> ByteArray:
    """The photograph, uint8 (512, 512, 3), RGB.

    Raises:
        VideoError: scikit-image or its picture is not installed.
    """
    try:
        from skimage import data

        image: ByteArray = np.asarray(data.astronaut())  # type: ignore[no-untyped-call]
    except (ImportError, OSError) as error:
        raise VideoError(
            f"the portrait for the sample cannot be read ({error}). Reinstall scikit-image, which brings it."
        ) from error
    if image.shape != (512, 512, 3) or image.dtype != np.uint8:
        raise VideoError(f"scikit-image's portrait is {image.dtype} {image.shape}, not uint8 (512, 512, 3).")
    return image


def _polygon(points: tuple[tuple[float, float], ...], blur: float) -> FloatArray:
    """Soft mask, float32 (512, 512) in [0, 1]; `blur` is the edge's sigma in portrait px."""
    mask = np.zeros((512, 512), np.uint8)
    # Four fractional bits: at whole pixels the mouth's outline would be steps.
    cv2.fillPoly(mask, [np.round(np.array(points) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur), np.float32)


def _mouths(image: FloatArray) -> dict[Mouth, FloatArray]:
    """The portrait with other things between the lips, each float32 (512, 512, 3)."""
    creases = np.zeros((512, 512), np.float32)
    for begin, end in _FOLDS:
        cv2.line(creases, begin, end, 1.0, 5, cv2.LINE_AA)
    share = np.clip(cv2.GaussianBlur(creases, (0, 0), 2.5), 0, 0.85)[..., None]
    smooth = image + share * (cv2.GaussianBlur(image, (0, 0), 5) - image)
    opening = _polygon(_MOUTH_OPENING, 0.5)[..., None]
    lips = 0.88 * image[_LOWER_LIP].mean(axis=(0, 1))
    parting = _polygon(_PARTING, 0.6)[..., None]
    closed = smooth + opening * (lips - smooth)
    return {
        "teeth": image,
        "closed": np.asarray(closed + parting * (_DARK_RGB - closed), np.float32),
        "open": np.asarray(smooth + opening * (_DARK_RGB - smooth), np.float32),
    }


def _spread(image: FloatArray) -> FloatArray:
    """The person's own colours carried over the edge, where the photograph's backdrop would shine."""
    core = np.asarray(_polygon(_SILHOUETTE, 1.2) > 0.93, np.float32)[..., None]
    near = cv2.GaussianBlur(image * core, (0, 0), 2.5)
    weight = cv2.GaussianBlur(core, (0, 0), 2.5)[..., None]
    edge = near / np.maximum(weight, 1e-3)
    return np.asarray(np.where(core > 0, image, edge), np.float32)


def _someone_else(image: FloatArray) -> FloatArray:
    """Person B's colours: dark hair, warmer skin, a blue suit, cooler light; float32 (512, 512, 3)."""
    rows = np.arange(512, dtype=np.float32)[:, None]
    face = _polygon(_FACE_OUTLINE, 1.5)
    above_collar = np.clip((150 - rows) / 6, 0, 1)
    below_collar = np.clip((rows - 192) / 6, 0, 1) * (1 - face)
    hair = (above_collar * (1 - face))[..., None]
    image = np.asarray(image / 255, np.float32)
    dark = (image**1.35) * np.array([0.42, 0.33, 0.30], np.float32)
    skin = (image**1.25) * np.array([0.98, 0.86, 0.76], np.float32)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    orange = np.clip((hsv[..., 1] - 0.35) / 0.2, 0, 1) * ((hsv[..., 0] < 40) | (hsv[..., 0] > 340))
    hsv[..., 0], hsv[..., 1], hsv[..., 2] = 205, hsv[..., 1] * 0.6, hsv[..., 2] * 0.62
    blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    out = image + face[..., None] * (skin - image)
    out = out + (orange * below_collar)[..., None] * (blue - out)
    out = out + hair * (dark - out)
    return np.asarray(np.clip(out * np.array([0.93, 0.97, 1.04], np.float32), 0, 1) * 255, np.float32)


def _resized(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _expression_shift(expression: _Expression) -> FloatArray:
    """Where each pixel of the face patch comes from, less its own place; float32 (h, w, 2), portrait px.

    Interpolated between landmarks with the kernel |r|: a thin-plate spline, smoother, overshoots below closed
    lips and smears the chin.
    """
    points, moves = [], []
    for name, pairs in _PAIRS.items():
        wanted = expression.moves.get(name, ((0.0, 0.0),) * len(pairs))
        for (xl, yl, xr, yr), (outward, downward) in zip(pairs, wanted, strict=True):
            points += [(xl, yl), (xr, yr)]
            moves += [(-outward, downward), (outward, downward)]
    for name, point in _MIDDLE.items():
        points.append(point)
        moves.append(expression.moves.get(name, ((0.0, 0.0),))[0])
    x1, y1, x2, y2 = _PATCH_XYXY
    rim = [(x, y) for x in (x1, x2) for y in (y1, (y1 + y2) / 2, y2)]
    landed = np.array(points + rim) + np.array(moves + [(0.0, 0.0)] * len(rim))
    origin = np.array(points + rim)
    ys, xs = np.mgrid[y1:y2, x1:x2].astype(np.float64)
    shift = _interpolated(landed, origin - landed, np.stack([xs, ys], -1))
    border = np.minimum.reduce([xs - x1, x2 - 1 - xs, ys - y1, y2 - 1 - ys])
    # The kernel has a tip at each landmark; a pixel of blur takes it off.
    blurred = cv2.GaussianBlur(shift, (0, 0), 0.8)
    return np.asarray(blurred * np.clip(border / _PATCH_MARGIN, 0, 1)[..., None], np.float32)


def _interpolated(
    at: npt.NDArray[np.float64], values: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Radial basis interpolation, kernel |r| and a constant: (n, 2) values at (n, 2) places, for (..., 2)."""
    n = len(at)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = np.linalg.norm(at[:, None] - at[None], axis=-1)
    system[n, n] = 0
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((1, 2))]))
    reach = np.linalg.norm(points[..., None, :] - at, axis=-1)
    return np.asarray(reach @ weights[:n] + weights[n])


def _remapped(image: ByteArray, source: npt.NDArray[Any]) -> ByteArray:
    """Pixels of `image` (h, w, 4) at float32 (H, W, 2) x, y; nothing outside it."""
    # OpenCV accepts no second map beside a two-channel first one; its stubs do not know.
    return np.asarray(cv2.remap(image, source, None, cv2.INTER_LINEAR), np.uint8)  # type: ignore[call-overload]


class _Figure:
    """One person's picture at the density it is shown at; `posed` rewrites its face and warps it whole."""

    def __init__(self, image: FloatArray, density: float, shifts: Mapping[str, FloatArray]) -> None:
        side = round(512 * density)
        self.density = side / 512
        alpha = _polygon(_SILHOUETTE, 0.9)[..., None]
        self._sprite = self._premultiplied(_spread(image), alpha, side)
        x1, y1, x2, y2 = (round(v * self.density) for v in _PATCH_XYXY)
        self._patch = (slice(y1, y2), slice(x1, x2))
        self._faces = {
            mouth: self._premultiplied(_spread(picture), alpha, side)[self._patch].astype(np.float32)
            for mouth, picture in _mouths(image).items()
        }
        self._grid = np.stack(np.meshgrid(np.arange(x2 - x1), np.arange(y2 - y1)), -1).astype(np.float32)
        self._shifts = {
            name: cv2.resize(shift, (x2 - x1, y2 - y1)) * np.float32(self.density)
            for name, shift in shifts.items()
        }

    @staticmethod
    def _premultiplied(image: FloatArray, alpha: FloatArray, side: int) -> ByteArray:
        """uint8 (side, side, 4): colour times alpha, alpha."""
        both = np.concatenate([image * alpha, alpha * 255], -1).astype(np.float32)
        return np.clip(np.round(_resized(both, (side, side))), 0, 255).astype(np.uint8)

    def with_face(self, shares: Mapping[str, float]) -> ByteArray:
        """The sprite with an expression on it, uint8 (side, side, 4); valid until the next call."""
        source = self._grid.copy()
        for name, share in shares.items():
            if share > 0:
                source += self._shifts[name] * np.float32(share)
        face = np.full_like(self._faces["teeth"], 0.5)
        for mouth in get_args(Mouth):
            share = sum(share for name, share in shares.items() if _EXPRESSIONS[name].mouth == mouth)
            if share > 0:
                face += self._faces[mouth] * np.float32(share)
        self._sprite[self._patch] = _remapped(face.astype(np.uint8), source)
        return self._sprite


_CELL = 8
"""Frame pixels between points where the smooth pose warp is computed; the rest is interpolated."""


def _paint(
    canvas: ByteArray, figure: _Figure, shares: Mapping[str, float], place: _Place, pose: _Pose
) -> None:
    """Draw a person over an RGB frame, uint8 (h, w, 3), in place."""
    height, width = canvas.shape[:2]
    across = sorted(place.x + (edge - _FACE_CENTRE[0]) * place.scale_x for edge in (0, 512))
    x1, x2 = max(0, math.floor(across[0])), min(width, math.ceil(across[1]))
    y1 = max(0, math.floor(place.y + (_FIGURE_TOP - _FACE_CENTRE[1]) * place.scale_y))
    if x1 >= x2 or y1 >= height:
        return
    cols, rows = (x2 - x1) // _CELL + 3, (height - y1) // _CELL + 3
    # Cell centres, from one cell outside the region on each side, so that no border value is repeated inside.
    xs = x1 + _CELL * (np.arange(cols, dtype=np.float32) - 0.5) - 0.5
    ys = y1 + _CELL * (np.arange(rows, dtype=np.float32) - 0.5) - 0.5
    grid_x, grid_y = np.meshgrid(
        (xs + 0.5 - place.x) / place.scale_x + _FACE_CENTRE[0] - 0.5,
        (ys + 0.5 - place.y) / place.scale_y + _FACE_CENTRE[1] - 0.5,
    )
    source = np.stack([grid_x, grid_y], -1) - _pose_shift(grid_x, grid_y, pose)
    source = ((source + 0.5) * figure.density - 0.5).astype(np.float32)
    dense = cv2.resize(source, (cols * _CELL, rows * _CELL), interpolation=cv2.INTER_LINEAR)
    dense = dense[_CELL : _CELL + height - y1, _CELL : _CELL + x2 - x1]
    drawn = _remapped(figure.with_face(shares), dense)
    region = canvas[y1:height, x1:x2]
    through = cv2.cvtColor(255 - drawn[..., 3], cv2.COLOR_GRAY2RGB)
    region[:] = cv2.add(cv2.multiply(region, through, scale=1 / 255), cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB))


# ---- Rooms, frames, sound, file ----


def _room(width: int, height: int, *, evening: bool) -> ByteArray:
    """A plain drawn room, uint8 (height, width, 3), RGB."""
    wall, floor, frame, pane, shelf = (
        ((96, 108, 122), (62, 66, 76), (52, 58, 68), (34, 44, 78), (120, 104, 88))
        if evening
        else ((206, 200, 190), (158, 138, 118), (236, 232, 226), (176, 202, 222), (140, 112, 88))
    )

    def box(x1: float, y1: float, x2: float, y2: float, colour: tuple[int, int, int]) -> None:
        corner = (round(x1 * width), round(y1 * height))
        cv2.rectangle(room, corner, (round(x2 * width), round(y2 * height)), colour, -1)

    room = np.full((height, width, 3), wall, np.uint8)
    left = 0.06 if evening else 0.66
    box(left, 0.08, left + 0.26, 0.52, frame)
    box(left + 0.01, 0.10, left + 0.125, 0.50, pane)
    box(left + 0.135, 0.10, left + 0.25, 0.50, pane)
    side = 0.72 if evening else 0.05
    box(side, 0.30, side + 0.22, 0.32, shelf)
    for i, tall in enumerate((0.12, 0.15, 0.10, 0.14, 0.13)):
        shade = 70 + 26 * i
        begin = side + 0.02 + 0.022 * i
        box(begin, 0.30 - tall, begin + 0.018, 0.30, (shade, 96, 160 - shade // 2))
    box(0, 0.80, 1, 1, floor)
    box(0, 0.79, 1, 0.805, frame)
    light = np.linspace(1.06, 0.86, width, dtype=np.float32)[None, :, None]
    blurred = cv2.GaussianBlur(room, (0, 0), max(0.6, height / 240))
    # Without dither the light falls off in visible steps of one grey level.
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(blurred * light + dither, 0, 255), np.uint8)


def _titled(room: ByteArray) -> ByteArray:
    """A copy of the room with the title on it."""
    card = room.copy()
    height, width = card.shape[:2]
    for i, line in enumerate(_TITLE):
        scale = height / (300 if i == 0 else 700)
        thickness = max(1, round(scale * 2))
        (w, h), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
        at = ((width - w) // 2, round(height * (0.40, 0.52, 0.59)[i]) + h // 2)
        cv2.putText(card, line, at, cv2.FONT_HERSHEY_DUPLEX, scale, (44, 48, 58), thickness, cv2.LINE_AA)
    return card


def _draw_frames(stage: _Stage, portrait: ByteArray) -> Iterator[ByteArray]:
    """Every frame in turn, uint8 (height, width, 3), RGB; each is a fresh array."""
    rooms = [_room(stage.width, stage.height, evening=evening) for evening in (False, True)]
    title = _titled(rooms[0])
    plain = portrait.astype(np.float32)
    looks = {"A": plain, "B": _someone_else(plain)}
    shifts = {name: _expression_shift(expression) for name, expression in _EXPRESSIONS.items()}
    figures = {role.name: _Figure(looks[role.name], _density(role, stage.unit), shifts) for role in _ROLES}
    for i in range(stage.n_frames):
        canvas = rooms[int(i >= stage.cut_frame)].copy()
        title_share = _smooth((_TITLE_UNTIL_SECONDS - stage.script_seconds(i)) / 0.3)
        if title_share > 0:
            canvas = np.asarray(cv2.addWeighted(title, title_share, canvas, 1 - title_share, 0), np.uint8)
        for role in _ROLES:
            place = stage.place(role, i)
            if place is not None:
                _paint(canvas, figures[role.name], stage.weights(role, i), place, stage.pose(role, i))
        yield canvas


def _density(role: _Role, unit: float) -> float:
    """Sprite px per portrait px: what the first shot needs, so that remapping neither blurs nor aliases."""
    return max(0.25, role.marks[1].scale * unit * 1.1)


def _tone(n_samples: int) -> FloatArray:
    """A quiet, slowly breathing chord, float32 (1, n_samples), peak about -26 dBFS."""
    t = np.arange(n_samples, dtype=np.float64) / AUDIO_RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * t) / (i + 1) for i, hz in enumerate((110.0, 164.8, 220.0, 277.2)))
    breath = 0.6 + 0.4 * np.sin(2 * np.pi * 0.15 * t)
    ends = np.clip(np.minimum(t, t[-1] - t) / 0.5, 0, 1)
    return np.asarray(0.025 * chord * breath * ends, np.float32)[None]


def _encode(path: Path, stage: _Stage, frames: Iterator[ByteArray], progress: Progress | None) -> None:
    """Write frames and the tone to an MP4, sound interleaved with the pictures it belongs to."""
    import av

    tone = _tone(round(stage.n_frames * AUDIO_RATE_HZ / stage.fps))
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = _video_stream(container, stage)
        audio = container.add_stream("aac", rate=AUDIO_RATE_HZ, layout="mono", options={"aac_coder": "fast"})
        sent = 0
        for i, frame in enumerate(frames):
            planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8)
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, stage.fps)
            container.mux(video.encode(picture))
            while sent < min(tone.shape[1], (i + 1) * AUDIO_RATE_HZ // stage.fps):
                sound = av.AudioFrame.from_ndarray(tone[:, sent : sent + 1024], format="fltp", layout="mono")
                sound.sample_rate, sound.pts = AUDIO_RATE_HZ, sent
                sound.time_base = Fraction(1, AUDIO_RATE_HZ)
                container.mux(audio.encode(sound))
                sent += sound.samples
            if progress is not None:
                progress(i + 1, stage.n_frames)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _video_stream(container: Any, stage: _Stage) -> Any:
    """The video stream, H.264 where this FFmpeg can write it."""
    import av

    name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "22", "preset": "superfast"} if name == "libx264" else {"qscale": "3"}
    video = container.add_stream(name, rate=stage.fps, options=options)
    video.width, video.height, video.pix_fmt = stage.width, stage.height, "yuv420p"
    context = video.codec_context
    context.time_base = Fraction(1, stage.fps)
    # Another thread count may give other bytes: fixed, so that the file is the same on any machine.
    context.thread_count = 2
    # OpenCV converts with BT.601, limited range; said, so that no player guesses from the size.
    context.colorspace, context.color_range = 6, 1
    return video
