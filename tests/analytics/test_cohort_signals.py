"""Signals of many sessions; truth by hand, with pandas and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferflow.analytics.cohort_signals import SignalSession, clock_band, response_band, signal_names
from ferflow.analytics.intervals import open_band
from ferflow.analytics.signals import Signal


def pulse(*values: float, name: str = "pulse", first: float = 0.0) -> Signal:
    """A value per second."""
    return Signal(name, first + np.arange(len(values), dtype=float), np.array(values, dtype=float))


def session(participant: str, *signals: Signal, **facts: object) -> SignalSession:
    usual = {"group": None, "start_s": 0.0, "end_s": 30.0}
    return SignalSession(participant=(participant,), signals=signals, **(usual | facts))


def test_a_mean_over_participants_has_students_interval():
    rng = np.random.default_rng(2)
    values = rng.normal(80, 10, (6, 20))
    found = clock_band(
        [session(f"p{k}", pulse(*row)) for k, row in enumerate(values)], "pulse", step_s=1.0, n_points=20
    )
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    low, high = stats.t.interval(0.95, 5, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert (found.n == 6).all()


def test_one_participant_has_no_interval_and_nobody_no_mean():
    found = open_band(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    assert found.n.tolist() == [1, 0]
    assert found.mean[0] == 1.0
    assert np.isnan([found.mean[1], *found.low, *found.high]).all()


def test_the_clock_starts_where_the_session_says_and_a_point_is_weighted_by_time():
    late = session("a", pulse(*range(30)), start_s=2.5)
    found = clock_band([late], "pulse", step_s=2.0, n_points=3)
    # Seconds 2.5 to 4.5 of the video: 2 for half a second, 3 for a second, 4 for half a second.
    assert found.mean.tolist() == [3.0, 5.0, 7.0]


def test_what_a_signal_says_after_the_video_does_not_count():
    short = session("a", pulse(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13), end_s=2.5)
    found = clock_band([short, session("b", pulse(*[5] * 13))], "pulse", step_s=1.0, n_points=4)
    assert found.n.tolist() == [2, 2, 2, 1]
    assert found.mean.tolist() == [3.0, 3.5, 4.0, 5.0]


def test_a_session_that_starts_after_the_end_of_its_video_has_nothing():
    found = clock_band([session("a", pulse(1, 2, 3), start_s=40.0)], "pulse", step_s=1.0, n_points=3)
    assert found.n.tolist() == [0, 0, 0]


def test_a_participant_counts_once_however_many_sessions():
    sessions = [
        session("a", pulse(*[10] * 12)),
        session("a", pulse(*[30] * 12)),
        session("b", pulse(*[50] * 12)),
    ]
    found = clock_band(sessions, "pulse", step_s=1.0, n_points=2)
    assert found.n.tolist() == [2, 2]
    assert found.mean.tolist() == [35.0, 35.0]


def test_sessions_of_other_groups_and_without_the_signal_do_not_count():
    sessions = [
        session("a", pulse(*[10] * 12), group="x"),
        session("b", pulse(*[20] * 12), group="y"),
        session("c", pulse(*[9] * 12, name="score"), group="x"),
    ]
    assert clock_band(sessions, "pulse", step_s=1.0, n_points=1, group="x").mean.tolist() == [10.0]
    assert clock_band(sessions, "pulse", step_s=1.0, n_points=1).n.tolist() == [2]
    assert clock_band(sessions, "nothing", step_s=1.0, n_points=2).n.tolist() == [0, 0]
    assert signal_names(sessions) == ["pulse", "score"]


@pytest.mark.parametrize("bin_seconds", [0.5, 1.0])
def test_around_markers_each_participant_counts_once(bin_seconds):
    rng = np.random.default_rng(4)
    logs = {who: rng.normal(80, 10, 60) for who in "abc"}
    times = {"a": [10.2, 30.0, 58.0], "b": [20.7], "c": []}
    sessions = [
        session(who, pulse(*log), end_s=60.0, markers={"boss": times[who]} if times[who] else {})
        for who, log in logs.items()
    ]
    found = response_band(sessions, "pulse", "boss", bin_seconds=bin_seconds)
    at = np.arange(-5, 10 + bin_seconds / 2, bin_seconds)
    # Each value lasts a second, and bins divide seconds: a bin has the value of its second.
    own = [
        pd.DataFrame(
            [pd.Series(logs[who]).reindex(np.floor(time + at)).to_numpy() for time in times[who]]
        ).mean()
        for who in "ab"
    ]
    truth = pd.DataFrame(own)
    np.testing.assert_allclose(found.mean, truth.mean())
    assert found.n.tolist() == truth.count().tolist()
