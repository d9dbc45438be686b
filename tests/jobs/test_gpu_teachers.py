"""Teachers of the GPU script, tiny ones on a CPU: what they leave, and that a killed run continues."""

import numpy as np
import pytest

from ferflow.jobs.benchmarks import gpu_teachers
from ferflow.models.backbones import ResNet
from ferflow.models.data.dataset import load, split
from ferflow.models.training.distillation import read_stored_answers
from tests.conftest import needs_keras
from tests.models.training.test_train import faces

pytestmark = needs_keras

TINY = tuple(
    gpu_teachers.Teacher(name=name, backbone=ResNet((4, 8), (1, 1), stem_strides=2), max_epochs=2, seed=seed)
    for seed, name in enumerate(("one", "two"))
)


class Killed(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    images, labels, votes = faces(90, seed=0)
    usage = np.array(["Training"] * 80 + ["PublicTest"] * 10)
    np.savez(path, images=images, labels=labels, ferplus=votes, usage=usage)
    return path


@pytest.fixture
def run(monkeypatch, path):
    monkeypatch.setattr(gpu_teachers, "TEACHERS", TINY)

    def run(out, *more):
        arguments = ["gpu_teachers", str(path), "--out", str(out), "--compute", "float32", *more]
        monkeypatch.setattr("sys.argv", arguments)
        gpu_teachers.main()

    return run


@pytest.mark.slow
def test_the_teachers_leave_answers_to_all_training_faces_and_a_table(run, path, tmp_path, capsys):
    run(tmp_path)
    parts = split(load(path), seed=1, hold_out=True)
    for part in (parts.training, parts.selection):
        answers = read_stored_answers(tmp_path / "teachers.npz", part.images)
        assert {head: shares.shape for head, shares in answers.items()} == {
            "label_head": (len(part), 7), "vote_head": (len(part), 7)
        }  # fmt: skip
    table = (tmp_path / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["one", "two", "mean of all"]
    assert table in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_run_continues_with_its_epochs_and_a_finished_teacher_is_not_trained_again(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(gpu_teachers, "SAVE_SECONDS", 0)
    end_epoch = gpu_teachers._Clock.end_epoch
    ended = []

    def counted(clock, loss):
        end_epoch(clock, loss)
        ended.append((clock.teacher.name, clock.epoch))
        if len(ended) == 3:
            raise Killed

    monkeypatch.setattr(gpu_teachers._Clock, "end_epoch", counted)
    with pytest.raises(Killed):
        run(tmp_path)
    run(tmp_path)
    assert ended == [("one", 1), ("one", 2), ("two", 1), ("two", 2)]


@pytest.mark.slow
def test_a_teacher_disturbs_faces_in_training_alone():
    model = gpu_teachers.build_teacher(TINY[0], "float32")
    disturb = model.get_layer("disturb")
    images = faces(16, seed=3)[0][..., None].astype(np.float32)
    assert np.array_equal(np.asarray(disturb(images, training=False)), images)
    disturbed = np.asarray(disturb(images, training=True))
    assert disturbed.shape == images.shape
    assert 0 <= disturbed.min() <= disturbed.max() <= 255
    assert (np.abs(disturbed - images).mean(axis=(1, 2, 3)) > 1).mean() > 0.9


@pytest.mark.slow
def test_teachers_of_the_ensemble_differ_and_cost_about_a_gigaflop():
    costs = [
        gpu_teachers.network_cost(gpu_teachers.build_teacher(each, "float32")).mflop
        for each in gpu_teachers.TEACHERS
    ]
    assert len({each.name for each in gpu_teachers.TEACHERS}) == len(gpu_teachers.TEACHERS) >= 4
    assert all(600 <= mflop <= 1300 for mflop in costs)
