"""The sample as a file: rooms, frames and sound."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ferflow.demo_clip.expressions import EXPRESSIONS, expression_shift
from ferflow.demo_clip.figure import Figure, paint
from ferflow.demo_clip.portrait import read_portrait, recolour
from ferflow.demo_clip.script import FRAME_HEIGHT, FRAME_WIDTH, ROLES, SCRIPT_SECONDS, Stage, smoothstep
from ferflow.errors import OptionsError
from ferflow.media.encode import EncodedSamples, VideoSettings, open_video_writer
from ferflow.types import Float32Array, UInt8Array

AUDIO_RATE_HZ = 48_000
# Colours of wall, floor, window frames, panes and shelf, RGB.
_DAY = ((206, 200, 190), (158, 138, 118), (236, 232, 226), (176, 202, 222), (140, 112, 88))
_EVENING = ((96, 108, 122), (62, 66, 76), (52, 58, 68), (34, 44, 78), (120, 104, 88))
_TITLE_UNTIL_SECONDS = 0.9
"""On the script's clock."""
_TITLE = ("ferflow sample", "drawn from one public-domain portrait (NASA)", "no real scene, no real feelings")


def draw_sample(
    path: Path,
    *,
    seconds: float = SCRIPT_SECONDS,
    size: tuple[int, int] = (FRAME_WIDTH, FRAME_HEIGHT),
    fps: int = 30,
) -> int:
    """Write the sample as MP4: H.264 and quiet AAC sound. The same arguments give the same file.

    Returns:
        The number of frames.

    Raises:
        OptionsError: a length, size or rate that cannot be drawn, or a folder that does not exist.
        VideoError: the portrait is missing, or the file cannot be written.
    """
    stage = Stage.create(seconds, size, fps)
    if not path.parent.is_dir():
        raise OptionsError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    frames = _draw_frames(stage, read_portrait())
    settings = VideoSettings(
        size=size, frame_rate=fps, time_base=Fraction(1, fps), crf=22, preset="superfast"
    )
    sound = EncodedSamples(_make_tone(round(stage.n_frames * AUDIO_RATE_HZ / fps)), rate=AUDIO_RATE_HZ)
    with open_video_writer(path, settings, sound) as writer:
        for i, frame in enumerate(frames):
            writer.write(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), np.uint8), Fraction(i, fps))
    return stage.n_frames


def _draw_frames(stage: Stage, portrait: UInt8Array) -> Iterator[UInt8Array]:
    """Draw the frames in order, uint8 (height, width, 3), RGB; each is an array of its own."""
    rooms = [_draw_room(stage.width, stage.height, evening=evening) for evening in (False, True)]
    title, plain = _draw_title(rooms[0]), portrait.astype(np.float32)
    looks = {"A": plain, "B": recolour(plain)}
    shifts = {name: expression_shift(expression) for name, expression in EXPRESSIONS.items()}
    # Sprites have the resolution of the first shot and a tenth more, so that remapping neither blurs nor aliases.
    densities = {role.name: max(0.25, role.shots[0][1][3] * stage.unit * 1.1) for role in ROLES}
    figures = {name: Figure(looks[name], density, shifts) for name, density in densities.items()}
    for i in range(stage.n_frames):
        canvas = rooms[int(i >= stage.cut_frame)].copy()
        title_share = smoothstep((_TITLE_UNTIL_SECONDS - stage.script_seconds(i)) / 0.3)
        if title_share > 0:
            canvas = np.asarray(cv2.addWeighted(title, title_share, canvas, 1 - title_share, 0), np.uint8)
        for role in ROLES:
            place = stage.place(role, i)
            if place is not None:
                paint(canvas, figures[role.name], stage.weights(role, i), place, stage.pose(role, i))
        yield canvas


def _draw_room(width: int, height: int, *, evening: bool) -> UInt8Array:
    """Draw a plain room, uint8 (height, width, 3), RGB."""
    wall, floor, frame, pane, shelf = _EVENING if evening else _DAY
    left, side = (0.06, 0.72) if evening else (0.66, 0.05)
    boxes = [
        (left, 0.08, left + 0.26, 0.52, frame),
        (left + 0.01, 0.10, left + 0.125, 0.50, pane),
        (left + 0.135, 0.10, left + 0.25, 0.50, pane),
        (side, 0.30, side + 0.22, 0.32, shelf),
    ]
    for i, tall in enumerate((0.12, 0.15, 0.10, 0.14, 0.13)):  # books
        shade, begin = 70 + 26 * i, side + 0.02 + 0.022 * i
        boxes.append((begin, 0.30 - tall, begin + 0.018, 0.30, (shade, 96, 160 - shade // 2)))
    room = np.full((height, width, 3), wall, np.uint8)
    for x1, y1, x2, y2, colour in [*boxes, (0, 0.80, 1, 1, floor), (0, 0.79, 1, 0.805, frame)]:
        corners = (round(x1 * width), round(y1 * height)), (round(x2 * width), round(y2 * height))
        cv2.rectangle(room, *corners, colour, -1)
    light = np.linspace(1.06, 0.86, width, dtype=np.float32)[None, :, None]
    blurred = cv2.GaussianBlur(room, (0, 0), max(0.6, height / 240))
    # Without dither the light would decrease in visible steps of one gray level.
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(blurred * light + dither, 0, 255), np.uint8)


def _draw_title(room: UInt8Array) -> UInt8Array:
    """Draw the title on a copy of the room."""
    card = room.copy()
    height, width = card.shape[:2]
    for i, line in enumerate(_TITLE):
        scale = height / (300 if i == 0 else 700)
        thickness = max(1, round(scale * 2))
        (w, h), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
        at = ((width - w) // 2, round(height * (0.40, 0.52, 0.59)[i]) + h // 2)
        cv2.putText(card, line, at, cv2.FONT_HERSHEY_DUPLEX, scale, (44, 48, 58), thickness, cv2.LINE_AA)
    return card


def _make_tone(n_samples: int) -> Float32Array:
    """Make a quiet chord whose loudness rises and falls, float32 (1, n_samples), peak about -26 dBFS."""
    t = np.arange(n_samples, dtype=np.float64) / AUDIO_RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * t) / (i + 1) for i, hz in enumerate((110.0, 164.8, 220.0, 277.2)))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 0.15 * t)
    # Faded in and out within half a second: sound that starts at once clicks.
    fade = np.clip(np.minimum(t, t[-1] - t) / 0.5, 0, 1)
    return np.asarray(0.025 * chord * swell * fade, np.float32)[None]
