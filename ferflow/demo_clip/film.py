"""The sample as a file: rooms, frames, sound, and their encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferflow.demo_clip.expressions import EXPRESSIONS
from ferflow.demo_clip.figure import Figure, paint
from ferflow.demo_clip.portrait import read_portrait, someone_else
from ferflow.demo_clip.script import FRAME_HEIGHT, FRAME_WIDTH, ROLES, SCRIPT_SECONDS, Role, Stage, smooth
from ferflow.demo_clip.warp import expression_shift
from ferflow.errors import OptionsError, VideoError
from ferflow.types import Float32Array, UInt8Array

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""
AUDIO_RATE_HZ = 48_000
_TITLE_UNTIL_SECONDS = 0.9
"""On the script's clock."""
_TITLE = ("ferflow sample", "drawn from one public-domain portrait (NASA)", "no real scene, no real feelings")


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

    stage = Stage.checked(seconds, size, fps)
    if not path.parent.is_dir():
        raise OptionsError(f"{path}: the folder {path.parent} does not exist. Create it first.")
    portrait = read_portrait()
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


def _draw_frames(stage: Stage, portrait: UInt8Array) -> Iterator[UInt8Array]:
    """Every frame in turn, uint8 (height, width, 3), RGB; each is a fresh array."""
    rooms = [_room(stage.width, stage.height, evening=evening) for evening in (False, True)]
    title = _titled(rooms[0])
    plain = portrait.astype(np.float32)
    looks = {"A": plain, "B": someone_else(plain)}
    shifts = {name: expression_shift(expression) for name, expression in EXPRESSIONS.items()}
    figures = {role.name: Figure(looks[role.name], _density(role, stage.unit), shifts) for role in ROLES}
    for i in range(stage.n_frames):
        canvas = rooms[int(i >= stage.cut_frame)].copy()
        title_share = smooth((_TITLE_UNTIL_SECONDS - stage.script_seconds(i)) / 0.3)
        if title_share > 0:
            canvas = np.asarray(cv2.addWeighted(title, title_share, canvas, 1 - title_share, 0), np.uint8)
        for role in ROLES:
            place = stage.place(role, i)
            if place is not None:
                paint(canvas, figures[role.name], stage.weights(role, i), place, stage.pose(role, i))
        yield canvas


def _room(width: int, height: int, *, evening: bool) -> UInt8Array:
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


def _titled(room: UInt8Array) -> UInt8Array:
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


def _density(role: Role, unit: float) -> float:
    """Sprite px per portrait px: what the first shot needs, so that remapping neither blurs nor aliases."""
    return max(0.25, role.marks[1].scale * unit * 1.1)


def _tone(n_samples: int) -> Float32Array:
    """A quiet, slowly breathing chord, float32 (1, n_samples), peak about -26 dBFS."""
    t = np.arange(n_samples, dtype=np.float64) / AUDIO_RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * t) / (i + 1) for i, hz in enumerate((110.0, 164.8, 220.0, 277.2)))
    breath = 0.6 + 0.4 * np.sin(2 * np.pi * 0.15 * t)
    ends = np.clip(np.minimum(t, t[-1] - t) / 0.5, 0, 1)
    return np.asarray(0.025 * chord * breath * ends, np.float32)[None]


def _encode(path: Path, stage: Stage, frames: Iterator[UInt8Array], progress: Progress | None) -> None:
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


def _video_stream(container: Any, stage: Stage) -> Any:
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
