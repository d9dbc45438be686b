"""What each person shows from when to when: stretches of one label, for tools that code behaviour.

A stretch lasts as long as the label that pages show stays the same from frame to frame. Stretches without a label are
events too, of kind `state`, so that a gap between expressions has a reason; see `person_bins.STATES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ferflow.analytics.limits import Limits
from ferflow.analytics.person_faces import Persons
from ferflow.exchange.face_rows import FaceTable
from ferflow.exchange.person_bins import LEFT_OUT, NO_FACE, NOT_ANALYSED, UNREADABLE
from ferflow.types import Float64Array, Int64Array

_TOLERANCE_SECONDS = 1e-6
"""Times are sums of steps between frames."""

_UNREADABLE, _NO_FACE, _BELOW = -1, -2, -3
"""Codes of frames without a label: the face cannot be read; there is none; its score is below the threshold."""


@dataclass(frozen=True, slots=True)
class EventBounds:
    """Which expressions become events."""

    min_seconds: float = 0.0
    """Shorter ones do not."""
    threshold: float = 0.0
    """A frame counts as showing its label only if the smoothed score of the label is this high, in [0, 1]."""


NO_BOUNDS = EventBounds()


@dataclass(frozen=True, slots=True)
class PersonEvent:
    """A stretch of one person, [start_s, end_s)."""

    person_id: int
    start_s: float
    end_s: float
    label: str
    """An expression of the model, or a state."""
    kind: Literal["expression", "state"]
    score: float | None = None
    """Mean smoothed score of the label, weighted by time; None for a state."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


def find_person_events(
    persons: Persons, faces: FaceTable, person_ids: Sequence[int], bounds: EventBounds = NO_BOUNDS
) -> tuple[PersonEvent, ...]:
    """The events of people, by start, then by person.

    Args:
        persons: of the video.
        faces: of these people.
        person_ids: whose events.
        bounds: which expressions are long and certain enough.
    """
    found = [
        event
        for person in person_ids
        for event in (
            *_find_labelled(persons, faces, person, bounds),
            *_find_unanalysed(faces, person),
        )
    ]
    return tuple(sorted(found, key=lambda one: (one.start_s, one.person_id, one.end_s)))


def _find_labelled(
    persons: Persons, faces: FaceTable, person: int, bounds: EventBounds
) -> Iterator[PersonEvent]:
    limits = persons.counted.of_persons.get(person, persons.counted.limits)
    codes, scores = _code_frames(faces, person, bounds.threshold)
    starts, ends = faces.times.time_s, faces.times.time_s + faces.times.seconds
    for code, first, after in _find_runs(codes, starts, ends):
        run = slice(first, after)
        score = _mean_score(scores[run], faces.times.seconds[run]) if code >= 0 else None
        yield from _split(
            limits, faces, person, code, (float(starts[first]), float(ends[after - 1])), score, bounds
        )


def _split(
    limits: Limits,
    faces: FaceTable,
    person: int,
    code: int,
    stretch: tuple[float, float],
    score: float | None,
    bounds: EventBounds,
) -> Iterator[PersonEvent]:
    """The parts of a run of frames that count, and those that do not."""
    low, high = (np.array([edge]) for edge in stretch)
    _, starts, ends = limits.split(low, high)
    last = stretch[0]
    for start, end in [*zip(starts.tolist(), ends.tolist(), strict=True), (stretch[1], stretch[1])]:
        if start - last > _TOLERANCE_SECONDS:
            yield PersonEvent(person, last, start, LEFT_OUT, "state")
        if code >= 0 and end - start >= max(bounds.min_seconds - _TOLERANCE_SECONDS, _TOLERANCE_SECONDS):
            yield PersonEvent(person, start, end, faces.labels[code], "expression", score)
        elif code in (_UNREADABLE, _NO_FACE) and end > start:
            yield PersonEvent(person, start, end, UNREADABLE if code == _UNREADABLE else NO_FACE, "state")
        last = max(last, end)


def _find_unanalysed(faces: FaceTable, person: int) -> Iterator[PersonEvent]:
    """Time of which no frame was analysed, from 0 on."""
    starts, ends = faces.times.time_s, faces.times.time_s + faces.times.seconds
    befores = np.concatenate([[0.0], ends])[: len(starts)]
    for before, start in zip(befores.tolist(), starts.tolist(), strict=True):
        if start - before > _TOLERANCE_SECONDS:
            yield PersonEvent(person, before, start, NOT_ANALYSED, "state")


def _code_frames(faces: FaceTable, person: int, threshold: float) -> tuple[Int64Array, Float64Array]:
    """Place of the label, or the code of what there is in its place, of each frame; and the label's score."""
    codes = np.full(len(faces.times.time_s), _NO_FACE, dtype=np.int64)
    scores = np.full(len(codes), np.nan)
    mine = faces.person_id == person
    rows, labels = faces.frame_row[mine], faces.label[mine]
    scores[rows] = faces.score[mine]
    is_low = (labels >= 0) & (faces.score[mine] < threshold)
    codes[rows] = np.where(is_low, _BELOW, labels)
    return codes, scores


def _find_runs(codes: Int64Array, starts: Float64Array, ends: Float64Array) -> Iterator[tuple[int, int, int]]:
    """Code, first frame and the frame after the last, of each run of frames of one code without a hole."""
    if not len(codes):
        return
    is_new = (np.diff(codes) != 0) | (starts[1:] - ends[:-1] > _TOLERANCE_SECONDS)
    edges = np.concatenate([[0], np.flatnonzero(is_new) + 1, [len(codes)]]).tolist()
    for first, after in pairwise(edges):
        yield int(codes[first]), first, after


def _mean_score(scores: Float64Array, seconds: Float64Array) -> float:
    return float(np.average(scores, weights=seconds)) if seconds.sum() > 0 else float(scores.mean())
