"""The faces of each track as a network describes them, for `--stitch face`: in memory, while a video is analysed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ferflow.faces.face_alignment import align
from ferflow.faces.head_pose import estimate_head_pose
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, UInt8Array

FACES_PER_TRACK = 3
_SECONDS_BETWEEN = 0.4
_GAIN = 1.05
"""A face takes the place of another one if it is better by this factor: describing it takes as long as four frames."""
_FULL_HEIGHT_PX = 100
"""Larger faces are described no better."""


class FaceDescriber(Protocol):
    """Describes faces, see `sface.SFace`."""

    def embed(self, faces: UInt8Array) -> Float32Array:
        """Float32 (N, 128) of length 1, from uint8 (N, 112, 112, 3)."""


@dataclass(frozen=True, slots=True)
class _Described:
    quality: float
    embedding: Float32Array


class TrackEmbeddings:
    """Describes the best faces of each track of one video."""

    def __init__(self, describer: FaceDescriber) -> None:
        self._describer = describer
        self._best: dict[int, list[_Described]] = {}
        """By track id, the worst first."""
        self._looked_s: dict[int, float] = {}

    def add(self, tracked: TrackedFrame) -> None:
        """Describe faces that are better than those that are known of their tracks."""
        if not tracked.sample.is_key:
            return
        time_s, faces = tracked.sample.frame.time_s, tracked.faces
        qualities = _qualities(faces.xyxy, faces.score, faces.landmarks)
        for row, track in enumerate(tracked.track_id.tolist()):
            is_due = time_s - self._looked_s.get(track, -np.inf) >= _SECONDS_BETWEEN
            if track != UNTRACKED and is_due and self._is_better(track, qualities[row]):
                image = align(tracked.sample.frame, faces.landmarks[row])
                if image is not None:
                    self._looked_s[track] = time_s
                    self._keep(track, _Described(qualities[row], self._describer.embed(image[None])[0]))

    def means(self) -> dict[int, Float32Array]:
        """Mean description of each track, float32 (128,) of length 1."""
        means = {
            track: np.mean([one.embedding for one in best], axis=0) for track, best in self._best.items()
        }
        return {track: mean / max(float(np.linalg.norm(mean)), 1e-9) for track, mean in means.items()}

    def _is_better(self, track: int, quality: float) -> bool:
        best = self._best.get(track, [])
        return quality > 0 and (len(best) < FACES_PER_TRACK or quality > _GAIN * best[0].quality)

    def _keep(self, track: int, face: _Described) -> None:
        best = sorted([*self._best.get(track, []), face], key=lambda one: one.quality)
        self._best[track] = best[-FACES_PER_TRACK:]


def _qualities(xyxy: Float32Array, score: Float32Array, landmarks: Float32Array) -> list[float]:
    """How well each face can be described: certain, large and frontal ones best; 0 without a pose."""
    yaw = np.radians(estimate_head_pose(landmarks)[:, 0])
    height = np.minimum((xyxy[:, 3] - xyxy[:, 1]) / _FULL_HEIGHT_PX, 1.0)
    return [float(quality) for quality in np.nan_to_num(score * height * np.cos(yaw))]
