"""Intervals against SciPy, published tables and arithmetic by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ferflow.analytics.intervals import (
    Interval,
    difference_interval,
    mean_band,
    mean_interval,
    share_band,
    share_interval,
)


def reacted(k: int, n: int) -> Interval:
    return share_interval([1.0] * k + [0.0] * (n - k))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_have_the_intervals_of_newcombes_table(k, n, low, high):
    """Newcombe (1998), Statistics in Medicine 17:857, Table I, method 3."""
    found = reacted(k, n)
    assert (found.n, found.mean) == (n, pytest.approx(k / n))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
def test_every_share_has_the_interval_of_scipy(n):
    for k in range(n + 1):
        want = stats.binomtest(k, n).proportion_ci(method="wilson")
        found = reacted(k, n)
        assert (found.low, found.high) == pytest.approx((want.low, want.high), abs=1e-9)


def test_none_or_all_is_an_edge_of_the_interval_and_exactly_so():
    assert reacted(0, 7).low == 0.0
    assert reacted(7, 7).high == 1.0
    assert reacted(0, 7).high > 0.3


def test_a_mean_worked_out_by_hand():
    """m .3, s .1, t(2) 4.30265: the half width on the logit scale is 4.30265 x .1 / (sqrt(3) x .21) = 1.18293."""
    found = mean_interval([0.2, 0.3, 0.4, math.nan], limits=(0, 1))
    assert (found.n, found.mean) == (3, pytest.approx(0.3))
    middle = math.log(0.3 / 0.7)
    want = [1 / (1 + math.exp(-(middle + sign * 1.18293))) for sign in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(want, abs=1e-5)


def test_a_mean_of_other_limits_is_the_same_interval_stretched():
    found = mean_interval([-0.6, -0.4, -0.2], limits=(-1, 1))
    scaled = mean_interval([0.2, 0.3, 0.4], limits=(0, 1))
    assert (found.low, found.high) == pytest.approx((2 * scaled.low - 1, 2 * scaled.high - 1))


def test_with_many_participants_the_interval_is_students():
    values = np.random.default_rng(1).beta(5, 5, 400)
    found = mean_interval(values, limits=(0, 1))
    want = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(want, abs=1e-3)


def test_equal_values_do_not_make_a_certain_mean():
    found = mean_interval([0.0, 0.0, 0.0, 0.0], limits=(0, 1))
    assert (found.mean, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(stats.binomtest(0, 4).proportion_ci(method="wilson").high)


def test_one_participant_has_a_mean_and_no_interval_of_it():
    found = mean_interval([0.4], limits=(0, 1))
    assert (found.n, found.mean) == (1, pytest.approx(0.4))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(mean_interval([], limits=(0, 1)).mean)
    assert math.isnan(share_interval([]).low)


def test_each_point_of_a_band_is_an_interval_of_its_own():
    values = np.array([[0.0, 0.5, np.nan], [1.0, 0.7, np.nan], [1.0, np.nan, 0.2]])
    shares, means = share_band(values), mean_band(values, (0, 1))
    assert shares.n.tolist() == means.n.tolist() == [3, 2, 1]
    for k in range(3):
        one, mean = share_interval(values[:, k]), mean_interval(values[:, k], (0, 1))
        assert (shares.low[k], shares.high[k]) == pytest.approx((one.low, one.high))
        assert (means.low[k], means.high[k]) == pytest.approx((mean.low, mean.high), nan_ok=True)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_no_interval_lies_outside_the_possible_range_and_each_contains_its_mean(values):
    found = mean_interval(values, limits=(-1, 1))
    assert -1 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_differences_have_the_intervals_of_newcombes_table(first, second, low, high):
    """Newcombe (1998), Statistics in Medicine 17:873, Table II, method 10."""
    found = difference_interval(reacted(*first), reacted(*second))
    assert found == pytest.approx((low, high), abs=5e-5)
