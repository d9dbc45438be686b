"""Pipes, devices and files without line breaks in the places of training's files: a line at once, and no memory."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ferflow.errors import ModelError, OptionsError
from ferflow.models.cards import ModelCard
from ferflow.models.data.dataset_formats import read as read_data
from ferflow.models.networks import NETWORKS
from ferflow.models.registry import resolve
from ferflow.models.training import checkpoint
from ferflow.models.training.distillation import load_answers, read_stored_answers
from tests.hostile.test_reading import KINDS, flat_memory  # noqa: F401 - a fixture

UNREADABLE = ["pipe", "endless"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_data_sets_checkpoints_and_answers_are_regular_files(tmp_path, kind):
    for name in ("data.csv", "data.npz", "state.npz", "teachers.npz"):
        KINDS[kind](tmp_path / name)
    for name in ("data.csv", "data.npz"):
        with pytest.raises(OptionsError, match="not a regular file"):
            read_data(tmp_path / name)
    with pytest.raises(OptionsError, match="not a regular file"):
        checkpoint.read(tmp_path / "state.npz")
    with pytest.raises(OptionsError, match="not a regular file"):
        read_stored_answers(tmp_path / "teachers.npz", np.zeros((1, 48, 48), np.uint8))
    assert load_answers(tmp_path, 1) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_weights_to_start_from_are_a_regular_file(tmp_path, kind):
    KINDS[kind](tmp_path / "weights.h5")
    backbone = NETWORKS["inception-transfer"]

    def make(**_: object) -> None:
        pytest.fail("Keras was asked to read it")

    with pytest.raises(OptionsError, match="cannot be loaded"):
        backbone._features(make, None, str(tmp_path / "weights.h5"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("weights", ["onnx", "onnx_float", "keras"])
def test_networks_that_a_card_names_are_regular_files(tmp_path, weights, kind):
    shutil.copytree(resolve("default").folder, tmp_path / "it")
    path = ModelCard.load(tmp_path / "it" / "default.json").path(weights)
    path.unlink()
    KINDS[kind](path)
    with pytest.raises(ModelError, match=path.name):
        resolve(tmp_path / "it")


def test_a_row_without_end_is_refused_and_not_read_as_a_whole(tmp_path, flat_memory):  # noqa: F811
    row = "3," + " ".join(["100"] * 2304)
    path = tmp_path / "data.csv"
    with path.open("w") as file:
        file.write(f"emotion,pixels\n{row}\n")
        for _ in range(400):
            file.write(" " * (1 << 20))
    with pytest.raises(OptionsError, match="field larger than"):
        read_data(path)
