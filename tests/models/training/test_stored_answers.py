"""Answers of teachers in a file: found again by the pixels of the faces, in any order and for any part of them."""

import numpy as np
import pytest
from msgspec.structs import replace

from ferflow.errors import OptionsError
from ferflow.models.training.distillation import average_answers, read_stored_answers, save_stored_answers
from ferflow.models.training.train import train
from tests.conftest import needs_keras
from tests.models.training.test_train import OPTIONS, data, faces  # noqa: F401 - a fixture

pytestmark = needs_keras


def shares(n, seed):
    drawn = np.random.default_rng(seed).random((n, 7)).astype(np.float32)
    return drawn / drawn.sum(axis=1, keepdims=True)


def test_answers_are_found_by_the_pixels_of_the_faces(tmp_path):
    images, answers = faces(30, seed=1)[0], {"label_head": shares(30, 1), "vote_head": shares(30, 2)}
    save_stored_answers(tmp_path / "t.npz", images, answers)
    rows = np.array([7, 29, 0])
    found = read_stored_answers(tmp_path / "t.npz", images[rows])
    for head, expected in answers.items():
        assert found[head] == pytest.approx(expected[rows], abs=1e-3)
        assert found[head].sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_a_face_without_an_answer_and_a_file_of_something_else_are_refused(tmp_path):
    images = faces(30, seed=1)[0]
    save_stored_answers(tmp_path / "t.npz", images[:20], {"label_head": shares(20, 1)})
    with pytest.raises(OptionsError, match="no answers for 10 of 30"):
        read_stored_answers(tmp_path / "t.npz", images)
    np.savez(tmp_path / "other.npz", images=images)
    with pytest.raises(OptionsError, match="not a file of teachers' answers"):
        read_stored_answers(tmp_path / "other.npz", images)


def test_a_file_of_twenty_eight_thousand_faces_and_two_heads_has_less_than_sixteen_megabytes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (28_709, 48, 48), dtype=np.uint8)
    save_stored_answers(
        tmp_path / "t.npz", images, {head: shares(28_709, 1) for head in ("label_head", "vote_head")}
    )
    assert (tmp_path / "t.npz").stat().st_size < 16e6


def test_the_mean_of_several_answers_is_over_those_that_have_the_head():
    one, other = shares(4, 1), shares(4, 2)
    mean = average_answers([{"label_head": one}, {"label_head": other, "vote_head": other}])
    assert mean["label_head"] == pytest.approx((one + other) / 2)
    assert mean["vote_head"] == pytest.approx(other)


@pytest.mark.slow
def test_a_run_takes_the_mean_of_a_file_and_another_teacher_as_its_targets(data, tmp_path):  # noqa: F811
    images, labels, _ = faces(60, seed=0)  # those of `data`
    certain = np.eye(7, dtype=np.float32)[labels]
    for name, answers in (("right", certain), ("turned", certain[:, ::-1])):
        save_stored_answers(tmp_path / f"{name}.npz", images, {"label_head": answers})
    teachers = tuple(str(tmp_path / f"{name}.npz") for name in ("right", "turned"))
    card = train(data, tmp_path / "run", replace(OPTIONS, teachers=teachers, epochs=1))
    with np.load(tmp_path / "run" / "teachers.npz") as stored:
        assert stored["label_head"] == pytest.approx((certain + certain[:, ::-1])[:44] / 2)
    assert "right.npz, turned.npz" in card.note
