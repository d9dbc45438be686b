"""Finds the frame of a picture in a picture: the camera of a player in a game capture, of a speaker beside slides.

Such a frame stays at its place while everything else changes, so its straight edges are in nearly every sample of the
video, and inside of it there is a face. Frames without a plain edge (a speaker cut out of the background, round frames)
are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path

import cv2
import numpy as np

from ferflow.errors import VideoError
from ferflow.faces.detections import Detections
from ferflow.faces.detector import Detector
from ferflow.faces.regions import split_frame
from ferflow.media.video import Frame, Reading, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.regions import Region, parse_regions
from ferflow.types import BoolArray, Float32Array, Float64Array, UInt8Array

_SAMPLES = 20
"""Frames that are looked at."""
_MOST_SECONDS_DECODED = 30.0
"""A short video may have one key frame, so all of it is decoded; of a long one, key frames only."""
_COLUMNS = 640
"""Edges are looked for in a picture of at most this width."""

_EDGE = 10
"""Gray levels between neighbouring pixels that make an edge."""
_EDGE_SHARE = 0.8
"""Of samples with an edge there."""
_LINE_SHARE = 0.75
"""Of a side's length that is an edge."""

_FACE_SHARE = 0.6
"""Of samples with a face at one place."""
_MAX_AREA = 0.4
"""Of the picture; what is larger is the picture."""
_MAX_ASPECT = 2.5
"""Of the longer side to the shorter one."""
_MOST_LINES = 12
"""Per side that are tried; a line is two or three of them."""

_QUARTERS = parse_regions(("top-left", "top-right", "bottom-left", "bottom-right"))


@dataclass(frozen=True, slots=True)
class _Sides:
    """A rectangle in cells of the edge maps: left and top inside, right and bottom past the end."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)


def find_picture_in_picture(
    path: Path, options: AnalyzeOptions, detector: Detector, *, turn: int | None = None
) -> Region | None:
    """Find the frame; None where there is none that is plain.

    Args:
        path: the video.
        options: how it is analysed.
        detector: of faces.
        turn: see `media.video.Reading`.
    """
    frames: list[Frame] = []
    with suppress(VideoError):  # the analysis itself will say what is wrong
        frames.extend(_sample(path, options, turn))
    if not frames:
        return None
    edges = _Edges.of([frame.planes.y for frame in frames])
    faces = [_find_faces(frame, detector) for frame in frames]
    width, height = frames[0].planes.width, frames[0].planes.height
    scale = np.array([edges.vertical.shape[1] / width, edges.vertical.shape[0] / height] * 2)
    found = [sides for face in _steady_faces(faces) if (sides := edges.enclose(face * scale)) is not None]
    if not found:
        return None
    best = max(found, key=lambda sides: sides.area)
    left, top, right, bottom = np.array([best.left, best.top, best.right, best.bottom]) / scale
    return Region(None, f"{round(left)},{round(top)},{round(right - left)},{round(bottom - top)}")


def _sample(path: Path, options: AnalyzeOptions, turn: int | None) -> Iterator[Frame]:
    """Frames at equal distances."""
    with open_video(path, replace(Reading.of(options), turn=turn), threads=options.threads) as video:
        length_s = video.info.duration_s_from_header or 0.0
        frames = (
            video.key_frames(_SAMPLES, length_s)
            if length_s > _MOST_SECONDS_DECODED
            else video.frames(Selection(fps=_SAMPLES / length_s if length_s else None, every=1))
        )
        size = None
        for frame in islice(frames, _SAMPLES):
            if size in (None, (frame.planes.width, frame.planes.height)):
                size = (frame.planes.width, frame.planes.height)
                yield _copy(frame)


def _copy(frame: Frame) -> Frame:
    """Without the decoder's memory."""
    planes = frame.planes
    u, v = (None if plane is None else plane.copy() for plane in (planes.u, planes.v))
    return replace(frame, planes=replace(planes, y=planes.y.copy(), u=u, v=v))


def _find_faces(frame: Frame, detector: Detector) -> Float32Array:
    """Boxes of the faces of a frame, float32 (N, 4): also of those too small for the whole picture."""
    parts = split_frame(frame, _QUARTERS)
    found = detector.detect([frame, *(part.frame for part in parts)])
    moved = [faces.moved(part.x, part.y, region=0) for part, faces in zip(parts, found[1:], strict=True)]
    return Detections.concatenate([found[0], *moved]).xyxy


def _steady_faces(faces: Sequence[Float32Array]) -> list[Float32Array]:
    """Boxes at which most samples have a face: the median of each, float32 (4,)."""
    every = np.concatenate(faces)
    steady: list[Float32Array] = []
    for box in every:
        near = [_nearest(box, boxes) for boxes in faces]
        boxes = np.array([one for one in near if one is not None], np.float32)
        if len(boxes) >= _FACE_SHARE * len(faces):
            median = np.median(boxes, axis=0).astype(np.float32)
            if all(_nearest(median, one[None]) is None for one in steady):
                steady.append(median)
    return steady


def _nearest(box: Float32Array, boxes: Float32Array) -> Float32Array | None:
    """The box nearest to another one, within a face height; None if there is none."""
    if not len(boxes):
        return None
    middle = (boxes[:, :2] + boxes[:, 2:] - box[:2] - box[2:]) / 2
    away = np.hypot(middle[:, 0], middle[:, 1])
    nearest: Float32Array = boxes[away.argmin()]
    return nearest if away.min() <= box[3] - box[1] else None


@dataclass(frozen=True, slots=True)
class _Edges:
    """Where most samples have an edge: bool (H, W) each; an edge lies between a pixel and the one before it."""

    vertical: BoolArray
    horizontal: BoolArray

    @classmethod
    def of(cls, pictures: Sequence[UInt8Array]) -> _Edges:
        height, width = pictures[0].shape
        size = (min(width, _COLUMNS), max(round(height * min(1.0, _COLUMNS / width)), 1))
        small = np.array([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures], np.int16)
        vertical, horizontal = np.zeros(small.shape[1:]), np.zeros(small.shape[1:])
        vertical[:, 1:] = (np.abs(np.diff(small, axis=2)) >= _EDGE).mean(axis=0)
        horizontal[1:] = (np.abs(np.diff(small, axis=1)) >= _EDGE).mean(axis=0)
        return cls(_widen(vertical >= _EDGE_SHARE, 1), _widen(horizontal >= _EDGE_SHARE, 0))

    def enclose(self, face: Float64Array) -> _Sides | None:
        """The plainest frame around a face, xyxy in cells; None if there is none."""
        x1, y1, x2, y2 = np.rint(face).astype(int).tolist()
        height, width = self.vertical.shape
        if not (0 < x1 < x2 < width and 0 < y1 < y2 < height):
            return None
        rows = self.horizontal[:, x1:x2].mean(axis=1)
        frames = [
            _Sides(left, top, right, bottom)
            for top, bottom in product(_lines(rows, 0, y1), _lines(rows, y2, height))
            for columns in [self.vertical[top:bottom].mean(axis=0)]
            for left, right in product(_lines(columns, 0, x1), _lines(columns, x2, width))
        ]
        best = max(frames, key=self._score)
        return best if self._score(best) > 0 else None

    def _score(self, sides: _Sides) -> float:
        """How plain and large a frame is; 0 for none."""
        height, width = self.vertical.shape
        w, h = sides.right - sides.left, sides.bottom - sides.top
        shares = self._shares(sides)
        is_frame = (
            len(shares) >= 2
            and w < width
            and h < height
            and sides.area <= _MAX_AREA * width * height
            and max(w / h, h / w) <= _MAX_ASPECT
            and min(shares) >= _LINE_SHARE
        )
        # Something straight inside of the frame makes a smaller one; what is too large has sides of which a part is no
        # edge. With this power, a tenth of a side weighs more than four fifths of the area.
        return sides.area * min(shares) ** 16 if is_frame else 0.0

    def _shares(self, sides: _Sides) -> list[float]:
        """Of each side that is not the edge of the picture, the share that is an edge."""
        height, width = self.vertical.shape
        columns = [x for x in (sides.left, sides.right) if 0 < x < width]
        rows = [y for y in (sides.top, sides.bottom) if 0 < y < height]
        return [
            *(float(self.vertical[sides.top : sides.bottom, x].mean()) for x in columns),
            *(float(self.horizontal[y, sides.left : sides.right].mean()) for y in rows),
        ]


def _lines(shares: Float64Array, low: int, high: int) -> list[int]:
    """Places of the plainest lines from `low` to `high`, one of which is the edge of the picture, and that edge.

    Args:
        shares: float64 (N,), share of the pixels of each row or column of the picture that are an edge.
        low: first place.
        high: past the last one.
    """
    places = np.flatnonzero(shares[low:high] >= _LINE_SHARE) + low
    plainest = places[np.argsort(-shares[places], kind="stable")][:_MOST_LINES]
    return [0 if low == 0 else len(shares), *plainest.tolist()]


def _widen(edges: BoolArray, axis: int) -> BoolArray:
    """Edges one pixel wider: after scaling, a straight line may lie in two neighbouring columns."""
    wide: BoolArray = edges | np.roll(edges, 1, axis=axis)
    return wide
