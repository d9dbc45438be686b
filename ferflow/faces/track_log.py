"""What is remembered of each track until the video has ended: when, for how long, where, and how certain.

>>> log = TrackLog()
>>> for tracked in frames:
...     log.add(tracked)
>>> log.tracks[1].seconds
12.4
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

from ferflow.faces.links import CHECK_SECONDS
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.media.planes import Planes
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array


@dataclass(frozen=True, slots=True)
class Place:
    """A face in the picture, whatever the size of the picture."""

    x: float
    y: float
    """Centre, in heights of the picture."""
    height: float
    """In heights of the picture."""

    @classmethod
    def of(cls, box: Float32Array, planes: Planes) -> Place:
        """From float32 (4,), xyxy in pixels."""
        x1, y1, x2, y2 = (box / planes.height).tolist()
        return cls((x1 + x2) / 2, (y1 + y2) / 2, max(y2 - y1, 1e-6))

    def distance(self, other: Place) -> float:
        """Distance of the centres, in mean face heights."""
        return math.hypot(self.x - other.x, self.y - other.y) / ((self.height + other.height) / 2)


@dataclass(slots=True)
class TrackSummary:
    """One track."""

    track_id: int
    region: int
    """Number of the region it is in."""
    first_shot: int
    """Number of cuts in its region before its first face."""
    last_shot: int
    """As `first_shot`, before its last face: in a picture in a picture, a track continues across a cut."""
    first_s: float
    last_s: float
    first: Place
    last: Place
    seconds: float = 0.0
    """Time in view: frames stand for the time until the next one."""
    best_score: float = 0.0
    """Largest score of the detector, in [0, 1]."""
    n_faces: int = 0


class TrackLog:
    """Remembers the tracks of one video."""

    def __init__(self) -> None:
        self.tracks: dict[int, TrackSummary] = {}
        """By id."""
        self._shared_s: dict[tuple[int, int], float] = {}
        """Time that two tracks share, by pair of ids, the smaller one first."""
        self.total_s = 0.0
        """Analysed time so far."""
        self._shots: list[int] = []
        """Number of cuts so far, per region."""
        self._present: tuple[int, ...] = ()
        self._present_s = 0.0
        """Time since those who are present are."""
        self._time_s: float | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Note who is where in the next frame."""
        sample = tracked.sample
        self._shots = [
            n + bool(cut) for n, cut in zip(self._shots or [0] * len(sample.cuts), sample.cuts, strict=True)
        ]
        self.pass_time(sample.frame.time_s)
        ids = tracked.track_id.tolist()
        self._note_present(tuple(sorted(set(ids) - {UNTRACKED})))
        for row, track in enumerate(ids):
            if track != UNTRACKED:
                self._note_face(track, tracked, row)

    def pass_time(self, time_s: float) -> None:
        """Count the time up to `time_s`, in which everybody in the last frame is still in view."""
        if self._time_s is not None:
            elapsed = max(time_s - self._time_s, 0.0)
            self.total_s += elapsed
            self._present_s += elapsed
            for track in self._present:
                self.tracks[track].seconds += elapsed
        self._time_s = time_s

    def together(self) -> set[tuple[int, int]]:
        """Pairs of tracks that are seen at the same time, the smaller id first.

        One frame of many does not count: where persons change places, links may be broken a frame late.
        """
        self._note_present(())
        return {pair for pair, shared_s in self._shared_s.items() if shared_s >= self._least_shared_s(pair)}

    def _least_shared_s(self, pair: tuple[int, int]) -> float:
        return min(CHECK_SECONDS, *(self.tracks[track].seconds / 2 for track in pair))

    def _note_present(self, present: tuple[int, ...]) -> None:
        if present != self._present:
            for pair in combinations(self._present, 2):
                self._shared_s[pair] = self._shared_s.get(pair, 0.0) + self._present_s
            self._present, self._present_s = present, 0.0

    def _note_face(self, track_id: int, tracked: TrackedFrame, row: int) -> None:
        frame, faces = tracked.sample.frame, tracked.faces
        time_s, place = frame.time_s, Place.of(faces.xyxy[row], frame.planes)
        score, track = float(faces.score[row]), self.tracks.get(track_id)
        if track is None:
            region = int(faces.region[row])
            shot = self._shots[region]
            track = TrackSummary(track_id, region, shot, shot, time_s, time_s, place, place)
            self.tracks[track_id] = track
        track.last_s, track.last, track.last_shot = time_s, place, self._shots[track.region]
        track.n_faces += 1
        if score > track.best_score:  # false for NaN, the score of an interpolated face
            track.best_score = score
