from __future__ import annotations

import itertools

import numpy as np
import pytest

from ferflow.faces.appearance import (
    Appearance,
    chromaticity_distances,
    luma_distances,
    near_distances,
    sample_appearance,
)
from ferflow.faces.stitching import Likeness, link_groups, stitch
from ferflow.faces.track_log import Place, TrackSummary
from tests.faces.drawn_people import Person, frame_of


def matrix(n: int, pairs: dict[tuple[int, int], float], other: float = 9.0) -> np.ndarray:
    distance = np.full((n, n), other)
    np.fill_diagonal(distance, 0)
    for (a, b), value in pairs.items():
        distance[a, b] = distance[b, a] = value
    return distance


def groups(distance: np.ndarray, weights: list[float] | None = None, **more: object) -> list[list[int]]:
    given = np.ones(len(distance)) if weights is None else np.array(weights)
    return sorted(sorted(group) for group in link_groups(distance, given, **more))


def test_what_is_near_becomes_one_group():
    assert groups(matrix(4, {(0, 2): 0.5, (1, 3): 1.0})) == [[0, 2], [1, 3]]


def test_the_mean_distance_decides():
    # 2 is near to 1 and far from 0: on average too far, once 0 and 1 are one.
    assert groups(matrix(3, {(0, 1): 0.1, (1, 2): 0.8, (0, 2): 1.5})) == [[0, 1], [2]]
    assert groups(matrix(3, {(0, 1): 0.1, (1, 2): 0.8, (0, 2): 1.1})) == [[0, 1, 2]]


def test_a_short_track_has_little_weight():
    distance = matrix(3, {(0, 1): 0.1, (1, 2): 2.0, (0, 2): 0.9})
    assert groups(distance, [10, 1, 10]) == [[0, 1, 2]]
    assert groups(distance, [1, 1, 1]) == [[0, 1], [2]]


def test_what_must_not_be_one_group_never_is():
    distance = matrix(3, {(0, 1): 0.1, (1, 2): 0.1, (0, 2): np.inf})
    assert len(groups(distance)) == 2
    assert all(not {0, 2} <= set(group) for group in groups(distance))


def test_a_known_number_of_groups_is_reached_by_the_nearest_ones():
    distance = matrix(4, {(0, 1): 1.4, (2, 3): 1.2}, other=50.0)
    assert groups(distance) == [[0], [1], [2], [3]]
    assert groups(distance, n_groups=3) == [[0], [1], [2, 3]]
    assert groups(distance, n_groups=2) == [[0, 1], [2, 3]]
    assert groups(distance, n_groups=1) == [[0, 1, 2, 3]]


def test_a_known_number_of_groups_joins_nothing_that_must_stay_apart():
    assert groups(matrix(3, {}, other=np.inf), n_groups=1) == [[0], [1], [2]]


def test_no_track_makes_no_group():
    assert groups(np.zeros((0, 0))) == []
    assert groups(np.zeros((1, 1))) == [[0]]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_average_linkage(seed):
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.random.default_rng(seed).uniform(0.2, 2.0, (12, 12))
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    labels = fcluster(linkage(squareform(distance), "average"), 1.0, "distance")
    together = {(a, b) for a, b in itertools.combinations(range(12), 2) if labels[a] == labels[b]}
    assert together == {pair for group in groups(distance) for pair in itertools.combinations(group, 2)}


def summary(track_id: int, *, start_s: float, end_s: float, x: float = 1.0, height: float = 0.2, **more: int):
    """A track that stays at one place."""
    place = Place(x, 0.5, height)
    shots = {"first_shot": 0, "last_shot": 0, "region": 0} | more
    return TrackSummary(track_id, first_s=start_s, last_s=end_s, first=place, last=place, **shots)


def look_of(clothes: tuple[int, int, int]) -> Appearance:
    person = Person((320, 120), clothes)
    look, frame = Appearance(), frame_of([person])
    look.add(sample_appearance(frame.planes, np.array(person.box, np.float32)))
    return look


LOOKS = {1: look_of((180, 30, 40)), 2: look_of((150, 30, 60))}


@pytest.mark.parametrize(
    ("later", "is_near"),
    [
        ({"start_s": 15.0}, True),
        ({"start_s": 5.0}, True),
        ({"start_s": 4.9}, False),  # it begins before the other one ends
        ({"start_s": 15.1}, False),
        ({"start_s": 6.0, "x": 1.19}, True),
        ({"start_s": 6.0, "x": 1.21}, False),
        ({"start_s": 6.0, "height": 0.2 * 1.59}, True),
        ({"start_s": 6.0, "height": 0.2 * 1.61}, False),
        ({"start_s": 6.0, "height": 0.2 / 1.59}, True),
        ({"start_s": 6.0, "height": 0.2 / 1.61}, False),
        ({"start_s": 6.0, "first_shot": 1, "last_shot": 1}, False),
    ],
)
def test_tracks_are_near_where_one_begins_soon_after_the_other_at_its_place(later, is_near):
    # Near, colours are compared with one threshold; from shot to shot with two others.
    tracks = [summary(1, start_s=0.0, end_s=5.0), summary(2, end_s=30.0, **later)]
    looks = [LOOKS[1], LOOKS[2]]
    near = near_distances(looks)[0, 1] / 0.12
    elsewhere = max(chromaticity_distances(looks)[0, 1] / 0.05, luma_distances(looks)[0, 1] / 0.15)
    assert abs(near - elsewhere) > 0.1
    for order in (tracks, tracks[::-1]):
        found = Likeness.of_clothes(order, LOOKS).distance
        assert found[0, 1] == found[1, 0] == pytest.approx(near if is_near else elsewhere)


def test_a_track_that_moves_is_near_where_it_ends_and_not_where_it_begins():
    first = summary(1, start_s=0.0, end_s=5.0)
    first.first, first.last = Place(3.0, 0.5, 0.2), Place(1.0, 0.5, 0.2)
    second = summary(2, start_s=6.0, end_s=9.0)
    second.last = Place(5.0, 0.5, 0.2)
    near = near_distances([LOOKS[1], LOOKS[2]])[0, 1] / 0.12
    assert Likeness.of_clothes([first, second], LOOKS).distance[0, 1] == pytest.approx(near)


def test_light_and_dark_clothes_of_one_hue_are_told_apart_by_their_brightness():
    looks = {1: look_of((40, 40, 40)), 2: look_of((200, 200, 200))}
    tracks = [summary(1, start_s=0, end_s=1), summary(2, start_s=50, end_s=60)]
    both = [looks[1], looks[2]]
    assert luma_distances(both)[0, 1] / 0.15 > chromaticity_distances(both)[0, 1] / 0.05
    assert Likeness.of_clothes(tracks, looks).distance[0, 1] == pytest.approx(
        luma_distances(both)[0, 1] / 0.15
    )


def test_descriptions_of_faces_count_as_alike_up_to_a_distance_of_their_cosines():
    first, second = np.zeros((2, 128), np.float32)
    first[0] = 1.0
    second[:2] = 0.6, 0.8
    tracks = [summary(k, start_s=k, end_s=k + 1) for k in (1, 2, 3)]
    likeness = Likeness.of_faces(tracks, {1: first, 2: second})
    assert likeness.distance[0, 1] == pytest.approx((1 - 0.6) / 0.6)
    assert np.isnan(likeness.distance[:, 2]).all()
    assert likeness.weight.tolist() == [1, 1, 1]


def test_where_clothes_say_nothing_known_participants_are_joined_by_place_and_size():
    # Two places; without a number of participants no tracks are joined.
    where = {1: (1.0, 0.2), 2: (3.0, 0.2), 3: (1.1, 0.2), 4: (3.0, 0.3)}
    tracks = [
        summary(k, start_s=20 * k, end_s=20 * k + 1, x=x, height=height) for k, (x, height) in where.items()
    ]
    likeness = Likeness(np.full((4, 4), np.nan), np.ones(4))
    assert stitch(tracks, (), likeness) == [[1], [2], [3], [4]]
    assert stitch(tracks, (), likeness, participants=2) == [[1, 3], [2, 4]]
    assert stitch(tracks, {(1, 3)}, likeness, participants=3) == [[1], [2, 4], [3]]


def test_tracks_of_different_regions_are_different_people():
    tracks = [
        summary(1, start_s=0, end_s=1),
        summary(2, start_s=2, end_s=3, region=1),
        summary(3, start_s=4, end_s=5),
    ]
    assert stitch(tracks, (), Likeness(np.zeros((3, 3)), np.ones(3)), participants=1) == [[1, 3], [2]]
