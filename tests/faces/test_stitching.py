from __future__ import annotations

import itertools

import numpy as np
import pytest

from ferflow.faces.stitching import link_groups


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
