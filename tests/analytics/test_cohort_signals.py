"""Signals of many sessions; truth by hand, with pandas and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferflow.analytics.cohort import CohortVideo, build_cohort
from ferflow.analytics.cohort_signals import clock_band, response_band, signal_names
from ferflow.analytics.intervals import open_band
from ferflow.analytics.pooled_markers import pool_markers
from ferflow.analytics.session_list import SessionRow
from ferflow.analytics.shared_clock import SharedClock, build_clocks
from ferflow.analytics.signals import Signal, sum_timeline_bins
from ferflow.analytics.stimuli import Stimulus
from tests.dashboards.test_cohort import video

FILM = Stimulus("film", None)


def pulse(*values: float, name: str = "pulse") -> Signal:
    """A value per second."""
    return Signal(name, np.arange(len(values), dtype=float), np.array(values, dtype=float))


def session(
    name: str,
    *signals: Signal,
    seconds: int = 30,
    people: int = 1,
    participant: str | None = None,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    **facts: object,
) -> CohortVideo:
    """A video of people who never react, with signals, in front of the same film."""
    made = video(name, {k + 1: [0.0] * seconds for k in range(people)}, stimulus=FILM, **facts)
    made = replace(made, session=SessionRow(participant=participant, offset_s=offset_s))
    made = replace(made, duration_s=duration_s or float(seconds))
    return replace(made, signals=sum_timeline_bins(signals, made.timeline, made.start_s, made.end_s))


def clock_of(*videos: CohortVideo) -> SharedClock:
    (clock,) = build_clocks(videos)
    return clock


def test_a_mean_over_participants_has_students_interval():
    values = np.random.default_rng(2).normal(80, 10, (6, 30))
    clock = clock_of(*(session(f"v{k}", pulse(*row)) for k, row in enumerate(values)))
    found = clock_band(clock, None, "pulse")
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    low, high = stats.t.interval(0.95, 5, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert (found.n == 6).all()


def test_one_participant_has_no_interval_and_nobody_no_mean():
    found = open_band(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    assert found.n.tolist() == [1, 0]
    assert found.mean[0] == 1.0
    assert np.isnan([found.mean[1], *found.low, *found.high]).all()


def test_the_clock_starts_where_the_stimulus_starts_in_each_session():
    early = session("early", pulse(*range(30)))
    late = session("late", pulse(*range(100, 140)), seconds=40, offset_s=10.0)
    found = clock_band(clock_of(early, late), None, "pulse")
    assert found.mean.tolist() == [(k + 110 + k) / 2 for k in range(30)]


def test_an_offset_within_a_bin_moves_signals_as_it_moves_faces():
    # Of bin 2, 0.4 s lie after 2.6; the start of bin 3 is then nearest to that of the stimulus.
    for offset_s, bins, first in ((2.4, [0, 1], 2), (2.5, [0, 1], 2), (2.6, [0, 0, 1], (0.4 * 2 + 3) / 1.4)):
        one = session("v", pulse(*range(30)), offset_s=offset_s)
        clock = clock_of(one, session("w", seconds=30))
        (part,) = (
            part for person in clock.cohort.of(None) for part in person.parts if part.video.video_id == "v"
        )
        assert clock_band(clock, None, "pulse").mean[0] == pytest.approx(first)
        assert part.bins[: len(bins)].tolist() == bins
        assert part.rows.column("bin_start_s")[0].as_py() == offset_s


def test_joined_bins_are_weighted_by_the_time_in_which_the_signal_is_known():
    gap = Signal("pulse", np.arange(0.0, 30.0), np.array([10.0, 30.0, np.nan, 50.0] + [7.0] * 26))
    clock = replace(clock_of(session("v", gap), session("w")), bins_joined=2, n_points=15)
    assert clock_band(clock, None, "pulse").mean[:2].tolist() == [20.0, 50.0]


def test_what_a_signal_says_after_the_video_does_not_count():
    short = session("short", pulse(*[1] * 30), seconds=20, duration_s=19.5)
    long = session("long", pulse(*[5] * 30))
    found = clock_band(clock_of(short, long), None, "pulse")
    assert found.n.tolist() == [2] * 20 + [1] * 10
    assert found.mean.tolist() == [3.0] * 20 + [5.0] * 10


def test_a_participant_counts_once_however_many_sessions_and_a_session_once_however_many_people():
    twice = [session(f"ada{k}", pulse(*[10 + 20 * k] * 30), participant="Ada") for k in range(2)]
    crowd = session("crowd", pulse(*[50] * 30), people=5)
    found = clock_band(clock_of(*twice, crowd), None, "pulse")
    assert found.n[0] == 2
    assert found.mean[0] == 35.0


def test_sessions_of_other_groups_without_the_signal_or_without_a_counted_face_do_not_count():
    clock = clock_of(
        session("a", pulse(*[10] * 30), group="x"),
        session("b", pulse(*[20] * 30), group="y"),
        session("c", pulse(*[9] * 30, name="score"), group="x"),
        session("d", pulse(*[99] * 30), group="x", people=0),
    )
    assert clock_band(clock, "x", "pulse").mean[0] == 10.0
    assert clock_band(clock, None, "pulse").n[0] == 2
    assert clock_band(clock, None, "nothing").n.tolist() == [0] * 30
    assert signal_names(clock.cohort) == ["pulse", "score"]


def test_around_markers_each_participant_counts_once():
    rng = np.random.default_rng(4)
    logs = {who: rng.normal(80, 10, 60) for who in "abc"}
    times = {"a": [10.2, 30.0, 58.0], "b": [20.7], "c": []}
    videos = [
        session(who, pulse(*log), seconds=60, markers=tuple((time, None, "boss", "") for time in times[who]))
        for who, log in logs.items()
    ]
    pool = pool_markers(videos, build_cohort(videos), None)
    found = response_band(pool, "boss", None, "pulse")
    own = [
        pd.DataFrame(
            [pd.Series(logs[who]).reindex(np.floor(t + pool.lags)).to_numpy() for t in times[who]]
        ).mean()
        for who in "ab"
    ]
    truth = pd.DataFrame(own)
    np.testing.assert_allclose(found.mean, truth.mean())
    assert found.n.tolist() == truth.count().tolist()
    assert response_band(pool, "nothing", None, "pulse").n.tolist() == [0] * len(pool.lags)


def test_names_of_people_join_sessions_of_a_sole_person():
    from ferflow.analytics.person_names import GivenNames

    videos = [
        replace(session(f"v{k}", pulse(*[10 * k] * 30)), names=GivenNames({1: name}))
        for k, name in enumerate(["Ada", "Bo", "Ada"])
    ]
    found = clock_band(clock_of(*videos), None, "pulse")
    assert (found.n[0], found.mean[0]) == (2, pytest.approx((10 + 10) / 2))
