"""Faces in frames on which the detector does not run: drawn detections, places computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.shot_detector import Change
from ferflow.faces.track_interpolation import TrackedFrame, track_faces
from ferflow.faces.tracker import Tracker
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.store.schemas import UNTRACKED
from tests.faces.test_tracker import faces

NO_FACE = Detections.empty()


def track(
    found: Sequence[Detections | None],
    *,
    times_s: Sequence[float] | None = None,
    cut_at: int | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> list[TrackedFrame]:
    """Frames 0.1 s apart, or at the times given; None: the detector does not run."""
    samples = []
    for number, faces_found in enumerate(found):
        width, height = sizes[number] if sizes else (1000, 600)
        time = Fraction(times_s[number] if times_s else number / 10).limit_denominator(1000)
        frame = Frame(number, number, time, Planes(np.zeros((height, width), np.uint8), None, None, True))
        change = Change.CUT if number == cut_at else Change.NONE
        samples.append((FrameSample(frame, (change,), 0.0, is_key=faces_found is not None), faces_found))
    return list(track_faces(samples, Tracker()))


def centres(tracked: TrackedFrame) -> dict[int, tuple[float, float]]:
    """By track id."""
    xyxy = tracked.faces.xyxy
    middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    return {
        int(i): (round(float(x), 3), round(float(y), 3))
        for i, (x, y) in zip(tracked.track_id, middle, strict=True)
    }


def test_a_face_moves_in_a_straight_line_by_time_and_not_by_number():
    found = track([faces((100, 200)), None, None, faces((120, 220))], times_s=[5, 5.03, 5.15, 5.2])
    assert [centres(one)[1] for one in found] == [(100, 200), (103, 203), (115, 215), (120, 220)]


def test_a_face_of_one_detection_only_is_there_for_half_of_the_time():
    pair, first, second = faces((100, 200), (400, 200)), faces((100, 200)), faces((400, 200))
    left = track([pair, None, None, None, None, None, first])
    assert [2 in centres(one) for one in left] == [True, True, True, False, False, False, False]
    came = track([second, None, None, None, None, None, pair])
    assert [set(centres(one)) for one in came] == [{1}] * 3 + [{1, 2}] * 4
    assert [centres(one)[2] for one in came[3:]] == [(100, 200)] * 4


def test_before_a_cut_faces_stay_where_they_were():
    found = track([faces((100, 200)), None, None, None, faces((100, 200))], cut_at=4)
    assert [centres(one) for one in found] == [{1: (100, 200)}] * 4 + [{2: (100, 200)}]


def test_before_the_size_changes_faces_stay_where_they_were():
    large, small = (1000, 600), (500, 300)
    found = track(
        [faces((100, 200)), None, None, None, faces((50, 100), size=30)], sizes=[large] * 4 + [small]
    )
    assert [centres(one) for one in found] == [{1: (100, 200)}] * 4 + [{1: (50, 100)}]


def test_after_the_last_detection_faces_stay_where_they_were():
    found = track([faces((100, 200)), None, faces((120, 200)), None, None])
    assert [centres(one)[1] for one in found] == [(100, 200), (110, 200), (120, 200), (120, 200), (120, 200)]


def test_only_faces_that_were_detected_have_a_score():
    found = track([faces((100, 200)), None, faces((100, 200)), None])
    assert [float(one.faces.score[0]) for one in found] == pytest.approx(
        [0.9, np.nan, 0.9, np.nan], nan_ok=True
    )


def test_landmarks_move_with_their_face():
    first, last = faces((100, 200)), faces((108, 200))
    first.landmarks[:], last.landmarks[:] = 90.0, 98.0
    found = track([first, None, None, None, last])
    assert [one.faces.landmarks.mean() for one in found] == pytest.approx([90, 92, 94, 96, 98])


def test_an_id_that_is_confirmed_later_holds_from_the_first_detection_on():
    weak = faces((100, 200), scores=[0.75])
    found = track([weak, None, None, None, weak])
    assert [one.track_id.tolist() for one in found] == [[1]] * 5


def test_faces_without_an_id_are_not_taken_for_one_face():
    # Two posters, each seen once: at half of the time the second one takes the place of the first.
    found = track([faces((100, 200), scores=[0.75]), None, None, faces((800, 200), scores=[0.75])])
    assert [centres(one) for one in found] == [
        {UNTRACKED: (100, 200)}, {UNTRACKED: (100, 200)}, {UNTRACKED: (800, 200)}, {UNTRACKED: (800, 200)}
    ]  # fmt: skip


def test_faces_are_matched_by_track_and_not_by_row():
    left, right = (100, 200), (400, 200)
    found = track(
        [faces(left, right), None, faces((410, 200), (120, 200)), None, faces((140, 200), (420, 200))]
    )
    assert [centres(one)[1][0] for one in found] == [100, 110, 120, 130, 140]
    assert [centres(one)[2][0] for one in found] == [400, 405, 410, 415, 420]


def test_weak_faces_of_no_track_are_left_out():
    found = track([faces((100, 200), (400, 200), scores=[0.9, 0.5]), None, faces((100, 200))])
    assert [one.track_id.tolist() for one in found] == [[1]] * 3


def test_frames_of_the_same_time_repeat_the_last_detection():
    found = track([faces((100, 200)), None, faces((120, 200))], times_s=[5, 5, 5])
    assert [centres(one)[1] for one in found] == [(100, 200), (100, 200), (120, 200)]


def test_a_video_without_frames_has_none():
    assert track([]) == []
