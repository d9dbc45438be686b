"""From the scores of single faces to what a viewer would call an expression.

A classifier answers with the class shares of its training data in mind, in which neutral is rare (a fifth). In video a
face is at rest for about half of the time. `reweight` replaces the one assumption by the other, and `smooth_in_time`
averages over half a second, so that the shown label does not flicker. Formulas and measurements: `docs/numbers.md`.

>>> reweight({"happy": np.array([0.6]), "neutral": np.array([0.4])}, neutral_prior=0.2)["neutral"].round(3).tolist()
[0.727]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

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
    at: float = 0.5,
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
        at: the middle of the window within the time of the face's frame: 0 its beginning, 1 its end.
    """
    smoothed = {label: np.full(len(persons), np.nan) for label in scores}
    for rows in rows_by_value(np.where(known, persons, -1)).values():
        if not known[rows[0]]:
            continue
        window = _Window.around(start_s[rows], seconds[rows], at)
        for label, values in scores.items():
            smoothed[label][rows] = window.mean(values[rows])
    return smoothed


class _Window:
    """Integrals of one person's values over a window around a time within each of N frames."""

    def __init__(
        self, knots: Float64Array, seconds: Float64Array, low: Float64Array, high: Float64Array
    ) -> None:
        self.knots, self.seconds, self.low, self.high = knots, seconds, low, high

    @classmethod
    def around(cls, start_s: Float64Array, seconds: Float64Array, at: float) -> _Window:
        middle, half = start_s + seconds * at, SMOOTHING_SECONDS / 2
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


def share_shown(
    scores: Mapping[str, Float64Array], neutral: Sequence[Float64Array]
) -> dict[str, Float64Array]:
    """Share of the time of each face's frame in which each label is shown, by label, float64 (N,); NaN where unknown.

    Neutral while its score is above one half, else the label with the highest other score in the middle of the frame.

    Args:
        scores: smoothed, by label, (N,), in the middle of the frame.
        neutral: the smoothed score of neutral, (N,), at equally spaced times from the beginning of the frame to its
            end, between which it changes in straight lines; empty for a model without neutral.
    """
    others = [label for label in scores if label != NEUTRAL_LABEL]
    leading = _leading(scores, others)
    lines = [_share_above(first, last, 0.5) for first, last in pairwise(neutral)]
    at_rest = np.mean(lines, axis=0) if lines else np.zeros(len(leading))
    shares = {label: (1 - at_rest) * (leading == place) for place, label in enumerate(others)}
    shares[NEUTRAL_LABEL] = at_rest
    return {label: np.where(leading < 0, np.nan, shares[label]) for label in scores}


def _share_above(first: Float64Array, last: Float64Array, threshold: float) -> Float64Array:
    """Share of a straight line between two values that is above a threshold, (N,)."""
    low, high = np.minimum(first, last), np.maximum(first, last)
    crossing = ratio(high - threshold, high - low)
    return np.where(low > threshold, 1.0, np.where(high <= threshold, 0.0, crossing))


def shown_labels(scores: Mapping[str, Float64Array]) -> Int64Array:
    """Place of the shown label of each face among the labels, int64 (N,); -1 where unknown.

    Neutral where its score is above one half, so exactly where the face is not expressive; else the highest other.
    """
    labels = list(scores)
    others = [label for label in labels if label != NEUTRAL_LABEL]
    leading = _leading(scores, others)
    place = np.where(leading < 0, -1, np.array([labels.index(label) for label in others])[leading])
    if NEUTRAL_LABEL not in scores:
        return place.astype(np.int64)
    return np.where(
        (leading >= 0) & (scores[NEUTRAL_LABEL] > 0.5), labels.index(NEUTRAL_LABEL), place
    ).astype(np.int64)


def _leading(scores: Mapping[str, Float64Array], labels: Sequence[str]) -> Int64Array:
    """Place of the highest score among `labels`, int64 (N,); -1 where unknown."""
    table = np.stack([scores[label] for label in labels])
    unknown = np.isnan(table).any(axis=0)
    # Of NaN, argmax would return the place.
    return np.where(unknown, -1, np.where(unknown, 0.0, table).argmax(axis=0)).astype(np.int64)
