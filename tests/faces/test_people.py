from __future__ import annotations

import pytest

from ferflow.faces.people import People
from ferflow.options import AnalyzeOptions
from tests.faces.drawn_people import BLACK, BLUE, GREEN, RED, WHITE, Person, detected

LEFT, RIGHT, MIDDLE = (150, 120), (480, 120), (320, 120)
RED_ONE, BLUE_ONE = Person(MIDDLE, RED), Person(MIDDLE, BLUE, hair=BLACK)


def people_of(scenes: list[list[Person]], *, cuts: tuple[int, ...] = (), **chosen: object) -> People:
    people = People(AnalyzeOptions(**chosen))
    people.ids = [tracked.track_id.tolist() for tracked in people.track(detected(scenes, cuts=cuts))]
    people.known = people.finish(end_s=len(scenes) / 25)
    return people


def persons(scenes: list[list[Person]], **more: object) -> dict[int, int | None]:
    """Persons by track."""
    return {track.track_id: track.person_id for track in people_of(scenes, **more).known}


def test_a_person_who_leaves_and_returns_is_one():
    assert persons([[RED_ONE]] * 40 + [[]] * 60 + [[RED_ONE]] * 40) == {1: 1, 2: 1}


def test_two_who_take_the_same_chair_are_two():
    assert persons([[RED_ONE]] * 40 + [[]] * 60 + [[BLUE_ONE]] * 40) == {1: 1, 2: 2}


def test_alternating_shots_of_two_people_are_two():
    scenes = ([[RED_ONE]] * 30 + [[BLUE_ONE]] * 30) * 2
    assert persons(scenes, cuts=(30, 60, 90)) == {1: 1, 2: 2, 3: 1, 4: 2}


def test_persons_are_numbered_in_order_of_appearance():
    scenes = [[BLUE_ONE]] * 30 + [[RED_ONE]] * 30
    assert persons(scenes, cuts=(30,)) == {1: 1, 2: 2}


def test_two_in_one_picture_are_two_even_in_the_same_clothes():
    assert persons([[Person(LEFT, RED), Person(RIGHT, RED)]] * 40) == {1: 1, 2: 2}


def test_two_in_the_only_frame_of_a_video_are_two_even_in_the_same_clothes():
    assert persons([[Person(LEFT, RED), Person(RIGHT, RED)]]) == {1: 1, 2: 2}


def test_tiles_that_are_sorted_anew_show_the_same_persons():
    before = [Person(LEFT, RED), Person(RIGHT, BLUE, hair=WHITE)]
    after = [Person(LEFT, BLUE, hair=WHITE), Person(RIGHT, RED)]
    for n in (30, 31):  # links are checked in every second frame
        assert persons([before] * n + [after] * 30) == {1: 1, 2: 2, 3: 2, 4: 1}


def test_a_sole_participant_whose_box_jumps_to_somebody_else_now_and_then_is_reported():
    away = Person(RIGHT, BLUE, hair=WHITE)
    scenes = ([[Person(LEFT, RED)]] * 40 + [[away]] * 10) * 4
    assert any("another person" in warning for warning in people_of(scenes, participants=1).warnings)


def test_a_person_seen_briefly_or_never_with_certainty_has_no_number():
    passer_by = Person(RIGHT, BLUE)
    unclear = Person(LEFT, GREEN, score=0.75)
    scenes = [[RED_ONE, passer_by, unclear]] * 20 + [[RED_ONE, unclear]] * 40
    assert persons(scenes) == {1: 1, 2: None, 3: None}


def test_short_visits_of_one_person_add_up():
    scenes = [[RED_ONE]] * 15 + [[]] * 40 + [[RED_ONE]] * 15
    assert persons(scenes) == {1: 1, 2: 1}


def test_in_a_short_video_half_of_it_is_enough():
    assert persons([[RED_ONE]] * 10) == {1: 1}


def test_a_video_without_faces_has_no_persons():
    assert persons([[]] * 5) == {}


def test_without_stitching_every_track_is_a_person():
    assert persons([[RED_ONE]] * 40 + [[]] * 60 + [[RED_ONE]] * 40, stitch="off") == {1: 1, 2: 2}


def test_a_known_number_of_participants_is_never_exceeded():
    changed = Person(MIDDLE, GREEN)  # the same person in another jacket
    scenes = [[RED_ONE]] * 40 + [[]] * 60 + [[changed]] * 40
    assert persons(scenes) == {1: 1, 2: 2}
    assert persons(scenes, participants=1) == {1: 1, 2: 1}


def test_participants_are_told_apart_by_their_clothes():
    first = [Person(LEFT, RED), Person(RIGHT, BLUE, hair=WHITE)]
    # After the cut they have changed places, and one has put on a scarf that changes the hue.
    second = [Person(LEFT, (40, 70, 150), hair=WHITE), Person(RIGHT, RED)]
    assert persons([first] * 30 + [second] * 30, cuts=(30,), participants=2) == {1: 1, 2: 2, 3: 2, 4: 1}


def test_a_sole_participant_who_seems_to_be_two_people_is_reported():
    scenes = [[RED_ONE]] * 40 + [[BLUE_ONE]] * 40
    people = people_of(scenes, cuts=(40,), participants=1)
    assert [track.person_id for track in people.known] == [1, 1]
    (warning,) = people.warnings
    assert "00:01.6" in warning
    assert people_of([[RED_ONE]] * 80, participants=1).warnings == []


def test_the_first_row_of_a_face_is_named_once_its_track_is_confirmed():
    weak = Person(MIDDLE, RED, score=0.75)
    assert people_of([[weak]] * 3).ids == [[1]] * 3


def test_weak_detections_that_continue_no_track_are_no_faces():
    noise = Person(RIGHT, BLUE, score=0.4)
    assert people_of([[RED_ONE, noise]] * 5).ids == [[1]] * 5


@pytest.mark.parametrize("stitch", ["colour", "off"])
def test_results_do_not_depend_on_what_was_analysed_before(stitch):
    scenes = [[RED_ONE]] * 30 + [[]] * 40 + [[Person(MIDDLE, WHITE)]] * 30
    assert persons(scenes, stitch=stitch) == persons(scenes, stitch=stitch)
