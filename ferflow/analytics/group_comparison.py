"""Two groups of participants compared: the difference of their means, and effect sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ferflow.analytics.cohort import Cohort
from ferflow.analytics.intervals import CONFIDENCE, difference_interval, mean_interval
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.quantiles import normal_quantile
from ferflow.types import Float64Array

LEAST_PARTICIPANTS = 5
"""In each group. Of fewer, an effect size says more about who happened to take part than about the groups: the interval
of Hedges' g for two groups of four spans 2.8 standard deviations even if the groups do not differ."""

_ROUNDING = 1e-6
"""Values that differ by less are equal but for the rounding of float32 measures."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure in two groups, first minus second. NaN where a group is too small or no value varies."""

    measure: str
    first: str
    second: str
    n: tuple[int, int]
    """Participants with a known value."""
    difference: float
    low: float
    high: float
    """95 % confidence interval of the difference; see `intervals.difference_interval`."""
    hedges_g: float
    g_low: float
    g_high: float
    cliffs_delta: float

    @property
    def has_enough(self) -> bool:
        """Whether both groups have `LEAST_PARTICIPANTS`."""
        return min(self.n) >= LEAST_PARTICIPANTS


def compare(cohort: Cohort, measures: Sequence[str]) -> list[Comparison]:
    """Compare each pair of groups in each measure, over the participants' own means."""
    return [
        comparison(name, (first, [one.mean(name) for one in cohort.of(first)]),
                   (second, [one.mean(name) for one in cohort.of(second)]))
        for first, second in combinations(cohort.groups, 2)
        for name in measures
    ]  # fmt: skip


def comparison(
    measure: str, first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]]
) -> Comparison:
    """Compare two groups of values; unknown values do not count.

    Hedges' g = J (m1 - m2) / s with the pooled standard deviation s and J = 1 - 3 / (4 (n1 + n2 - 2) - 1). Its
    interval is g -+ 1.96 sqrt((n1 + n2) / (n1 n2) + g^2 / (2 (n1 + n2))) (Hedges & Olkin, 1985). Cliff's delta is the
    share of pairs in which the first value is larger minus the share in which it is smaller (Cliff, 1993).

    Args:
        measure: name of the measure.
        first: name and values of the first group.
        second: name and values of the second group.
    """
    a, b = (
        np.array([v for v in values if math.isfinite(v)], dtype=np.float64) for _, values in (first, second)
    )
    n = len(a), len(b)
    means = [mean_interval(values, MEASURES[measure].range) for values in (a, b)]
    low, high = difference_interval(*means)
    g, half = _hedges(a, b)
    # Share of the pairs in which the first is larger, minus that in which it is smaller (Cliff, 1993).
    delta = float(np.sign(a[:, None] - b).mean()) if min(n) else float("nan")
    difference = means[0].mean - means[1].mean
    return Comparison(measure, first[0], second[0], n, difference, low, high, g, g - half, g + half, delta)


def _vary(a: Float64Array, b: Float64Array) -> bool:
    """Whether either group varies by more than rounding: an effect size divides by the standard deviation."""
    return max(float(np.ptp(a)), float(np.ptp(b))) > _ROUNDING


def _hedges(a: Float64Array, b: Float64Array) -> tuple[float, float]:
    """Hedges' g and half the width of its interval."""
    n, m = len(a), len(b)
    if min(n, m) < 2 or not _vary(a, b):
        return float("nan"), float("nan")
    freedom = n + m - 2
    pooled = math.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / freedom)
    g = (1 - 3 / (4 * freedom - 1)) * float(a.mean() - b.mean()) / pooled
    spread = math.sqrt((n + m) / (n * m) + g * g / (2 * (n + m)))
    return g, normal_quantile((1 + CONFIDENCE) / 2) * spread
