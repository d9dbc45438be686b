from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from ferflow.faces.crops import CropShape, FaceCrops, crop_faces, crop_frames, crop_square
from ferflow.faces.detections import Detections
from ferflow.faces.detector import make_detector
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from tests.conftest import portrait

SHAPE = CropShape(size=48, channels=1, side=1.0)


def planes(gray: np.ndarray, *, full_range: bool = True) -> Planes:
    return Planes(np.ascontiguousarray(gray), None, None, full_range)


def detections(*xyxy: tuple[float, float, float, float]) -> Detections:
    n = len(xyxy)
    return Detections(
        np.array(xyxy, np.float32), np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32)
    )


def crops(gray: np.ndarray, found: Detections, shape: CropShape = SHAPE) -> FaceCrops:
    frame = Frame(7, 700, 0.28, planes(gray))
    return crop_faces(frame, found, np.arange(1, len(found) + 1, dtype=np.int32), shape)


def test_every_face_is_cut_at_its_own_place():
    # A peer pads the picture anew for each face, so that later ones are cut 40 pixels off.
    gray = np.zeros((400, 600), np.uint8)
    boxes = [(20, 20, 80, 80), (200, 100, 260, 160), (500, 300, 560, 360)]
    for x1, y1, x2, y2 in boxes:
        gray[y1:y2, x1:x2] = 255
    cut = crops(gray, detections(*boxes))
    assert cut.images.shape == (3, 48, 48, 1)
    assert (cut.images == 255).all()


def test_beyond_the_border_the_edge_is_repeated():
    gray = np.tile(np.linspace(50, 200, 100).astype(np.uint8), (100, 1))
    cut = crops(gray, detections((-40, -40, 40, 40), (60, 60, 160, 160), (-300, -300, -200, -200)))
    assert cut.images[0, :, :20].std() == 0
    assert cut.images[1].max() == 200
    assert (cut.images[2] == 50).all()


def test_limited_range_is_expanded_and_full_range_is_not():
    gray = np.full((60, 60), 235, np.uint8)
    assert crop_square(planes(gray, full_range=False), (30, 30), 40, 48).max() == 255
    assert crop_square(planes(gray, full_range=True), (30, 30), 40, 48).max() == 235


def test_a_repeated_picture_gives_the_crops_of_a_picture_of_its_own():
    gray = np.random.default_rng(0).integers(0, 255, (120, 160), np.uint8)
    shared = planes(gray)
    found = [detections(*boxes) for boxes in ([(9, 9, 50, 50), (70, 20, 120, 80)], [(9, 9, 50, 50)])]
    found += [Detections.empty(), detections((70, 20, 120, 80), (9, 9, 50, 51))]

    def cut(pictures: list[Planes]) -> FaceCrops:
        frames = [Frame(n, n, Fraction(n), each) for n, each in enumerate(pictures)]
        return crop_frames(frames, found, [np.arange(len(each), dtype=np.int32) for each in found], SHAPE)

    of_one, of_four = cut([shared] * 4), cut([planes(gray) for _ in range(4)])
    assert np.array_equal(of_one.images, of_four.images)
    assert np.array_equal(of_one.sharpness, of_four.sharpness)
    assert not np.array_equal(of_one.images[4], of_one.images[0])


def test_a_crop_does_not_keep_the_frame_alive():
    gray = np.zeros((480, 640), np.uint8)
    cut = crops(gray, detections((0, 0, 48, 48)))
    assert not np.shares_memory(cut.images, gray)


def test_each_crop_carries_its_own_place_in_the_video():
    cut = crops(np.zeros((100, 100), np.uint8), detections((0, 0, 50, 50), (50, 50, 90, 90)))
    assert cut.frame_index.tolist() == [7, 7]
    assert cut.pts.tolist() == [700, 700]
    assert cut.track_id.tolist() == [1, 2]
    assert cut.face_px.tolist() == [50, 40]
    assert np.isnan(cut.pose).all()


def test_crops_can_be_gathered_and_taken_apart():
    a = crops(np.zeros((100, 100), np.uint8), detections((0, 0, 50, 50), (50, 50, 90, 90)))
    b = crops(np.full((100, 100), 9, np.uint8), detections((10, 10, 20, 20)))
    both = FaceCrops.empty(SHAPE) + a + b
    assert len(both) == 3
    assert both[1:].track_id.tolist() == [2, 1]
    assert both[2:].images.max() == 9


def test_a_blurred_face_is_less_sharp():
    gray = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    box = detections((175, 68, 272, 200))
    assert crops(gray, box).sharpness[0] > 3 * crops(cv2.GaussianBlur(gray, (0, 0), 8), box).sharpness[0]


def test_pixels_that_are_not_square_give_a_square_crop():
    # A disc as shown, stored at half the width.
    shown = np.zeros((200, 200), np.uint8)
    cv2.circle(shown, (100, 100), 60, 255, -1)
    stored = cv2.resize(shown, (100, 200), interpolation=cv2.INTER_AREA)
    image = crop_square(planes(stored), (50, 100), 120, 48, pixel_aspect=2.0)
    mask = image > 127
    assert mask.any(axis=0).sum() == pytest.approx(mask.any(axis=1).sum(), abs=1)


@pytest.mark.parametrize("detector", ["yunet", "haar"])
def test_eyes_and_mouth_lie_where_the_training_crops_have_them(detector):
    """Median landmarks of 2,296 FER2013 images, in their 48 pixels; the portrait is a frontal face."""
    gray = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    frame = Frame(0, 0, 0.0, planes(gray))
    marks = make_detector(AnalyzeOptions(min_face=10)).detect([frame])[0].landmarks[0]
    finder = make_detector(AnalyzeOptions(detector=detector, min_face=30))
    (x1, y1, x2, y2) = finder.detect([frame])[0].xyxy[0]
    side = (y2 - y1) * finder.crop_side
    corner = np.array([(x1 + x2 - side) / 2, (y1 + y2 - side) / 2])
    placed = (marks - corner) / side * 48
    expected = np.array([(15.2, 18.3), (32.3, 18.9), (22.6, 28.3), (16.2, 35.5), (30.1, 36.0)])
    assert np.abs(placed - expected).max() < 4.0
