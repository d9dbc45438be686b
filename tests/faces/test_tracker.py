import numpy as np
import pytest

from ferflow.faces.detections import Detections
from ferflow.faces.tracker import Tracker
from ferflow.store.schemas import UNTRACKED


def faces(*centres, size=60.0, scores=None):
    """Detections with these centres; `size` is a height, or one per face."""
    centre = np.array(centres, np.float32).reshape(-1, 2)
    half = np.broadcast_to(np.array(size, np.float32), len(centre))[:, None] / 2 * (0.8, 1.0)
    score = np.full(len(centre), 0.9) if scores is None else np.array(scores)
    landmarks = np.full((len(centre), 5, 2), np.nan, np.float32)
    xyxy = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return Detections(xyxy, score.astype(np.float32), landmarks)


def crossing(fps, *, seconds=3.0, speed=200.0, hidden_within=30.0):
    """Two faces that pass through each other; the second is hidden while they are close."""
    for i in range(int(seconds * fps) + 1):
        time_s = i / fps
        left, right = 100 + speed * time_s, 700 - speed * time_s
        if abs(left - right) < hidden_within:
            yield time_s, faces((left, 200)), [0]
        else:
            yield time_s, faces((left, 200), (right, 204)), [0, 1]


def test_ids_start_at_1_and_are_aligned_with_the_detections():
    tracker = Tracker()
    first = tracker.update(faces((100, 100), (400, 100)), 0.0)
    assert first.tolist() == [1, 2]
    assert first.dtype == np.int32
    assert tracker.update(faces((401, 100), (101, 100)), 0.04).tolist() == [2, 1]


def test_a_frame_without_faces_gives_no_ids():
    assert Tracker().update(Detections.empty(), 0.0).shape == (0,)


def test_two_trackers_never_share_ids():
    one, other = Tracker(), Tracker()
    one.update(faces((100, 100), (300, 100)), 0.0)
    assert other.update(faces((100, 100)), 0.0).tolist() == [1]


def test_reset_starts_anew():
    tracker = Tracker()
    tracker.update(faces((100, 100), (300, 100)), 5.0)
    tracker.reset()
    assert tracker.update(faces((300, 100)), 0.0).tolist() == [1]


def test_a_weak_face_is_tracked_when_seen_twice_and_keeps_its_row_before():
    tracker = Tracker()
    assert tracker.update(faces((100, 100), scores=[0.75]), 0.0).tolist() == [UNTRACKED]
    assert tracker.update(faces((102, 100), scores=[0.75]), 0.04).tolist() == [1]


def test_a_weak_face_elsewhere_is_not_the_same_one():
    tracker = Tracker()
    tracker.update(faces((100, 100), scores=[0.75]), 0.0)
    assert tracker.update(faces((400, 100), scores=[0.75]), 0.04).tolist() == [UNTRACKED]


def test_a_tracked_face_goes_on_with_any_score():
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    assert tracker.update(faces((102, 100), scores=[0.7]), 0.04).tolist() == [1]


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_face_keeps_its_id_through_a_short_absence_while_it_moves(fps):
    tracker = Tracker()
    for i in range(fps):
        tracker.update(faces((100 + 150 * i / fps, 200)), i / fps)
    for i in range(fps, fps + int(0.6 * fps)):
        tracker.update(Detections.empty(), i / fps)
    back_s = 1.6 + 1 / fps
    assert tracker.update(faces((100 + 150 * back_s, 200)), back_s).tolist() == [1]


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_a_face_gone_for_longer_than_the_buffer_is_another_track(fps):
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    for i in range(1, int(1.2 * fps)):
        tracker.update(Detections.empty(), i / fps)
    assert tracker.update(faces((100, 100)), 1.3).tolist() == [2]


@pytest.mark.parametrize("fps", [12.5, 25, 60])
def test_faces_that_cross_keep_their_ids(fps):
    tracker = Tracker()
    for time_s, found, who in crossing(fps):
        ids = tracker.update(found, time_s)
        assert ids.tolist() == [[1, 2][person] for person in who], time_s


def test_a_face_seen_twice_a_second_is_one_person_even_if_its_boxes_never_overlap():
    tracker = Tracker()
    ids = [tracker.update(faces((100 + 70 * i, 200)), i / 2)[0] for i in range(8)]
    assert ids == [1] * 8


def test_frames_farther_apart_than_the_buffer_still_link():
    tracker = Tracker()
    ids = [tracker.update(faces((100, 200), (400, 200)), 5.0 * i).tolist() for i in range(4)]
    assert ids == [[1, 2]] * 4


def test_a_face_of_quite_another_size_is_somebody_else():
    tracker = Tracker()
    tracker.update(faces((100, 100), size=40), 0.0)
    assert tracker.update(faces((100, 100), size=110), 0.04).tolist() == [2]


def test_somebody_far_away_does_not_take_over_the_id_of_who_left():
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    assert tracker.update(faces((500, 100)), 0.04).tolist() == [2]


def test_a_cut_ends_all_tracks_and_ids_are_not_used_again():
    tracker = Tracker()
    tracker.update(faces((100, 100), (300, 100)), 0.0)
    assert tracker.update(faces((100, 100)), 0.04, cuts=[True]).tolist() == [3]


def test_a_jittering_face_is_one_track():
    noise = np.random.default_rng(0).normal(0, 2.0, (250, 2))
    tracker = Tracker()
    assert {int(tracker.update(faces(200 + step), i / 25)[0]) for i, step in enumerate(noise)} == {1}


def test_the_order_of_detections_does_not_change_who_is_who():
    straight, turned = Tracker(), Tracker()
    for i in range(20):
        places = [(100 + 3 * i, 100), (300 - 2 * i, 120), (500, 100 + i)]
        ids = straight.update(faces(*places), i / 25)
        order = [0, 1, 2] if i == 0 else [2, 0, 1]
        assert turned.update(faces(*(places[k] for k in order)), i / 25).tolist() == ids[order].tolist()


def test_a_weak_face_continues_a_track_and_never_starts_one():
    tracker = Tracker(score=0.7)
    tracker.update(faces((100, 100)), 0.0)
    ids = tracker.update(faces((105, 100), (400, 100), scores=[0.35, 0.6]), 0.04)
    assert ids.tolist() == [1, UNTRACKED]
    assert tracker.update(faces((405, 100), scores=[0.6]), 0.08).tolist() == [UNTRACKED]


def test_a_face_in_profile_for_seconds_keeps_its_id():
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    for i in range(1, 100):
        assert tracker.update(faces((100, 100), scores=[0.4]), i / 25).tolist() == [1]
    assert tracker.update(faces((100, 100)), 4.0).tolist() == [1]


def test_a_weak_face_continues_no_track_without_an_id():
    tracker = Tracker()
    tracker.update(faces((100, 100), scores=[0.75]), 0.0)
    assert tracker.update(faces((100, 100), scores=[0.5]), 0.04).tolist() == [UNTRACKED]


def test_a_weak_face_must_be_nearer_and_of_more_alike_size_than_a_strong_one():
    for face in (faces((137, 100), scores=[0.5]), faces((100, 100), size=60 * 1.7, scores=[0.5])):
        tracker = Tracker()
        tracker.update(faces((100, 100)), 0.0)
        assert tracker.update(face, 0.04).tolist() == [UNTRACKED]
    for face in (faces((135, 100)), faces((100, 100), size=60 * 1.7)):
        tracker = Tracker()
        tracker.update(faces((100, 100)), 0.0)
        assert tracker.update(face, 0.04).tolist() == [1]


def test_a_weak_part_of_a_strong_face_continues_no_other_track():
    tracker = Tracker()
    tracker.update(faces((100, 100), (150, 100)), 0.0)
    ids = tracker.update(faces((100, 100), (125, 100), scores=[0.9, 0.5]), 0.04)
    assert ids.tolist() == [1, UNTRACKED]


def test_strong_faces_are_linked_before_weak_ones():
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    ids = tracker.update(faces((100, 100), (170, 100), scores=[0.5, 0.9]), 0.2)
    assert ids.tolist() == [UNTRACKED, 1]


def test_the_row_of_a_face_that_was_not_confirmed_yet_is_named_later():
    tracker = Tracker()
    tracker.update(faces((100, 100), (300, 100), scores=[0.9, 0.75]), 0.0)
    assert tracker.late_ids == {}
    assert tracker.update(faces((300, 100), (100, 100), scores=[0.75, 0.9]), 0.04).tolist() == [2, 1]
    assert tracker.late_ids == {1: 2}
    tracker.update(faces((300, 100), (100, 100)), 0.08)
    assert tracker.late_ids == {}


def test_a_row_two_frames_ago_is_not_named_later():
    tracker = Tracker()
    tracker.update(faces((100, 100), scores=[0.75]), 0.0)
    tracker.update(Detections.empty(), 0.04)
    assert tracker.update(faces((100, 100), scores=[0.75]), 0.08).tolist() == [1]
    assert tracker.late_ids == {}


def test_faces_keep_their_ids_when_the_size_of_the_picture_changes():
    tracker = Tracker()
    whole = [(100, 100), (400, 300)]
    for i in range(5):
        assert tracker.update(faces(*whole), i / 25, size=(640, 360)).tolist() == [1, 2]
    half = faces(*((x / 2, y / 2) for x, y in whole), size=30)
    assert tracker.update(half, 0.2, size=(320, 180)).tolist() == [1, 2]
    assert tracker.update(faces(*whole), 0.24, size=(640, 360)).tolist() == [1, 2]


def test_a_moving_face_moves_on_when_the_size_of_the_picture_changes():
    tracker = Tracker()
    for i in range(25):
        tracker.update(faces((100 + 16 * i, 100)), i / 25, size=(640, 360))
    # 0.4 s later, at 400 pixels a second; without its velocity it would be out of reach for a weak detection
    assert tracker.update(faces((304, 50), size=30, scores=[0.5]), 1.28, size=(320, 180)).tolist() == [1]


def test_a_broken_link_starts_another_track_which_goes_on():
    tracker = Tracker()
    tracker.update(faces((100, 100), (300, 100)), 0.0)
    tracker.update(faces((300, 100), (100, 100)), 0.04)
    assert tracker.break_link(0, 0.9) == 3
    assert tracker.update(faces((100, 100), (300, 100)), 0.08).tolist() == [1, 3]


def test_after_a_broken_link_a_face_of_no_certain_score_waits_for_its_id():
    tracker = Tracker()
    tracker.update(faces((100, 100)), 0.0)
    tracker.update(faces((100, 100), scores=[0.75]), 0.04)
    assert tracker.break_link(0, 0.75) == UNTRACKED
    assert tracker.update(faces((100, 100), scores=[0.75]), 0.08).tolist() == [2]
    tracker.update(faces((100, 100), scores=[0.5]), 0.12)
    assert tracker.break_link(0, 0.5) == UNTRACKED
    assert tracker.update(faces((100, 100), scores=[0.5]), 0.16).tolist() == [UNTRACKED]


def test_no_id_is_given_twice_in_a_frame():
    random = np.random.default_rng(4)
    tracker = Tracker()
    for i in range(200):
        ids = tracker.update(faces(*random.uniform(0, 300, (6, 2))), i / 25)
        assert len(set(ids.tolist())) == 6


def test_repeated_timestamps_do_no_harm():
    tracker = Tracker()
    ids = [
        tracker.update(faces((100 + i, 100)), time_s)[0] for i, time_s in enumerate([0.0, 0.0, 0.04, 0.04])
    ]
    assert ids == [1] * 4


def test_the_shortcut_of_the_assignment_is_its_optimum():
    from scipy.optimize import linear_sum_assignment

    from ferflow.faces.assignment import assign

    rng = np.random.default_rng(5)
    for _ in range(300):
        cost = rng.random(rng.integers(1, 6, 2))
        rows, columns = linear_sum_assignment(cost)
        assert sum(cost[i, j] for i, j in assign(cost)) == pytest.approx(cost[rows, columns].sum())
        assert len(assign(cost)) == min(cost.shape)
    assert assign(np.zeros((0, 3))) == []
