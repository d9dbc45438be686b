"""How well windows of time agree with their ratings, with intervals from resampled people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import rankdata, spearmanr

from ferflow.types import Float64Array, Int64Array

AT_REST, CLEARLY = 0, 2
PASSES = 0.5
"""Expressive share from which a window counts as reacting, as in the timeline."""


@dataclass(frozen=True, slots=True)
class Windows:
    """W rated windows and what a definition says of them. Arrays of length W; NaN where it gives no answer."""

    person: Int64Array
    """Number of the person, from 0."""
    rating: Int64Array
    """0 at rest, 1 some, 2 clearly."""
    score: Float64Array
    """Mean expressiveness, in [0, 1]."""
    share: Float64Array
    """Share of readable time that is expressive, in [0, 1]."""

    def take(self, rows: Int64Array, person: Int64Array | None = None) -> Windows:
        """Some of the windows, of other people if given."""
        people = self.person[rows] if person is None else person
        return Windows(people, self.rating[rows], self.score[rows], self.share[rows])

    @property
    def answered(self) -> Windows:
        """Those with an answer."""
        return self.take(np.flatnonzero(np.isfinite(self.share)))


Statistic: TypeAlias = Callable[[Windows], float]


def auc(values: Float64Array, rating: Int64Array) -> float:
    """How often a clearly expressive window has a higher value than a resting one; a tie is half. NaN without both."""
    high, low = values[rating == CLEARLY], values[rating == AT_REST]
    if not len(high) or not len(low):
        return float("nan")
    ranks = rankdata(np.concatenate([high, low]))[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def by_person(windows: Windows, *, graded: bool = False) -> tuple[Float64Array, Float64Array]:
    """Of each person, (P,): the mean expressive share, and that of the ratings.

    A window that is rated as some expression counts as expressive; `graded`: as expressive for half of its time.
    """
    _, place = np.unique(windows.person, return_inverse=True)
    n = np.bincount(place)
    rated = windows.rating / CLEARLY if graded else windows.rating > AT_REST
    return np.bincount(place, windows.share) / n, np.bincount(place, rated) / n


def mean_absolute_error(windows: Windows, *, graded: bool = False) -> float:
    """Of the expressive share of each person against the rating; see `by_person`."""
    found, rated = by_person(windows, graded=graded)
    return float(np.abs(found - rated).mean())


def spearman(windows: Windows) -> float:
    """Rank correlation of the two over people; NaN where one of them is the same for all."""
    found, rated = by_person(windows)
    if np.ptp(found) == 0 or np.ptp(rated) == 0:
        return float("nan")
    return float(spearmanr(found, rated).statistic)


def resting_share_passing(windows: Windows) -> float:
    """Share of resting windows that count as reacting; NaN without any."""
    resting = windows.share[windows.rating == AT_REST]
    return float((resting >= PASSES).mean()) if len(resting) else float("nan")


STATISTICS: dict[str, Statistic] = {
    "auc_score": lambda windows: auc(windows.score, windows.rating),
    "auc_share": lambda windows: auc(windows.share, windows.rating),
    "mae": mean_absolute_error,
    "mae_graded": lambda windows: mean_absolute_error(windows, graded=True),
    "spearman": spearman,
    "rest_passing": resting_share_passing,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its 95 % percentile interval over resampled people; NaN where it cannot be computed."""

    value: float
    low: float
    high: float


def estimate(windows: Windows, statistic: Statistic, *, n_samples: int = 2000, seed: int = 0) -> Estimate:
    """A statistic of all windows, and its bootstrap interval.

    People are drawn with replacement, with all their windows: windows of one person are alike, and resampling windows
    would make the interval too narrow.
    """
    rows = [np.flatnonzero(windows.person == person) for person in np.unique(windows.person)]
    draw = np.random.default_rng(seed)
    found = [statistic(_sample(windows, rows, draw)) for _ in range(n_samples)]
    known = np.array(found)[np.isfinite(found)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return Estimate(statistic(windows), float(low), float(high))


def _sample(windows: Windows, rows: Sequence[Int64Array], draw: np.random.Generator) -> Windows:
    chosen = [rows[i] for i in draw.integers(len(rows), size=len(rows))]
    # A person who is drawn twice counts as two people.
    copies = np.repeat(np.arange(len(chosen)), [len(one) for one in chosen])
    return windows.take(np.concatenate(chosen), copies)
