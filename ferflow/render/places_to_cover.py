"""Where faces must be covered in each frame of a video, and between the frames in which one is found.

    collector = PlaceCollector()
    for frame, found in searched: collector.add(frame, found, is_cut=False)
    places = collector.finish()
    for cover in places.at(frame.index): ...

A face that is found in two frames is covered in all frames between them, and for half a second before the first and
after the last one, except across cuts: detectors miss faces that turn away, and a face that is covered in 24 frames of
25 is not covered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ferflow.faces.detections import Detections
from ferflow.faces.tracker import LOST_AFTER_SECONDS, Tracker
from ferflow.media.video import Frame
from ferflow.render.cover import Cover
from ferflow.store.schemas import UNTRACKED
from ferflow.types import BoolArray, Float32Array, Int8Array, Int64Array

LEAST_SCORE = 0.25
"""Of faces that are covered. An analysis continues tracks with detections of .3; the margin is for encoding, which
changes scores a little."""
CERTAIN_SCORE = 0.6
"""A detection of a lower score may be no face."""
BEFORE_AND_AFTER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Places:
    """N places to cover, in order of their frames."""

    index: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    """Of the frames, as they are numbered in the source."""
    xyxy: Float32Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """Pixels of the source."""
    level: Int8Array = field(default_factory=lambda: np.zeros(0, np.int8))
    is_certain: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))

    def at(self, index: int) -> list[Cover]:
        """Those of a frame."""
        first, last = np.searchsorted(self.index, (index, index + 1))
        return [
            Cover((x1, y1, x2, y2), level, is_certain)
            for (x1, y1, x2, y2), level, is_certain in zip(
                self.xyxy[first:last].tolist(),
                self.level[first:last].tolist(),
                self.is_certain[first:last].tolist(),
                strict=True,
            )
        ]

    def with_more(self, more: Iterable[tuple[int, Cover]]) -> Places:
        """These and others."""
        added = list(more)
        index = np.concatenate([self.index, np.array([index for index, _ in added], np.int64)])
        order = np.argsort(index, kind="stable")
        xyxy = np.array([cover.xyxy for _, cover in added], np.float32).reshape(-1, 4)
        levels = np.array([cover.level for _, cover in added], np.int8)
        certain = np.array([cover.is_certain for _, cover in added], np.bool_)
        return Places(
            index[order],
            np.concatenate([self.xyxy, xyxy])[order],
            np.concatenate([self.level, levels])[order],
            np.concatenate([self.is_certain, certain])[order],
        )


@dataclass(frozen=True, slots=True)
class _Sighting:
    place: int
    """Of its frame, in the order of frames."""
    xyxy: Float32Array
    is_certain: bool


class PlaceCollector:
    """Takes the detections of successive frames; it has state and serves one pass over a video."""

    def __init__(self) -> None:
        # Every detection may start a track: what is weak is covered, too.
        self._tracker = Tracker(score=LEAST_SCORE)
        self._tracks: dict[int, list[_Sighting]] = defaultdict(list)
        self._alone: list[list[_Sighting]] = []
        self._unconfirmed: dict[int, _Sighting] = {}
        self._index: list[int] = []
        self._time_s: list[float] = []
        self._shot: list[int] = []
        self._found: list[tuple[int, Cover]] = []

    def add(self, frame: Frame, found: Detections, *, is_cut: bool) -> None:
        """Take the faces of the next frame that must be covered.

        Args:
            frame: the frame.
            found: in its pixels.
            is_cut: whether it starts a new shot.
        """
        place = len(self._index)
        self._index.append(frame.index)
        self._time_s.append(frame.time_s)
        self._shot.append(self._shot[-1] + is_cut if place else 0)
        size = frame.planes.width, frame.planes.height
        ids = self._tracker.update(found, frame.time_s, cuts=(is_cut,), size=size).tolist()
        for row, track in self._tracker.late_ids.items():
            self._tracks[track].append(self._unconfirmed.pop(row))
        self._alone += [[one] for one in self._unconfirmed.values()]
        self._unconfirmed = {}
        for row, track in enumerate(ids):
            sighting = _Sighting(place, found.xyxy[row], bool(found.score[row] >= CERTAIN_SCORE))
            if track == UNTRACKED:
                self._unconfirmed[row] = sighting
            else:
                self._tracks[track].append(sighting)

    def finish(self) -> Places:
        """The places, when all frames were added."""
        self._alone += [[one] for one in self._unconfirmed.values()]
        for track in (*self._tracks.values(), *self._alone):
            self._cover(track)
        return Places().with_more(self._found)

    def _cover(self, track: Sequence[_Sighting]) -> None:
        self._extend(track[0], -1)
        for one in track:
            self._note(one.place, one.xyxy, is_certain=one.is_certain)
        for before, after in pairwise(track):
            if self._time_s[after.place] - self._time_s[before.place] <= LOST_AFTER_SECONDS:
                self._fill(before, after)
            else:  # frames are far apart
                self._extend(before, 1, until=after.place)
                self._extend(after, -1, until=before.place)
        self._extend(track[-1], 1)

    def _fill(self, before: _Sighting, after: _Sighting) -> None:
        is_certain = before.is_certain and after.is_certain
        start_s = self._time_s[before.place]
        span_s = max(self._time_s[after.place] - start_s, 1e-9)
        for place in range(before.place + 1, after.place):
            share = np.float32((self._time_s[place] - start_s) / span_s)
            self._note(place, before.xyxy + share * (after.xyxy - before.xyxy), is_certain=is_certain)

    def _extend(self, one: _Sighting, step: int, until: int | None = None) -> None:
        """Cover the same place in the frames before or after, up to a cut."""
        end = until if until is not None else (len(self._index) if step > 0 else -1)
        for place in range(one.place + step, end, step):
            if (
                self._shot[place] != self._shot[one.place]
                or abs(self._time_s[place] - self._time_s[one.place]) > BEFORE_AND_AFTER_SECONDS
            ):
                return
            # Nothing was found here: a face that stays visible may have moved to this place.
            self._note(place, one.xyxy, is_certain=False)

    def _note(self, place: int, xyxy: Float32Array, *, is_certain: bool) -> None:
        x1, y1, x2, y2 = (float(value) for value in xyxy)
        self._found.append((self._index[place], Cover((x1, y1, x2, y2), 0, is_certain)))
