"""Pictures that repeat exactly, as in recordings of screens: searched and classified once."""

from __future__ import annotations

import json
from itertools import pairwise

import av
import numpy as np
import pyarrow as pa
import pytest

from ferflow.jobs.run import run
from ferflow.media.planes import Planes
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FaceRows
from tests.conftest import face_frames, write_video

HELD = [0] * 6 + [1] * 6 + [2] + [3] + [4] * 11 + [5] * 2
"""The number of the picture that each frame shows."""
RESULTS = ["x1", "y1", "x2", "y2", "score", "track_id", "sharpness"]


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A lossless recording: of lossy encodings, hardly any decoded pictures are equal."""
    pictures = face_frames(6, size=(640, 360), step=12)
    path = tmp_path_factory.mktemp("held") / "held.mkv"
    return write_video(path, [pictures[number] for number in HELD], codec="ffv1")


class Counted:
    """A classifier that counts crops."""

    def __init__(self, classifier):
        self._classifier, self.card, self.n_crops = classifier, classifier.card, 0

    def answer(self, images):
        self.n_crops += len(images)
        return self._classifier.answer(images)


def faces(path, tools, **chosen) -> pa.Table:
    rows = analyze(path, AnalyzeOptions(threads=2, **chosen), tools=tools)
    return pa.Table.from_batches([each.batch for each in rows if isinstance(each, FaceRows)])


def repeats_by_an_independent_reader(path) -> list[bool]:
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray() for frame in container.decode(video=0)]
    return [False, *(np.array_equal(a, b) for a, b in pairwise(pictures))]


@pytest.mark.parametrize("detect", ["full", "every:4"])
def test_the_tables_are_those_of_an_analysis_that_searches_every_frame(held, tools, monkeypatch, detect):
    found = faces(held, tools, detect=detect)
    monkeypatch.setattr(Planes, "equals", lambda one, other: False)
    assert faces(held, tools, detect=detect).equals(found)


@pytest.mark.parametrize("detect", ["full", "auto"])
def test_a_repeat_has_the_faces_and_the_probabilities_of_the_picture_that_it_repeats(held, tools, detect):
    classifier = Counted(tools.classifier)
    found = faces(held, Tools(tools.detector, classifier), detect=detect)
    probs = [name for name in found.column_names if name.startswith("p_")]
    rows = found.select([*RESULTS, *probs]).to_pylist()
    assert len(rows) == len(HELD)
    for number in range(1, len(HELD)):
        assert (rows[number] == rows[number - 1]) == (HELD[number] == HELD[number - 1])
    assert classifier.n_crops == len(set(HELD))


def test_repeats_are_counted_in_run_json(held, tmp_path):
    run([held], tmp_path / "out", pages=False)
    (video,) = json.loads((tmp_path / "out" / "run.json").read_text())["videos"]
    assert video["n_repeated"] == sum(repeats_by_an_independent_reader(held)) == len(HELD) - len(set(HELD))


def test_interpolated_faces_are_no_repeats(held, tmp_path):
    run([held], tmp_path / "out", AnalyzeOptions(detect="every:3"), pages=False)
    (video,) = json.loads((tmp_path / "out" / "run.json").read_text())["videos"]
    assert video["n_repeated"] == 0


def test_a_picture_that_differs_in_one_pixel_of_chroma_is_no_repeat():
    def planes(value: int, **more: int) -> Planes:
        v = np.full((18, 32), 128, np.uint8)
        v[17, 31] = value
        return Planes(np.zeros((36, 64), np.uint8), np.full((18, 32), 128, np.uint8), v, False, **more)

    assert planes(128).equals(planes(128))
    assert not planes(129).equals(planes(128))
    assert not planes(128, matrix=1).equals(planes(128))
    assert not Planes(planes(128).y, None, None, False).equals(planes(128))


def test_pictures_of_other_sizes_of_luma_or_chroma_are_no_repeats():
    def planes(luma: tuple[int, int], chroma: tuple[int, int]) -> Planes:
        y, u, v = (np.zeros(shape, np.uint8) for shape in (luma, chroma, chroma))
        return Planes(y, u, v, False)

    assert not planes((36, 64), (18, 32)).equals(planes((36, 64), (36, 64)))
    assert not planes((36, 64), (18, 32)).equals(planes((36, 48), (18, 32)))


def test_what_pads_the_rows_of_a_decoder_is_not_compared():
    padded = np.zeros((36, 96), np.uint8)
    padded[:, 64:] = 1
    picture = Planes(padded[:, :64], None, None, False)
    assert picture.equals(Planes(np.zeros((36, 64), np.uint8), None, None, False))
    padded[35, 63] = 1
    assert not picture.equals(Planes(np.zeros((36, 64), np.uint8), None, None, False))
