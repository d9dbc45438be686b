from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.not_face import FaceMotion
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from tests.conftest import portrait

LANDMARKS = np.array([[30, 38], [70, 38], [50, 60], [35, 82], [65, 82]], float)
"""Of a face that fills 100 by 120 pixels."""


def moving(seed: int, n: int, path: float = 0.04, shape: float = 0.01) -> np.ndarray:
    """Landmarks of a person who sits and talks: float64 (n, 5, 2), in sizes of the face; a slow random walk."""
    rng = np.random.default_rng(seed)

    def wander(scale: float, *shape_of: int) -> np.ndarray:
        steps = np.cumsum(rng.normal(0, 1, (n, *shape_of)), axis=0)
        return scale * (steps - steps.mean(axis=0)) / steps.std(axis=0)

    return LANDMARKS / 120 + wander(path, 1, 2) + wander(shape, 5, 2)


def still(seed: int, n: int, noise: float = 0.001) -> np.ndarray:
    """Landmarks of a picture, with a detector's noise."""
    return LANDMARKS / 120 + np.random.default_rng(seed).normal(0, noise, (n, 5, 2))


def find(
    faces: list[tuple[np.ndarray, tuple[float, float], float]], pictures: list[np.ndarray] | None = None
) -> dict:
    """What is found for faces of these landmarks (n, 5, 2), corners and heights; 5 frames a second."""
    return watch(faces, pictures).find()


def watch(
    faces: list[tuple[np.ndarray, tuple[float, float], float]], pictures: list[np.ndarray] | None = None
) -> FaceMotion:
    """See `find`."""
    motion, n = FaceMotion(), len(faces[0][0])
    luma = np.full((480, 640), 90, np.uint8)
    for (_, (x, y), height), picture in zip(faces, pictures or [], strict=bool(pictures)):
        side = round(height)
        luma[round(y) : round(y) + side, round(x) : round(x) + side] = cv2.resize(picture, (side, side))
    for i in range(n):
        marks = np.array([shape[i] * height + corner for shape, corner, height in faces], np.float32)
        boxes = np.concatenate([marks.min(axis=1), marks.max(axis=1)], axis=1).astype(np.float32)
        found = Detections(boxes, np.full(len(faces), 0.9, np.float32), marks)
        frame = Frame(i, i, Fraction(i, 5), Planes(luma, None, None, full_range=True))
        ids = np.arange(1, len(faces) + 1, dtype=np.int32)
        motion.add(TrackedFrame(FrameSample(frame, (False,), 90.0), found, ids))
    return motion


def test_a_picture_of_a_face_beside_a_person_who_moves_is_still():
    assert find([(moving(1, 40), (50, 100), 120), (still(2, 40), (350, 100), 100)]) == {2: "still"}


def test_a_person_who_sits_quietly_is_not_still():
    quiet = moving(3, 40, path=0.008, shape=0.004)
    assert find([(moving(1, 40), (50, 100), 120), (quiet, (350, 100), 100)]) == {}


def test_where_nobody_moves_nobody_is_still():
    assert find([(still(1, 40), (50, 100), 120), (still(2, 40), (350, 100), 100)]) == {}
    assert find([(still(1, 40), (50, 100), 120)]) == {}


def test_a_picture_that_is_moved_now_and_then_is_still():
    # Every six seconds, two seconds of walking past it.
    walked = np.cumsum(np.tile(np.repeat([0, 0.1], [30, 10]), 3))
    poster = still(2, 120) + walked[:, None, None] * [1, 0]
    motion = watch([(moving(1, 120), (50, 100), 120), (poster, (100, 300), 60)])
    assert motion.find() == {}
    assert motion.is_still([2])
    assert not motion.is_still([1])


def test_a_person_who_pauses_now_and_then_is_not_still():
    # A third of the time, for a second and a half.
    paused = moving(3, 120, path=0.3, shape=0.05)
    for start in range(0, 120, 24):
        paused[start : start + 8] = paused[start]
    motion = watch([(moving(1, 120), (50, 100), 120), (paused, (350, 100), 100)])
    assert not motion.is_still([2])


def test_a_few_seconds_are_too_short_to_tell():
    assert find([(moving(1, 20), (50, 100), 120), (still(2, 20), (350, 100), 100)]) == {}


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    """Gray pictures of a face and of its mirror image, uint8 (120, 120)."""
    gray = cv2.cvtColor(portrait()[30:250, 110:330], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(gray, (120, 120), interpolation=cv2.INTER_AREA)
    return [face, np.ascontiguousarray(face[:, ::-1])]


def test_the_blurred_copy_of_a_face_that_moves_with_it_is_a_duplicate(faces):
    path = moving(1, 40)
    blurred = cv2.GaussianBlur(faces[0], (0, 0), 3)
    pair = [(path, (40, 150), 120), (path, (300, 100), 220)]
    assert find(pair, [faces[0], blurred]) == {2: "duplicate"}
    assert find(pair[::-1], [blurred, faces[0]]) == {1: "duplicate"}


def test_a_face_that_looks_alike_and_moves_otherwise_is_no_duplicate(faces):
    pair = [(moving(1, 40), (40, 150), 120), (moving(2, 40), (300, 100), 220)]
    assert find(pair, [faces[0], faces[0]]) == {}


def test_another_face_that_moves_alike_as_under_a_moving_camera_is_no_duplicate(faces):
    path = moving(1, 40)
    other = 255 - faces[1]
    assert find([(path, (40, 150), 120), (path, (300, 100), 220)], [faces[0], other]) == {}


def test_faces_without_landmarks_are_taken_for_faces():
    unknown = np.full((40, 5, 2), np.nan)
    motion = FaceMotion()
    frame = Frame(0, 0, Fraction(0), Planes(np.zeros((90, 160), np.uint8), None, None, full_range=True))
    boxes = Detections(
        np.array([[10, 10, 40, 50]], np.float32), np.ones(1, np.float32), unknown[:1].astype(np.float32)
    )
    motion.add(TrackedFrame(FrameSample(frame, (False,), 0.0), boxes, np.array([1], np.int32)))
    assert motion.find() == {}
