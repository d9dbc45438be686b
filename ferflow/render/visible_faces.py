"""Whose faces stay visible in an anonymised video, and which detections show them. In doubt, none.

>>> who = ExceptedFaces.read(persons, visible={1}, key="frame_index")
>>> who.at(frame).find_visible(found)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np

from ferflow.analytics.person_faces import Persons
from ferflow.faces.detections import Detections, iou, overlap_of_smaller
from ferflow.media.video import Frame
from ferflow.render.shown_faces import Key, ShownFaces
from ferflow.store.metadata import read_metadata
from ferflow.types import BoolArray, Float32Array

_SAME_FACE_IOU = 0.3
_SAME_FACE_OVERLAP = 0.6
"""Of the smaller box: a part of a face that is found as a face."""
_PART_SCORE = 0.75
"""From which on a detection within a visible face is another face in front of it, unless it is the same one: half faces
with a hand before them had up to .7."""
_CERTAIN_SCORE = 0.6
"""Below it, what only touches a visible face is no other face."""
_LONGEST_GAP_S = 1.0
"""For which a person who stays visible is not found by the analysis, and is assumed to be between the two places."""


@dataclass(frozen=True, slots=True)
class VisibleFaces:
    """Faces of one frame that stay visible, float32 (N, 4), and those of all others, float32 (M, 4)."""

    visible: Float32Array
    others: Float32Array

    def find_visible(self, found: Detections) -> BoolArray:
        """Which detections show somebody who stays visible, bool (N,)."""
        if not len(self.visible) or not len(found):
            return np.zeros(len(found), np.bool_)
        same = iou(found.xyxy, self.visible).max(axis=1)
        other = iou(found.xyxy, self.others).max(axis=1, initial=0.0)
        overlap = overlap_of_smaller(found.xyxy, self.visible).max(axis=1)
        is_part = (overlap >= _SAME_FACE_OVERLAP) & (found.score < _PART_SCORE)
        is_visible: BoolArray = ((same >= _SAME_FACE_IOU) | is_part) & (same >= other)
        return is_visible

    def is_near(self, found: Detections) -> BoolArray:
        """Which uncertain detections touch somebody who stays visible, bool (N,): hands, a part of the face."""
        if not len(self.visible) or not len(found):
            return np.zeros(len(found), np.bool_)
        touches: BoolArray = (iou(found.xyxy, self.visible) > 0).any(axis=1) & (found.score < _CERTAIN_SCORE)
        return touches

    def scaled(self, across: float, down: float) -> VisibleFaces:
        """In a picture of another size."""
        factors = np.array([across, down, across, down], np.float32)
        return VisibleFaces(self.visible * factors, self.others * factors)


_NO_FACES = np.zeros((0, 4), np.float32)
NONE_VISIBLE = VisibleFaces(_NO_FACES, _NO_FACES)


class WhoIsVisible(Protocol):
    """Says whose faces stay visible; may be called by several threads at once."""

    def at(self, frame: Frame) -> VisibleFaces:
        """Those of a frame, in its pixels."""


class NobodyIsVisible:
    """Everybody is covered."""

    def at(self, frame: Frame) -> VisibleFaces:
        """See `WhoIsVisible`."""
        return NONE_VISIBLE


@dataclass(frozen=True, slots=True)
class ExceptedFaces:
    """Some people of a finished video stay visible."""

    faces: ShownFaces
    key: Key
    visible: Set[int]
    """Ids of persons."""
    filled: Mapping[int, Sequence[Float32Array]] = field(default_factory=dict)
    """Faces of theirs that the analysis did not find, between two that it found; by the key of the frame."""

    @classmethod
    def read(cls, persons: Persons, visible: Set[int], key: Key) -> Self:
        """Read the tables of a video.

        Raises:
            RecordsError: they cannot be read.
        """
        faces = ShownFaces.read(persons, key)
        # Somebody who was removed from the tables may have passed in front: such a face is no longer among the others.
        is_whole = read_metadata(persons.paths.faces).erasure is None
        return cls(faces, key, visible, _fill_gaps(faces, visible) if is_whole else {})

    def at(self, frame: Frame) -> VisibleFaces:
        """See `WhoIsVisible`."""
        key = frame.index if self.key == "frame_index" else frame.pts
        shown = self.faces.at(key, frame.time_s)
        visible = [np.array(face.xyxy, np.float32) for face in shown if face.person_id in self.visible]
        others = [np.array(face.xyxy, np.float32) for face in shown if face.person_id not in self.visible]
        return VisibleFaces(
            np.stack([*visible, *self.filled.get(key, ())]) if visible or key in self.filled else _NO_FACES,
            np.stack(others) if others else _NO_FACES,
        )


def _fill_gaps(faces: ShownFaces, visible: Set[int]) -> dict[int, list[Float32Array]]:
    rows = np.flatnonzero(np.isin(faces.person_id, sorted(visible)))
    place_of = np.repeat(np.arange(len(faces.keys)), faces.n_rows)
    row_of = np.concatenate(
        [
            np.zeros(0, np.int64),
            *(np.arange(a, a + n) for a, n in zip(faces.first_row, faces.n_rows, strict=True)),
        ]
    )
    places = dict(zip(row_of.tolist(), place_of.tolist(), strict=True))
    last: dict[int, int] = {}
    found: dict[int, list[Float32Array]] = defaultdict(list)
    for row in sorted((row for row in rows.tolist() if row in places), key=lambda row: places[row]):
        track = int(faces.track_id[row])
        before = last.get(track)
        last[track] = row
        if before is None:
            continue
        first, end = places[before], places[row]
        span_s = faces.time_s[end] - faces.time_s[first]
        if end - first > 1 and 0 < span_s <= _LONGEST_GAP_S:
            for place in range(first + 1, end):
                share = np.float32((faces.time_s[place] - faces.time_s[first]) / span_s)
                box = faces.xyxy[before] + share * (faces.xyxy[row] - faces.xyxy[before])
                found[int(faces.keys[place])].append(box)
    return dict(found)
