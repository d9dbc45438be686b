"""How far, how long and between which sizes a track continues: the spans in which a face is linked, to a pixel.

A face of 60 pixels at (500, 300), seen last at 10 s; reach is given in its heights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from ferflow.faces.detections import Detections
from ferflow.faces.detector import KeyFrameDetector
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.shot_detector import Change
from ferflow.faces.tracker import Tracker
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.store.schemas import UNTRACKED
from tests.faces.test_tracker import faces

HEIGHT, X, Y, START_S = 60.0, 500.0, 300.0, 10.0


def still(size: float = HEIGHT) -> Tracker:
    """A tracker with one face that does not move."""
    tracker = Tracker()
    for frame in range(25):
        tracker.update(faces((X, Y), size=size), START_S - (24 - frame) / 25)
    return tracker


def continues(make: Callable[[], Tracker], found: Detections, time_s: float) -> bool:
    return bool(make().update(found, time_s)[0] == 1)


def linked_span(
    make: Callable[[], Tracker], after_s: float, *, size: float = HEIGHT, score: float = 0.9
) -> tuple[float, float]:
    """The least and the largest x at which a face continues track 1, pixels."""

    def limit(inside: float, outside: float) -> float:
        while abs(outside - inside) > 0.05:
            x = (inside + outside) / 2
            is_linked = continues(make, faces((x, Y), size=size, scores=[score]), START_S + after_s)
            inside, outside = (x, outside) if is_linked else (inside, x)
        return inside

    return limit(X, X - 400), limit(X, X + 400)


@pytest.mark.parametrize(
    ("after_s", "score", "heights"),
    [
        (0.04, 0.9, 0.6 + 4 * 0.04), (0.2, 0.9, 0.6 + 4 * 0.2), (0.5, 0.9, 2.5), (0.9, 0.9, 2.5),
        (0.04, 0.5, 0.5 + 2 * 0.04), (0.2, 0.5, 0.5 + 2 * 0.2), (0.5, 0.5, 1.0), (0.9, 0.5, 1.0),
    ],
)  # fmt: skip
def test_reach_grows_with_the_time_without_a_detection_up_to_a_limit(after_s, score, heights):
    low, high = linked_span(still, after_s, score=score)
    assert (X - low, high - X) == pytest.approx((heights * HEIGHT, heights * HEIGHT), abs=0.2)


def test_reach_is_in_the_mean_height_of_both_faces():
    low, high = linked_span(still, 0.04, size=90)
    assert high - low == pytest.approx(2 * (0.6 + 4 * 0.04) * (60 + 90) / 2, abs=0.3)


@pytest.mark.parametrize(("score", "most"), [(0.9, 2.0), (0.5, 1.6)])
def test_a_face_may_grow_or_shrink_up_to_a_ratio(score, most):
    for ratio, is_linked in ((most * 0.99, True), (most * 1.01, False)):
        for size in (HEIGHT * ratio, HEIGHT / ratio):
            found = faces((X, Y), size=size, scores=[score])
            assert continues(still, found, START_S + 0.04) is is_linked, size


@pytest.mark.parametrize(("absence_s", "is_same"), [(0.96, True), (1.0, True), (1.04, False)])
def test_a_track_lives_for_a_second_without_its_face(absence_s, is_same):
    tracker = still()
    for frame in range(1, round(absence_s * 25)):
        tracker.update(Detections.empty(), START_S + frame / 25)
    assert (tracker.update(faces((X, Y)), START_S + absence_s)[0] == 1) == is_same


def test_the_detector_is_asked_for_weak_faces_too():
    asked = []
    frame = Frame(0, 0, Fraction(0), Planes(np.zeros((36, 64), np.uint8), None, None, full_range=True))
    sample = FrameSample(frame, (Change.NONE,), 0.0)

    def detect(frames: list[Frame], score: float) -> list[Detections]:
        asked.append(score)
        return [Detections.empty() for _ in frames]

    for score in (0.7, 0.2):
        KeyFrameDetector(SimpleNamespace(detect=detect), AnalyzeOptions(score=score))(sample)
    assert asked == [0.3, 0.2]


@pytest.mark.parametrize(("score", "first"), [(0.79, UNTRACKED), (0.81, 1)])
def test_a_certain_face_has_an_id_at_once(score, first):
    assert Tracker().update(faces((X, Y), scores=[score]), 0.0).tolist() == [first]


@pytest.mark.parametrize("fps", [10, 25, 60])
@pytest.mark.parametrize("absence_s", [0.1, 0.4, 0.8])
def test_a_hidden_face_is_expected_where_its_slowing_motion_leads(fps, absence_s):
    # The speed decays with a time constant of half a second: its integral is v * 0.5 * (1 - exp(-t / 0.5)).
    speed = 200.0

    def moving() -> Tracker:
        tracker = Tracker()
        for frame in range(fps, -1, -1):
            tracker.update(faces((X - speed * frame / fps, Y)), START_S - frame / fps)
        return tracker

    low, high = linked_span(moving, absence_s)
    glide = speed * 0.5 * (1 - math.exp(-absence_s / 0.5))
    assert (low + high) / 2 - X == pytest.approx(glide, abs=0.3)


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_single_step_changes_the_velocity_by_its_share_of_a_seventh_of_a_second(fps):
    # A step of 6 pixels in a frame, after two seconds at rest: an exponential mean with a time constant of 0.15 s.
    def stepping() -> Tracker:
        tracker = Tracker()
        for frame in range(2 * fps, 0, -1):
            tracker.update(faces((X - 6, Y)), START_S - frame / fps)
        tracker.update(faces((X, Y)), START_S)
        return tracker

    low, high = linked_span(stepping, 0.4)
    velocity = (1 - math.exp(-1 / fps / 0.15)) * 6 * fps
    assert (low + high) / 2 - X == pytest.approx(velocity * 0.5 * (1 - math.exp(-0.8)), abs=0.3)


def test_the_first_steps_have_the_same_weight():
    # 4 and 8 pixels in the first two frames of 0.04 s: 150 pixels a second on average.
    def starting() -> Tracker:
        tracker = Tracker()
        for x, time_s in ((X - 12, -0.08), (X - 8, -0.04), (X, 0.0)):
            tracker.update(faces((x, Y)), START_S + time_s)
        return tracker

    low, high = linked_span(starting, 0.4)
    assert (low + high) / 2 - X == pytest.approx(150 * 0.5 * (1 - math.exp(-0.8)), abs=0.3)


def test_place_and_speed_are_scaled_with_the_size_of_the_picture_in_both_directions():
    def narrowed() -> Tracker:
        tracker = Tracker()
        for frame in range(25, -1, -1):
            tracker.update(faces((2 * X - 8 * frame, Y / 3)), START_S - frame / 25, size=(1600, 200))
        tracker.update(
            Detections.empty(), START_S + 0.02, size=(800, 600)
        )  # half as wide, three times as high
        return tracker

    # Its height was 60 of 200, and is 180 of 600; its speed was 200 pixels a second, and is 100.
    low, high = linked_span(narrowed, 0.04, size=180)
    assert (low + high) / 2 - X == pytest.approx(100 * 0.5 * (1 - math.exp(-0.08)), abs=0.3)
    assert high - low == pytest.approx(2 * (0.6 + 4 * 0.04) * 180, abs=0.5)


@pytest.mark.parametrize(("nearer", "winner"), [(0.13, 2), (0.15, 1)])
def test_a_track_that_was_hidden_takes_over_only_if_it_is_clearly_nearer(nearer, winner):
    # Each second without its face costs 0.3 face heights: 0.15 after half a second, 0.012 after a frame.
    tracker = Tracker()
    tracker.update(faces((X, Y), (X + 60, Y)), START_S)
    assert tracker.update(faces((X + 60, Y)), START_S + 0.46).tolist() == [2]
    x = X + 30 - nearer * HEIGHT / 2
    assert tracker.update(faces((x, Y)), START_S + 0.5).tolist() == [winner]


@pytest.mark.parametrize(("share", "expected"), [(0.28, 2), (0.32, UNTRACKED)])
def test_a_weak_face_that_covers_part_of_a_strong_one_shows_the_same_face(share, expected):
    # Boxes of 48 x 60: a shift to the right by 48 * (1 - share) shares that part of the area.
    tracker = Tracker()
    x = X + 48 * (1 - share)
    tracker.update(faces((X, Y), (x, Y)), START_S)
    assert tracker.update(faces((X, Y), (x, Y), scores=[0.9, 0.5]), START_S + 0.04).tolist() == [1, expected]


def test_a_box_without_height_does_no_harm():
    tracker = Tracker()
    assert tracker.update(faces((X, Y), size=0), 0.0).tolist() == [1]
    assert tracker.update(faces((X + 0.7, Y), size=0), 0.04).tolist() == [1]


def test_a_broken_link_forgets_how_the_other_person_moved():
    def is_linked(x: float) -> bool:
        tracker = Tracker()
        for frame in range(25, -1, -1):
            tracker.update(faces((X - 8 * frame, Y)), START_S - frame / 25)
        assert tracker.break_link(0, 0.9) == 2
        return bool(tracker.update(faces((x, Y)), START_S + 0.24)[0] == 2)

    inside = [x for x in range(int(X) - 200, int(X) + 200) if is_linked(x)]
    assert (min(inside) + max(inside)) / 2 == X
