"""Which pictures of a file are analysed, how they are turned, and when they are. The truth is how files were made."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from ferflow.errors import VideoError
from ferflow.faces.orientation import find_turn
from ferflow.media.video import Reading, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from tests.desks.analysis import analyse
from tests.desks.cameras import grows, late_picture, several_streams, turned

CAMERA, PREVIEW = (320, 240), (160, 90)


def read(path, reading=None):
    with open_video(path, reading) as video:
        return list(video.frames(Selection())), video


# --- Which stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("sizes", "frames", "chosen"),
    [
        ([PREVIEW, CAMERA], (30, 30), 1),  # a preview in front
        ([CAMERA, CAMERA], (1, 30), 1),  # a thumbnail in front
        ([(640, 480), CAMERA], (1, 30), 1),  # a large thumbnail in front
        ([CAMERA, (640, 480)], (30, 30), 0),  # the muxer makes the first one the default
    ],
)
def test_the_recording_is_chosen_and_the_rest_is_named(tmp_path, suffix, sizes, frames, chosen):
    default = 0 if suffix == "mkv" else None
    path = several_streams(tmp_path / f"a.{suffix}", sizes, frames=frames, default=default)
    read_frames, video = read(path)
    assert len(read_frames) == 30
    assert video.size == sizes[chosen]
    assert video.info.stream == chosen
    (warning,) = video.report.warnings
    assert warning.startswith(f"2 video streams: #{chosen} (h264, {sizes[chosen][0]}x{sizes[chosen][1]}")
    (other,) = video.info.other_streams
    assert other in warning
    assert other.startswith(f"#{1 - chosen} ")


def test_of_streams_none_of_which_is_the_default_the_largest_is_analysed(tmp_path):
    path = several_streams(tmp_path / "a.mkv", [CAMERA, (640, 480)], frames=(9, 9), default=7)
    with av.open(str(path)) as file:
        sizes = {stream.index: stream.codec_context.width for stream in file.streams.video}
    _, video = read(path)
    assert sizes[video.info.stream] == 640


def test_screen_and_camera_are_both_listed_and_either_can_be_analysed(tmp_path):
    path = several_streams(tmp_path / "a.mp4", [(640, 480), CAMERA], frames=(20, 10))
    for number, size in enumerate([(640, 480), CAMERA]):
        frames, video = read(path, Reading(stream=number))
        assert (video.size, len(frames)) == (size, 20 - 10 * number)
    with pytest.raises(
        VideoError, match=r"stream 5 is no video stream; there is #0 \(h264, 640x480, 20 frames\)"
    ):
        read(path, Reading(stream=5))


# --- When --------------------------------------------------------------------------------------------------------


def test_sound_that_starts_before_the_picture_is_said_and_can_be_the_zero_of_time(tmp_path):
    path = late_picture(tmp_path / "a.mkv", late_s=3.0)
    with av.open(str(path)) as file:
        starts = [float(stream.start_time * stream.time_base) for stream in file.streams]
    assert starts == pytest.approx([3.0, 0.0], abs=0.002)
    by_picture, video = read(path)
    assert by_picture[0].time_s == 0.0
    assert "the sound starts 3.0 s before the picture" in video.report.warnings[0]
    by_sound, video = read(path, Reading(zero="audio"))
    assert [frame.time_s for frame in by_sound] == pytest.approx(
        [3.0 + frame.time_s for frame in by_picture], abs=0.001
    )
    assert video.end_s == pytest.approx(5.0, abs=0.05)
    assert float(video.origin_s()) == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize("fps", [5.0, 10.0])
def test_sampling_and_ranges_count_from_the_sound_too(tmp_path, fps):
    path = late_picture(tmp_path / "a.mkv", late_s=3.0)
    with open_video(path, Reading(zero="audio")) as video:
        times = [frame.time_s for frame in video.frames(Selection(fps=fps))]
    assert times == pytest.approx(np.arange(3.0, 5.0 - 1e-9, 1 / fps), abs=0.041)


@pytest.mark.parametrize("late_s", [0.0, -2.0])
def test_without_sound_before_the_picture_time_counts_from_the_picture(tmp_path, late_s):
    frames, video = read(late_picture(tmp_path / "a.mkv", late_s=late_s), Reading(zero="audio"))
    assert frames[0].time_s == 0.0
    assert video.report.warnings == [
        "zero audio: the sound does not start before the picture, so that times count from the first picture"
    ]


# --- Which way up ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upright(tmp_path_factory, tools):
    return analyse(turned(tmp_path_factory.mktemp("upright") / "up.mp4", 0), tools)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_picture_on_its_side_or_head_is_turned_as_its_faces_say(tmp_path, tools, upright, degrees):
    assert upright.report.warnings == []
    found = analyse(turned(tmp_path / "turned.mp4", degrees), tools)
    assert f"turned by {degrees} degrees clockwise" in found.report.warnings[0]
    assert [(one["width"], one["height"]) for one in found.frames] == [(320, 240)] * len(upright.frames)
    assert len(found.faces) == len(upright.faces) == len(upright.frames)
    for name in ("x1", "y1", "x2", "y2"):
        apart = np.array([one[name] for one in found.faces]) - [one[name] for one in upright.faces]
        assert np.abs(apart).max() < 6


def test_a_file_that_says_the_wrong_orientation_is_corrected(tmp_path, tools):
    found = analyse(turned(tmp_path / "a.mp4", 0, rotation=90), tools)
    assert (found.frames[0]["width"], found.frames[0]["height"]) == (320, 240)
    assert "turned by 0 degrees clockwise" in found.report.warnings[0]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turn_that_is_given_replaces_what_the_file_says(tmp_path, degrees):
    path = turned(tmp_path / "a.mp4", degrees, n=5, rotation=90)
    upright = turned(tmp_path / "b.mp4", 0, n=5)
    (frame, *_), video = read(path, Reading.of(AnalyzeOptions(rotate=str(degrees))))
    (expected, *_), _ = read(upright)
    assert video.turn == degrees
    assert np.abs(frame.planes.y.astype(int) - expected.planes.y).mean() < 4


def test_the_file_s_own_word_is_kept_where_that_is_asked_for(tmp_path, tools):
    found = analyse(turned(tmp_path / "a.mp4", 90), tools, rotate="file")
    assert (found.frames[0]["width"], found.frames[0]["height"]) == (240, 320)
    assert found.report.warnings == []


class Counting:
    """A detector that counts the frames that it is given."""

    def __init__(self, detector):
        self.detector, self.name, self.n_frames = detector, detector.name, 0

    def detect(self, frames):
        self.n_frames += len(frames)
        return self.detector.detect(frames)


def test_two_frames_are_looked_at_where_the_faces_of_both_are_clear(tmp_path, tools):
    """Frames of the first four seconds were looked at: up to half of the time of a short video."""
    detector = Counting(tools.detector)
    assert find_turn(turned(tmp_path / "a.mp4", 0, n=100), AnalyzeOptions(), detector) is None
    assert detector.n_frames == 2


class Faint(Counting):
    """Its faces have lower scores, as small and blurred ones do."""

    def detect(self, frames):
        return [replace(faces, score=faces.score * np.float32(0.96)) for faces in super().detect(frames)]


def test_faces_that_score_less_are_compared_with_themselves_turned(tmp_path, tools):
    detector = Faint(tools.detector)
    assert find_turn(turned(tmp_path / "a.mp4", 0, n=100), AnalyzeOptions(), detector) is None
    assert detector.n_frames == 2 * 4  # two frames, in four orientations


def test_all_frames_are_looked_at_where_faces_lie_on_their_head(tmp_path, tools):
    detector = Counting(tools.detector)
    turn = find_turn(turned(tmp_path / "a.mp4", 180, n=100), AnalyzeOptions(), detector)
    assert turn is not None
    assert (turn.degrees, turn.n_frames) == (180, 8)


def test_nothing_is_turned_without_faces(tmp_path, tools: Tools):
    path = late_picture(tmp_path / "a.mkv", late_s=0.0)
    assert find_turn(path, AnalyzeOptions(), tools.detector) is None


# --- How large ---------------------------------------------------------------------------------------------------


def test_boxes_are_in_pixels_of_their_own_frame_where_the_size_changes(tmp_path, tools):
    found = analyse(grows(tmp_path / "call.ts"), tools)
    sizes = {one["frame_index"]: (one["width"], one["height"]) for one in found.frames}
    assert sorted(set(sizes.values())) == [(320, 240), (640, 480)]
    assert "size changes from 320x240 to 640x480" in found.report.warnings[0]
    relative = [one["y2"] / sizes[one["frame_index"]][1] for one in found.faces]
    by_size = [
        np.median(
            [
                value
                for value, one in zip(relative, found.faces, strict=True)
                if sizes[one["frame_index"]] == size
            ]
        )
        for size in ((320, 240), (640, 480))
    ]
    assert by_size[0] == pytest.approx(by_size[1], abs=0.12)
