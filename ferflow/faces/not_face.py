"""Faces that are none: a still picture of a face, and a face that is shown a second time.

A poster, a slide or the avatar of a call does not move for seconds while others do. Phone videos are shown upright in a
wide picture over an enlarged, blurred copy of themselves; a face in the copy moves exactly as the face does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import cv2
import numpy as np

from ferflow.faces.looks import FrameLooks, Looks
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.media.spacing import Spacing
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, Float64Array, UInt8Array

SAMPLE_SECONDS = 0.4
"""Least time between two samples of landmarks."""
_MIN_SAMPLES = 13
"""Five seconds. Within three, people have been seen to sit as still as a picture."""
_MAX_SAMPLES = 150
"""A minute; more would not change the answer, and crowds are recorded for hours."""

# Standard deviations over a track, in face heights, of the middle of the landmarks and of the landmarks around it. Of a
# photograph under the noise of a camera: 0.0018 and 0.0029. Of people in the trial clips over five seconds: the larger
# one at least 0.0037, that of a man who sits still for 200 s; of all others at least 0.007.
_STILL = 0.0032
_MOVING = 0.006

# Of a copy, over time: mean correlation of the pictures of both faces, and correlation of their paths. Of copies in the
# trial clips at least 0.86 and 0.93. Of different people, the pictures had at most 0.77; of six with one drawn face,
# the paths had at most 0.29. Where the camera moves, everybody's path is alike.
_MIN_PICTURE_CORRELATION = 0.82
_MIN_PATH_CORRELATION = 0.85

# A picture that is moved, as a poster in a game, stays at places for two seconds or longer. Such stays were 10 to 20 of
# 19 to 30 samples of the posters in drawn games, and none of any person in the trial clips.
_MIN_STAY, _STAY_STEP = 5, 0.02
"""Samples, and face heights from one to the next."""
_MIN_STILL, _MIN_STILL_SHARE = 10, 1 / 3
"""Samples in such stays, and their share of all."""


class FaceMotion:
    """Landmarks of the tracks of one video, every 0.4 s, and how much faces look alike at the same time."""

    def __init__(self, looks: Looks | None = None) -> None:
        """Start with a video.

        Args:
            looks: of its faces; None: cut out of its frames.
        """
        self._looks = looks or FrameLooks()
        self._samples: dict[int, list[Float32Array]] = {}
        """By track: float32 (12,) each: time in seconds, ten coordinates in heights of the picture, sharpness."""
        self._alike: dict[tuple[int, int], _Mean] = {}
        """By pair of tracks, the smaller first: correlation of their pictures."""
        self._spacing = Spacing(SAMPLE_SECONDS)

    def add(self, tracked: TrackedFrame) -> None:
        """Note where the landmarks are, if it is time, and the detector ran on the frame."""
        frame, faces = tracked.sample.frame, tracked.faces
        if not tracked.sample.is_key or not self._spacing.is_due(frame.time_s):
            return
        # All faces in the same frames, so that they can be compared.
        is_known = (tracked.track_id != UNTRACKED) & np.isfinite(faces.landmarks).all(axis=(1, 2))
        rows = np.flatnonzero(is_known).tolist()
        patches = {
            int(tracked.track_id[row]): _Patch.of(self._looks.picture(frame, faces, row)) for row in rows
        }
        for row, (track, patch) in zip(rows, patches.items(), strict=True):
            points = faces.landmarks[row].ravel() / frame.planes.height
            samples = self._samples.setdefault(track, [])
            if len(samples) < _MAX_SAMPLES:
                samples.append(np.array([frame.time_s, *points, patch.sharpness], np.float32))
        for one, other in combinations(sorted(patches), 2):
            self._alike.setdefault((one, other), _Mean()).add(float(patches[one].unit @ patches[other].unit))

    def is_still(self, tracks: Collection[int]) -> bool:
        """Whether the tracks of one person show a still picture, which may be moved, hidden and shown again.

        Args:
            tracks: of one person. Somebody must move at the same time as one of them.
        """
        tables = [self._tables[track] for track in tracks if track in self._tables]
        n_still = sum(len(stay) for table in tables for stay in _split_into_stays(table) if _is_still(stay))
        return (
            n_still >= _MIN_STILL
            and n_still >= _MIN_STILL_SHARE * sum(map(len, tables))
            and not self._beside_moving.isdisjoint(tracks)
        )

    def find(self) -> dict[int, str]:
        """Tracks that show no face: one of `store.schemas.NOT_FACE` by track id."""
        tables = self._tables
        found: dict[int, str] = dict.fromkeys(self._find_still(), "still")
        for pair, likeness in self._alike.items():
            if likeness.n >= _MIN_SAMPLES and likeness.total >= _MIN_PICTURE_CORRELATION * likeness.n:
                one, other = (tables[track] for track in pair)
                if not found.keys() & set(pair) and _move_alike(one, other):
                    blurred = np.median(one[:, -1]) < np.median(other[:, -1])
                    found[pair[0] if blurred else pair[1]] = "duplicate"
        return found

    # Cached: these are asked for after the last frame only.

    @cached_property
    def _tables(self) -> dict[int, Float64Array]:
        """Samples by track, float64 (N, 12)."""
        return {track: np.array(rows, np.float64) for track, rows in self._samples.items()}

    @cached_property
    def _moves(self) -> dict[int, float]:
        """How much each track moves that is long enough, by its id."""
        return {
            track: max(_motion(table)) for track, table in self._tables.items() if len(table) >= _MIN_SAMPLES
        }

    @cached_property
    def _beside_moving(self) -> set[int]:
        """Tracks that are seen at the same time as one that moves."""
        moving = {track for track, moves in self._moves.items() if moves >= _MOVING}
        return {track for pair in self._alike for track, other in (pair, pair[::-1]) if other in moving}

    def _find_still(self) -> list[int]:
        beside = self._beside_moving
        return [track for track, moves in self._moves.items() if moves < _STILL and track in beside]


@dataclass(slots=True)
class _Mean:
    n: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        self.n, self.total = self.n + 1, self.total + value


@dataclass(frozen=True, slots=True)
class _Patch:
    """A blurred picture of a face, float32 (576,), of mean 0 and length 1, and how sharp it was before."""

    unit: Float32Array
    sharpness: float

    @classmethod
    def of(cls, small: UInt8Array) -> _Patch:
        """From uint8 (24, 24)."""
        sharpness = float(cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_32F))[1][0, 0] ** 2)
        # Blurred, so that a sharp face and its blurred copy are alike.
        blurred = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.5).ravel()
        centred = blurred - blurred.mean()
        return cls(centred / np.float32(max(float(np.linalg.norm(centred)), 1e-6)), sharpness)


def _split_into_stays(table: Float64Array) -> list[Float64Array]:
    """Runs of samples in which the middle of the landmarks stays where it is."""
    path, _, height = _split(table)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1) / height
    runs = np.split(table, np.flatnonzero(steps > _STAY_STEP) + 1)
    return [run for run in runs if len(run) >= _MIN_STAY]


def _is_still(table: Float64Array) -> bool:
    return max(_motion(table)) < _STILL


def _motion(table: Float64Array) -> tuple[float, float]:
    """Standard deviations of the path and of the shape, in face heights."""
    path, shape, height = _split(table)
    return (
        float(np.sqrt(path.var(axis=0).sum()) / height),
        float(np.sqrt(shape.var(axis=0).sum(axis=1).mean()) / height),
    )


def _split(table: Float64Array) -> tuple[Float64Array, Float64Array, float]:
    """Middle of the landmarks, (N, 2), landmarks around it, (N, 5, 2), and the height of the face, median."""
    points = table[:, 1:11].reshape(-1, 5, 2)
    path = points.mean(axis=1)
    shape = points - path[:, None]
    # From the eyes to the mouth it is about two fifths of the height of a detector's box.
    height = 2.5 * float(np.median(np.ptp(points[..., 1], axis=1)))
    return path, shape, max(height, 1e-6)


def _move_alike(one: Float64Array, other: Float64Array) -> bool:
    """Whether two faces move, and on the same path, but for its size."""
    _, rows, other_rows = np.intersect1d(one[:, 0], other[:, 0], return_indices=True)
    if len(rows) < _MIN_SAMPLES:
        return False
    one, other = one[rows], other[other_rows]
    (path, *_), (other_path, *_) = _split(one), _split(other)
    return max(_motion(one)) >= _MOVING and _correlate(path, other_path) >= _MIN_PATH_CORRELATION


def _correlate(a: Float64Array, b: Float64Array) -> float:
    """Correlation over time of all columns together, each without its mean."""
    a, b = (values - values.mean(axis=0) for values in (a, b))
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
