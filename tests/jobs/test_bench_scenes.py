"""What the clips of `ferflow bench` show, read by PyAV and ffprobe."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from typer.main import get_command

from ferflow.cli import app
from ferflow.faces.detector import make_detector
from ferflow.jobs.benchmarks.camera_noise import measure_noise, read_luma
from ferflow.jobs.benchmarks.clip import SCENES, Scene, draw_clip
from ferflow.jobs.benchmarks.drawn_room import Room
from ferflow.jobs.benchmarks.drawn_screen import Screen
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions

SECONDS = 2


@pytest.fixture(scope="module", params=["screen-held", "screen-moving"])
def recording(request, tmp_path_factory):
    """Name, screen and file of a recording as of the scene, but smaller."""
    scene = SCENES[request.param]
    small = replace(scene.drawing, width=320, height=180, face_px=30)
    path = tmp_path_factory.mktemp("screens") / f"{request.param}.mp4"
    draw_clip(path, replace(scene, drawing=small), SECONDS)
    return request.param, small, path


def decode(path):
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="gray"))
            for frame in container.decode(video=0)
        ]


def test_a_recorded_screen_has_30_frames_a_second(recording):
    _, _, path = recording
    command = ["ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["streams"]
    assert (stream["avg_frame_rate"], stream["nb_read_frames"]) == ("30/1", "60")
    assert {b - a for (a, _), (b, _) in pairwise(decode(path))} == {Fraction(1, 30)}


def test_a_held_screen_decodes_to_5_pictures_a_second_and_a_moving_one_to_30(recording):
    name, _, path = recording
    pictures = [picture.tobytes() for _, picture in decode(path)]
    changes = [number for number, (a, b) in enumerate(pairwise(pictures), start=1) if a != b]
    expected = range(6, 60, 6) if name == "screen-held" else range(1, 60)
    assert changes == list(expected)
    assert len(set(pictures)) == 1 + len(expected)


def test_both_recordings_show_the_same_screen_5_times_a_second(recording):
    _, screen, path = recording
    x, y, width, height = screen.camera
    pictures = [picture.copy() for _, picture in decode(path)]
    for picture in pictures:
        picture[y : y + height, x : x + width] = 0
    changes = [number for number, (a, b) in enumerate(pairwise(pictures), start=1) if (a != b).any()]
    assert changes == list(range(6, 60, 6))


def test_the_only_face_of_a_recorded_screen_is_in_the_camera_picture(tmp_path):
    screen = SCENES["screen-moving"].drawing
    draw_clip(tmp_path / "clip.mp4", SCENES["screen-moving"], 0.1)
    with open_video(tmp_path / "clip.mp4") as video:
        (found,) = make_detector(AnalyzeOptions()).detect([next(video.frames(Selection()))])
    ((x1, y1, x2, y2),) = found.xyxy
    x, y, width, height = screen.camera
    assert x < x1 < x2 < x + width
    assert y < y1 < y2 < y + height
    assert y2 - y1 == pytest.approx(100, rel=0.25)


def test_the_head_of_a_moving_camera_picture_moves_between_two_screens():
    screen = Screen(1280, 720, 100, camera_fps=30, camera_noise=0)
    x, y, width, height = screen.camera
    pictures = [
        cv2.cvtColor(each, cv2.COLOR_BGR2GRAY)[y : y + height, x : x + width] for each in screen.pictures(24)
    ]
    assert np.abs(pictures[18].astype(int) - pictures[23]).max() > 50


def test_noise_is_measured_where_a_person_moves_past(tmp_path):
    rng = np.random.default_rng(3)
    pictures = []
    for number in range(12):
        still = np.full((160, 240), 120.0)
        still[40:120, 12 * number : 12 * number + 40] = 200
        pictures.append(np.clip(np.round(still + rng.normal(0, 3, still.shape)), 0, 255).astype(np.uint8))
        pictures.append(pictures[-1].copy())  # a camera of half the frame rate
    noise = measure_noise(pictures)
    assert noise.pixels == pytest.approx(3, rel=0.05)
    assert noise.blocks == pytest.approx(3 / 16, rel=0.3)
    assert noise.n_frames == 11


def test_a_room_has_the_noise_that_its_scene_says():
    lumas = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in Room(320, 192, 0, 30, noise=2.0).pictures(8)]
    assert measure_noise(lumas).pixels == pytest.approx(2, rel=0.1)


@pytest.mark.slow
def test_the_camera_scene_is_as_noisy_as_real_recordings_are(clips, tmp_path):
    names = "intel_asl_again.mkv", "pyfeat_face_noface.mov", "pyfeat_single_face.mp4", "fer_woman2.mp4"
    real = [measure_noise(read_luma(clips / name, 5)).pixels for name in names]
    drawn = {}
    for name in ("720p", "720p-camera"):
        draw_clip(path := tmp_path / f"{name}.mp4", SCENES[name], 2)
        drawn[name] = measure_noise(read_luma(path, 2)).pixels
    assert min(real) < drawn["720p-camera"] < max(real) < drawn["720p"]


def test_the_help_names_each_scene():
    (option,) = (each for each in get_command(app).commands["bench"].params if each.name == "scene")
    named = set(re.findall(r"[a-z0-9]+(?:-[a-z]+)*", option.help))
    assert set(SCENES) <= named


def test_a_scene_of_a_given_rate_has_about_that_rate(tmp_path):
    draw_clip(path := tmp_path / "clip.mp4", Scene(Room(320, 180, 1, 60), 0.5), 2)
    assert path.stat().st_size * 8 / 2 == pytest.approx(0.5e6, rel=0.3)
