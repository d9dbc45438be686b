"""Ratings, agreement and its intervals, on windows made by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ferflow.jobs.benchmarks.agreement import (
    STATISTICS,
    Windows,
    auc,
    estimate,
    mean_absolute_error,
    resting_share_passing,
    spearman,
)
from ferflow.jobs.benchmarks.ratings import FacePlaces, Rating, read_ratings

HEADER = "clip,start_s,end_s,expressive,label,frontal,track,centre_x,centre_y"


def windows(person, rating, share, score=None) -> Windows:
    share = np.array(share, float)
    return Windows(
        np.array(person), np.array(rating), share if score is None else np.array(score, float), share
    )


def rating(centre, *, start_s=0.0, end_s=2.0, label="neutral") -> Rating:
    return Rating("clip", "one", start_s, end_s, 0, label, centre)


def two_people(ids=(1, 2)) -> FacePlaces:
    """Ten frames a second for 4 s; one face at the left, one at the right, 20 px high, in 200 x 100 px."""
    time_s = np.repeat(np.arange(40) / 10, 2)
    person = np.tile(ids, 40)
    left_right = np.tile([[50.0, 50.0], [150.0, 50.0]], (40, 1))
    return FacePlaces(time_s, person, left_right, np.full(80, 20.0), (200, 100))


def test_auc_is_the_share_of_pairs_in_the_right_order():
    high, low = [0.9, 0.5, 0.5], [0.1, 0.5, 0.7]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(high, low)]
    found = auc(np.array([*high, *low, 0.6]), np.array([2, 2, 2, 0, 0, 0, 1]))
    assert found == pytest.approx(np.mean(pairs))


def test_auc_needs_both_kinds_of_windows():
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([0, 1])))


def test_the_error_is_of_each_person_and_some_expression_counts_as_one():
    # The first is rated expressive in half of the windows and found in (0.2 + 0.6) / 2, the second in all and in 0.9.
    some = windows([0, 0, 1], [0, 1, 2], [0.2, 0.6, 0.9])
    assert mean_absolute_error(some) == pytest.approx((0.1 + 0.1) / 2)


def test_some_expression_may_count_for_half_of_the_time():
    assert mean_absolute_error(windows([0, 0], [0, 1], [0.0, 0.5]), graded=True) == pytest.approx(0)
    assert mean_absolute_error(windows([0, 0], [1, 2], [0.0, 0.5]), graded=True) == pytest.approx(0.5)


def test_a_person_with_many_windows_counts_as_one_person():
    many = windows([0] * 9 + [1], [0] * 10, [0.0] * 9 + [1.0])
    assert mean_absolute_error(many) == pytest.approx(0.5)


def test_the_order_of_people_is_compared_by_ranks():
    assert spearman(windows([0, 1, 2], [0, 1, 2], [0.1, 0.2, 0.9])) == pytest.approx(np.sqrt(3) / 2)
    assert np.isnan(spearman(windows([0, 1], [0, 0], [0.1, 0.2])))


def test_resting_windows_pass_from_one_half_on():
    assert resting_share_passing(windows([0, 0, 1, 1], [0, 0, 0, 2], [0.5, 0.49, 0.0, 1.0])) == pytest.approx(
        1 / 3
    )


def test_windows_without_an_answer_are_left_out():
    assert len(windows([0, 0], [0, 2], [np.nan, 1.0]).answered.rating) == 1


def test_the_interval_is_over_people_and_not_over_windows():
    # Five people, each always right or always wrong: more windows of each add no knowledge.
    few = windows(range(5), [0] * 5, [0, 0, 0, 0, 1])
    many = windows(np.repeat(range(5), 40), [0] * 200, np.repeat([0, 0, 0, 0, 1], 40))
    for one in (few, many):
        found = estimate(one, STATISTICS["rest_passing"], n_samples=500)
        assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0, 0.6))


def test_a_rating_is_about_the_nearest_face_in_its_time_whatever_its_id():
    for ids in ((1, 2), (7, 3)):
        places = two_people(ids)
        found = places.of(rating((0.26, 0.5), start_s=1.0, end_s=2.0))
        assert set(places.person_id[found]) == {ids[0]}
        assert places.time_s[found].tolist() == pytest.approx(np.arange(10, 20) / 10)


def test_a_rating_without_a_face_near_its_centre_is_about_nobody():
    assert not two_people().of(rating((0.5, 0.5))).any()
    assert not two_people().of(rating((0.25, 0.5), start_s=8.0, end_s=9.0)).any()


def test_ratings_are_read_by_clip_and_tell_people_apart(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(
        f"{HEADER}\na,0,2,2,happy,1,1,0.5,0.4\na,0,2,0,neutral-talk,1,2,0.1,0.4\nb,2,4,1,brows,1,1,0.5,0.4\n"
    )
    found = read_ratings(path)
    assert [one.person for one in found["a"]] == ["a 1", "a 2"]
    assert [one.is_speaking for one in found["a"]] == [False, True]
    (other,) = found["b"]
    assert (other.start_s, other.end_s, other.expressive, other.centre) == (2.0, 4.0, 1, (0.5, 0.4))


def test_people_may_be_named_across_clips(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(f"{HEADER},person\na,0,2,2,happy,1,1,0.5,0.4,Ada\nb,0,2,0,neutral,1,1,0.1,0.4,Ada\n")
    assert [one.person for several in read_ratings(path).values() for one in several] == ["Ada", "Ada"]
