from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferflow.faces.appearance import (
    Appearance,
    Patch,
    chromaticity_distances,
    luma_distances,
    near_distances,
    sample_appearance,
)
from ferflow.media.planes import Planes
from tests.faces.drawn_people import BLACK, BLUE, RED, WHITE, Person, faces_of, picture, planes_of


def look(person: Person, image: np.ndarray | None = None) -> Appearance:
    planes = planes_of(picture([person]) if image is None else image)
    return sample_appearance(planes, faces_of([person]).xyxy[0])


def distances(*looks: Appearance) -> tuple[float, float, float]:
    """Of hue, of shade, and of faces in the same light."""
    return tuple(
        float(measure(looks)[0, 1]) for measure in (chromaticity_distances, luma_distances, near_distances)
    )


MIDDLE = (320, 120)


def test_the_same_clothes_are_no_distance_wherever_and_however_large_the_person_is():
    here = look(Person(MIDDLE, RED))
    for other in (Person((100, 80), RED), Person(MIDDLE, RED, height=80)):
        assert max(distances(here, look(other))) < 0.05


def test_other_clothes_are_far():
    hue, _, near = distances(look(Person(MIDDLE, RED)), look(Person(MIDDLE, BLUE)))
    assert hue > 0.5
    assert near > 0.5


def test_black_and_white_clothes_have_the_same_hue_and_another_shade():
    hue, shade, _ = distances(look(Person(MIDDLE, BLACK)), look(Person(MIDDLE, WHITE)))
    assert hue < 0.2
    assert shade > 0.5


def test_white_balance_changes_no_hue():
    person = Person(MIDDLE, BLUE)
    image = picture([person])
    tinted = np.clip(image * np.array([1.1, 1.0, 0.9]), 0, 255).astype(np.uint8)
    hue, _, _ = distances(look(person, image), look(person, tinted))
    assert hue < 0.05


def test_a_darker_picture_changes_no_hue():
    person = Person(MIDDLE, BLUE)
    image = picture([person])
    hue, _, _ = distances(look(person, image), look(person, (image * 0.8).astype(np.uint8)))
    assert hue < 0.05


def test_sums_of_samples_weigh_as_their_mean():
    red, blue = look(Person(MIDDLE, RED)), look(Person(MIDDLE, BLUE))
    total = Appearance()
    for _ in range(20):
        total.add(red)
    assert distances(total, red)[0] == pytest.approx(0, abs=1e-5)
    total.add(blue)
    assert distances(total, red)[0] < 0.05 < distances(total, blue)[0]
    assert total.n_samples.tolist() == [21, 21, 21]


def test_what_is_not_in_the_picture_is_not_compared():
    low = look(Person((320, 330), RED))  # the face fills the lower edge: no clothes are visible
    assert low.n_samples.tolist() == [0, 0, 1]
    assert distances(low, look(Person(MIDDLE, BLUE)))[0] < 0.05  # the same hair


def test_nothing_is_compared_at_the_edge_of_the_picture():
    edge = look(Person((10, 120), RED))
    assert edge.n_samples.sum() == 0
    assert np.isnan(distances(edge, look(Person(MIDDLE, RED)))).all()


def test_nothing_is_compared_in_a_gray_picture():
    person = Person(MIDDLE, RED)
    planes = planes_of(picture([person]))
    gray = Planes(planes.y, None, None, full_range=True)
    assert sample_appearance(gray, faces_of([person]).xyxy[0]).n_samples.sum() == 0


def test_distances_of_many_are_symmetric_and_zero_to_themselves():
    looks = [look(Person(MIDDLE, clothes)) for clothes in (RED, BLUE, WHITE)]
    for measure in (chromaticity_distances, luma_distances, near_distances):
        matrix = measure(looks)
        assert matrix == pytest.approx(matrix.T)
        assert np.diag(matrix) == pytest.approx(0, abs=1e-5)
        assert ((matrix >= -1e-6) & (matrix <= 1)).all()


def patch(person: Person) -> Patch:
    return Patch.cut(planes_of(picture([person])), faces_of([person]).xyxy[0])


def test_a_patch_resembles_that_of_the_same_person_a_moment_later():
    assert patch(Person(MIDDLE, BLACK)).resembles(patch(Person((310, 115), BLACK, height=52)))


def test_a_patch_of_other_clothes_resembles_it_neither_by_shade_nor_by_hue():
    assert not patch(Person(MIDDLE, BLACK)).resembles(patch(Person(MIDDLE, WHITE)))
    # Red and blue of the same luma.
    assert not patch(Person(MIDDLE, (180, 30, 40))).resembles(patch(Person(MIDDLE, (20, 60, 250))))


def test_a_patch_without_contrast_resembles_nothing():
    planes = Planes(np.full((90, 160), 80, np.uint8), None, None, full_range=True)
    plain = Patch.cut(planes, np.array([40, 20, 80, 70], np.float32))
    assert not plain.resembles(plain)


@pytest.mark.parametrize("box", [(-500, -500, -400, -400), (150, 80, 400, 300), (0, 0, 0.5, 0.5)])
def test_a_box_anywhere_is_taken(box):
    planes = planes_of(cv2.resize(picture([]), (160, 90)))
    face = np.array(box, np.float32)
    assert sample_appearance(planes, face).n_samples.sum() <= 3
    assert np.isfinite(Patch.cut(planes, face).luma).all()
