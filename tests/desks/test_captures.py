"""Game captures: when and where the player is seen. The truth is how files were made."""

from __future__ import annotations

import av
import pytest

from tests.desks.analysis import analyse
from tests.desks.captures import CAMERA, HEIGHT, WIDTH, game_capture, held_times, screen_and_camera

LATE_S, N = 1.5, 30


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return game_capture(tmp_path_factory.mktemp("game") / "game.mkv", n=N, late_s=LATE_S)


def test_a_capture_is_as_a_recorder_writes_it(capture):
    with av.open(str(capture)) as file:
        assert file.streams.video[0].time_base == file.streams.audio[0].time_base
        assert float(file.streams.video[0].time_base) == pytest.approx(0.001)
        starts = [float(stream.start_time * stream.time_base) for stream in file.streams]
    assert starts == pytest.approx([LATE_S, 0.0], abs=0.002)


@pytest.mark.parametrize("zero", ["video", "audio"])
def test_the_player_is_seen_in_the_corner_in_every_frame_at_its_time(capture, tools, zero):
    found = analyse(capture, tools, zero=zero)
    late_s = LATE_S if zero == "audio" else 0.0
    times = [row["time_s"] for row in found.frames]
    assert times == pytest.approx(held_times(N, late_s=late_s), abs=0.0011)
    assert [row["time_s"] for row in found.faces] == times
    x, y, width, height = CAMERA
    assert all(x < (row["x1"] + row["x2"]) / 2 < x + width for row in found.faces)
    assert all(y < (row["y1"] + row["y2"]) / 2 < y + height for row in found.faces)
    assert found.report.gaps == []
    (warning,) = found.report.warnings
    assert "the sound starts 1.5 s before the picture" in warning


def test_of_screen_and_camera_the_screen_is_analysed_and_the_camera_can_be(tmp_path, tools):
    path = screen_and_camera(tmp_path / "both.mkv", n=10)
    screen, camera = analyse(path, tools), analyse(path, tools, stream=1)
    assert {(row["width"], row["height"]) for row in screen.frames} == {(WIDTH, HEIGHT)}
    assert screen.faces == []
    assert screen.report.warnings[0].startswith(
        "2 video streams: #0 (h264, 960x540) is analysed, not #1 (h264, 320x240)"
    )
    assert {(row["width"], row["height"]) for row in camera.frames} == {(320, 240)}
    assert len(camera.faces) == len(camera.frames) == 10
