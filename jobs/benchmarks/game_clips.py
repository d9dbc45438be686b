"""Game captures of which it is known who plays: a recorded face in a corner over drawn gameplay.

    python -m ferflow.jobs.benchmarks.game_clips RECORDINGS OUT [--sessions 3] [--seconds 20]

In the gameplay stand posters with a photograph of another face, and a cutscene shows a third person. Each session has
another player, `<session>.markers.csv` with its fights against a boss, and `gt/<session>.txt` with the player's boxes.
RECORDINGS are those of `identity_clips`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ferflow.jobs.benchmarks.identity_clips import FPS, Picture, Recordings, Shot, scale
from ferflow.jobs.benchmarks.identity_truth import Boxes, write_truth
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.types import UInt8Array

WIDTH, HEIGHT = 1920, 1080
CAMERA = (1472, 828, 416, 234)
"""x, y, width, height of the player's picture; near the lower right corner, with a frame around it."""
_FRAME = 4
_POSTER = (260, 420, 280)
"""x, y and height of the poster on the wall of the arena."""
FIGHT_S, FIGHT_EVERY_S = 2.0, 6.0
"""Length of a fight, and time from one to the next."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is seen where."""

    player: int
    cutscene: int
    poster: int
    """Numbers of recordings."""


SESSIONS = (Session(1, 2, 3), Session(2, 3, 1), Session(3, 1, 2))


def make_sessions(recordings: Path, out: Path, *, count: int = 3, seconds: float = 20.0) -> list[Path]:
    """Make sessions, their markers and their truth; returns the paths of the videos."""
    loaded = Recordings.load(recordings)
    (out / "gt").mkdir(parents=True, exist_ok=True)
    return [
        _make_session(loaded, session, out / f"game-{number}.mp4", seconds)
        for number, session in enumerate(SESSIONS[:count], start=1)
    ]


def _make_session(recordings: Recordings, session: Session, path: Path, seconds: float) -> Path:
    n, boxes = round(seconds * FPS), []
    pictures = islice(_play(recordings, session), n)
    with open_video_writer(path, VideoSettings(size=(WIDTH, HEIGHT), frame_rate=FPS, crf=22)) as writer:
        for number, picture in enumerate(pictures):
            writer.write(picture.image, Fraction(number, FPS))
            boxes.append((picture.boxes, Boxes.empty()))
    write_truth(path.parent / "gt" / f"{path.stem}.txt", boxes)
    starts = np.arange(FIGHT_EVERY_S, seconds, FIGHT_EVERY_S)
    rows = [f"{start:g},boss_fight,{start + FIGHT_S:g}\n" for start in starts]
    path.with_suffix(".markers.csv").write_text("time_s,label,end_s\n" + "".join(rows))
    return path


def _play(recordings: Recordings, session: Session) -> Iterator[Picture]:
    """The capture, without end: gameplay, and every ten seconds a cutscene of two."""
    player, cutscene = recordings.shot(session.player), recordings.shot(session.cutscene)
    poster = recordings.people[session.poster - 1][10].image
    arena = _draw_arena(poster)
    number = 0
    while True:
        in_cutscene = number % (10 * FPS) >= 8 * FPS
        image = _fill(next(cutscene)) if in_cutscene else _draw_play(arena, number)
        yield _add_player(image, player)
        number += 1


def _draw_arena(poster: UInt8Array) -> UInt8Array:
    """The background, as wide as two pictures: a wall of tiles, a floor, and posters."""
    rng = np.random.default_rng(5)
    tiles = rng.integers(40, 110, (12, 40, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(tiles, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)
    image[780:] //= 2
    x, y, height = _POSTER
    side = cv2.resize(poster[:, 140:500], (height, height), interpolation=cv2.INTER_AREA)
    for left in (x, x + WIDTH):
        image[y : y + height, left : left + height] = side
    return image


def _draw_play(arena: UInt8Array, number: int) -> UInt8Array:
    """A frame of gameplay: the player walks and stops, sprites fly behind the posters, more of them in a fight."""
    time_s = number / FPS
    # Six seconds of standing still, two of walking.
    walked = int(WIDTH / 4 * (time_s // 8 + max(time_s % 8 - 6, 0) / 2)) % WIDTH
    image = arena[:, walked : walked + WIDTH].copy()
    cv2.rectangle(image, (60, 40), (560 - number % 300, 80), (40, 40, 200), -1)
    n_sprites = 40 if time_s % FIGHT_EVERY_S < FIGHT_S else 12
    for sprite in range(n_sprites):
        x = int((sprite * 337 + time_s * (90 + 13 * sprite)) % WIDTH)
        y = int(HEIGHT * (0.5 + 0.45 * np.sin(time_s * (0.7 + 0.11 * sprite) + sprite)))
        colour = (60 + sprite * 37 % 190, 60 + sprite * 71 % 190, 60 + sprite * 113 % 190)
        cv2.circle(image, (x, y), 18 + sprite % 5 * 9, colour, -1)
    x, y, height = _POSTER
    for left in (x, x + WIDTH):
        shown = slice(max(left, walked), min(left + height, walked + WIDTH))
        if shown.start < shown.stop:
            columns = slice(shown.start - walked, shown.stop - walked)
            image[y : y + height, columns] = arena[y : y + height, shown]
    return image


def _fill(picture: Picture) -> UInt8Array:
    return np.asarray(cv2.resize(picture.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)


def _add_player(image: UInt8Array, player: Shot) -> Picture:
    x, y, width, height = CAMERA
    factor = height / 360
    shift = (width - 640 * factor) / 2
    camera = next(player).warp(scale(factor, shift, 0), (width, height))
    cv2.rectangle(
        image, (x - _FRAME, y - _FRAME), (x + width + _FRAME, y + height + _FRAME), (230, 230, 230), -1
    )
    image[y : y + height, x : x + width] = camera.image
    boxes = Boxes((camera.boxes.xyxy + np.array([x, y] * 2)).astype(np.float32), camera.boxes.ids)
    return Picture(image, boxes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the sessions and print their paths."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--sessions", type=int, default=3, choices=[1, 2, 3])
    parser.add_argument("--seconds", type=float, default=20.0)
    chosen = parser.parse_args(arguments)
    for path in make_sessions(chosen.recordings, chosen.out, count=chosen.sessions, seconds=chosen.seconds):
        print(path)


if __name__ == "__main__":
    main()
