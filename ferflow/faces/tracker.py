"""Track ids: faces of successive frames are linked by place, size and motion, never by appearance.

>>> tracker = Tracker()
>>> for frame, found in zip(frames, detections):
...     ids = tracker.update(found, frame.time_s)

Everything is in seconds and in face heights, so that 25 and 60 frames per second, large and small pictures and sparsely
sampled frames behave the same way. A track is one stay in the picture, not a person: a person who leaves for longer
than `LOST_AFTER_SECONDS`, or disappears at a cut, comes back as another track, unless the number of participants is
known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ferflow.errors import OptionsError
from ferflow.faces.detections import Detections
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int32Array

CERTAIN_SCORE = 0.8
"""A detection of this score starts a track at once; a weaker one must be seen twice."""

LOST_AFTER_SECONDS = 1.0
"""A track ends when its face was not detected for this time. Seconds, so that 25 and 60 frames per second behave
alike."""

# How far from its predicted place a face may be found, in face heights: farther for every second without a detection,
# as heads start and stop. In simulated crowds at 2 frames per second, 4 and 2.5 link best; at 25 they change nothing.
_REACH_AT_ONCE = 0.6
_REACH_PER_SECOND = 4.0
_MAX_REACH = 2.5
# Detected heights of one face differ by about 1.1 between frames; beyond this ratio it is another person.
_MAX_SIZE_RATIO = 2.0

# A velocity is averaged over about this time (a detector's jitter of 0.03 face heights must not look like speed), and
# the place is extrapolated for about this time once the face is not detected, since heads do not keep moving.
_VELOCITY_SECONDS = 0.15
_EXTRAPOLATION_SECONDS = 0.5

# Of two tracks that are equally near to a detection, the one that was seen last continues.
_UNSEEN_COST_PER_SECOND = 0.3
# Not infinity: SciPy's solver refuses a matrix in which no assignment has a finite cost.
_FORBIDDEN = 1e6


@dataclass(slots=True, eq=False)
class _Track:
    """Where a face was last seen, and how it moved; pixels and seconds."""

    centre: Float64Array
    size: float
    first_s: float
    last_s: float
    velocity: Float64Array
    track_id: int = UNTRACKED

    @classmethod
    def at(cls, centre: Float64Array, size: float, time_s: float) -> _Track:
        return cls(centre, size, time_s, time_s, np.zeros(2))

    def predict(self, time_s: float) -> Float64Array:
        """Expected centre; the speed decays exponentially while the face is not detected."""
        elapsed = max(time_s - self.last_s, 0.0)
        # The integral of the decaying speed: it approaches `_EXTRAPOLATION_SECONDS` of the last velocity.
        effective = -math.expm1(-elapsed / _EXTRAPOLATION_SECONDS) * _EXTRAPOLATION_SECONDS
        return self.centre + self.velocity * effective

    def move_to(self, centre: Float64Array, size: float, time_s: float) -> None:
        elapsed = time_s - self.last_s
        if elapsed > 0:
            # A plain mean over the first `_VELOCITY_SECONDS`, an exponential one later. The weight follows from the
            # time that passed, so that the rate of frames does not matter.
            weight = max(-math.expm1(-elapsed / _VELOCITY_SECONDS), elapsed / (time_s - self.first_s))
            self.velocity = self.velocity + weight * ((centre - self.centre) / elapsed - self.velocity)
        self.centre, self.size, self.last_s = centre, size, max(time_s, self.last_s)


class Tracker:
    """Assigns track ids, from 1 on, to the faces of successive frames. It has state: one per video, or reset."""

    def __init__(self, *, participants: int | None = None) -> None:
        """Make a tracker for one video.

        Args:
            participants: number of people, where it is known: there are never more ids, and a person who appears when
                all ids are in use gets the id of a missing person. With 1, every face is that person.

        Raises:
            OptionsError: participants below 1.
        """
        if participants is not None and participants < 1:
            raise OptionsError(f"participants must be at least 1, got {participants}")
        self._participants = participants
        self.reset()

    def reset(self) -> None:
        """Return to the state before the first frame; ids start at 1 again."""
        self._live: list[_Track] = []
        self._ended: dict[int, _Track] = {}
        self._n_ids = 0
        self._last_update_s = -math.inf

    def update(self, detections: Detections, time_s: float, *, is_cut: bool = False) -> Int32Array:
        """Link the faces of the next frame.

        Args:
            detections: those of the frame. Frames without a face must be given too, since tracks end by them.
            time_s: seconds; never before the last frame.
            is_cut: the frame starts a new shot, so that no track continues.

        Returns:
            int32 (N,), an id per detection, in their order; -1 where no track is confirmed.
        """
        # Tracks end at a cut even if a face is at the same place after it: mostly it is another person's.
        if is_cut:
            self._end_tracks(self._live)
        centres, sizes = _centres_and_heights(detections)
        owners: list[_Track | None] = [None] * len(detections)
        for track, row in self._link(centres, sizes, time_s):
            track.move_to(centres[row], float(sizes[row]), time_s)
            owners[row] = track
        # Only after linking: frames may be farther apart than LOST_AFTER_SECONDS.
        self._end_tracks([track for track in self._live if time_s - track.last_s > LOST_AFTER_SECONDS])
        tracks = [
            owner or self._start_track(centres[row], float(sizes[row]), time_s)
            for row, owner in enumerate(owners)
        ]
        confirmed = [
            track
            for track, owner, score in zip(tracks, owners, detections.score, strict=True)
            if owner is not None or score >= CERTAIN_SCORE or self._participants == 1
        ]
        # A weak first detection (a poster, a pattern) gets no id until the face is detected again.
        self._assign_ids([track for track in confirmed if track.track_id == UNTRACKED], tracks)
        self._last_update_s = time_s
        return np.array([track.track_id for track in tracks], np.int32)

    def _link(self, centres: Float64Array, sizes: Float64Array, time_s: float) -> list[tuple[_Track, int]]:
        """Live tracks and the rows of the detections that continue them."""
        # A face of the last frame may continue in this one, however far apart in time the two frames are.
        candidates = [
            track
            for track in self._live
            if track.last_s >= self._last_update_s or time_s - track.last_s <= LOST_AFTER_SECONDS
        ]
        distance, growth = _distances(candidates, centres, sizes, time_s)
        unseen = np.array([max(time_s - track.last_s, 0.0) for track in candidates])[:, None]
        reach = np.minimum(_REACH_AT_ONCE + _REACH_PER_SECOND * unseen, _MAX_REACH)
        cost = distance + growth + _UNSEEN_COST_PER_SECOND * unseen
        allowed = (distance <= reach) & (growth <= math.log(_MAX_SIZE_RATIO))
        pairs = _assign(np.where(allowed, cost, _FORBIDDEN))
        return [(candidates[i], row) for i, row in pairs if allowed[i, row]]

    def _start_track(self, centre: Float64Array, size: float, time_s: float) -> _Track:
        track = _Track.at(centre, size, time_s)
        self._live.append(track)
        return track

    def _end_tracks(self, tracks: list[_Track]) -> None:
        self._ended |= {track.track_id: track for track in tracks if track.track_id != UNTRACKED}
        self._live = [track for track in self._live if track not in tracks]

    def _assign_ids(self, unnamed: list[_Track], present: list[_Track]) -> None:
        """Assign ids: new ones up to the number of participants, then those of missing participants."""
        limit = self._participants
        n_new = len(unnamed) if limit is None else min(len(unnamed), limit - self._n_ids)
        for track in unnamed[:n_new]:
            self._n_ids += 1
            track.track_id = self._n_ids
        if rest := unnamed[n_new:]:
            self._reuse_ids(rest, present)

    def _reuse_ids(self, unnamed: list[_Track], present: list[_Track]) -> None:
        lost = {track.track_id: track for track in self._live if track.track_id != UNTRACKED}
        here = {track.track_id for track in present}
        missing = [track for track_id, track in sorted((self._ended | lost).items()) if track_id not in here]
        centres = np.array([track.centre for track in unnamed])
        sizes = np.array([track.size for track in unnamed])
        # At a time before all of them, tracks are predicted at the place where they were last seen: after a long
        # absence a velocity says nothing.
        distance, growth = _distances(missing, centres, sizes, -math.inf)
        for i, row in _assign(distance + growth):
            unnamed[row].track_id = missing[i].track_id
            self._ended.pop(missing[i].track_id, None)
            self._live = [track for track in self._live if track is not missing[i]]


def _assign(cost: Float64Array) -> list[tuple[int, int]]:
    """Pair rows and columns so that the sum of their costs, float64 (R, C), is minimal."""
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    # Where no two rows share their cheapest column (or, with more rows than columns, no two columns their cheapest
    # row), that pairing is the optimum, and SciPy need not be loaded.
    if rows <= columns and len(set(best := cost.argmin(axis=1).tolist())) == rows:
        return list(enumerate(best))
    if columns <= rows and len(set(best := cost.argmin(axis=0).tolist())) == columns:
        return [(row, column) for column, row in enumerate(best)]
    from scipy.optimize import linear_sum_assignment

    return [(int(i), int(j)) for i, j in zip(*linear_sum_assignment(cost), strict=True)]


def _centres_and_heights(detections: Detections) -> tuple[Float64Array, Float64Array]:
    """Centres, float64 (N, 2), and face heights, float64 (N,), in pixels."""
    xyxy = detections.xyxy.astype(np.float64)
    return (xyxy[:, :2] + xyxy[:, 2:]) / 2, np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0)


def _distances(
    tracks: list[_Track], centres: Float64Array, sizes: Float64Array, time_s: float
) -> tuple[Float64Array, Float64Array]:
    """Distances between detections and the places where tracks are expected.

    Distance rather than IoU: between frames far apart boxes do not overlap, and IoU is 0 at any distance.

    Returns:
        float64 (T, N) each: distance of the centres in face heights, and log of the ratio of heights.
    """
    if not tracks:
        return np.zeros((0, len(centres))), np.zeros((0, len(centres)))
    expected = np.array([track.predict(time_s) for track in tracks])
    heights = np.array([track.size for track in tracks])[:, None]
    away = np.linalg.norm(expected[:, None] - centres[None], axis=2)
    return away / ((heights + sizes) / 2), np.abs(np.log(heights / sizes))
