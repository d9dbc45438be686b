"""Both thresholds of a cut, with distances that numpy and SciPy compute from their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from ferflow.faces.shot_detector import Change, ShotCutDetector, histogram_distance, structure_distance

ROWS, COLUMNS = 36, 64


def noise(seed: int) -> np.ndarray:
    """A picture of its own, float (36, 64): mean 128, standard deviation 25."""
    picture = np.random.default_rng(seed).normal(0, 1, (ROWS, COLUMNS))
    return 128 + 25 * picture


def small(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def luma(picture: np.ndarray) -> np.ndarray:
    """A plane whose reduction to 36 rows of 64 is the picture itself."""
    return np.repeat(small(picture), 2, axis=0)


def best_correlation(a: np.ndarray, b: np.ndarray) -> float:
    middle = a[4:-4, 8:-8].ravel()
    return max(
        np.corrcoef(middle, b[y : y + ROWS - 8, x : x + COLUMNS - 16].ravel())[0, 1]
        for y in range(9)
        for x in range(17)
    )


def structure_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - (best_correlation(a, b) + best_correlation(b, a)) / 2


def histogram_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    return wasserstein_distance((a // 8).ravel(), (b // 8).ravel()) * 8


def mixed(share: float, seed: int = 2, brighter: float = 0.0) -> np.ndarray:
    """A picture that correlates with `noise(1)` by about 1 - share."""
    rest = np.sqrt(max(1 - (1 - share) ** 2, 0))
    return 128 + (noise(1) - 128) * (1 - share) + (noise(seed) - 128) * rest + brighter


def test_distances_are_those_of_their_definitions():
    for share, brighter in ((0.0, 0), (0.2, 12), (0.7, -30), (1.0, 3)):
        a, b = small(noise(1)), small(mixed(share, brighter=brighter))
        assert structure_distance(a, b) == pytest.approx(structure_by_hand(a, b), abs=1e-4)
        assert structure_distance(b, a) == pytest.approx(structure_distance(a, b), abs=1e-6)
        assert histogram_distance(a, b) == pytest.approx(histogram_by_hand(a, b), abs=1e-6)


@pytest.mark.parametrize(
    ("dx", "dy", "is_small"), [(8, 4, True), (-8, -4, True), (9, 0, False), (0, 5, False)]
)
def test_a_shift_of_up_to_an_eighth_in_each_direction_is_no_change(dx, dy, is_small):
    shifted = small(np.roll(noise(1), (dy, dx), axis=(0, 1)))
    assert (structure_distance(small(noise(1)), shifted) < 0.01) == is_small


def test_a_cut_needs_a_change_of_structure_above_its_threshold():
    n_cuts = 0
    for share in np.linspace(0.3, 0.5, 21):
        last, now = luma(noise(1)), luma(mixed(share, brighter=40))
        cuts = ShotCutDetector()
        cuts.update(last)
        expected = structure_by_hand(last[::2], now[::2]) > 0.4
        assert bool(cuts.update(now)) == expected, share
        n_cuts += expected
    assert 3 < n_cuts < 18


def test_a_cut_needs_another_histogram_too():
    n_cuts = 0
    for brighter in np.linspace(0, 5, 21):
        last, now = luma(noise(1)), luma(mixed(1.0, brighter=brighter))
        cuts = ShotCutDetector()
        cuts.update(last)
        expected = histogram_by_hand(last[::2], now[::2]) > 2.5
        assert bool(cuts.update(now)) == expected, brighter
        n_cuts += expected
    assert 3 < n_cuts < 18


@pytest.mark.parametrize(("noisy", "is_cut"), [(0.10, True), (0.20, False)])
def test_a_mirrored_picture_is_a_cut_if_it_is_hardly_changed(noisy, is_cut):
    # As bright, so that the histogram says nothing.
    last, now = luma(noise(1)), luma(mixed(noisy))[:, ::-1]
    assert abs(structure_by_hand(last[::2, ::-1], now[::2]) - noisy) < 0.03
    cuts = ShotCutDetector()
    cuts.update(last)
    assert bool(cuts.update(np.ascontiguousarray(now))) == is_cut


@pytest.mark.parametrize(("n_before", "share", "is_cut"), [(1, 0.6, True), (30, 0.6, False), (30, 0.8, True)])
def test_restless_pictures_raise_the_threshold_by_their_usual_change(n_before, share, is_cut):
    # Pictures that change by about 0.3 each time; the running mean approaches it, so that a cut needs 0.7.
    cuts = ShotCutDetector()
    for number in range(n_before):
        assert not cuts.update(luma(noise(1) if number % 2 == 0 else mixed(0.3)))
    last = noise(1) if n_before % 2 else mixed(0.3)
    now = 128 + (last - 128) * (1 - share) + (noise(9) - 128) * np.sqrt(1 - (1 - share) ** 2) + 40
    assert abs(structure_by_hand(small(last), small(now)) - share) < 0.05
    assert bool(cuts.update(luma(now))) == is_cut


def test_a_restless_picture_never_hides_a_cut_to_another_one():
    cuts, n = ShotCutDetector(), 40
    for number in range(n):  # each step 0.35 more than the threshold's start, and none a cut by its histogram
        cuts.update(luma(noise(100 + number)))
    assert cuts.update(luma(noise(7) + 40)) is Change.CUT


@pytest.mark.parametrize(("contrast", "is_cut"), [(2.8, False), (3.2, True)])
def test_a_picture_without_contrast_is_blank(contrast, is_cut):
    flat = 90 + (noise(5) - 128) / 25 * np.sqrt(contrast**2 - 1 / 12)  # rounding adds a variance of 1/12
    assert np.std(small(flat)) == pytest.approx(contrast, abs=0.1)
    cuts = ShotCutDetector()
    cuts.update(luma(noise(1)))
    assert bool(cuts.update(luma(flat))) == is_cut


def orthogonal(n: int) -> list[np.ndarray]:
    """Pictures that do not correlate at all, of mean 0 and standard deviation 25."""
    flat = np.random.default_rng(3).normal(0, 1, (ROWS * COLUMNS, n + 1))
    flat[:, 0] = 1
    units = np.linalg.qr(flat)[0][:, 1:]
    return [25 * (unit * np.sqrt(ROWS * COLUMNS)).reshape(ROWS, COLUMNS) for unit in units.T]


def changes(pictures: list[np.ndarray]) -> list[Change]:
    cuts = ShotCutDetector()
    cuts.update(luma(128 + pictures[0]))
    return [cuts.update(luma(128 + picture)) for picture in pictures]


@pytest.mark.parametrize(
    ("of_first", "of_other", "is_found"),
    [(0.26, 0.0, True), (0.24, 0.0, False), (0.968, 0.0, True), (0.971, 0.0, False),
     (0.6, 0.045, True), (0.6, 0.055, False)],
)  # fmt: skip
def test_half_way_a_dissolve_shows_enough_of_both_shots_and_little_else(of_first, of_other, is_found):
    # Shares of the amplitude, whose squares add up to 1; of something else, the square.
    first, last, other = orthogonal(3)
    of_last = np.sqrt(1 - of_first**2 - of_other)
    middle = of_first * first + of_last * last + np.sqrt(of_other) * other
    expected = Change.DISSOLVE if is_found else Change.NONE
    assert changes([first, first, middle, last, last]) == [Change.NONE] * 4 + [expected]


@pytest.mark.parametrize(("correlation", "is_found"), [(0.44, True), (0.56, False), (-0.5, True)])
def test_a_dissolve_leads_to_another_picture(correlation, is_found):
    first, other = orthogonal(2)
    last = correlation * first + np.sqrt(1 - correlation**2) * other
    middle = (first + last) / np.sqrt(2 + 2 * correlation)
    expected = Change.DISSOLVE if is_found else Change.NONE
    assert changes([first, first, middle, last, last])[-1] == expected


def test_after_a_dissolve_the_next_one_is_found_again():
    first, last = orthogonal(2)
    middle = (first + last) / np.sqrt(2)
    there, back = [first, first, middle, last, last], [last, last, middle, first, first]
    assert changes([*there, *[last] * 4, *back]) == [
        *[Change.NONE] * 4, Change.DISSOLVE, *[Change.NONE] * 4, *[Change.NONE] * 4, Change.DISSOLVE
    ]  # fmt: skip
    # As long as the first one, its second half is not looked at.
    assert changes([*there, last, middle, first, first]).count(Change.DISSOLVE) == 1
