"""Detection around the places where faces are expected, between two looks at all of the picture (`--detect auto`).

A look at all of the picture is taken at cuts, at changes of brightness and at least every `LOOK_SECONDS`: these frames
are key frames, see `frame_sample`. In a frame between two of them, the detector searches around the places where the
faces of both are expected on their way from the one to the other, and where the picture shows something that is in
neither. All of the picture is searched where that does not give exactly the expected faces, between two key frames one
of which has a face that the other does not have, before a cut and at the end. As both key frames are known, a face that
comes into view is not found late. One that is in view for less than `LOOK_SECONDS` between two looks is found where it
changes the picture by `_CHANGED_LEVELS`.

A large face is searched for in a picture of half the size, where its box is a few percent larger or smaller. In key
frames it is searched for in both sizes; the difference, interpolated between two key frames, is taken off in between.

Each face is found by the detector in its frame. What is searched in a frame depends on the two key frames and the frame
alone, so that frames can be searched in parallel, and the result does not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.faces.assignment import assign
from ferflow.faces.detections import Detections, iou
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.search_windows import MARGIN, Places, grow
from ferflow.faces.shot_detector import Change
from ferflow.types import BoolArray, Float32Array, UInt8Array

LOOK_SECONDS = 0.2
"""Longest time between two looks at all of the picture."""

_DOUBT = 0.15
"""A face whose score is not further below the limit may be above it in the next frame, or in a window."""

# In face heights: how far beyond the box of a weak face is searched, and how far a face moves at most between two looks
# to be taken for the same.
_MARGIN_ALONE = 0.75
_MAX_MOVE = 1.5
_MAX_SIZE_RATIO = 1.6
_FORBIDDEN = 1e6
_FOUND_IOU = 0.7
"""Least overlap of the box that is expected and the one that is found. Of a blurred face in a trailer, the lower half
alone was found in the reduced picture of one frame: its overlap was 0.65."""

_CHANGED_LEVELS = 30
"""Gray levels (of 255) by which a cell of a thumbnail differs from the looks before and after it where something shows
that is in neither."""
_CHANGED_CELLS = 4
"""The smallest face (1/15 of the picture's height) covers five cells of a thumbnail of 36 rows."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at all of the picture has shown.

    found: N faces.
    reduced: the same as they are found in a picture of half the size; NaN where it is not searched.
    """

    time_s: float
    size: tuple[int, int]
    cuts: tuple[Change, ...]
    thumbs: tuple[UInt8Array, ...]
    found: Detections
    reduced: Detections

    @classmethod
    def at(cls, sample: FrameSample, found: Detections, reduced: Detections) -> Look:
        """A look at a frame; the frame is not kept."""
        return cls(sample.frame.time_s, sample.size, sample.cuts, sample.thumbs, found, reduced)

    def of_region(self, region: int) -> Look:
        """What it has shown of one region."""
        if len(self.thumbs) == 1:
            return self
        rows = np.flatnonzero(self.found.region == region)
        return replace(
            self, thumbs=(self.thumbs[region],), found=self.found[rows], reduced=self.reduced[rows]
        )

    def states(self, margin: float) -> Float32Array:
        """Of each face its box, its box with a margin in heights of the box, and its correction, float32 (N, 22).

        The correction leads from the face in the reduced picture to that in all of it: shifts of two corners and five
        landmarks in x and y, in heights of the box; NaN where not known.
        """
        shifts = (_points(self.found) - _points(self.reduced)) / _heights(self.reduced)
        xyxy = self.found.xyxy
        return np.concatenate([xyxy, grow(xyxy, margin), shifts.reshape(-1, 14)], axis=1, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Expected:
    """Faces expected in a frame, or in a region of it; pixels of the frame.

    xyxy: float32 (N, 4), of all faces that are expected and not weak.
    corrections: float32 (N, 7, 2), as of `Look.states`; NaN for faces that are searched for at full size.
    places: what is searched: around these faces, and around weak ones.
    changed: bool (36, 64), cells of the thumbnail that are as in neither look.
    """

    xyxy: Float32Array
    corrections: Float32Array
    places: Places
    changed: BoolArray

    def is_met(self, found: Detections, score: float) -> bool:
        """Whether the expected faces are found, and no other one that is not weak.

        A window shows less than the picture does, and a score near the limit may be on the other side of it.
        """
        is_strong = found.score >= score
        if np.count_nonzero(is_strong) > len(self.xyxy):
            return False
        is_near = iou(self.xyxy, found.xyxy) >= _FOUND_IOU
        return bool(is_near.any(axis=1).all() and is_near[:, is_strong].any(axis=0).all())

    def all_places(self, width: int, height: int) -> Places:
        """The places, and those where something shows that is in neither look, in a picture of this size."""
        if np.count_nonzero(self.changed) < _CHANGED_CELLS:
            return self.places
        cell = np.array([width / self.changed.shape[1], height / self.changed.shape[0]] * 2, np.float32)
        elsewhere = self._changed_elsewhere(cell)
        _, _, parts, _ = cv2.connectedComponentsWithStats(elsewhere.astype(np.uint8))
        x, y, columns, rows, _ = parts[1:][parts[1:, 4] >= _CHANGED_CELLS].T
        boxes = np.stack([x - 2, y - 2, x + columns + 2, y + rows + 2], axis=1).astype(np.float32) * cell
        return Places(
            np.concatenate([self.places.xyxy, boxes]),
            np.concatenate([self.places.is_reduced, np.zeros(len(boxes), np.bool_)]),
        )

    def correct(self, found: Detections) -> Detections:
        """Boxes and landmarks as a search of all of the picture would give them."""
        reduced = np.flatnonzero(np.isfinite(self.corrections[:, 0, 0]))
        if not len(reduced) or not len(found):
            return found
        rows = iou(self.xyxy[reduced], found.xyxy).argmax(axis=1)
        faces = found[rows]
        points = _points(faces) + self.corrections[reduced] * _heights(faces)
        xyxy, landmarks = points[:, :2].reshape(-1, 4), points[:, 2:]
        return found.replaced(rows, Detections(xyxy, faces.score, landmarks, faces.region))

    def _changed_elsewhere(self, cell: Float32Array) -> BoolArray:
        """Changed cells outside of the places; cell: float32 (4,), width and height of a cell, twice."""
        elsewhere = self.changed.copy()
        for x1, y1, x2, y2 in (self.places.xyxy / cell).clip(0).tolist():
            elsewhere[int(y1) : math.ceil(y2), int(x1) : math.ceil(x2)] = False
        return elsewhere

    def moved(self, x: float, y: float) -> Expected:
        """The same in a picture whose upper left corner lies at (-x, -y)."""
        shift = np.array([x, y, x, y], np.float32)
        return Expected(self.xyxy + shift, self.corrections, self.places.moved(x, y), self.changed)


Plan = tuple[FrameSample, Detections | tuple[Expected | None, ...]]
"""A frame, and its faces; or, per region, where they are expected, None where that is in doubt."""


def is_unknown(plan: Plan) -> bool:
    """Whether the frame is to be searched."""
    return not isinstance(plan[1], Detections)


def plan_searches(
    looked: Iterable[tuple[FrameSample, Look | None]],
    *,
    score: float,
    gains: Callable[[tuple[int, int], int, Places], bool],
) -> Iterator[Plan]:
    """Where to search each frame between two key frames.

    Args:
        looked: frames in order, with a look at each key frame; None at one that repeats the picture of the last one.
            The first frame is a key frame.
        score: detections below it are weak: they are searched for, and their loss is none.
        gains: whether a search at some places of a region is quicker than one of all of it, in a picture of this size.
    """
    last: Look | None = None
    between: deque[FrameSample] = deque()

    def find_gaps(before: Look, after: Look | None) -> list[_Gap | None]:
        is_searched = any(not sample.is_repeat for sample in between)
        return _find_gaps(before, after, score, gains) if is_searched else []

    for sample, look in looked:
        if not sample.is_key:
            between.append(sample)
            continue
        if look is None and last is not None:
            look = replace(last, time_s=sample.frame.time_s, cuts=sample.cuts)
        assert look is not None
        if last is not None:
            yield from _plan_between(last.found, find_gaps(last, look), between)
        yield sample, look.found
        last = look
        del sample  # its frame would stay in memory until the next key frame
    if last is not None:
        yield from _plan_between(last.found, find_gaps(last, None), between)


def _find_gaps(
    before: Look,
    after: Look | None,
    score: float,
    gains: Callable[[tuple[int, int], int, Places], bool],
) -> list[_Gap | None]:
    """Per region; None where all of it is to be searched."""
    if after is not None and after.size != before.size:
        after = None
    gaps = (_Gap.between(before, after, region, score) for region in range(len(before.thumbs)))
    return [
        gap if gap is not None and gains(before.size, region, gap.first_places()) else None
        for region, gap in enumerate(gaps)
    ]


def _plan_between(
    found: Detections, gaps: Sequence[_Gap | None], between: deque[FrameSample]
) -> Iterator[Plan]:
    """Plans of frames after a key frame with these faces; the gaps may be left out where all of them repeat it."""
    while between:
        sample = between.popleft()
        if sample.is_repeat:
            yield sample, found
            continue
        thumbs, time_s = zip(gaps, sample.thumbs, strict=True), sample.frame.time_s
        yield sample, tuple(None if gap is None else gap.expect(time_s, thumb) for gap, thumb in thumbs)
        del sample


@dataclass(frozen=True, slots=True)
class _Gap:
    """One region between two looks: N faces, which move in a straight line.

    before, after: thumbnails, uint8 (36, 64).
    start, way: float32 (N, 22), the state of each face before, and its change until after: xyxy of its box and of its
    place, and its correction, as of `Look.states`.
    is_sure: bool (N,), not weak.
    """

    before: UInt8Array
    after: UInt8Array
    start_s: float
    end_s: float
    start: Float32Array
    way: Float32Array
    is_sure: BoolArray

    @classmethod
    def between(cls, before: Look, after: Look | None, region: int, score: float) -> _Gap | None:
        """None where anything is in doubt.

        So it is before a cut and after the last look, where nothing says what becomes of the faces; where a face that
        is not weak is in one of the looks only, as it may be anywhere in between; and where one is hardly weak.
        """
        if after is None or after.cuts[region]:
            return None
        first, last = before.of_region(region), after.of_region(region)
        pairs = _match(first.found, last.found)
        rows, columns = pairs[:, 0], pairs[:, 1]
        is_sure = np.minimum(first.found.score[rows], last.found.score[columns]) >= score
        n_sure = np.count_nonzero(is_sure)
        if any(np.count_nonzero(look.found.score >= score - _DOUBT) != n_sure for look in (first, last)):
            return None
        weak = np.concatenate(
            [
                np.delete(first.states(_MARGIN_ALONE), rows, axis=0),
                np.delete(last.states(_MARGIN_ALONE), columns, axis=0),
            ]
        )
        start = np.concatenate([first.states(MARGIN)[rows], weak])
        way = np.concatenate([last.states(MARGIN)[columns], weak]) - start
        is_sure = np.concatenate([is_sure, np.zeros(len(weak), np.bool_)])
        return cls(first.thumbs[0], last.thumbs[0], before.time_s, after.time_s, start, way, is_sure)

    def first_places(self) -> Places:
        """What is to be searched at its start."""
        return Places(self.start[:, 4:8], np.isfinite(self.start[:, 8]) & self.is_sure)

    def expect(self, time_s: float, thumb: UInt8Array) -> Expected:
        """Where faces are at a time between the two looks, and what else the thumbnail of that time shows."""
        elapsed_s = self.end_s - self.start_s  # 0 where a damaged file has several frames at one time
        share = (time_s - self.start_s) / elapsed_s if elapsed_s > 0 else 0.0
        states = self.start + np.float32(share) * self.way
        is_reduced = np.isfinite(states[:, 8]) & self.is_sure
        sure = states[self.is_sure]
        return Expected(
            sure[:, :4],
            sure[:, 8:].reshape(-1, 7, 2),
            Places(states[:, 4:8], is_reduced),
            self._find_changes(thumb),
        )

    def _find_changes(self, thumb: UInt8Array) -> BoolArray:
        """Cells of a thumbnail that differ from both looks, bool (36, 64)."""
        change = cv2.min(cv2.absdiff(thumb, self.before), cv2.absdiff(thumb, self.after))
        changed: BoolArray = change > _CHANGED_LEVELS
        return changed


def _match(first: Detections, last: Detections) -> npt.NDArray[np.intp]:
    """Pairs of rows of faces of two looks that may be the same face, (P, 2)."""
    if not len(first) or not len(last):
        return np.zeros((0, 2), np.intp)
    heights = [np.maximum(look.xyxy[:, 3] - look.xyxy[:, 1], 1.0) for look in (first, last)]
    ratio = np.abs(np.log(heights[0][:, None] / heights[1]))
    distance = _distances(first.xyxy, last.xyxy)
    allowed = (distance <= _MAX_MOVE) & (ratio <= math.log(_MAX_SIZE_RATIO))
    pairs = assign(np.where(allowed, distance + ratio, _FORBIDDEN).astype(np.float64))
    return np.array([pair for pair in pairs if allowed[pair]], np.intp).reshape(-1, 2)


def _points(faces: Detections) -> Float32Array:
    """Two corners and five landmarks, float32 (N, 7, 2)."""
    return np.concatenate([faces.xyxy.reshape(-1, 2, 2), faces.landmarks], axis=1)


def _heights(faces: Detections) -> Float32Array:
    """Float32 (N, 1, 1); at least 1."""
    heights: Float32Array = np.maximum(faces.xyxy[:, 3] - faces.xyxy[:, 1], np.float32(1))
    return heights[:, None, None]


def _distances(a: Float32Array, b: Float32Array) -> Float32Array:
    """Distance of the centres of boxes in mean heights, float32 (N, M)."""
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (a, b)]
    heights = [np.maximum(boxes[:, 3] - boxes[:, 1], 1.0) for boxes in (a, b)]
    away = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    distances: Float32Array = away / ((heights[0][:, None] + heights[1]) / 2)
    return distances
