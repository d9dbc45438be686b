from __future__ import annotations

from ferflow.faces.links import LinkChecker
from ferflow.faces.tracker import Tracker
from ferflow.store.schemas import UNTRACKED
from tests.faces.drawn_people import BLUE, GREEN, RED, WHITE, Person, detected


def ids_of(scenes: list[list[Person]], **more: object) -> list[list[int]]:
    """Ids of the faces of each frame, after the check of links."""
    tracker, links, found = Tracker(), LinkChecker(), []
    for sample, faces in detected(scenes, **more):
        frame = sample.frame
        ids = tracker.update(faces, frame.time_s, cuts=sample.cuts)
        found.append(links.update(frame, faces, ids, tracker).tolist())
    return found


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


def test_a_person_hidden_for_half_a_second_stays_one_track():
    assert ids_of([[RED_ONE]] * 10 + [[]] * 12 + [[RED_ONE]] * 5) == [[1]] * 10 + [[]] * 12 + [[1]] * 5


def test_tiles_that_are_sorted_anew_are_other_tracks():
    places = ((100, 80), (320, 80), (540, 80))
    before = [Person(place, clothes) for place, clothes in zip(places, (RED, BLUE, GREEN), strict=True)]
    after = [Person(place, clothes) for place, clothes in zip(places, (GREEN, RED, BLUE), strict=True)]
    found = ids_of([before] * 10 + [after] * 10)
    assert found[9] == [1, 2, 3]
    assert not set(found[10]) & {1, 2, 3}
    assert found[10:] == [found[10]] * 10


def test_a_weak_face_of_another_person_gets_no_id():
    weak = Person(HERE, BLUE, hair=WHITE, score=0.5)
    assert ids_of([[RED_ONE]] * 10 + [[weak]] * 3) == [[1]] * 10 + [[UNTRACKED]] * 3


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
