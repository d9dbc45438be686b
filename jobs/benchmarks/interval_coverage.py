"""How often 95 % intervals of the mean of a few participants contain the true mean, and how wide they are.

    python -m ferflow.jobs.benchmarks.interval_coverage

Values in [0, 1] are drawn from distributions whose mean is known: participants' means (Beta, a point mass at 0), and
values that are 0 or 1. Compared are the intervals of `analytics.intervals` and two that were not taken: Student's, cut
off at 0 and 1, and the percentile bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from scipy import stats

from ferflow.analytics.intervals import mean_band, share_band
from ferflow.types import Float64Array

Bounds: TypeAlias = tuple[Float64Array, Float64Array]

REPEATS = 4000
RESAMPLES = 400
SIZES = (3, 5, 8, 15, 40)

DISTRIBUTIONS: Mapping[str, tuple[float, Callable[[Generator, tuple[int, int]], Float64Array]]] = {
    "means, spread about .25": (0.25, lambda rng, shape: rng.beta(2, 6, shape)),
    "means, most near 0": (0.2, lambda rng, shape: rng.beta(0.4, 1.6, shape)),
    "means, 70 % exactly 0": (
        0.15,
        lambda rng, shape: np.where(rng.random(shape) < 0.7, 0.0, rng.random(shape)),
    ),
    "0 or 1, 10 % are 1": (0.1, lambda rng, shape: (rng.random(shape) < 0.1).astype(np.float64)),
    "0 or 1, 30 % are 1": (0.3, lambda rng, shape: (rng.random(shape) < 0.3).astype(np.float64)),
}
"""By name: the true mean, and a function that draws values."""


def _wilson(values: Float64Array) -> Bounds:
    band = share_band(values)
    return band.low, band.high


def _logit_t(values: Float64Array) -> Bounds:
    band = mean_band(values, (0, 1))
    return band.low, band.high


def _student(values: Float64Array) -> Bounds:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.clip(values.mean(axis=0) - half, 0, 1), np.clip(values.mean(axis=0) + half, 0, 1)


def _bootstrap(values: Float64Array) -> Bounds:
    rng = np.random.default_rng(1)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


INTERVALS: Mapping[str, Callable[[Float64Array], Bounds]] = {
    "Wilson": _wilson,
    "logit t": _logit_t,
    "Student, cut off": _student,
    "bootstrap": _bootstrap,
}


def main() -> None:
    """Print, for each distribution and sample size, the share of intervals with the true mean and the mean width."""
    rng = np.random.default_rng(17)
    print("| values | n | " + " | ".join(INTERVALS) + " |\n|---|---|" + "---|" * len(INTERVALS))
    for name, (mean, draw) in DISTRIBUTIONS.items():
        for n in SIZES:
            values = draw(rng, (n, REPEATS))
            cells = [_describe(interval(values), mean) for interval in INTERVALS.values()]
            print(f"| {name} | {n} | " + " | ".join(cells) + " |")


def _describe(bounds: Bounds, mean: float) -> str:
    low, high = bounds
    return f"{((low <= mean) & (mean <= high)).mean():.0%}, width {(high - low).mean():.2f}"


if __name__ == "__main__":
    main()
