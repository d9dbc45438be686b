"""One picture gives what an analysis of it gives, in whatever form it comes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import ferflow
from ferflow.errors import OptionsError, VideoError
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from tests.conftest import portrait, write_video
from tests.media.test_photographs import exif, photograph


@pytest.fixture(scope="module")
def loaded() -> Tools:
    return Tools.load(AnalyzeOptions())


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """1536x1536, the portrait three times as large: one face, which smiles."""
    return photograph()


@pytest.fixture(scope="module")
def path(photo, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    photo.save(path, quality=92)
    return path


def test_the_face_of_a_photograph_is_found_and_smiles(path, loaded):
    (face,) = ferflow.predict(path, tools=loaded)
    x1, y1, x2, y2 = face.xyxy
    assert (x1, y1) < (690, 330) < (x2, y2)  # her nose, in a picture of three times the size
    assert face.label == "happy"
    assert sum(face.probs.values()) == pytest.approx(1, abs=1e-5)
    assert face.track_id is None
    assert face.unreadable is None


def test_a_file_gives_the_numbers_of_its_analysis(path, loaded):
    """A photograph without a neighbour is analysed as a video of one frame."""
    (face,) = ferflow.predict(str(path), tools=loaded)
    faces = [rows.batch for rows in ferflow.analyze(path, tools=loaded) if isinstance(rows, ferflow.FaceRows)]
    (row,) = faces[0].to_pylist()
    assert face.xyxy == tuple(row[name] for name in ("x1", "y1", "x2", "y2"))
    assert face.probs == {label: row[f"prob_{label}"] for label in face.probs}
    assert (face.yaw, face.pitch, face.roll) == (row["yaw"], row["pitch"], row["roll"])
    assert np.ravel(face.landmarks).tolist() == row["landmarks"]


@pytest.mark.parametrize("form", ["bgr", "bgra", "pillow", "pillow rgba"])
def test_an_array_and_a_picture_of_pillow_give_the_face_of_the_file(path, loaded, form):
    (wanted,) = ferflow.predict(path, tools=loaded)
    read = {
        "bgr": lambda: cv2.imread(str(path)),
        "bgra": lambda: cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2BGRA),
        "pillow": lambda: Image.open(path),
        "pillow rgba": lambda: Image.open(path).convert("RGBA"),
    }
    (face,) = ferflow.predict(read[form](), tools=loaded)
    assert face.xyxy == pytest.approx(wanted.xyxy, abs=6)
    assert face.probs == pytest.approx(wanted.probs, abs=0.05)


@pytest.mark.parametrize("shape", ["(H, W)", "(H, W, 1)"])
def test_a_gray_array_gives_a_face(path, loaded, shape):
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    (face,) = ferflow.predict(gray if shape == "(H, W)" else gray[..., None], tools=loaded)
    assert face.label == "happy"


@pytest.mark.parametrize("orientation", [3, 6, 8, 5])
def test_boxes_are_those_of_the_upright_picture(photo, path, loaded, tmp_path, orientation):
    (upright,) = ferflow.predict(path, tools=loaded)
    turns = {3: Image.ROTATE_180, 6: Image.ROTATE_90, 8: Image.ROTATE_270, 5: Image.TRANSPOSE}
    stored = photo.transpose(turns[orientation])
    stored.save(turned := tmp_path / "turned.jpg", quality=92, exif=exif(orientation))
    for picture in (turned, Image.open(turned)):
        (face,) = ferflow.predict(picture, tools=loaded)
        assert face.xyxy == pytest.approx(upright.xyxy, abs=12)


def test_faces_come_from_left_to_right_and_none_is_none(loaded):
    three = np.hstack([portrait()[..., ::-1]] * 3)
    faces = ferflow.predict(three, tools=loaded)
    assert len(faces) == 3
    lefts = [face.xyxy[0] for face in faces]
    assert lefts == sorted(lefts)
    assert ferflow.predict(np.full((480, 640, 3), 120, np.uint8), tools=loaded) == ()


def test_options_count_as_in_an_analysis(path, loaded):
    assert ferflow.predict(path, AnalyzeOptions(score=1.0), tools=loaded) == ()
    assert ferflow.predict(path, AnalyzeOptions(region=("0,800,700,700",)), tools=loaded) == ()
    (face,) = ferflow.predict(path, AnalyzeOptions(region=("top",)), tools=loaded)
    assert face.label == "happy"


def test_a_face_of_the_haar_detector_has_no_pose_and_no_landmarks():
    faces = ferflow.predict(portrait()[..., ::-1], AnalyzeOptions(detector="haar"))
    face = max(faces, key=lambda face: face.probs["happy"])
    assert face.label == "happy"
    assert (face.yaw, face.pitch, face.roll, face.landmarks) == (None,) * 4
    assert "NaN" not in json.dumps(face.to_json())


def write_three_frames(path: Path) -> None:
    write_video(path.with_suffix(".mp4"), [np.zeros((64, 64, 3), np.uint8)] * 3).rename(path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"no picture" * 100), "not a video or picture"),
        (lambda path: path.mkdir(), "a folder"),
        (write_three_frames, "several"),
        (lambda path: path.write_bytes(cv2.imencode(".jpg", portrait())[1].tobytes()[:9000]), "damaged"),
    ],
    ids=["missing", "empty", "text", "folder", "video", "cut off"],
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_its_name_and_the_reason(tmp_path, loaded, write, reason):
    path = tmp_path / "bad.jpg"
    write(path)
    with pytest.raises(VideoError, match=f"^bad.jpg: .*{reason}"):
        ferflow.predict(path, tools=loaded)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 5, 2), (2, 5, 5, 3), (7,)])
def test_an_array_of_another_shape_is_refused(loaded, shape):
    with pytest.raises(OptionsError, match="a picture must be uint8"):
        ferflow.predict(np.zeros(shape, np.uint8), tools=loaded)


@pytest.mark.parametrize("thing", [5, None, b"content of a file"])
def test_what_is_no_picture_at_all_is_refused_in_words(loaded, thing):
    with pytest.raises(OptionsError, match=f"got {type(thing).__name__}"):
        ferflow.predict(thing, tools=loaded)


def test_an_array_of_other_numbers_is_refused(loaded):
    with pytest.raises(OptionsError, match="got float64"):
        ferflow.predict(np.zeros((9, 9, 3)), tools=loaded)


def test_region_auto_is_refused(loaded):
    with pytest.raises(OptionsError, match="region auto needs a video"):
        ferflow.predict(portrait(), AnalyzeOptions(region=("auto",)), tools=loaded)
