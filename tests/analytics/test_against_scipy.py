"""Quantiles and local peaks against SciPy, which defines them here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from ferflow.analytics.local_peaks import find_peaks
from ferflow.analytics.quantiles import normal_quantile, student_quantiles


@pytest.mark.parametrize("probability", [0.9, 0.975, 0.995])
def test_quantiles_are_those_of_scipy(probability):
    freedoms = np.array([1, 2, 3, 4, 5, 6, 7, 10, 11, 50, 101, 1000, 5001], float)
    assert student_quantiles(probability, freedoms) == pytest.approx(
        stats.t.ppf(probability, freedoms),
        rel=1e-9,  # SciPy's own, up to 1.13
    )
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), abs=1e-12)
    assert np.isnan(student_quantiles(probability, np.array([0.0, -1.0]))).all()


@pytest.mark.parametrize("seed", range(200))
def test_peaks_of_random_curves_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    # Of whole numbers many are equal, next to each other and elsewhere; which of two equal peaks SciPy drops is open.
    has_plateaus = seed % 2 == 0
    length = int(rng.integers(3, 80))
    curve = rng.integers(0, 5, length).astype(float) if has_plateaus else rng.random(length)
    curve = np.pad(curve, 1, constant_values=curve.min())
    distance, prominence = 1 if has_plateaus else int(rng.integers(1, 8)), float(rng.choice([0.1, 0.5, 1]))
    where, facts = signal.find_peaks(curve, prominence=prominence, distance=distance, width=0, rel_height=0.5)
    found = find_peaks(curve, prominence=prominence, distance=distance)
    assert [peak.index for peak in found] == where.tolist()
    assert [peak.prominence for peak in found] == pytest.approx(facts["prominences"])
    assert [peak.start for peak in found] == pytest.approx(facts["left_ips"])
    assert [peak.end for peak in found] == pytest.approx(facts["right_ips"])


def test_a_curve_without_a_peak_has_none():
    for curve in ([], [1.0], [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]):
        assert find_peaks(np.array(curve), prominence=0.1, distance=1) == []
