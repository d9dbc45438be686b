"""Windows around places, and their mosaic."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferflow.faces.search_windows import Mosaic, Places, Windows, grow


def places(*boxes: tuple[float, ...], reduced: bool = False) -> Places:
    return Places(np.array(boxes, np.float32), np.full(len(boxes), reduced))


def around(found: Places, *, factor: int = 2) -> list[tuple[int, ...]]:
    windows = Windows.around(found, 640, 360, factor=factor, stride=32)
    return [(*xywh, zoom) for xywh, zoom in zip(windows.xywh.tolist(), windows.zoom.tolist(), strict=True)]


def test_a_window_begins_on_the_grid_and_shows_at_least_16_pixels_of_the_input_around_a_place():
    # A grid of 64 pixels: 2 pixels of the picture per pixel of the input, and cells of 32.
    assert around(places((100, 100, 150, 150))) == [(64, 64, 128, 128, 1)]
    assert around(places((95, 100, 161, 150))) == [(0, 64, 256, 128, 1)]


def test_a_window_ends_with_the_picture():
    assert around(places((-20, 300, 40, 380))) == [(0, 256, 128, 104, 1)]


def test_a_place_outside_of_the_picture_has_no_window():
    assert around(places((-200, 100, -100, 200), (700, 100, 800, 200))) == []


def test_near_places_share_a_window_and_distant_ones_do_not():
    assert around(places((100, 100, 150, 150), (120, 100, 170, 150))) == [(64, 64, 192, 128, 1)]
    assert len(around(places((100, 100, 150, 150), (500, 100, 550, 150)))) == 2


def test_the_grid_of_a_reduced_window_is_twice_as_wide():
    assert around(places((130, 130, 250, 250), reduced=True)) == [(0, 0, 384, 360, 2)]


def test_a_margin_is_in_heights_of_the_box():
    box = np.array([[10, 20, 30, 60]], np.float32)
    assert grow(box, 0.5).tolist() == [[-10, 0, 50, 80]]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=9))
def test_windows_lie_in_their_mosaic_and_not_over_one_another(cells):
    sizes = [(32 * width, 32 * height) for width, height in cells]
    mosaic = Mosaic.pack(sizes)
    used = np.zeros((mosaic.height, mosaic.width), int)
    for (x, y), (width, height) in zip(mosaic.corners.tolist(), sizes, strict=True):
        used[y : y + height, x : x + width] += 1
    assert used.max() == 1
    assert used.sum() == sum(width * height for width, height in sizes)


def row(x: float, y: float, width: float, height: float) -> np.ndarray:
    """A face as the detector decodes it, all five points in its centre."""
    return np.array([[0.9, x, y, width, height, *[x + width / 2, y + height / 2] * 5]], np.float32)


TWO = Mosaic.pack([(64, 64), (64, 64)])
CORNERS = np.array([[100, 50], [300, 10]], np.float32)


def move_back(found: np.ndarray, zoom=(1, 1)) -> list[list[float]]:
    size = np.array([640, 360], np.float32)
    return TWO.move_back(found, CORNERS, np.array(zoom, np.float32), size)[:, 1:7].tolist()


def test_a_face_is_moved_to_its_place_in_the_picture():
    x, y = TWO.corners[1].tolist()
    assert move_back(row(x + 10, y + 20, 20, 30)) == [[310, 30, 20, 30, 320, 45]]
    assert move_back(row(x + 10, y + 20, 20, 30), (1, 2)) == [[320, 50, 40, 60, 340, 80]]


def test_a_face_that_a_window_cuts_off_is_left_out():
    x, y = TWO.corners[1].tolist()
    assert move_back(row(x + 50, y + 20, 20, 30)) == []
    assert move_back(row(x - 5, y + 20, 20, 30)) == []


def test_a_face_that_the_picture_cuts_off_is_kept():
    mosaic = Mosaic.pack([(64, 64)])
    size, one = np.array([100, 100], np.float32), np.ones(1, np.float32)
    left = mosaic.move_back(row(-8, 20, 20, 30), np.array([[0, 10]], np.float32), one, size)
    assert left[:, 1:5].tolist() == [[-8, 30, 20, 30]]
    right = mosaic.move_back(row(50, 20, 20, 30), np.array([[40, 10]], np.float32), one, size)
    assert right[:, 1:5].tolist() == [[90, 30, 20, 30]]
