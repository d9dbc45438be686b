from __future__ import annotations

import threading

import cv2
import numpy as np
import pyarrow as pa
import pytest

from ferflow.faces.crops import FaceCrops
from ferflow.faces.tracker import Tracker
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze, chunks, face_rows
from ferflow.store.records import FaceRows, FrameRows, TrackRows
from ferflow.store.schemas import FRAMES, TRACKS, faces_schema
from tests.conftest import LABELS, MeanClassifier, face_frames, numbered_image, write_video


@pytest.fixture
def no_threads_left():
    """Whether all threads that began within the test have ended; other tests' servers may keep theirs."""
    before = set(threading.enumerate())
    return lambda: (
        not [each for each in set(threading.enumerate()) - before if each.name.startswith("ferflow-")]
    )


def tables(path, tools, **chosen) -> tuple[pa.Table, pa.Table | None]:
    rows = list(analyze(path, AnalyzeOptions(**chosen), tools=tools))
    frames = [each.batch for each in rows if isinstance(each, FrameRows)]
    faces = [each.batch for each in rows if isinstance(each, FaceRows)]
    return pa.Table.from_batches(frames), pa.Table.from_batches(faces) if faces else None


def tracks_of(path, tools, **chosen) -> dict[int, int | None]:
    """Persons by track."""
    *_, last = analyze(path, AnalyzeOptions(**chosen), tools=tools)
    return dict(zip(last.batch["track_id"].to_pylist(), last.batch["person_id"].to_pylist(), strict=True))


def test_a_frame_without_faces_still_has_a_row(tmp_path, tools):
    images = [*face_frames(5), *[np.full((240, 320, 3), 120, np.uint8)] * 5, *face_frames(5)]
    frames, faces = tables(write_video(tmp_path / "a.mp4", images), tools)
    assert frames["frame_index"].to_pylist() == list(range(15))
    assert frames["n_faces"].to_pylist() == [1] * 5 + [0] * 5 + [1] * 5
    assert faces["frame_index"].to_pylist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_rows_are_tagged_with_the_table_they_belong_to(face_video, tools):
    schemas = {FrameRows: FRAMES, FaceRows: faces_schema(LABELS), TrackRows: TRACKS}
    rows = list(analyze(face_video, AnalyzeOptions(batch_size=4), tools=tools))
    assert {type(each) for each in rows} == set(schemas)
    assert all(each.batch.schema == schemas[type(each)] for each in rows)
    assert [isinstance(each, TrackRows) for each in rows] == [False] * (len(rows) - 1) + [True]


def test_a_video_without_faces_has_frames_and_no_face(tmp_path, tools):
    frames, faces = tables(write_video(tmp_path / "a.mp4", [numbered_image(i) for i in range(9)]), tools)
    assert len(frames) == 9
    assert faces is None


def test_boxes_follow_the_face_that_was_drawn(face_video, tools):
    _, faces = tables(face_video, tools)
    centres = (faces["x1"].to_numpy() + faces["x2"].to_numpy()) / 2
    # The face was drawn two pixels further right in each frame.
    assert np.polyfit(faces["frame_index"].to_numpy(), centres, 1)[0] == pytest.approx(2, abs=0.1)


def test_one_person_has_one_id_and_ids_start_at_one(face_video, tools):
    _, faces = tables(face_video, tools)
    assert set(faces["track_id"].to_pylist()) == {1}
    assert len(faces) == 30


def test_probabilities_are_raw_and_sum_to_one(face_video, tools):
    _, faces = tables(face_video, tools)
    probs = np.stack([faces[f"prob_{label}"].to_numpy() for label in LABELS], axis=1)
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert len(np.unique(np.round(probs, 2))) < len(np.unique(probs))
    assert faces["label"].to_pylist() == [LABELS[i] for i in probs.argmax(axis=1)]


def test_a_face_that_cannot_be_read_says_why_and_one_that_can_says_nothing(tmp_path, tools):
    images = face_frames(9)
    images[3:6] = [cv2.GaussianBlur(image, (0, 0), 4) for image in images[3:6]]
    _, faces = tables(write_video(tmp_path / "a.mp4", images), tools)
    assert faces.schema.field("unreadable").type == pa.dictionary(pa.int8(), pa.string())
    table = faces.to_pandas()
    assert set(table[table.sharpness < 50].frame_index) == {3, 4, 5}
    assert table.unreadable.astype(object).fillna("").tolist() == [""] * 3 + ["blurred"] * 3 + [""] * 3
    small = [cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA) for image in face_frames(3)]
    _, faces = tables(write_video(tmp_path / "b.mp4", small), tools, min_face=10)
    assert set(faces["unreadable"].to_pylist()) == {"small"}


@pytest.mark.parametrize(
    ("occluded", "expected"),
    [
        (None, [None, "turned", "blurred", "small", "turned"]),
        ([False] * 5, [None, "turned", "blurred", "small", "turned"]),
        ([True] * 5, ["occluded", "turned", "blurred", "small", "turned"]),
    ],
)
def test_reasons_are_none_turned_small_blurred_or_occluded_in_this_order(occluded, expected):
    n = 5
    crops = FaceCrops(
        images=np.zeros((n, 48, 48, 1), np.uint8), frame_index=np.arange(n, dtype=np.int32), pts=np.arange(n),
        time_s=np.arange(n) / 25, track_id=np.ones(n, np.int32), xyxy=np.zeros((n, 4), np.float32),
        score=np.ones(n, np.float32), landmarks=np.zeros((n, 5, 2), np.float32),
        pose=np.array([[0, 0, 0], [-46, 0, 0], [45, 0, 0], [np.nan] * 3, [80, 0, 0]], np.float32),
        sharpness=np.array([900, 10, 49, 50, 900], np.float32), face_px=np.array([28, 10, 60, 27, 90], np.float32),
        region=np.zeros(n, np.int8),
    )  # fmt: skip
    answer = Answer(np.full((n, 7), 1 / 7, np.float32), None if occluded is None else np.array(occluded))
    rows = face_rows("v", crops, answer, LABELS)
    assert rows.batch["unreadable"].to_pylist() == expected
    rows.batch.validate(full=True)


@pytest.mark.parametrize(
    "sizes",
    [
        {"batch_size": 1},
        {"batch_size": 7},
        {"chunk_frames": 1},
        {"chunk_frames": 5},
        {"threads": 1},
        {"threads": 5, "batch_size": 3},
    ],
)
def test_results_do_not_depend_on_batches_chunks_and_threads(face_video, tools, sizes):
    frames, faces = tables(face_video, tools)
    other_frames, other_faces = tables(face_video, tools, **sizes)
    assert frames.equals(other_frames)
    exact = [name for name in faces.column_names if not name.startswith("prob_")]
    assert faces.select(exact).equals(other_faces.select(exact))
    for label in LABELS:
        ours, other = (table[f"prob_{label}"].to_numpy() for table in (faces, other_faces))
        assert ours == pytest.approx(other, abs=1e-5)


def test_every_batch_but_the_last_is_full(face_video, tools):
    sizes = []

    class Counting(MeanClassifier):
        def __call__(self, images):
            sizes.append(len(images))
            return super().__call__(images)

    tables(face_video, Tools(tools.detector, Counting()), batch_size=8)
    assert sorted(sizes) == [6, 8, 8, 8]


def test_a_failing_classifier_ends_the_decode_thread(face_video, tools, no_threads_left):
    class Broken(MeanClassifier):
        def __call__(self, images):
            raise MemoryError("no room")

    with pytest.raises(MemoryError):
        tables(face_video, Tools(tools.detector, Broken()), batch_size=2)
    assert no_threads_left()


def test_stopping_early_ends_the_decode_thread(face_video, tools, no_threads_left):
    batches = analyze(face_video, AnalyzeOptions(batch_size=1), tools=tools)
    next(batches)
    batches.close()
    assert no_threads_left()


def test_the_real_network_gives_the_same_bits_with_any_number_of_threads(tmp_path, tools):
    from ferflow.models.classifier import make_classifier

    path = write_video(tmp_path / "a.mp4", face_frames(40))
    real = Tools(tools.detector, make_classifier(AnalyzeOptions()))
    one, many = (tables(path, real, threads=threads, batch_size=5) for threads in (1, 4))
    assert one[0].equals(many[0])
    assert one[1].equals(many[1])


def test_a_failing_detector_is_heard_and_ends_all_threads(face_video, tools, no_threads_left):
    class Broken:
        name, sha256, crop_side = "broken", "0" * 64, 1.0

        def detect(self, frames, score=None):
            if frames[0].index == 9:
                raise MemoryError("no room")
            return tools.detector.detect(frames, score)

    with pytest.raises(MemoryError, match="no room"):
        tables(face_video, Tools(Broken(), tools.classifier), detect="full")
    assert no_threads_left()


def test_a_slow_consumer_slows_the_decoder(tmp_path, tools, monkeypatch):
    path = write_video(tmp_path / "a.mp4", [numbered_image(i % 50) for i in range(300)])
    decoded = 0

    class Watched(Tracker):
        def update(self, *arguments, **more):
            nonlocal decoded
            decoded += 1
            return super().update(*arguments, **more)

    monkeypatch.setattr("ferflow.faces.people.Tracker", Watched)
    batches = analyze(path, AnalyzeOptions(threads=1), tools=tools)
    next(batches)
    # Four batches of eight frames lie ready for one thread, and one is in hand.
    assert decoded <= 5 * 8
    batches.close()


def test_faces_are_carried_between_the_frames_in_which_they_are_looked_for(face_video, tools):
    frames, every = tables(face_video, tools)
    frames_too, carried = tables(face_video, tools, detect="every:5")
    assert frames["n_faces"].equals(frames_too["n_faces"])
    assert set(carried["track_id"].to_pylist()) == {1}
    looked_at = [index % 5 == 0 for index in carried["frame_index"].to_pylist()]
    assert [score is not None for score in carried["score"].to_pylist()] == looked_at
    for name in ("x1", "y1", "x2", "y2"):
        # The face was drawn with steps of two pixels, so a straight line is the truth.
        # After the last look, at frame 25, they stay where they were.
        assert carried[name].to_numpy()[:26] == pytest.approx(every[name].to_numpy()[:26], abs=4)


def test_no_face_is_carried_over_a_cut(tmp_path, tools):
    rng = np.random.default_rng(0)
    other = np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    path = write_video(tmp_path / "a.mp4", [*face_frames(13), *[other] * 13])
    frames, _ = tables(path, tools, detect="every:10")
    assert frames["is_cut"].to_pylist().index(True) == 13
    assert frames["n_faces"].to_pylist() == [1] * 13 + [0] * 13


def test_one_participant_is_one_person_across_cuts_and_bystanders(tmp_path, tools):
    lone = face_frames(10, size=(480, 240), step=0)
    beside = [image.copy() for image in lone]
    for image in beside:  # a smaller, second face on the right
        image[60:180, 330:450] = __import__("cv2").resize(image[30:210, 10:190], (120, 120))
    dark = [(image * 0.4).astype(np.uint8)[:, ::-1] for image in lone]
    path = write_video(tmp_path / "a.mp4", [*lone, *beside, *dark])
    _, everyone = tables(path, tools, min_face=24)
    _, one = tables(path, tools, min_face=24, participants=1)
    assert len(everyone) == 40
    assert len(one) == 30
    tracks = tracks_of(path, tools, min_face=24, participants=1)
    assert len(tracks) == 2
    assert set(tracks.values()) == {1}
    assert set(one["track_id"].to_pylist()) == set(tracks)
    assert min(one["face_px"].to_pylist()) > 1.2 * min(everyone["face_px"].to_pylist())


def test_haar_gives_boxes_without_pose_and_landmarks(face_video, tools):
    from ferflow.faces.detector import make_detector

    options = AnalyzeOptions(detector="haar")
    _, faces = tables(face_video, Tools(make_detector(options), tools.classifier), detector="haar")
    assert len(faces) > 20
    assert faces["yaw"].null_count == faces["landmarks"].null_count == len(faces)


def test_chunks_never_end_with_an_empty_list():
    assert list(chunks(range(4), 2)) == [[0, 1], [2, 3]]
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []
