"""How far a human coder and the model, or two coders, agree: Cohen's kappa over time.

The unit is time, not the stretch: every moment that both have labelled counts for its length ("time-unit kappa",
Bakeman and Quera 2011, Sequential Analysis and Observational Methods, chapter 6). Neighbouring moments resemble each
other, so there is no test of significance here.

>>> round(Confusion(("yes", "no"), np.array([[20.0, 5.0], [10.0, 15.0]])).kappa, 3)
0.4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from ferflow.analytics.applied_corrections import Relabel
from ferflow.analytics.correction_rows import Coding, VideoCorrections
from ferflow.analytics.face_scores import Basis, FaceScores, Scorer, score_columns
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import ratio
from ferflow.analytics.timeline import bin_of
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Confusion:
    """Seconds by what two raters say."""

    labels: tuple[str, ...]
    seconds: Float64Array
    """(K, K): rows are the first rater's labels, columns the second's."""

    @property
    def total_s(self) -> float:
        """Time that both have labelled."""
        return float(self.seconds.sum())

    @property
    def observed(self) -> float:
        """Share of the time in which both say the same; NaN without any."""
        return float(ratio(np.trace(self.seconds), self.total_s))

    @property
    def kappa(self) -> float:
        """(p_o - p_e) / (1 - p_e), Cohen (1960), Educational and Psychological Measurement 20:37.

        p_o is the observed agreement, p_e what two raters with these shares of labels would agree by chance. NaN
        without any time, and where both say the same one label throughout.
        """
        chance = float(ratio(self.seconds.sum(axis=1) @ self.seconds.sum(axis=0), self.total_s**2))
        return float(ratio(self.observed - chance, 1 - chance)) if 1 - chance > 1e-12 else float("nan")

    def without_empty(self) -> Confusion:
        """Only with labels that one of the two gives."""
        used = (self.seconds.sum(axis=0) + self.seconds.sum(axis=1)) > 0
        labels = tuple(label for label, one in zip(self.labels, used, strict=True) if one)
        return Confusion(labels, self.seconds[used][:, used])


@dataclass(frozen=True, slots=True)
class ModelAgreement:
    """A coder compared with the model."""

    coder: str
    confusion: Confusion
    """Rows: the coder; columns: the model."""
    unread_s: float
    """Time that the coder labelled, with the person in view, in which the model reads no expression."""
    by_bin: Float64Array
    """Share of the compared time of each bin in which both say the same, (bins,); NaN without any."""
    n_unknown: int
    """Coded stretches about a person whom the video does not have."""


@dataclass(frozen=True, slots=True)
class CoderAgreement:
    """Two coders compared with each other, while the person is in view."""

    coders: tuple[str, str]
    confusion: Confusion


@dataclass(frozen=True, slots=True)
class Agreement:
    """All comparisons of one video."""

    with_model: tuple[ModelAgreement, ...] = ()
    between_coders: tuple[CoderAgreement, ...] = ()


NO_AGREEMENT = Agreement()


@dataclass(frozen=True, slots=True)
class _Coded:
    """One coder's stretches with the persons whom they are about."""

    coder: str
    relabels: tuple[Relabel, ...]
    n_unknown: int

    def find_labels(self, labels: Sequence[str], time_s: Float64Array, persons: Int64Array) -> Int64Array:
        """Place of the coder's label of each face, -1 without one: as with corrections, by the start of its frame."""
        found = np.full(len(time_s), -1, dtype=np.int64)
        for one in self.relabels:
            found[one.holds_at(time_s, persons)] = labels.index(one.label)
        return found


def compare_codings(
    persons: Persons, names: PersonNames, frames: pa.Table, basis: Basis, bin_seconds: float
) -> Agreement:
    """Compare what coders saw with what the model shows, and the coders with each other.

    Time counts as everywhere: within the part of the recording that counts, of people who are not seen only briefly.

    Args:
        persons: of the video.
        names: that the persons were read with, with what coders saw.
        frames: FRAMES of the whole recording.
        basis: what the timeline is computed with.
        bin_seconds: length of a bin.

    Raises:
        OptionsError: a coder's rows are about one person by two names, and contradict each other.
        RecordsError: a table cannot be read.
    """
    if not names.codings:
        return NO_AGREEMENT
    faces = persons.of_whole_recording.faces(*score_columns(basis.labels))
    scorer = Scorer.of(frames, faces, basis).limited_to(
        persons.faces("frame_index", "score"), persons.times()
    )
    coded = [_find_whom(persons, names, coding) for coding in names.codings]
    labels = (
        *basis.labels,
        *sorted({one.label for each in coded for one in each.relabels} - {*basis.labels}),
    )
    n_bins = int(bin_of(np.array([scorer.times.time_s.max(initial=0.0)]), bin_seconds)[0]) + 1
    sums = _Sums.empty(len(coded), len(labels), n_bins)
    for scores in scorer(faces):
        time_s, seconds = scorer.times.time_s[scores.frame_row], _count_seconds(persons, scorer.times, scores)
        found = np.stack([each.find_labels(labels, time_s, scores.person_id) for each in coded])
        sums.add(found, scores, seconds, bin_of(time_s, bin_seconds), basis.labels)
    return sums.finish(coded, labels)


def _find_whom(persons: Persons, names: PersonNames, coding: Coding) -> _Coded:
    applied = persons.know(names).apply(VideoCorrections(coding.rows), file=f"coding/{coding.coder}.csv")
    return _Coded(coding.coder, applied.relabels, len(applied.unknown))


def _count_seconds(persons: Persons, times: FrameTimes, scores: FaceScores) -> Float64Array:
    """Seconds of each face's frame that count for its person."""
    starts = times.time_s[scores.frame_row]
    ends = starts + scores.seconds
    seconds = persons.limits.measure(starts, ends)
    for person, limits in persons.counted.of_persons.items():
        mine = scores.person_id == person
        seconds[mine] = limits.measure(starts[mine], ends[mine])
    return seconds


@dataclass(frozen=True, slots=True)
class _Sums:
    """Seconds, added up block by block. Arrays are changed in place."""

    with_model: Float64Array
    """(coders, K, K)."""
    between: Float64Array
    """(coders, coders, K, K)."""
    unread_s: Float64Array
    """(coders,)."""
    compared_s: Float64Array
    same_s: Float64Array
    """(coders, bins)."""

    @classmethod
    def empty(cls, n_coders: int, n_labels: int, n_bins: int) -> _Sums:
        return cls(
            np.zeros((n_coders, n_labels, n_labels)),
            np.zeros((n_coders, n_coders, n_labels, n_labels)),
            np.zeros(n_coders),
            np.zeros((n_coders, n_bins)),
            np.zeros((n_coders, n_bins)),
        )

    def add(
        self,
        coded: Int64Array,
        scores: FaceScores,
        seconds: Float64Array,
        bins: Int64Array,
        labels: Sequence[str],
    ) -> None:
        shown = np.stack([scores.columns[f"shown_{label}"] for label in labels], axis=1)
        is_read = scores.readable & ~np.isnan(shown).any(axis=1)
        for k, own in enumerate(coded):
            rows = np.flatnonzero((own >= 0) & is_read)
            weighted = shown[rows] * seconds[rows, None]
            for place in range(len(labels)):
                self.with_model[k, :, place] += np.bincount(
                    own[rows], weighted[:, place], len(self.with_model[k])
                )
            self.unread_s[k] += seconds[(own >= 0) & ~is_read].sum()
            np.add.at(self.compared_s[k], bins[rows], seconds[rows])
            known = own[rows] < len(labels)
            same = np.where(known, weighted[np.arange(len(rows)), np.where(known, own[rows], 0)], 0.0)
            np.add.at(self.same_s[k], bins[rows], same)
            for other in range(k + 1, len(coded)):
                both = (own >= 0) & (coded[other] >= 0)
                np.add.at(self.between[k, other], (own[both], coded[other][both]), seconds[both])

    def finish(self, coded: Sequence[_Coded], labels: tuple[str, ...]) -> Agreement:
        with_model = tuple(
            ModelAgreement(
                one.coder,
                Confusion(labels, self.with_model[k]).without_empty(),
                float(self.unread_s[k]),
                ratio(self.same_s[k], self.compared_s[k]),
                one.n_unknown,
            )
            for k, one in enumerate(coded)
        )
        between = tuple(
            CoderAgreement(
                (coded[a].coder, coded[b].coder), Confusion(labels, self.between[a, b]).without_empty()
            )
            for a, b in combinations(range(len(coded)), 2)
            if self.between[a, b].any()
        )
        return Agreement(with_model, between)
