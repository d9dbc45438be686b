"""Game captures: when and where the player is seen. The truth is how files were made."""

from __future__ import annotations

import av
import pytest

from ferflow.media.video import Reading, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import analyze_video
from ferflow.store.records import FaceRows, FrameRows
from tests.desks.captures import CAMERA, HEIGHT, WIDTH, game_capture, held_times, screen_and_camera

LATE_S, N = 1.5, 30


def analyse(path, tools, **chosen):
    """FRAMES, FACES, and the open video."""
    options = AnalyzeOptions(**chosen)
    with open_video(path, Reading.of(options)) as video:
        found = list(analyze_video(video, "id", options, tools))
    tables = [
        [row for part in found if isinstance(part, kind) for row in part.batch.to_pylist()]
        for kind in (FrameRows, FaceRows)
    ]
    return (*tables, video)


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
    frames, faces, video = analyse(capture, tools, zero=zero)
    late_s = LATE_S if zero == "audio" else 0.0
    assert [row["time_s"] for row in frames] == pytest.approx(held_times(N, late_s=late_s), abs=0.0011)
    assert [row["time_s"] for row in faces] == [row["time_s"] for row in frames]
    x, y, width, height = CAMERA
    assert all(x < (row["x1"] + row["x2"]) / 2 < x + width for row in faces)
    assert all(y < (row["y1"] + row["y2"]) / 2 < y + height for row in faces)
    assert video.report.gaps == []
    (warning,) = video.report.warnings
    assert "the sound starts 1.5 s before the picture" in warning


def test_of_screen_and_camera_the_screen_is_analysed_and_the_camera_can_be(tmp_path, tools):
    path = screen_and_camera(tmp_path / "both.mkv", n=10)
    frames, faces, video = analyse(path, tools)
    assert {(row["width"], row["height"]) for row in frames} == {(WIDTH, HEIGHT)}
    assert faces == []
    assert video.report.warnings[0].startswith(
        "2 video streams: #0 (h264, 960x540) is analysed, not #1 (h264, 320x240)"
    )
    frames, faces, _ = analyse(path, tools, stream=1)
    assert {(row["width"], row["height"]) for row in frames} == {(320, 240)}
    assert len(faces) == len(frames) == 10
