"""Things drawn in front of faces: where they are, how much of the mouth they cover, and that the rest stays."""

import numpy as np
import pytest

from ferflow.models.data.covers import LOWER_FACE, MEDIAN_POINTS, UPPER_FACE, draw_cover

KINDS = (*LOWER_FACE, *UPPER_FACE)


def opacity(kind, seed):
    """How opaque a drawing is at each pixel: what a black and a white picture behind it still differ by."""
    black, white = (
        draw_cover(np.full((48, 48), level, np.uint8), MEDIAN_POINTS, np.random.default_rng(seed), kind).image
        for level in (0, 255)
    )
    return 1 - (white.astype(float) - black) / 255


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("palm", "fingers")])
def test_the_share_of_the_mouth_that_is_covered_is_that_of_the_drawing(kind):
    y, x = np.mgrid[0:48, 0:48]
    # Half as wide as the distance of eyes and mouth, and as high as lips are: an ellipse around the mouth.
    length = MEDIAN_POINTS[3:, 1].mean() - MEDIAN_POINTS[:2, 1].mean()
    centre = MEDIAN_POINTS[3:].mean(axis=0)
    mouth = ((x - centre[0]) / (0.42 * length)) ** 2 + ((y - centre[1]) / (0.2 * length)) ** 2 <= 1
    for seed in range(8):
        face = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
        drawn = draw_cover(face, MEDIAN_POINTS, np.random.default_rng(seed), kind)
        assert drawn.mouth_covered == pytest.approx(opacity(kind, seed)[mouth].mean(), abs=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_beside_the_drawing_stay_and_the_same_seed_draws_the_same(kind):
    face = np.random.default_rng(0).integers(60, 200, (48, 48)).astype(np.uint8)
    one, again = (draw_cover(face, MEDIAN_POINTS, np.random.default_rng(3), kind) for _ in range(2))
    assert np.array_equal(one.image, again.image)
    assert one.image.shape == face.shape
    if kind not in (
        "palm",
        "fingers",
    ):  # hands are as light as the skin, which differs between the two pictures
        beside = opacity(kind, 3) < 0.002
        assert np.array_equal(one.image[beside], face[beside])


def test_masks_cover_the_mouth_and_glasses_and_hair_do_not():
    face = np.full((48, 48), 128, np.uint8)

    def covered(kind):
        return [
            draw_cover(face, MEDIAN_POINTS, np.random.default_rng(seed), kind).mouth_covered
            for seed in range(20)
        ]

    assert min(covered("mask")) > 0.9
    assert max(covered("glasses")) == 0
    assert np.mean(covered("hair")) < 0.05


def test_a_mask_follows_the_landmarks_of_the_face():
    face, right = np.full((48, 48), 128, np.uint8), MEDIAN_POINTS + np.float32([8, 0])
    at_centre, moved = (
        np.abs(draw_cover(face, points, np.random.default_rng(1), "mask").image.astype(int) - 128)
        for points in (MEDIAN_POINTS, right)
    )
    x = np.arange(48)
    centres = [(part.sum(axis=0) * x).sum() / part.sum() for part in (at_centre, moved)]
    assert centres[1] - centres[0] == pytest.approx(8, abs=2)
