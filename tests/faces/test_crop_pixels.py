"""Crops to the pixel: pictures in which each pixel differs, and results that numpy computes from the definition."""

from __future__ import annotations

import numpy as np
import pytest

from ferflow.faces.crops import CropShape, FaceCrops, crop_square
from tests.faces.test_crops import SHAPE, crops, detections, planes

NOISE = np.random.default_rng(1).integers(0, 256, (120, 160)).astype(np.uint8)


def laplacian_variance(image: np.ndarray) -> float:
    """Pech-Pacheco et al., 2000: the variance of four neighbours minus four times the pixel; edges are mirrored."""
    image = image.astype(float)
    padded = np.pad(image, 1, mode="reflect")
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float(np.var(neighbours - 4 * image))


def test_sharpness_is_the_variance_of_the_laplacian_of_the_crop():
    cut = crops(NOISE, detections((10, 20, 58, 68), (20, 20, 116, 116)))
    expected = [laplacian_variance(image[..., 0]) for image in cut.images]
    assert cut.sharpness == pytest.approx(expected, rel=1e-4)
    assert expected[0] > 2 * expected[1]  # noise that was averaged in blocks of 2 x 2


def test_a_crop_of_the_size_of_its_square_is_the_picture_itself():
    for x, y in ((0, 0), (17, 31), (160 - 48, 120 - 48)):
        cut = crops(NOISE, detections((x, y, x + 48, y + 48)))
        assert np.array_equal(cut.images[0, ..., 0], NOISE[y : y + 48, x : x + 48])


@pytest.mark.parametrize(("dx", "dy"), [(-1, 0), (1, 0), (0, -1), (0, 1), (-3, 2)])
def test_a_crop_that_is_a_pixel_short_repeats_the_edge_there(dx, dy):
    x, y = (0 if dx < 0 else 160 - 48) + dx, (0 if dy < 0 else 120 - 48) + dy
    rows, columns = np.clip(np.arange(y, y + 48), 0, 119), np.clip(np.arange(x, x + 48), 0, 159)
    cut = crops(NOISE, detections((x, y, x + 48, y + 48)))
    assert np.array_equal(cut.images[0, ..., 0], NOISE[np.ix_(rows, columns)])


def test_a_crop_twice_as_large_is_the_mean_of_blocks():
    cut = crops(NOISE, detections((10, 20, 106, 116)))
    blocks = NOISE[20:116, 10:106].reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(cut.images[0, ..., 0] - blocks).max() <= 0.5


def test_a_crop_half_as_large_is_interpolated_and_not_made_of_blocks():
    ramp = np.tile(np.arange(0, 240, 2, np.uint8), (120, 1))
    row = crops(ramp, detections((20, 20, 44, 44))).images[0, 24, :, 0].astype(int)
    # 2 gray levels a pixel, at half-pixel steps from a quarter pixel before the first one: 39.5, 40.5, ...
    assert np.abs(row[1:-1] - (39.5 + np.arange(48))[1:-1]).max() <= 0.5


def test_the_square_is_in_heights_of_the_box_and_around_its_centre():
    # Haar's boxes are smaller around the same face: its square is 1.07 times as high as the box.
    shape = CropShape(size=48, channels=1, side=1.2)
    cut = crops(NOISE, detections((50, 40, 70, 80)), shape)
    assert cut.face_px.tolist() == pytest.approx([48.0])
    assert np.array_equal(cut.images[0, ..., 0], NOISE[36:84, 36:84])


def test_face_px_is_the_side_of_the_square_of_each_detector():
    from ferflow.faces.detector import make_detector
    from ferflow.options import AnalyzeOptions

    # A face has the same size with either detector: YuNet's boxes are 1.10 times as high as Haar's.
    sides = {name: make_detector(AnalyzeOptions(detector=name)).crop_side for name in ("yunet", "haar")}
    assert sides["haar"] / sides["yunet"] == pytest.approx(1.10, abs=0.005)
    for name, side in sides.items():
        shape = CropShape(size=48, channels=1, side=side)
        assert crops(NOISE, detections((30, 10, 110, 110)), shape).face_px[0] == pytest.approx(100 * side), (
            name
        )


def test_a_square_of_less_than_a_pixel_shows_that_pixel():
    assert (crop_square(planes(NOISE), (30.2, 40.2), 0.1, 48) == NOISE[40, 30]).all()


@pytest.mark.parametrize(("centre", "pixel"), [((-200, -200), (0, 0)), ((400, 300), (119, 159))])
def test_a_square_outside_of_the_picture_shows_its_corner(centre, pixel):
    assert (crop_square(planes(NOISE), centre, 48, 48) == NOISE[pixel]).all()


def test_a_square_of_wide_pixels_has_fewer_columns():
    cut = crop_square(planes(NOISE), (60, 60), 96, 48, pixel_aspect=2.0)
    assert np.abs(cut - NOISE[12:108, 36:84].reshape(48, 2, 48).mean(axis=1)).max() <= 0.5


def test_no_crops_have_the_columns_of_crops():
    none, some = FaceCrops.empty(SHAPE), crops(NOISE, detections((0, 0, 48, 48)))
    for name in FaceCrops.__dataclass_fields__:
        a, b = getattr(none, name), getattr(some, name)
        assert a.shape == (0, *b.shape[1:]), name
        assert a.dtype == b.dtype, name
