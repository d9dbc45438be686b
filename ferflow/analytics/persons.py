"""Means of each person over a whole video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.tally import Faces, FaceScores, Scorer, Tally, blocks, column, rows_by_value, tally
from ferflow.analytics.timeline import leading_label
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Person:
    """One person over the whole video. Means are over all faces; NaN where unknown."""

    track_id: int
    first_s: float
    last_s: float
    seconds: float
    """Time in view: the sum over frames with the face of the seconds that they stand for."""
    n_faces: int
    means: dict[str, float]
    """By name of the measure; see `measures.face_measures`. That of `reacting` is the share of faces that react."""
    pose_known: float
    """Share of faces with a known pose."""
    label: str | None
    """Expression with the highest mean probability, neutral included."""
    leading: str | None
    """Expression with the highest mean probability apart from neutral."""


def people(frames: pa.Table, faces: Faces, labels: Sequence[str]) -> list[Person]:
    """Sum up every person of a video, the one longest in view first.

    Args:
        frames: FRAMES of the video.
        faces: FACES of the video, whole or in blocks.
        labels: the model's labels.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    scorer, time_s = Scorer.of(frames, faces, labels), column(frames, "time_s")
    seen: dict[int, list[_PersonPart]] = {}
    for block in blocks(faces):
        scores = scorer(block)
        for track, rows in rows_by_value(scores.track_id).items():
            seen.setdefault(track, []).append(_PersonPart.of(scores, rows, time_s[scores.frame_row[rows]]))
    found = [_person(track, parts) for track, parts in seen.items()]
    return sorted(found, key=lambda person: (-person.seconds, person.track_id))


@dataclass(frozen=True, slots=True)
class _PersonPart:
    """One person within one block of faces."""

    first_s: float
    last_s: float
    seconds: float
    n_faces: int
    total: Tally

    @classmethod
    def of(cls, scores: FaceScores, rows: Int64Array, time_s: Float64Array) -> _PersonPart:
        cells = np.zeros(len(rows), dtype=np.int64)
        total = tally({name: values[rows] for name, values in scores.columns.items()}, cells, 1)
        seconds = float(scores.seconds[rows].sum())
        return cls(float(time_s.min()), float(time_s.max()), seconds, len(rows), total)


def _person(track: int, parts: Sequence[_PersonPart]) -> Person:
    total = sum((part.total for part in parts), start=Tally())
    means = {name: float(values[0]) for name, values in total.means.items()}
    probabilities = {name: value for name, value in means.items() if name.startswith("prob_")}
    n_faces = sum(part.n_faces for part in parts)
    return Person(
        track_id=track,
        first_s=min(part.first_s for part in parts),
        last_s=max(part.last_s for part in parts),
        seconds=sum(part.seconds for part in parts),
        n_faces=n_faces,
        means=means,
        # Attention is known exactly where the pose is.
        pose_known=float(total.counts["attention"][0]) / n_faces,
        label=leading_label(probabilities, neutral=True),
        leading=leading_label(probabilities),
    )
