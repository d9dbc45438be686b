from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferflow.faces.picture_in_picture import find_picture_in_picture
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import analyze
from ferflow.store.records import FaceRows
from tests.conftest import portrait, write_video
from tests.desks.captures import CAMERA, HEIGHT, WIDTH, draw_capture


def find(path, tools):
    return find_picture_in_picture(path, AnalyzeOptions(), tools.detector)


@pytest.mark.parametrize("camera", [CAMERA, (0, 405, 240, 135), (30, 20, 300, 170)])
def test_the_frame_of_a_player_is_found(tmp_path, tools, camera):
    found = find(write_video(tmp_path / "a.mp4", draw_capture(camera=camera)), tools)
    x, y, width, height = found.pixels(WIDTH, HEIGHT)
    assert (x, y) == pytest.approx(camera[:2], abs=8)
    assert (x + width, y + height) == pytest.approx((camera[0] + camera[2], camera[1] + camera[3]), abs=8)


def test_a_face_without_a_frame_around_it_is_no_picture_in_picture(tmp_path, tools):
    images = [cv2.resize(np.roll(portrait()[0:300], number, axis=1), (640, 360)) for number in range(40)]
    assert find(write_video(tmp_path / "a.mp4", images), tools) is None


def test_a_game_without_a_face_has_no_player(tmp_path, tools):
    assert find(write_video(tmp_path / "a.mp4", draw_capture(camera=None)), tools) is None


def test_auto_analyses_the_frame_alone_and_says_what_it_took(tmp_path, tools):
    path = write_video(tmp_path / "a.mp4", draw_capture())
    rows = list(analyze(path, AnalyzeOptions(region=("auto",)), tools=tools))
    faces = [face for each in rows if isinstance(each, FaceRows) for face in each.batch.to_pylist()]
    assert len(faces) > 50
    assert all(CAMERA[0] - 10 < face["x1"] < face["x2"] < CAMERA[0] + CAMERA[2] + 10 for face in faces)
    (name,) = {face["region"] for face in faces}
    assert [abs(int(a) - b) <= 8 for a, b in zip(name.split(",")[:2], CAMERA, strict=False)] == [True, True]


def test_auto_without_a_frame_analyses_all_and_says_so(tmp_path, tools):
    from ferflow.media.video import open_video
    from ferflow.pipeline import analyze_video

    images = [cv2.resize(portrait()[0:300], (640, 360))] * 20
    with open_video(write_video(tmp_path / "a.mp4", images)) as video:
        rows = list(analyze_video(video, "a", AnalyzeOptions(region=("auto",)), tools))
        assert any("no picture-in-picture frame was found" in warning for warning in video.report.warnings)
    faces = [face for each in rows if isinstance(each, FaceRows) for face in each.batch.to_pylist()]
    assert len(faces) == 20
    assert {face["region"] for face in faces} == {None}
