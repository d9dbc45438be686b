"""The measures of each face of a video, from FACES in blocks.

scorer = Scorer.of(frames, faces, basis)
for scores in scorer(faces):
print(scores.columns["expressiveness"])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.analytics.applied_corrections import Relabel
from ferflow.analytics.expressions import (
    NO_PRIOR,
    SMOOTHING_SECONDS,
    log_odds,
    reweight,
    share_shown,
    shown_labels,
    smooth_in_time,
)
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.measures import NEUTRAL_LABEL, FaceValues, face_measures
from ferflow.analytics.readability import READABILITY_COLUMNS, read_codes
from ferflow.analytics.sightings import Sighting, find_sightings, is_brief
from ferflow.analytics.tally import Faces, blocks, column, read_ids, rows_by_value
from ferflow.store.metadata import Gap, Rest, VideoMetadata
from ferflow.types import Float64Array, Int64Array

RESTING_LOG_ODDS = -2.0
"""Log odds of an expression on a face at rest: the median over resting faces (docs/numbers.md, "Calibration")."""
LARGEST_SHIFT = 1.5
"""A calibration moves log odds by this much at most: a stretch that is marked as rest by mistake must not erase a
smile."""
LEAST_REST_SECONDS = 2.0
"""Readable time at rest below which a person is not calibrated."""

# Frames of 200 ms are usual in video calls, and within one the smoothed scores bend.
_TIMES_IN_FRAME = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLUMNS = ("frame_index", "person_id", "pitch", "score", *READABILITY_COLUMNS)


def score_columns(labels: Sequence[str]) -> list[str]:
    """Columns of FACES that a `Scorer` reads, `person_id` as `person_faces` gives it."""
    return [*_COLUMNS, *(f"prob_{label}" for label in labels)]


@dataclass(frozen=True, slots=True)
class Basis:
    """What the measures of a video are computed with, besides FRAMES and FACES."""

    labels: tuple[str, ...]
    """Of the model, in its order."""
    neutral_prior: float | None
    """Share of neutral that the scores assume; None: unknown, and the scores are taken as they are."""
    end_s: float | None = None
    """End of the video."""
    gaps: tuple[Gap, ...] = ()
    rest: tuple[Rest, ...] = ()

    @classmethod
    def of(cls, metadata: VideoMetadata, neutral_prior: float | None, rest: Sequence[Rest] = ()) -> Self:
        """Of a finished video."""
        return cls(metadata.labels, neutral_prior, metadata.duration_s, metadata.gaps, tuple(rest))

    @classmethod
    def stored(cls, metadata: VideoMetadata) -> Self:
        """What the timeline with this footer was computed with."""
        basis = metadata.basis
        return cls.of(metadata, basis.neutral_prior, basis.rest) if basis else cls.of(metadata, None)


@dataclass(frozen=True, slots=True)
class FaceScores:
    """Measures of N faces of people. Arrays of length N; NaN where unknown."""

    frame_row: Int64Array
    """Row of FRAMES of each face."""
    person_id: Int64Array
    seconds: Float64Array
    """Seconds that the face's frame stands for."""
    readable: npt.NDArray[np.bool_]
    label: Int64Array
    """Place of the shown label in the middle of the frame among the model's; -1 where unknown."""
    score: Float64Array
    """Smoothed score p' of that label, in [0, 1]."""
    columns: dict[str, Float64Array]
    """Of every measure, by name; see `measures.face_measures`."""
    expressions: dict[str, Float64Array] = field(default_factory=dict)
    """By label, what the shown one is the largest of: re-weighted and smoothed; 0 and 1 where a human coder says it."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Computes the measures of faces, given what must be known of the whole video before any face can be scored."""

    times: FrameTimes
    basis: Basis
    sightings: Mapping[int, Sighting]
    """Every person, by id, also those who are seen only briefly."""
    shifts: Mapping[int, float]
    """Calibration by person, log odds; see `_find_shifts`."""
    counted_s: float
    """Analysed time in which people are looked for."""
    relabels: tuple[Relabel, ...] = ()
    """Stretches of which a human coder says what people show."""

    @classmethod
    def of(cls, frames: pa.Table, faces: Faces, basis: Basis) -> Self:
        """Find the people and their calibration: a pass over FACES, and one more with a stretch at rest.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        times = FrameTimes.from_frames(frames, end_s=basis.end_s, gaps=basis.gaps)
        sightings = find_sightings(faces, times)
        shifts = _find_shifts(faces, times, basis) if basis.rest else {}
        return cls(times, basis, sightings, shifts, times.total_s)

    def limited_to(self, faces: Faces, times: FrameTimes) -> Self:
        """The same for a part of the recording, in which other people may be seen only briefly.

        Args:
            faces: FACES of the part: `frame_index`, `person_id`, `score`.
            times: of its frames.
        """
        return replace(self, sightings=find_sightings(faces, times), counted_s=times.total_s)

    @property
    def people(self) -> dict[int, Sighting]:
        """Those who are not seen only briefly, by id."""
        return {person: one for person, one in self.sightings.items() if not is_brief(one, self.counted_s)}

    def __call__(self, faces: Faces) -> Iterator[FaceScores]:
        """Compute the measures of the faces of `people`, block by block; the faces must be in order of time.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        people = np.array(sorted(self.people), dtype=np.int64)
        # The window of a face reaches half of the smoothing beyond the middle of its frame.
        margin_s = SMOOTHING_SECONDS / 2 + float(self.times.seconds.max(initial=0.0))
        for block, own in _with_context(faces, self.times, people, margin_s):
            yield self._score(block, own)

    def _score(self, faces: pa.Table, own: slice) -> FaceScores:
        """Measures of the rows `own` of `faces`; the other rows are what the smoothing needs around them."""
        rows, person_id = self.times.rows(faces), read_ids(faces)
        readable, seconds = read_codes(faces) == 0, self.times.seconds[rows]
        scores = {label: column(faces, f"prob_{label}") for label in self.basis.labels}
        known = readable & ~np.isnan(np.sum(list(scores.values()), axis=0))
        weighted = reweight(scores, self._prior, self._shift_of(person_id))
        smooth = partial(
            smooth_in_time, persons=person_id, start_s=self.times.time_s[rows], seconds=seconds, known=known
        )
        smoothed = smooth(weighted)
        neutral = {NEUTRAL_LABEL: weighted[NEUTRAL_LABEL]} if NEUTRAL_LABEL in weighted else {}
        curve = [smooth(neutral, at=at) for at in _TIMES_IN_FRAME]
        shown = share_shown(smoothed, [one[NEUTRAL_LABEL] for one in curve if one])
        coded = self._find_coded(self.times.time_s[rows], person_id)
        if (coded >= 0).any():
            # As if the model had been sure: a coder gives no scores.
            scores, smoothed, shown = (_replace_coded(one, coded) for one in (scores, smoothed, shown))
            known = known | (coded >= 0)
        values = FaceValues(
            yaw=column(faces, "yaw")[own],
            pitch=column(faces, "pitch")[own],
            probabilities={label: np.where(known, score, np.nan)[own] for label, score in scores.items()},
            expressions={label: score[own] for label, score in smoothed.items()},
            shown={label: share[own] for label, share in shown.items()},
        )
        columns = {
            name: measure.compute(values)
            for name, measure in face_measures(self.basis.labels).items()
            if measure.compute is not None
        }
        label = shown_labels(smoothed)
        score = np.stack(list(smoothed.values()))[np.maximum(label, 0), np.arange(len(label))]
        score = np.where(label < 0, np.nan, score)
        return FaceScores(
            rows[own],
            person_id[own],
            seconds[own],
            known[own],
            label[own],
            score[own],
            columns,
            dict(values.expressions),
        )

    def _find_coded(self, time_s: Float64Array, person_id: Int64Array) -> Int64Array:
        """Place of the label that a human coder gave each face, int64 (N,); -1 without one."""
        coded = np.full(len(time_s), -1, dtype=np.int64)
        for one in self.relabels:
            coded[one.holds_at(time_s, person_id)] = self.basis.labels.index(one.label)
        return coded

    @property
    def _prior(self) -> float:
        return NO_PRIOR if self.basis.neutral_prior is None else self.basis.neutral_prior

    def _shift_of(self, person_id: Int64Array) -> Float64Array:
        # By distinct person: there are few people, but millions of faces.
        persons, place = np.unique(person_id, return_inverse=True)
        return np.array([self.shifts.get(int(one), 0.0) for one in persons], dtype=np.float64)[place]


def _replace_coded(values: Mapping[str, Float64Array], coded: Int64Array) -> dict[str, Float64Array]:
    """1 for the label of each coded face, and 0 for all others."""
    return {
        label: np.where(coded < 0, old, np.asarray(coded == place, dtype=np.float64))
        for place, (label, old) in enumerate(values.items())
    }


def _with_context(
    faces: Faces, times: FrameTimes, people: Int64Array, margin_s: float
) -> Iterator[tuple[pa.Table, slice]]:
    """The faces of `people` in blocks that contain all faces within `margin_s` of those that are their own.

    Yields:
        Rows in order of time, and which of them are the block's own; each face is in one block's own rows.
    """
    waiting: pa.Table | None = None
    n_done = 0
    for block in blocks(faces):
        block = block.filter(pa.array(np.isin(read_ids(block), people)))
        waiting = block if waiting is None else pa.concat_tables([waiting, block])
        time_s = times.time_s[times.rows(waiting)]
        if not len(time_s):
            continue
        # Of these rows, all later neighbours within the margin are there.
        n_ready = max(n_done, int(np.searchsorted(time_s, time_s[-1] - margin_s)))
        if n_ready == n_done:
            continue
        yield waiting, slice(n_done, n_ready)
        first = int(np.searchsorted(time_s, time_s[n_ready] - margin_s))
        waiting, n_done = waiting.slice(first), n_ready - first
    if waiting is not None and len(waiting) > n_done:
        yield waiting, slice(n_done, len(waiting))


def _find_shifts(faces: Faces, times: FrameTimes, basis: Basis) -> dict[int, float]:
    """Calibration by person: how far the log odds at rest are above those of a typical resting face, within bounds.

    The value at rest is the median, weighted by time, over readable faces in the stretches marked as rest.
    """
    if NEUTRAL_LABEL not in basis.labels:
        return {}
    found: dict[int, list[tuple[Float64Array, Float64Array]]] = {}
    prior = NO_PRIOR if basis.neutral_prior is None else basis.neutral_prior
    for block in blocks(faces):
        rows, persons = times.rows(block), read_ids(block)
        odds = log_odds(column(block, f"prob_{NEUTRAL_LABEL}"), prior)
        usable = (
            (read_codes(block) == 0) & ~np.isnan(odds) & _is_at_rest(times.time_s[rows], persons, basis.rest)
        )
        for person, mine in rows_by_value(persons).items():
            mine = mine[usable[mine]]
            found.setdefault(person, []).append((odds[mine], times.seconds[rows[mine]]))
    shifts = {}
    for person, parts in found.items():
        odds, seconds = (np.concatenate(values) for values in zip(*parts, strict=True))
        if seconds.sum() >= LEAST_REST_SECONDS:
            excess = _weighted_median(odds, seconds) - RESTING_LOG_ODDS
            shifts[person] = float(np.clip(excess, -LARGEST_SHIFT, LARGEST_SHIFT))
    return shifts


def _is_at_rest(time_s: Float64Array, persons: Int64Array, rest: Sequence[Rest]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(time_s), dtype=np.bool_)
    for one in rest:
        here = (time_s >= one.start_s) & (time_s < one.end_s)
        found |= here if one.person_id is None else here & (persons == one.person_id)
    return found


def _weighted_median(values: Float64Array, weights: Float64Array) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
