"""From the scores of single faces to what a viewer would call an expression.

A classifier answers with the class shares of its training data in mind, in which neutral is rare (a fifth). In video a
face is at rest for about half of the time. `reweight` replaces the one assumption by the other, and `smooth_in_time`
averages over half a second, so that the shown label does not flicker. Formulas and measurements: `docs/numbers.md`.

>>> reweight({"happy": np.array([0.6]), "neutral": np.array([0.4])}, neutral_prior=0.2)["neutral"].round(3).tolist()
[0.727]
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ferflow.analytics.measures import NEUTRAL_LABEL
from ferflow.analytics.tally import ratio, rows_by_value
from ferflow.types import Float64Array, Int64Array

NO_PRIOR = 0.5
"""Prior of neutral of a model whose card states none: the scores are then taken as they are."""
SMOOTHING_SECONDS = 0.5
"""Length of the window of `smooth_in_time`. Shorter than a visible expression; longer than a blink, whose frames are
often misread."""

# Scores are float32, and a score of exactly 0 or 1 would be an infinite logit.
_LEAST_SCORE = 1e-7


def log_odds(neutral: Float64Array, neutral_prior: float) -> Float64Array:
    """Log odds of any expression against rest, with both equally likely beforehand; float64 (N,), NaN where unknown.

    `logit(1 - p_neutral) - log((1 - pi) / pi)`, the change of prior of Saerens et al. (2002) for two classes.

    Args:
        neutral: score of neutral in [0, 1], (N,).
        neutral_prior: pi, the share of neutral that the scores assume, in (0, 1).
    """
    rest = np.clip(neutral, _LEAST_SCORE, 1 - _LEAST_SCORE)
    return np.asarray(np.log((1 - rest) / rest) - np.log((1 - neutral_prior) / neutral_prior))


def reweight(
    scores: Mapping[str, Float64Array], neutral_prior: float, shift: Float64Array | float = 0.0
) -> dict[str, Float64Array]:
    """Scores with rest and expression equally likely beforehand: p'_neutral = 1 - E and p'_k = p_k E / (1 - p_neutral).

    Args:
        scores: by label, float64 (N,) in [0, 1]; without neutral they are returned as they are.
        neutral_prior: the share of neutral that the scores assume, in (0, 1).
        shift: log odds that are subtracted, by face or for all: how expressive the person looks at rest.
    """
    if NEUTRAL_LABEL not in scores:
        return dict(scores)
    neutral = np.clip(scores[NEUTRAL_LABEL], _LEAST_SCORE, 1 - _LEAST_SCORE)
    expressive = 1 / (1 + np.exp(shift - log_odds(neutral, neutral_prior)))
    factor = expressive / (1 - neutral)
    return {
        label: 1 - expressive if label == NEUTRAL_LABEL else values * factor
        for label, values in scores.items()
    }


def smooth_in_time(
    scores: Mapping[str, Float64Array],
    persons: Int64Array,
    start_s: Float64Array,
    seconds: Float64Array,
    known: np.typing.NDArray[np.bool_],
) -> dict[str, Float64Array]:
    """Mean of each person's scores over `SMOOTHING_SECONDS`, centred on each face; NaN where a face is not known.

    Each face is a constant over the time that its frame stands for, so the result does not depend on the frame rate.
    Times without a known face of the person do not count.

    Args:
        scores: by label, float64 (N,).
        persons: int64 (N,), person of each face; the faces of a person must be in order of time, one per frame.
        start_s: time of each face's frame, (N,).
        seconds: time that the frame stands for, (N,).
        known: bool (N,), whether the face counts.
    """
    smoothed = {label: np.full(len(persons), np.nan) for label in scores}
    for rows in rows_by_value(np.where(known, persons, -1)).values():
        if not known[rows[0]]:
            continue
        window = _Window.around(start_s[rows], seconds[rows])
        for label, values in scores.items():
            smoothed[label][rows] = window.mean(values[rows])
    return smoothed


class _Window:
    """Integrals of one person's values over a window around the middle of each of N frames."""

    def __init__(
        self, knots: Float64Array, seconds: Float64Array, low: Float64Array, high: Float64Array
    ) -> None:
        self.knots, self.seconds, self.low, self.high = knots, seconds, low, high

    @classmethod
    def around(cls, start_s: Float64Array, seconds: Float64Array) -> _Window:
        middle, half = start_s + seconds / 2, SMOOTHING_SECONDS / 2
        # Rounding may put an end just after the next start, and np.interp needs ascending knots.
        knots = np.maximum.accumulate(np.stack([start_s, start_s + seconds], axis=1).ravel())
        return cls(knots, seconds, middle - half, middle + half)

    def mean(self, values: Float64Array) -> Float64Array:
        """Mean over the window of a function that has `values` where a face is known; float64 (N,)."""
        return ratio(self._integral(values), self._integral(np.ones(len(values))))

    def _integral(self, values: Float64Array) -> Float64Array:
        # The integral up to each knot: it grows during a frame, and not between frames.
        grown = np.stack([np.zeros(len(values)), values * self.seconds], axis=1).ravel()
        total = np.cumsum(grown)
        upper, lower = (np.interp(edge, self.knots, total) for edge in (self.high, self.low))
        return np.asarray(upper - lower, dtype=np.float64)


def shown_labels(scores: Mapping[str, Float64Array]) -> Int64Array:
    """Place of the shown label of each face among the labels, int64 (N,); -1 where unknown.

    Neutral where its score is above one half, so exactly where the face is not expressive; else the highest other.
    """
    labels = list(scores)
    table = np.stack([scores[label] for label in labels])
    unknown = np.isnan(table).any(axis=0)
    if NEUTRAL_LABEL in labels:
        place = labels.index(NEUTRAL_LABEL)
        # Above every other score, or below every other one.
        table[place] = np.where(table[place] > 0.5, np.inf, -np.inf)
    # Of NaN, argmax would return the place.
    return np.where(unknown, -1, np.where(unknown, 0.0, table).argmax(axis=0)).astype(np.int64)
