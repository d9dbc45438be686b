"""Recipes as data: balance, six classes, optimisers, and the table made of their runs."""

import json

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from ferflow.analytics.measure_docs import END
from ferflow.cli import app
from ferflow.errors import ModelError, OptionsError
from ferflow.jobs.benchmarks.recipes_table import BEGIN, add_minutes, find_runs, make_table
from ferflow.models import keras_network, registry
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.data.augment import NO_AUGMENTATION, Augmentation, Draw, augment
from ferflow.models.data.labelled_faces import LABELS, Classes, Faces
from ferflow.models.networks import NETWORKS
from ferflow.models.training import checkpoint
from ferflow.models.training.head_blending import learned_priors
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.recipes import RECIPES, options_of
from ferflow.models.training.targets import class_weights, make_targets, oversample
from ferflow.models.training.train import train
from tests.conftest import needs_keras
from tests.models.training.test_train import data  # noqa: F401 - a fixture
from tests.models.training.test_train import faces as drawn_faces

pytestmark = needs_keras

NAMED = "two-conv lenet-oversampled nine-conv-6class deep-nadam default"
NAMED += " vgg16-transfer vgg19-transfer inception-transfer"


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_options_that_can_be_trained_and_says_what_it_is(name):
    options = options_of(name)
    assert options.name == name
    assert options.recipe in NETWORKS
    assert RECIPES[name].description


def test_the_recipes_of_the_papers_are_there():
    assert set(NAMED.split()) <= set(RECIPES)


def test_a_recipe_keeps_its_options_unless_told_otherwise():
    usual, other = options_of("two-conv"), options_of("two-conv", epochs=3)
    assert (usual.epochs, usual.optimizer, usual.augmentation) == (1, "adam", NO_AUGMENTATION)
    assert replace(other, epochs=1) == usual
    with pytest.raises(OptionsError, match="lenet-oversampled"):
        options_of("lenet")


def test_oversampling_shows_every_class_as_often_as_the_largest_and_every_copy_by_itself():
    numbers = np.array([0] * 7 + [1] * 3 + [2] * 2)
    rows = oversample(numbers, np.random.default_rng(0))
    assert np.bincount(numbers[rows % 12]).tolist() == [7, 7, 7]
    assert len(set(rows.tolist())) == len(rows)
    assert set((rows % 12).tolist()) == set(range(12))


def test_class_weights_are_inverse_frequencies_within_bounds_and_one_on_average():
    numbers = np.array([0] * 6 + [1] * 3)
    assert class_weights(numbers, 2) == pytest.approx([0.75, 1.5])
    rare = np.array([0] * 1000 + [1])
    weights = class_weights(rare, 2)
    assert weights[1] / weights[0] == pytest.approx(3 / (1001 / 2000))
    assert weights[rare].mean() == pytest.approx(1)


def test_a_balanced_network_is_said_to_assume_what_it_was_shown():
    faces = Faces(images=np.zeros((9, 48, 48), np.uint8), labels=np.array([0] * 6 + [3] * 3))
    plain = learned_priors(faces, ["logits"], TrainOptions())["logits"]
    evened = learned_priors(faces, ["logits"], TrainOptions(balance="oversample"))["logits"]
    assert plain[[0, 3]] == pytest.approx([2 / 3, 1 / 3], abs=0.01)
    assert evened[[0, 3]] == pytest.approx([0.5, 0.5], abs=0.01)


def test_six_classes_have_six_targets_and_disgust_counts_as_anger():
    six = Classes.without({"disgust": "angry"})
    faces = Faces(
        images=np.zeros((2, 48, 48), np.uint8), labels=np.array([1, 6]), votes=np.zeros((2, 10), np.uint8) + 0
    )
    faces.votes[0, [4, 5]] = 4, 6  # anger, disgust
    wanted = make_targets(faces, 0.0, classes=six)
    assert wanted.labels.tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]
    assert wanted.votes[0].tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "lion"}, {"schedule": "steps"}, {"balance": "focal"},
        {"merge": {"disgust": "bored"}}, {"merge": {"disgust": "angry", "angry": "sad"}},
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(wrong):
    with pytest.raises(OptionsError, match=f"^{next(iter(wrong))} "):
        TrainOptions(**wrong)


def test_schedules_are_those_they_say():
    inverse = TrainOptions(schedule="inverse", decay=0.1, warmup_epochs=0, learning_rate=1.0)
    assert [inverse.rate_at(step, 10) for step in (0, 10)] == pytest.approx([1, 0.5])
    constant = TrainOptions(schedule="constant", warmup_epochs=0, learning_rate=0.3)
    assert {constant.rate_at(step, 10) for step in (0, 99)} == {0.3}


def test_shear_leans_upright_lines():
    how = replace(NO_AUGMENTATION, shear=0.5)
    image = np.zeros((1, 48, 48), np.uint8)
    image[:, :, 23:25] = 255
    leaning = augment(image, np.arange(1), Draw(1, 0), how, size=48)[0].astype(float)
    middles = (leaning * np.arange(48)).sum(axis=1) / leaning.sum(axis=1)
    assert abs(middles[47] - middles[0]) > 3
    assert np.ptp(np.diff(middles)) < 1  # evenly
    assert Augmentation().shear == 0


OPTIONS = TrainOptions(
    name="tiny", recipe="resnet-tiny", epochs=2, batch_size=16, learning_rate=0.005, image_sizes=((1.0, 48),)
)


@pytest.fixture(scope="module")
def six(data, tmp_path_factory):  # noqa: F811 - the fixture
    """A run with all that is unusual: Nadam, class weights, six classes, no votes; killed once."""
    out = tmp_path_factory.mktemp("six")
    options = replace(
        OPTIONS,
        optimizer="nadam",
        balance="weights",
        merge={"disgust": "angry"},
        votes=False,
        adjust_prior=False,
    )

    def kill(figures):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, out, options, on_epoch=kill)
    whole = tmp_path_factory.mktemp("whole")
    return train(data, out, options), train(data, whole, options)


@pytest.mark.slow
def test_an_unusual_run_resumes_to_the_same_curve(six):
    curves = [json.loads((card.folder / "history.json").read_text()) for card in six]
    for epoch in (*curves[0], *curves[1]):
        del epoch["seconds"]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 2


@pytest.mark.slow
def test_a_six_class_card_says_what_it_merges_and_is_scored_by_both_kinds_of_labels(six):
    card = registry.resolve(six[0].folder)
    assert len(card.labels) == 6
    assert card.merged == {"disgust": "angry"}
    assert set(card.scores.by_kind()) == {"labels", "ferplus_majority"}
    assert "balanced by weights" in card.prior_note


def test_oversampling_lengthens_the_epoch_to_even_classes(data, tmp_path):  # noqa: F811 - the fixture
    train(data, tmp_path, replace(OPTIONS, epochs=1, balance="oversample", votes=False))
    with np.load(data) as whole:
        labels = whole["labels"][whole["usage"] == "Training"]
    state = np.load(tmp_path / "state.npz")
    assert json.loads(str(state["facts"]))["step"] == 2 * np.bincount(labels).max() // 16


def test_a_run_of_an_older_ferflow_goes_on_but_not_under_other_options():
    stored = OPTIONS.identity()
    for name in ("optimizer", "schedule", "decay", "balance", "votes", "adjust_prior", "merge", "backbone"):
        del stored[name]  # not yet known then
    del stored["augmentation"]["shear"]
    then = msgspec.convert(json.loads(json.dumps(stored)), TrainOptions)
    assert replace(OPTIONS, name="another", patience=7).is_same_run(then)
    assert not replace(OPTIONS, balance="weights").is_same_run(then)
    assert not replace(OPTIONS, augmentation=Augmentation(shear=0.1)).is_same_run(then)


def old_state(path, **changes):
    """A state file as it was written when options and figures were plain dictionaries."""
    epoch = {"epoch": 1, "loss": float("nan"), "accuracy": 0.4, "selection": 0.4, "seconds": 2.5}
    options = {"name": "old", "recipe": "resnet-tiny", "epochs": 9, "merge": {}, "image_sizes": [[1.0, 48]]}
    facts = {"epoch": 1, "step": 7, "best_score": 0.4, "history": [epoch], "options": options | changes}
    np.savez(path, **{"facts": np.array(json.dumps(facts)), "best/0": np.ones(3), "best/1": np.zeros(2)})
    return path


def test_a_checkpoint_of_an_older_ferflow_is_read_with_todays_defaults_for_what_it_lacks(tmp_path):
    saved = checkpoint.read(old_state(tmp_path / "state.npz"))
    assert saved.options == TrainOptions(name="old", recipe="resnet-tiny", epochs=9, image_sizes=((1.0, 48),))
    assert (saved.progress.epoch, saved.progress.step, saved.progress.best_score) == (1, 7, 0.4)
    assert [weights.shape for weights in saved.progress.best] == [(3,), (2,)]
    (epoch,) = saved.progress.history
    assert (np.isnan(epoch.loss), epoch.ferplus_accuracy) == (True, None)


@pytest.mark.parametrize("changes", [{"momentums": 0.9}, {"epochs": "nine"}, {"balance": "focal"}])
def test_a_checkpoint_with_options_that_mean_nothing_here_is_refused_in_one_line(tmp_path, changes):
    with pytest.raises(OptionsError, match=rf"state\.npz: cannot be read .*{next(iter(changes))}") as refused:
        checkpoint.read(old_state(tmp_path / "state.npz", **changes))
    assert "\n" not in str(refused.value)


def test_a_backbone_whose_weights_cannot_be_had_says_how_to_go_on(tmp_path):
    with pytest.raises(OptionsError, match=r"VGG16.*--?|none"):
        keras_network.build("vgg16-transfer", keras_network.Network(backbone=str(tmp_path / "none.h5")))


def test_a_weight_file_that_holds_code_runs_none(tmp_path):
    import keras

    ran = tmp_path / "ran"
    image = keras.Input((4,))
    path = str(ran)
    lambda_layer = keras.layers.Lambda(lambda x: (open(path, "w").close(), x)[1])  # noqa: PTH123
    bad = keras.Model(image, lambda_layer(image))
    bad.save(tmp_path / "bad.keras")
    ran.unlink(missing_ok=True)
    (tmp_path / "bad.keras").rename(tmp_path / "m.weights.h5")
    file = WeightFile("m.weights.h5", sha256_of(tmp_path / "m.weights.h5"))
    card = ModelCard(name="m", recipe="resnet-tiny", labels=LABELS, files={"keras": file}, folder=tmp_path)
    with pytest.raises(ModelError, match="does not fit"):
        keras_network.load_network(card)
    assert not ran.exists()


@pytest.mark.slow
def test_the_table_has_a_row_per_recipe_and_the_command_that_made_it(six, data, tmp_path):  # noqa: F811
    train(data, tmp_path / "a", options_of("two-conv", batch_size=16, seed=5))
    rows = {row.split("`")[1]: row for row in make_table(find_runs([tmp_path])).splitlines()[2:]}
    assert "37.8 % test" in rows["two-conv"]
    assert "`--recipe two-conv --seed 5 --batch-size 16`" in rows["two-conv"]
    card = registry.resolve(tmp_path / "a")
    assert f"{card.scores.labels.accuracy:.1%}" in rows["two-conv"]
    assert "not trained here" in rows["deep-nadam"]
    (tmp_path / "a" / "card.json").unlink()
    assert "(unfinished)" in make_table(find_runs([tmp_path / "a"]))
    kept = "| `deep-nadam` | trained elsewhere |"
    again = make_table(find_runs([tmp_path / "a"]), f"{kept}\n| `two-conv` | as it was |")
    assert kept in again
    assert "as it was" not in again


@pytest.mark.slow
def test_the_command_trains_with_the_augmentation_and_the_labels_it_was_told(data, tmp_path):  # noqa: F811
    reported = (
        "--recipe resnet-tiny --epochs 1 --batch-size 16 --augment light --labels-only --tau 0 -o".split()
    )
    done = CliRunner().invoke(app, ["train", str(data), *reported, str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert registry.resolve(tmp_path / "run").blend is None
    (run,) = find_runs([tmp_path]).values()
    stored = run.options.augmentation
    assert stored.erase_chance == pytest.approx(Augmentation().erase_chance * 0.4)
    assert stored.rotation_degrees == Augmentation().rotation_degrees
    row = make_table({"two-conv": run})
    assert "--augment light" in row
    assert "--labels-only" not in row, "two-conv never learns votes"
    row = make_table({"default": run})
    assert "--augment light --labels-only`" in row


@pytest.mark.slow
def test_rows_without_minutes_get_an_estimate_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("ferflow.jobs.benchmarks.recipes_table.TIMED_STEPS", 4)
    images, labels, votes = drawn_faces(900, seed=2)
    usage = np.where(np.arange(900) < 880, "Training", "PublicTest")
    np.savez(tmp_path / "faces.npz", images=images, emotion=labels, ferplus=votes, usage=usage)
    known = "| `deep-nadam` |" + " x |" * 10 + " 72 | 77 of 90 | made |"
    table = "| `two-conv` |" + " x |" * 10 + "  | 600 of 600 | made |\n" + known
    unknown, kept = add_minutes(table, tmp_path / "faces.npz").splitlines()
    assert kept == known
    cells = unknown.strip("| ").split(" | ")
    said, number = cells[11].split()
    assert said == "about"
    # 13 batches of 64 faces by 50 MFLOP, three times for the way back, 600 times: 50 s at 1 TFLOP/s.
    assert 1 <= float(number) <= 200
    assert cells[12] == "600 of 600"


def test_the_table_in_the_docs_is_one_that_the_command_can_replace():
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text("utf-8")
    assert text.index(BEGIN) < text.index(END)
    for name in NAMED.split():
        assert f"`{name}`" in text
