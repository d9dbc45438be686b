"""Presets: several models of one set of files. Their answers are blends made by hand, and nothing mixes them up."""

import csv
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from msgspec import structs

from ferflow.errors import ModelError, OptionsError, RecordsError
from ferflow.jobs.run import run
from ferflow.models import registry
from ferflow.models.classifier import KerasClassifier, OnnxClassifier
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import FERPLUS_COLUMNS, Faces, majority_labels
from ferflow.models.metrics import evaluate
from ferflow.models.training import release
from ferflow.models.training.presets import Preset
from ferflow.options import AnalyzeOptions
from ferflow.system.runtime import start_session
from tests.conftest import real_data, some_slow
from tests.models.test_classifier import crops
from tests.models.training.test_train import OPTIONS
from tests.models.training.test_train import faces as drawn_faces

SHARES = {"default": 0.5, "fer2013": 1.0, "ferplus": 0.0}
TAUS = {"default": 0.5, "fer2013": 0.0, "ferplus": 0.4}


STILL = (0.0,) * 7


def by_hand(path, images, share, label_shift, vote_shift, temperature):
    """Probabilities of a network with two heads, worked out from its bare outputs."""
    session = start_session(str(path))
    labels, votes = session.run(["label_head", "vote_head"], {"images": images})
    powers = [
        np.exp((labels.astype(float) + label_shift) / temperature),
        np.exp((votes.astype(float) + vote_shift) / temperature),
    ]
    by_labels, by_votes = (power / power.sum(axis=1, keepdims=True) for power in powers)
    return share * by_labels + (1 - share) * by_votes


@pytest.fixture(params=SHARES)
def card(request):
    return registry.resolve(request.param)


def test_the_shipped_presets_share_one_set_of_files_and_are_models_of_their_own():
    cards = [registry.resolve(name) for name in registry.list_models()]
    assert {card.name for card in cards} == set(SHARES)
    assert all(card.files == cards[0].files for card in cards)
    assert len({card.sha256 for card in cards}) == len(cards)
    assert all(card.purpose for card in cards)
    named = {file.file for file in cards[0].files.values()} | {f"{card.name}.json" for card in cards}
    assert {path.name for path in registry.SHIPPED.iterdir()} == named


@pytest.mark.parametrize("weights", ["onnx", "onnx_float"])
def test_a_presets_answers_are_the_blend_of_both_heads(card, weights):
    images, table = crops(40), json.loads((registry.SHIPPED / f"{card.name}.json").read_text())
    blend = table["blend"]
    assert blend["share"] == SHARES[card.name]
    expected = by_hand(card.path(weights), images, **blend, temperature=table["temperature"])
    assert OnnxClassifier(card, weights=weights)(images) == pytest.approx(expected, abs=1e-5)


def test_the_shifts_of_a_preset_divide_as_much_of_the_prior_out_as_its_card_says(card):
    # A shift is the power -tau of what a head has learnt, what is left of that its power 1 - tau.
    tau, left = TAUS[card.name], []
    for shift in (card.blend.label_shift, card.blend.vote_shift):
        power = np.exp(-np.array(shift) * (1 - tau) / (tau or 1))
        left.append(power / power.sum())
    share = SHARES[card.name]
    if tau:
        assert card.prior == pytest.approx(share * left[0] + (1 - share) * left[1], abs=1e-3)
    else:
        assert not any((*card.blend.label_shift, *card.blend.vote_shift))


def test_keras_answers_as_the_float_network_does(card):
    pytest.importorskip("tensorflow", reason="needs ferflow[train]")
    images = crops(30)
    assert KerasClassifier(card)(images) == pytest.approx(
        OnnxClassifier(card, weights="onnx_float")(images), abs=1e-3
    )


def test_a_card_that_forgets_one_of_the_heads_is_refused(card):
    expected = "label_head, occluded, vote_head and 1 inputs, but its card wants logits"
    with pytest.raises(ModelError, match=expected):
        OnnxClassifier(structs.replace(card, blend=None))


def test_a_shared_file_that_was_tampered_with_is_refused_by_every_preset(tmp_path, monkeypatch):
    shipped = tmp_path / "weights"
    shutil.copytree(registry.SHIPPED, shipped)
    monkeypatch.setattr(registry, "SHIPPED", shipped)
    path = registry.resolve("default").path("onnx")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for name in SHARES:
        with pytest.raises(ModelError, match="damaged or was exchanged"):
            registry.resolve(name)


def test_an_output_folder_of_one_preset_refuses_another(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, AnalyzeOptions(model="default", every=10), pages=False)
    (before,) = (out / "faces").iterdir()
    content = before.read_bytes()
    with pytest.raises(RecordsError, match="another model"):
        run([face_video], out, AnalyzeOptions(model="ferplus", every=10), pages=False)
    assert before.read_bytes() == content
    (video,) = run([face_video], out, AnalyzeOptions(model="default", every=10), pages=False).videos
    assert video.status == "skipped"


@pytest.fixture(scope="module")
def public_test():
    """PublicTest, read from the test data's own sheet, and both heads' answers to it."""
    folder = real_data() / "fer2013"
    if not folder.is_dir():
        pytest.skip("no FER2013 in the folder of test data")
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.reader(file) if row[1] == "PublicTest"]
    sheet = cv2.imread(str(folder / "public_test.webp"), cv2.IMREAD_GRAYSCALE)
    tiles = sheet.reshape(sheet.shape[0] // 48, 48, -1, 48).swapaxes(1, 2).reshape(-1, 48, 48)
    votes = np.array([row[3:13] for row in rows]).astype(np.uint8)
    faces = Faces(images=tiles[: len(rows)], labels=np.array([int(row[2]) for row in rows]), votes=votes)
    session = start_session(str(registry.resolve("default").path("onnx")))
    heads = ["label_head", "vote_head"]
    answers = [session.run(heads, {"images": part[..., None]}) for part in np.array_split(faces.images, 56)]
    return faces, {head: np.concatenate([answer[k] for answer in answers]) for k, head in enumerate(heads)}


@pytest.mark.parametrize("card", some_slow("default", slow=["fer2013", "ferplus"]), indirect=True)
def test_the_cards_scores_are_those_that_evaluate_gives(card, public_test):
    faces, outputs = public_test
    probs = card.probabilities(outputs)
    assert OnnxClassifier(card)(faces.images[:64, ..., None]) == pytest.approx(probs[:64], abs=1e-5)
    for kind, truth in (("labels", faces.labels), ("ferplus_majority", majority_labels(faces.votes))):
        scores = evaluate(probs, truth, card.labels)
        stated = card.scores.by_kind()[kind]
        assert scores.n == stated.n
        # Another processor may round an int8 sum the other way and tip a face or two.
        for name in ("accuracy", "macro_recall", "ece"):
            assert getattr(scores, name) == pytest.approx(getattr(stated, name), abs=2e-3)


# From a run of one's own to its presets.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    images, labels, votes = drawn_faces(400, seed=2)
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    usage = np.array(["Training"] * 330 + ["PublicTest"] * 70)
    np.savez(path, images=images, labels=labels, ferplus=votes, usage=usage)
    return path


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    pytest.importorskip("keras")
    from ferflow.models.training.train import train

    out = tmp_path_factory.mktemp("run")
    learnt = structs.replace(OPTIONS, epochs=8, batch_size=32, learning_rate=0.05, image_sizes=((1.0, 48),))
    train(data, out, structs.replace(learnt, label_share=0.3, prior_tau=0.0))
    return out


@pytest.fixture(scope="module")
def presets(trained, data, tmp_path_factory):
    """Made of a run whose card is of an older ferflow, which merged the heads."""
    old = tmp_path_factory.mktemp("old")
    shutil.copytree(trained, old, dirs_exist_ok=True)
    table = json.loads((old / "card.json").read_text()) | {"format": 1}
    del table["blend"], table["purpose"]
    (old / "card.json").write_text(json.dumps(table))
    return release.release(registry.resolve(old), tmp_path_factory.mktemp("presets"), load(data))


def test_a_run_becomes_one_set_of_files_and_a_card_per_preset(presets):
    out = presets[0].folder
    assert sorted(path.name for path in out.iterdir()) == [
        "default.json", "fer2013.json", "ferplus.json",
        "resnet-tiny.int8.onnx", "resnet-tiny.onnx", "resnet-tiny.weights.h5",
    ]  # fmt: skip
    for card in presets:
        assert registry.resolve(out / f"{card.name}.json") == card
        assert (card.data, card.rows, card.recipe) == ("faces.npz", 330, "resnet-tiny")
        assert set(card.scores.by_kind()) == set(card.scores.of_float) == {"labels", "ferplus_majority"}
    assert registry.resolve(out).name == "default"
    by_majority = [card.name for card in presets if "FER+ majority" in card.selection]
    assert by_majority == ["ferplus"]


@pytest.mark.slow
def test_the_heads_of_a_release_are_those_that_were_trained(presets, trained, data):
    run_card = registry.resolve(trained)
    assert "blend of heads" not in run_card.selection  # it was reported, not chosen
    images = load(data).images[:60, ..., None]
    mine = OnnxClassifier(structs.replace(run_card, temperature=1.0))(images)
    expected = by_hand(presets[0].path("onnx_float"), images, 0.3, STILL, STILL, 1.0)
    assert mine == pytest.approx(expected, abs=2e-3)  # weights of a release are rounded to half precision


def test_the_prior_of_a_preset_is_that_of_its_training_data(presets, data):
    faces = load(data)
    training = faces.usage == "Training"
    votes = faces.votes[training][:, list(FERPLUS_COLUMNS)] / 10
    least = 1e-3
    voted = np.maximum(votes.mean(axis=0), least)
    shown = np.maximum(np.bincount(faces.labels[training], minlength=7) / training.sum(), least)
    for card in presets:
        share, tau = SHARES[card.name], TAUS[card.name]
        assert card.blend.share == share
        assert card.blend.label_shift == pytest.approx(-tau * np.log(shown / shown.sum()), abs=1e-4)
        assert card.blend.vote_shift == pytest.approx(-tau * np.log(voted / voted.sum()), abs=1e-4)
        left = [learnt ** (1 - tau) / (learnt ** (1 - tau)).sum() for learnt in (shown, voted)]
        assert card.prior == pytest.approx(share * left[0] + (1 - share) * left[1], abs=1e-4)


def test_temperatures_are_fitted_to_the_labels_a_preset_stands_for(presets, data):
    faces = load(data)
    rows = faces.usage == "PublicTest"
    voted = np.where(faces.votes[rows][:, 1] > faces.votes[rows][:, 3], 3, 4)
    truths = {"default": faces.labels[rows], "fer2013": faces.labels[rows], "ferplus": voted}
    for card in presets:
        images, truth = faces.images[rows][..., None], truths[card.name]

        def loss(temperature, card=card, images=images, truth=truth):
            probs = by_hand(
                card.path("onnx_float"), images, **structs.asdict(card.blend), temperature=temperature
            )
            return -np.log(np.maximum(probs[np.arange(len(truth)), truth], 1e-12)).mean()

        least = loss(card.temperature)
        for other in (0.8, 1.25):
            assert least <= loss(np.clip(card.temperature * other, 0.2, 5.0)) + 1e-6


def test_a_blend_of_ones_own_becomes_the_only_card(trained, data, tmp_path):
    own = Preset(name="own", share=0.2, tau=0.0)
    (card,) = release.release(registry.resolve(trained), tmp_path, load(data), [own])
    assert registry.resolve(tmp_path) == card
    assert (card.blend.share, card.blend.label_shift, card.blend.vote_shift) == (0.2, STILL, STILL)
    again, data_again = registry.resolve(tmp_path), load(data)
    with pytest.raises(OptionsError, match="finished run"):  # a release keeps no state of a run
        release.release(again, tmp_path / "again", data_again, [own])
    (copied,) = release.release(again, tmp_path / "again", data_again)
    assert copied.blend == card.blend
    assert copied.scores == card.scores


def test_a_preset_exported_again_brings_those_that_share_its_files(presets, data, tmp_path):
    by_name = {card.name: card for card in presets}
    again = release.release(by_name["ferplus"], tmp_path, load(data))
    assert {made.name for made in again} == set(by_name)
    for made in again:
        before = by_name[made.name]
        assert (made.blend, made.temperature, made.prior) == (before.blend, before.temperature, before.prior)
        assert made.files == again[0].files
        assert registry.resolve(tmp_path / f"{made.name}.json") == structs.replace(made, folder=tmp_path)


@pytest.mark.slow
def test_a_run_selected_on_a_held_out_tenth_is_exported_and_measured_on_public_test(data, tmp_path):
    pytest.importorskip("keras")
    from ferflow.models.training.train import train

    options = structs.replace(OPTIONS, epochs=8, batch_size=32, learning_rate=0.05, image_sizes=((1.0, 48),))
    options = structs.replace(options, hold_out=True)
    card = train(data, tmp_path / "run", options)
    faces = load(data)
    n_training, n_test = (int((faces.usage == name).sum()) for name in ("Training", "PublicTest"))
    assert card.scores.labels.n == pytest.approx(n_training / 10, abs=2)
    assert card.rows + card.scores.labels.n + card.leaks == n_training
    assert card.selection.startswith("a fixed tenth of Training")
    for made in release.release(card, tmp_path / "released", faces):
        assert made.scores.labels.n == n_test
        assert made.selection.startswith("a fixed tenth of Training")


def test_other_data_than_the_run_learnt_from_is_refused(trained, data, tmp_path):
    faces = load(data)
    fewer = faces.where(np.arange(400) != 5)
    for other in (fewer, replace(faces, votes=None)):
        with pytest.raises(OptionsError, match="330 rows with votes"):
            release.release(registry.resolve(trained), tmp_path / "out", other)
    assert not (tmp_path / "out").exists()


def test_the_command_replaces_a_release_and_its_cards(trained, data, tmp_path, capsys):
    from ferflow.cli.models_export import export_model

    export_model(str(trained), tmp_path, data=data, label_share=0.5, tau=0.0)
    assert (tmp_path / "card.json").exists()
    assert capsys.readouterr().out.count("Card: ") == 1
    with pytest.raises(OptionsError, match="--overwrite"):
        export_model(str(trained), tmp_path, data=data)
    export_model(str(trained), tmp_path, data=data, overwrite=True)
    reported = capsys.readouterr().out
    assert reported.count("Card: ") == 3
    assert "majority" in reported
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == sorted(SHARES)
