"""Training: exact resume, the same seed again, early stopping, and a model that comes out usable."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace

from ferflow.errors import ModelError, OptionsError
from ferflow.models import keras_network, registry
from ferflow.models.data.dataset import Split, load
from ferflow.models.data.labelled_faces import LABELS, SEVEN, Faces
from ferflow.models.heads import Blend, softmax
from ferflow.models.training import checkpoint
from ferflow.models.training.distillation import ask_teachers
from ferflow.models.training.head_blending import ChosenBlend, best_blend, fit_temperature, learned_priors
from ferflow.models.training.options import FULL_SIZE, TrainOptions
from ferflow.models.training.targets import Targets, compute_logits, mix_in_answers
from ferflow.models.training.train import train
from ferflow.models.training.warm_start import initialise, load_trained
from tests.conftest import needs_keras, some_slow

pytestmark = needs_keras

OPTIONS = TrainOptions(
    name="tiny",
    recipe="resnet-tiny",
    epochs=3,
    batch_size=16,
    learning_rate=0.02,
    image_sizes=((0.5, 24), (1.0, 48)),
)


class Killed(Exception):
    """Stands for a kill between two steps."""


def faces(n, seed):
    """Faces of two kinds that can be reported apart: light above or light below."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([3, 4], n)
    ramp = np.linspace(60, 190, 48)[:, None] + np.zeros((1, 48))
    images = np.where(labels[:, None, None] == 3, ramp, ramp[::-1]) + rng.normal(0, 8, (n, 48, 48))
    votes = np.zeros((n, 10), np.uint8)
    votes[:, 1], votes[:, 3] = np.where(labels == 3, 8, 2), np.where(labels == 3, 2, 8)
    return np.clip(images, 0, 255).astype(np.uint8), labels, votes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    images, labels, votes = faces(60, seed=0)
    usage = np.array(["Training"] * 44 + ["PublicTest"] * 16)
    np.savez(path, images=images, labels=labels, ferplus=votes, usage=usage)
    return path


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    train(data, out, OPTIONS)
    return out


@pytest.fixture(scope="module")
def resumed(data, tmp_path_factory):
    """The same run, killed after its first epoch and once more inside the third."""
    out = tmp_path_factory.mktemp("resumed")
    killed_after(1, data, out, OPTIONS)
    (out / "state.npz.tmp").write_bytes(b"half a state")
    killed_after(2, data, out, OPTIONS)
    train(data, out, OPTIONS)
    return out


def killed_after(epoch, data, out, options):
    def on_epoch(figures):
        if figures.epoch == epoch:
            raise Killed

    with pytest.raises(Killed):
        train(data, out, options, on_epoch=on_epoch)


def curve(out):
    """History without its times."""
    history = json.loads((out / "history.json").read_text())
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in history]


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_curve_and_weights(undisturbed, resumed):
    assert [epoch["epoch"] for epoch in curve(resumed)] == [1, 2, 3]
    assert curve(resumed) == curve(undisturbed)
    one, other = (np.load(out / "state.npz") for out in (undisturbed, resumed))
    arrays = [name for name in one.files if "/" in name]
    assert {name.partition("/")[0] for name in arrays} == {"model", "optimizer", "average", "best"}
    assert sorted(one.files) == sorted(other.files)
    for name in arrays:
        assert np.array_equal(one[name], other[name])


def test_each_step_tells_how_far_training_is(data, tmp_path):
    reported = []
    train(data, tmp_path, replace(OPTIONS, epochs=1), on_step=reported.append)
    assert reported == [1 / 2, 1]  # 44 rows are two batches of 16


@pytest.mark.slow
def test_the_same_seed_gives_the_same_first_epoch_and_another_does_not(data, undisturbed, resumed, tmp_path):
    assert curve(undisturbed)[0] == curve(resumed)[0]
    train(data, tmp_path, replace(OPTIONS, seed=2, patience=1, epochs=1))
    assert curve(tmp_path)[0]["loss"] != curve(undisturbed)[0]["loss"]


def test_what_comes_out_is_a_model_whose_backends_agree(undisturbed, data):
    from ferflow.models import keras_network

    card = registry.resolve(undisturbed)
    assert card.labels == LABELS
    assert (card.rows, card.leaks, card.seed, card.data) == (44, 0, 1, data.name)
    assert set(card.scores.by_kind()) == {"labels", "ferplus_majority"}
    assert sum(card.prior) == pytest.approx(1, abs=1e-3)
    import onnxruntime

    crops = faces(5, seed=9)[0][..., None]
    heads = ["label_head", "vote_head"]
    onnx = onnxruntime.InferenceSession(str(card.path("onnx"))).run(heads, {"images": crops})
    keras = keras_network.load_network(card).predict_on_batch(crops)
    assert onnx[0] == pytest.approx(np.asarray(keras["label_head"]), abs=1e-4)
    assert onnx[1] == pytest.approx(np.asarray(keras["vote_head"]), abs=1e-4)


def test_another_set_of_options_does_not_go_on_with_this_run(undisturbed, data):
    with pytest.raises(OptionsError, match="other options"):
        train(data, undisturbed, replace(OPTIONS, learning_rate=0.5))


def test_a_damaged_state_is_refused(undisturbed, data, tmp_path):
    whole = (undisturbed / "state.npz").read_bytes()
    (tmp_path / "state.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OptionsError, match="cannot be read"):
        train(data, tmp_path, OPTIONS)


@pytest.mark.slow
def test_a_killed_sharpness_aware_run_resumes_to_the_same_curve(data, tmp_path, undisturbed):
    options = replace(OPTIONS, epochs=2, sharpness_radius=0.05)
    train(data, tmp_path / "whole", options)
    killed_after(1, data, tmp_path / "killed", options)
    train(data, tmp_path / "killed", options)
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    assert curve(tmp_path / "whole")[0] != curve(undisturbed)[0]


def test_training_stops_when_nothing_gets_better(data, tmp_path):
    # A learning rate of almost nothing: after the first epoch no score can rise.
    options = replace(OPTIONS, learning_rate=1e-9, epochs=6, patience=1, image_sizes=((1.0, 48),))
    train(data, tmp_path, options)
    assert len(curve(tmp_path)) == 2


@pytest.mark.parametrize("keep", some_slow("last", slow=["best"]))
def test_the_model_comes_from_the_best_epoch_or_from_the_last(keep, data, tmp_path):
    # A learning rate of almost nothing: no later epoch has a better score, but the batch norms still change.
    options = replace(OPTIONS, learning_rate=1e-9, epochs=2, image_sizes=((1.0, 48),), keep=keep)
    card = train(data, tmp_path, options)
    saved = checkpoint.read(tmp_path / "state.npz").progress
    is_last = all(map(np.array_equal, saved.best, saved.average))
    assert is_last == (keep == "last")
    assert f"{keep} of 2 epochs" in card.selection


def test_labels_alone_train_one_head(data, tmp_path):
    with np.load(data) as whole:
        np.savez(tmp_path / "plain.npz", **{name: whole[name] for name in ("images", "labels", "usage")})
    card = train(tmp_path / "plain.npz", tmp_path / "run", replace(OPTIONS, epochs=1))
    assert set(card.scores.by_kind()) == {"labels"}
    assert "training labels)" in card.prior_note
    assert card.blend is None
    assert card.heads == ("logits",)


def test_too_few_rows_for_a_batch_are_refused(data, tmp_path):
    with pytest.raises(OptionsError, match="do not fill a batch"):
        train(data, tmp_path, replace(OPTIONS, batch_size=64))


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"recipe": "none"}, {"image_sizes": ((0.5, 48),)}]
)
def test_options_that_cannot_be_trained_are_refused(wrong):
    with pytest.raises(OptionsError):
        replace(OPTIONS, **wrong)


def test_the_learning_rate_warms_up_and_ends_near_zero():
    options = TrainOptions(epochs=10, learning_rate=0.1, warmup_epochs=1)
    rates = [options.rate_at(step, 100) for step in range(1000)]
    assert rates[0] < 0.002
    assert max(rates) == pytest.approx(0.1)
    assert int(np.argmax(rates)) == 100
    assert rates[-1] < 1e-5


def test_sizes_follow_their_shares_of_the_epochs():
    options = TrainOptions(epochs=10, image_sizes=((0.5, 32), (0.8, 40), (1.0, 48)))
    assert [options.size_at(epoch) for epoch in range(10)] == [32] * 5 + [40] * 3 + [48] * 2


def test_the_fitted_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (4000, 7)).astype(np.float32)
    drawn = (softmax(logits).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    assert fit_temperature(partial(softmax, logits * 3), drawn) == pytest.approx(3, rel=0.1)


def test_the_blend_prefers_the_head_that_is_right():
    images, labels, votes = faces(20, seed=1)
    right, wrong = np.eye(7, dtype=np.float32)[labels], np.eye(7, dtype=np.float32)[7 - labels]
    known = Faces(images=images, labels=labels, votes=votes)
    parts = Split(known, known, leaks=0)
    assert best_blend({"label_head": right, "vote_head": wrong}, parts, TrainOptions()).share > 0.5
    assert best_blend({"label_head": wrong, "vote_head": right}, parts, TrainOptions()).share < 0.5


def test_each_head_has_learnt_the_prior_of_what_it_was_shown():
    images, labels, votes = faces(40, seed=1)
    known = Faces(images=images, labels=labels, votes=votes)
    happy = (labels == 3).mean()
    learnt = learned_priors(known, ("label_head", "vote_head"), TrainOptions())
    assert learnt["label_head"][3] == pytest.approx(happy, abs=5e-3)
    assert learnt["vote_head"][3] == pytest.approx(0.8 * happy + 0.2 * (1 - happy), abs=5e-3)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_dividing_the_prior_out_leaves_what_the_card_says(tau):
    by_labels, by_votes = np.array([0.04, 0.16, 0.8], np.float32), np.array([0.25, 0.25, 0.5], np.float32)
    chosen = ChosenBlend(0.75, tau, {"label_head": by_labels, "vote_head": by_votes})
    left = [learnt ** (1 - tau) / (learnt ** (1 - tau)).sum() for learnt in (by_labels, by_votes)]
    assert chosen.prior == pytest.approx(0.75 * left[0] + 0.25 * left[1], abs=1e-5)
    # Someone who has seen nothing answers with the prior learnt; what is served then is the prior left.
    nothing = {"label_head": np.log(by_labels)[None], "vote_head": np.log(by_votes)[None]}
    assert chosen(nothing)[0] == pytest.approx(chosen.prior, abs=1e-5)


def test_heads_that_disagree_are_not_surer_together_than_apart():
    # The mean of their logits would give the first label 78 %, which neither head does.
    answers = {"label_head": [[0.49, 0.50, 0.01]], "vote_head": [[0.49, 0.01, 0.50]]}
    logits = {head: np.log(np.array(probs, np.float32)) for head, probs in answers.items()}
    blend = Blend(0.5, (0.0,) * 3, (0.0,) * 3)
    assert blend(logits)[0] == pytest.approx([0.49, 0.255, 0.255], abs=1e-5)


def test_a_blend_is_chosen_at_the_temperature_that_it_is_served_at():
    images, labels, votes = faces(40, seed=1)
    known = Faces(images=images, labels=labels, votes=votes)
    right, wrong = np.eye(7, dtype=np.float32)[labels], np.eye(7, dtype=np.float32)[7 - labels]
    # As they stand, the label head's timid answers are heard from a share of 0.8 on; sharpened, from 0.6 on.
    chosen = best_blend(
        {"label_head": right, "vote_head": 3 * wrong}, Split(known, known, leaks=0), TrainOptions()
    )
    assert chosen.share == 0.6


@pytest.mark.slow
def test_a_second_cycle_begins_with_the_weights_of_the_first(undisturbed, data, tmp_path):
    still = replace(OPTIONS, learning_rate=1e-12, epochs=1, mixup=0.0, weight_decay=0.0)
    card = train(data, tmp_path, still, start=str(undisturbed))
    best = [checkpoint.read(out / "state.npz").progress.best for out in (undisturbed, tmp_path)]
    kernels = [np.concatenate([w.ravel() for w in weights if w.ndim > 1]) for weights in best]
    assert kernels[1] == pytest.approx(kernels[0], abs=1e-6)
    assert card.note == f"Started from the weights of {undisturbed.name}."


def test_a_second_cycle_of_another_network_is_refused(undisturbed, data, tmp_path):
    with pytest.raises(OptionsError, match="do not fit"):
        train(data, tmp_path, replace(OPTIONS, recipe="resnet-lean"), start=str(undisturbed))


def test_teachers_answers_are_mixed_into_the_targets_of_rows_that_count():
    votes = np.array([[1, 0, 0], [0, 0, 0]], np.float32)  # the second row has too few votes to count
    wanted = Targets(np.eye(3, dtype=np.float32)[:2], votes)
    reported = np.full((2, 3), 1 / 3, np.float32)
    mixed = mix_in_answers(wanted, {"label_head": reported, "vote_head": reported}, 0.3)
    assert mixed.labels == pytest.approx(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), abs=1e-6)
    assert mixed.votes == pytest.approx(np.array([[0.8, 0.1, 0.1], [0, 0, 0]]), abs=1e-6)
    only_labels = mix_in_answers(wanted, {"label_head": reported}, 0.3)
    assert np.array_equal(only_labels.votes, votes)


@pytest.mark.slow
def test_teachers_see_faces_mirrored_too_and_the_card_names_them(undisturbed, data, tmp_path):
    images = load(data).images
    teacher = load_trained(str(undisturbed))
    answers = ask_teachers([teacher, teacher], images, SEVEN, two_heads=True)
    for shares in answers.values():
        assert shares.shape == (len(images), 7)
        assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)
    mirrored = ask_teachers([teacher], images[:, :, ::-1], SEVEN, two_heads=True)
    assert mirrored["label_head"] == pytest.approx(answers["label_head"], abs=1e-5)
    card = train(data, tmp_path, replace(OPTIONS, epochs=1, teachers=(str(undisturbed),), teacher_share=1.0))
    assert card.note == f"100% of the targets are answers of {undisturbed.name}."
    with pytest.raises(OptionsError, match="other options"):
        train(data, tmp_path, replace(OPTIONS, epochs=1))


@pytest.mark.slow
def test_a_killed_run_goes_on_with_what_its_teachers_said_and_without_them(undisturbed, data, tmp_path):
    taught_run = replace(OPTIONS, teachers=(str(tmp_path / "teacher"),))
    shutil.copytree(undisturbed, tmp_path / "teacher")
    train(data, tmp_path / "whole", taught_run)
    killed_after(1, data, tmp_path / "killed", taught_run)
    shutil.rmtree(tmp_path / "teacher")
    train(data, tmp_path / "killed", taught_run)
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    (tmp_path / "killed" / "teachers.npz").write_bytes(b"broken")
    with pytest.raises(ModelError, match="is not a model"):  # asked again, and not there
        train(data, tmp_path / "killed", taught_run)


def test_a_teacher_that_cannot_teach_is_refused(undisturbed, data, tmp_path):
    with pytest.raises(ModelError, match="is not a model"):
        train(data, tmp_path, replace(OPTIONS, teachers=(str(tmp_path / "nobody"),)))
    with pytest.raises(OptionsError, match="other classes"):
        train(data, tmp_path, replace(OPTIONS, teachers=(str(undisturbed),), merge={"disgust": "angry"}))


@pytest.mark.slow
def test_a_run_begins_with_an_installed_model_and_learns_from_it(data, tmp_path):
    installed = registry.resolve("fer2013")
    still = replace(
        OPTIONS,
        recipe=installed.recipe,
        epochs=1,
        learning_rate=1e-9,
        weight_decay=0.0,
        image_sizes=FULL_SIZE,
    )
    card = train(data, tmp_path, replace(still, teachers=("fer2013",)), start="fer2013")
    assert card.note == "Started from the weights of fer2013. 50% of the targets are answers of fer2013."
    kernels = [keras_network.load_network(model).get_weights()[0] for model in (installed, card)]
    assert kernels[1] == pytest.approx(kernels[0], abs=1e-5)


@pytest.mark.slow
def test_a_run_with_one_head_learns_what_the_heads_of_a_model_average_to_and_begins_near_it(data, tmp_path):
    """A folder of somebody's own faces has no votes, and the shipped network has two heads."""
    images = load(data).images
    served = registry.resolve("default")
    wanted, mirrored = (
        served.blend(compute_logits(keras_network.load_network(served), view))
        for view in (images, images[:, :, ::-1])
    )
    taught_it = ask_teachers([load_trained("default")], images, SEVEN, two_heads=False)
    assert taught_it["label_head"] == pytest.approx((wanted + mirrored) / 2, abs=1e-4)
    model = keras_network.build(registry.resolve("default").recipe)
    initialise(load_trained("default"), model, seed=1)
    begun = softmax(compute_logits(model, images)["logits"])
    assert np.abs(begun - wanted).mean() < 0.05
    # One linear layer cannot do better than the mean of the logits, and that it does exactly.
    outputs, blend = compute_logits(keras_network.load_network(served), images), served.blend
    mean = sum(
        share * (outputs[head] + np.array(shift))
        for head, share, shift in (
            ("label_head", blend.share, blend.label_shift),
            ("vote_head", 1 - blend.share, blend.vote_shift),
        )
    )
    assert compute_logits(model, images)["logits"] == pytest.approx(mean, abs=1e-3)


@pytest.mark.slow
def test_a_run_with_two_heads_begins_with_and_learns_from_one_that_has_one(undisturbed, data, tmp_path):
    images = load(data).images
    one_head = train(data, tmp_path / "one", replace(OPTIONS, votes=False))
    reported = softmax(compute_logits(keras_network.load_network(one_head), images)["logits"])
    model = keras_network.build(OPTIONS.recipe, keras_network.Network(two_heads=True))
    initialise(load_trained(str(tmp_path / "one")), model, seed=1)
    for answers in compute_logits(model, images).values():
        assert softmax(answers) == pytest.approx(reported, abs=1e-4)
    teachers = [load_trained(str(out)) for out in (undisturbed, tmp_path / "one")]
    of_two, of_one, of_both = (
        ask_teachers(those, images, SEVEN, two_heads=True) for those in (teachers[:1], teachers[1:], teachers)
    )
    assert set(of_one) == {"label_head"}
    assert of_both["label_head"] == pytest.approx((of_two["label_head"] + of_one["label_head"]) / 2, abs=1e-5)
    assert of_both["vote_head"] == pytest.approx(of_two["vote_head"], abs=1e-5)
