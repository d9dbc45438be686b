from __future__ import annotations

from dataclasses import replace

import pytest

from ferflow.faces.links import LinkChecker
from ferflow.faces.shot_detector import Change
from ferflow.faces.track_interpolation import track_faces
from ferflow.faces.tracker import Tracker
from tests.faces.drawn_people import BLACK, BLUE, GREEN, RED, WHITE, Person, detected


def ids_of(scenes: list[list[Person]], **more: object) -> list[list[int]]:
    """Ids of the faces of each frame, after the check of links."""
    found = track_faces(detected(scenes, **more), Tracker(), LinkChecker())
    return [tracked.track_id.tolist() for tracked in found]


HERE = (320, 120)
RED_ONE, BLUE_ONE = Person(HERE, RED), Person(HERE, BLUE, hair=WHITE)


def test_a_person_who_moves_and_turns_stays_one_track():
    scenes = [[Person((200 + 4 * i, 120 + i % 3), RED, height=50 + i % 5)] for i in range(40)]
    assert ids_of(scenes) == [[1]] * 40


def test_another_person_at_the_same_place_is_another_track():
    assert ids_of([[RED_ONE]] * 12 + [[BLUE_ONE]] * 12) == [[1]] * 12 + [[2]] * 12


def test_who_comes_back_to_the_same_place_is_a_third_track():
    scenes = [[RED_ONE]] * 10 + [[BLUE_ONE]] * 10 + [[RED_ONE]] * 10
    assert ids_of(scenes) == [[1]] * 10 + [[2]] * 10 + [[3]] * 10


def test_another_person_who_takes_the_chair_within_a_second_is_another_track():
    scenes = [[RED_ONE]] * 10 + [[]] * 10 + [[BLUE_ONE]] * 10
    assert ids_of(scenes) == [[1]] * 10 + [[]] * 10 + [[2]] * 10


@pytest.mark.parametrize(("fps", "most_wrong"), [(10, 0), (25, 1), (60, 3)])
def test_another_person_after_a_gap_has_the_old_id_until_the_next_check_only(fps, most_wrong):
    for n_before in range(10, 14):
        for n_missing in (1, 2, 3, 6):
            scenes = [[RED_ONE]] * n_before + [[]] * n_missing + [[BLUE_ONE]] * 12
            found = [ids[0] for ids in ids_of(scenes, fps=fps)[-12:]]
            n_wrong = found.count(1)
            assert n_wrong <= most_wrong
            assert found == [1] * n_wrong + [2] * (12 - n_wrong)


def test_what_passes_behind_the_shoulders_of_a_person_breaks_no_link():
    scenes = [[Person(HERE, RED if i // 3 % 2 else GREEN)] for i in range(40)]
    assert ids_of(scenes) == [[1]] * 40


def test_a_picture_in_a_picture_keeps_its_track_at_a_cut_around_it():
    elsewhere = Person((100, 250), BLUE, hair=WHITE)
    scenes = [[RED_ONE]] * 20 + [[RED_ONE, elsewhere]] * 20
    assert ids_of(scenes, cuts=(20,)) == [[1]] * 20 + [[1, 2]] * 20


def test_another_person_in_a_picture_in_a_picture_is_another_track_after_a_cut():
    assert ids_of([[RED_ONE]] * 20 + [[BLUE_ONE]] * 20, cuts=(20,)) == [[1]] * 20 + [[2]] * 20


def test_no_track_continues_through_a_dissolve():
    # Half way, each picture looks like the one before.
    assert ids_of([[RED_ONE]] * 40, cuts=(20,), cut=Change.DISSOLVE) == [[1]] * 20 + [[2]] * 20


def test_a_person_hidden_for_half_a_second_stays_one_track():
    assert ids_of([[RED_ONE]] * 10 + [[]] * 12 + [[RED_ONE]] * 5) == [[1]] * 10 + [[]] * 12 + [[1]] * 5


def test_tiles_that_are_sorted_anew_are_other_tracks():
    places = ((100, 80), (320, 80), (540, 80))
    people = [Person(HERE, RED), Person(HERE, BLUE, hair=WHITE), Person(HERE, GREEN, hair=BLACK)]
    before = [replace(person, centre=place) for place, person in zip(places, people, strict=True)]
    after = [replace(people[i], centre=place) for place, i in zip(places, (2, 0, 1), strict=True)]
    found = ids_of([before] * 10 + [after] * 10)
    assert found[9] == [1, 2, 3]
    assert not set(found[10]) & {1, 2, 3}
    assert found[10:] == [found[10]] * 10


def test_a_weak_face_of_another_person_gets_no_id():
    weak = Person(HERE, BLUE, hair=WHITE, score=0.5)
    assert ids_of([[RED_ONE]] * 10 + [[weak]] * 3) == [[1]] * 10 + [[]] * 3


def test_appearances_are_gathered_by_track():
    tracker, links = Tracker(), LinkChecker()
    for sample, faces in detected([[RED_ONE]] * 50 + [[BLUE_ONE]] * 5):
        ids = tracker.update(faces, sample.frame.time_s)
        links.update(sample.frame, faces, ids, tracker)
    assert sorted(links.appearances()) == [1, 2]
    # Two seconds: 0.2 s apart, and up to a tenth of the age later.
    assert 9 <= links.appearances()[1].n_samples[0] <= 11


def test_appearances_of_ended_tracks_are_those_of_the_time_when_they_ended():
    tracker, links = Tracker(), LinkChecker()
    before = None
    for sample, faces in detected([[RED_ONE]] * 20 + [[]] * 600):
        ids = tracker.update(faces, sample.frame.time_s)
        links.update(sample.frame, faces, ids, tracker)
        if sample.frame.index == 19:
            before = links.appearances()[1]
    after = links.appearances()[1]
    assert after.colour.tolist() == before.colour.tolist()
    assert after.chromaticity.tolist() == before.chromaticity.tolist()
    assert after.n_samples.tolist() == before.n_samples.tolist()


def n_samples_after(n_frames: int, fps: int = 25) -> int:
    tracker, links = Tracker(), LinkChecker()
    for sample, faces in detected([[RED_ONE]] * n_frames, fps=fps):
        links.update(sample.frame, faces, tracker.update(faces, sample.frame.time_s), tracker)
    return int(links.appearances()[1].n_samples[0])


def test_a_track_is_sampled_ever_more_rarely_and_at_least_once_a_second():
    # At 10 frames a second: every 0.2 s for 2 s, from then on every tenth of its age, from 10 s on every second.
    times, age = [0.0], 0.0
    for number in range(1, 300):
        age = number / 10
        if age - times[-1] >= min(max(age / 10, 0.2), 1.0) - 1e-9:
            times.append(age)
    assert n_samples_after(300, fps=10) == pytest.approx(len(times), abs=2)
    # From 20 s to 30 s, ten more.
    assert n_samples_after(301, fps=10) - n_samples_after(201, fps=10) == 10


def test_a_face_that_moved_in_its_picture_in_a_picture_is_no_uncut_one():
    moved = Person((HERE[0] + 30, HERE[1]), RED)
    assert ids_of([[RED_ONE]] * 20 + [[moved]] * 20, cuts=(20,)) == [[1]] * 20 + [[2]] * 20
