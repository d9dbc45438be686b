"""Track ids: faces of successive frames are linked by place, size and motion, never by appearance.

>>> tracker = Tracker()
>>> for frame, found in zip(frames, detections):
...     ids = tracker.update(found, frame.time_s)

Everything is in seconds and in face heights, so that 25 and 60 frames per second, large and small pictures and sparsely
sampled frames behave the same way. A track is one stay in the picture, not a person: a person who leaves for longer
than `LOST_AFTER_SECONDS`, or disappears at a cut, comes back as another track; `stitching` finds out who is the same.

Two thresholds, as in ByteTrack (Zhang et al., 2022, ECCV): a face in profile or half hidden gets a score that would be
too low to believe elsewhere, but where a track is expected there is a face. A weak detection continues a track that has
an id, and never starts one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ferflow.faces.assignment import assign
from ferflow.faces.detections import Detections, overlap_of_smaller
from ferflow.store.schemas import UNTRACKED
from ferflow.types import BoolArray, Float64Array, Int8Array, Int32Array, Int64Array

CERTAIN_SCORE = 0.8
"""A detection of this score starts a track at once; a weaker one must be seen twice."""

WEAK_SCORE = 0.3
"""A detection of this score may continue a track that has an id. Weaker ones are mostly noise."""

LOST_AFTER_SECONDS = 1.0
"""A track ends when its face was not detected for this time. Seconds, so that 25 and 60 frames per second behave
alike. After 2 seconds, strangers in a crowd took over tracks."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """How far from a track's expected place, and how much larger or smaller, a face may be to continue it."""

    reach_at_once: float
    """Face heights, in the next frame."""
    reach_per_second: float
    """More for every second without a detection, as heads start and stop."""
    max_reach: float
    max_size_ratio: float
    """Of the two heights."""


# In simulated crowds at 2 frames per second, 4 and 2.5 link best; at 25 they change nothing. Detected heights of one
# face differ by about 1.1 between frames; beyond a ratio of 2 it is another person.
_LIMITS = _Limits(reach_at_once=0.6, reach_per_second=4.0, max_reach=2.5, max_size_ratio=2.0)
_WEAK_LIMITS = _Limits(reach_at_once=0.5, reach_per_second=2.0, max_reach=1.0, max_size_ratio=1.6)
_MAX_WEAK_OVERLAP = 0.3
"""Share of the smaller box; a weak detection that covers more of a strong one shows the same face."""

# A velocity is averaged over about this time (a detector's jitter of 0.03 face heights must not look like speed), and
# the place is extrapolated for about this time once the face is not detected, since heads do not keep moving.
_VELOCITY_SECONDS = 0.15
_EXTRAPOLATION_SECONDS = 0.5

# Of two tracks that are equally near to a detection, the one that was seen last continues.
_UNSEEN_COST_PER_SECOND = 0.3
# Not infinity: SciPy's solver refuses a matrix in which no assignment has a finite cost.
_FORBIDDEN = 1e6


@dataclass(frozen=True, slots=True)
class _Places:
    """Faces of one frame: centres, float64 (N, 2), and heights, float64 (N,), in pixels; regions, int8 (N,)."""

    centres: Float64Array
    heights: Float64Array
    regions: Int8Array

    @classmethod
    def of(cls, detections: Detections) -> _Places:
        xyxy = detections.xyxy.astype(np.float64)
        centres, heights = (xyxy[:, :2] + xyxy[:, 2:]) / 2, np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0)
        return cls(centres, heights, detections.region)

    def __getitem__(self, rows: Int64Array) -> _Places:
        return _Places(self.centres[rows], self.heights[rows], self.regions[rows])


@dataclass(slots=True, eq=False)
class _Track:
    """Where a face was last seen, and how it moved; pixels and seconds."""

    centre: Float64Array
    height: float
    first_s: float
    last_s: float
    velocity: Float64Array
    last_seen: tuple[int, int]
    """Number of the frame, and row of its detections."""
    region: int = 0
    track_id: int = UNTRACKED

    @classmethod
    def at(cls, faces: _Places, row: int, time_s: float, frame: int) -> _Track:
        return cls(
            faces.centres[row],
            float(faces.heights[row]),
            time_s,
            time_s,
            np.zeros(2),
            last_seen=(frame, row),
            region=int(faces.regions[row]),
        )

    def predict(self, time_s: float) -> Float64Array:
        """Expected centre; the speed decays exponentially while the face is not detected."""
        elapsed = max(time_s - self.last_s, 0.0)
        # The integral of the decaying speed: it approaches `_EXTRAPOLATION_SECONDS` of the last velocity.
        effective = -math.expm1(-elapsed / _EXTRAPOLATION_SECONDS) * _EXTRAPOLATION_SECONDS
        return self.centre + self.velocity * effective

    def move_to(self, centre: Float64Array, height: float, time_s: float) -> None:
        elapsed = time_s - self.last_s
        if elapsed > 0:
            # A plain mean over the first `_VELOCITY_SECONDS`, an exponential one later. The weight follows from the
            # time that passed, so that the rate of frames does not matter.
            weight = max(-math.expm1(-elapsed / _VELOCITY_SECONDS), elapsed / (time_s - self.first_s))
            self.velocity = self.velocity + weight * ((centre - self.centre) / elapsed - self.velocity)
        self.centre, self.height, self.last_s = centre, height, max(time_s, self.last_s)

    def scale(self, factors: Float64Array) -> None:
        """Move to the same place in a picture of another size; float64 (2,), factors of x and y."""
        self.centre, self.velocity = self.centre * factors, self.velocity * factors
        self.height *= float(factors[1])


class Tracker:
    """Assigns track ids, from 1 on, to the faces of successive frames. It has state: one per video, or reset."""

    def __init__(self, *, score: float = 0.7) -> None:
        """Make a tracker for one video.

        Args:
            score: detections below it are weak.
        """
        self._score = score
        self.reset()

    def reset(self) -> None:
        """Return to the state before the first frame; ids start at 1 again."""
        self._live: list[_Track] = []
        self._n_ids = 0
        self._n_frames = 0
        self._size: tuple[int, int] | None = None
        self.late_ids: dict[int, int] = {}
        """Ids of rows of the frame before the last one, where only the last one confirmed the track."""

    def update(
        self,
        detections: Detections,
        time_s: float,
        *,
        cuts: Sequence[bool | int] = (False,),
        uncut: Collection[int] = (),
        size: tuple[int, int] | None = None,
    ) -> Int32Array:
        """Link the faces of the next frame.

        Args:
            detections: those of the frame. Frames without a face must be given too, since tracks end by them.
            time_s: seconds; never before the last frame.
            cuts: whether the frame starts a new shot, so that no track continues; per region.
            uncut: ids of tracks that continue nevertheless: their part of the picture was not cut.
            size: (width, height) of the picture; tracks keep their place in the picture when it changes.

        Returns:
            int32 (N,), an id per detection, in their order; -1 where no track is confirmed, and for weak detections
            that continue no track.
        """
        self._n_frames += 1
        self._fit_to(size)
        # Tracks end at a cut even if a face is at the same place after it: mostly it is another person's.
        self._live = [track for track in self._live if not cuts[track.region] or track.track_id in uncut]
        faces = _Places.of(detections)
        links = self._link_all(faces, detections, time_s)
        self.late_ids = {}
        ids = np.full(len(detections), UNTRACKED, np.int32)
        for row, score in enumerate(detections.score.tolist()):
            if row in links:
                ids[row] = self._continue_track(links[row], faces, row, time_s)
            elif score >= self._score:
                ids[row] = self._start_track(_Track.at(faces, row, time_s, self._n_frames), score)
        # Only after linking: frames may be farther apart than LOST_AFTER_SECONDS.
        self._live = [track for track in self._live if time_s - track.last_s <= LOST_AFTER_SECONDS]
        return ids

    def is_strong(self, detections: Detections) -> BoolArray:
        """Which detections may start a track, bool (N,)."""
        strong: BoolArray = detections.score >= self._score
        return strong

    def break_link(self, row: int, score: float) -> int:
        """Start another track at a face of the last frame, which shows another person than its track did before.

        Args:
            row: of a face that has an id.
            score: of its detection.

        Returns:
            The id of the new track; -1 where none is confirmed, as after `update`.
        """
        (old,) = (track for track in self._live if track.last_seen == (self._n_frames, row))
        self._live.remove(old)
        if score < self._score:
            return UNTRACKED
        new = replace(old, first_s=old.last_s, velocity=np.zeros(2), track_id=UNTRACKED)
        return self._start_track(new, score)

    def _fit_to(self, size: tuple[int, int] | None) -> None:
        if size is not None and self._size is not None and size != self._size:
            factors = np.array(size) / np.array(self._size)
            for track in self._live:
                track.scale(factors)
        self._size = size or self._size

    def _link_all(self, faces: _Places, detections: Detections, time_s: float) -> dict[int, _Track]:
        """Tracks by the rows of the detections that continue them: strong ones first, then weak ones."""
        is_strong = self.is_strong(detections)
        # A face of the last frame may continue in this one, however far apart in time the two frames are.
        candidates = [
            track
            for track in self._live
            if track.last_seen[0] == self._n_frames - 1 or time_s - track.last_s <= LOST_AFTER_SECONDS
        ]
        links = _link(candidates, faces, np.flatnonzero(is_strong), time_s, _LIMITS)
        rest = [
            track
            for track in candidates
            if track.track_id != UNTRACKED and all(track is not linked for linked in links.values())
        ]
        return links | _link(rest, faces, _separate_weak_rows(detections, is_strong), time_s, _WEAK_LIMITS)

    def _start_track(self, track: _Track, score: float) -> int:
        """A weak first detection (a poster, a pattern) gets no id until the face is detected again."""
        self._live.append(track)
        if score >= CERTAIN_SCORE:
            self._assign_id(track)
        return track.track_id

    def _continue_track(self, track: _Track, faces: _Places, row: int, time_s: float) -> int:
        if track.track_id == UNTRACKED:
            self._assign_id(track)
            n_frames, last_row = track.last_seen
            if n_frames == self._n_frames - 1:
                self.late_ids[last_row] = track.track_id
        track.move_to(faces.centres[row], float(faces.heights[row]), time_s)
        track.last_seen = (self._n_frames, row)
        return track.track_id

    def _assign_id(self, track: _Track) -> None:
        self._n_ids += 1
        track.track_id = self._n_ids


def _link(
    tracks: list[_Track], faces: _Places, rows: Int64Array, time_s: float, limits: _Limits
) -> dict[int, _Track]:
    """Tracks by the rows, int64 (M,), of the faces that continue them."""
    if not tracks or not len(rows):
        return {}
    faces = faces[rows]
    distance, growth = _distances(tracks, faces.centres, faces.heights, time_s)
    unseen = np.array([max(time_s - track.last_s, 0.0) for track in tracks])[:, None]
    reach = np.minimum(limits.reach_at_once + limits.reach_per_second * unseen, limits.max_reach)
    cost = distance + growth + _UNSEEN_COST_PER_SECOND * unseen
    same_region = np.array([track.region for track in tracks])[:, None] == faces.regions
    allowed = (distance <= reach) & (growth <= math.log(limits.max_size_ratio)) & same_region
    pairs = assign(np.where(allowed, cost, _FORBIDDEN))
    return {int(rows[column]): tracks[i] for i, column in pairs if allowed[i, column]}


def _separate_weak_rows(detections: Detections, is_strong: BoolArray) -> Int64Array:
    """Rows of weak detections that are no parts of strong ones, int64 (M,)."""
    if is_strong.all():
        return np.zeros(0, np.int64)
    overlap = overlap_of_smaller(detections.xyxy, detections.xyxy[is_strong])
    return np.flatnonzero(~is_strong & (overlap <= _MAX_WEAK_OVERLAP).all(axis=1))


def _distances(
    tracks: list[_Track], centres: Float64Array, heights: Float64Array, time_s: float
) -> tuple[Float64Array, Float64Array]:
    """Distances between detections and the places where tracks are expected.

    Distance rather than IoU: between frames far apart boxes do not overlap, and IoU is 0 at any distance.

    Returns:
        float64 (T, N) each: distance of the centres in face heights, and log of the ratio of heights.
    """
    expected = np.array([track.predict(time_s) for track in tracks])
    own_heights = np.array([track.height for track in tracks])[:, None]
    away = np.linalg.norm(expected[:, None] - centres[None], axis=2)
    return away / ((own_heights + heights) / 2), np.abs(np.log(own_heights / heights))
