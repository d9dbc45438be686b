"""Cards and the registry: what is refused, and that the card alone says what the outputs mean."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from ferflow.errors import ModelError
from ferflow.models import registry
from ferflow.models.cards import CardScores, Figures, ModelCard, TwinFigures, WeightFile, sha256_of
from ferflow.models.heads import Blend

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

DIGESTS = {
    "default": "4b3107b4029523b9784b3939a2612ee6835ae003263c66ae8ba51e8b37c7108c",
    "fer2013": "9e4d88cb8f675defad97ff396425114e25c6ea9c5fb3fbb5ae1ac177b247d184",
    "ferplus": "1b7bd7a15af42af6cd6d2cc67d40e24d1f590f7f7f9f6d3dbf2ce28404b660a3",
}
FIGURES = Figures(
    n=10, accuracy=0.5, top2_accuracy=0.7, macro_precision=0.4, macro_recall=0.4, macro_f1=0.4, ece=0.1,
    recall=dict.fromkeys(LABELS, 0.4),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A model folder whose weights are any bytes: cards do not look inside."""
    (tmp_path / "m.onnx").write_bytes(b"weights" * 100)
    card = ModelCard(
        name="m",
        recipe="resnet-tiny",
        labels=LABELS,
        temperature=1.5,
        prior=(0.1, 0.1, 0.1, 0.3, 0.1, 0.1, 0.2),
        files={"onnx": WeightFile("m.onnx", sha256_of(tmp_path / "m.onnx"))},
        scores=CardScores(
            labels=FIGURES, of_float={"labels": TwinFigures(accuracy=0.5, macro_recall=0.4, ece=0.1)}
        ),
    )
    card.save(tmp_path / "card.json")
    return tmp_path


def edited(folder, **changes):
    """Change entries of the card on disk; None removes one."""
    table = json.loads((folder / "card.json").read_text())
    table = {k: v for k, v in (table | changes).items() if v is not None}
    (folder / "card.json").write_text(json.dumps(table))
    return folder


def test_a_card_survives_being_saved_and_loaded(folder):
    card = registry.resolve(folder)
    card.save(folder / "again.json")
    assert ModelCard.load(folder / "again.json") == card
    assert card.temperature == 1.5
    assert card.path("onnx").read_bytes().startswith(b"weights")


def test_a_card_of_an_older_ferflow_is_read_and_keeps_its_digest(folder):
    # Worked out as ferflow did before cards knew of blends; an output folder made with such a model must still match.
    table = json.loads((folder / "card.json").read_text())
    old = {name: value for name, value in table.items() if name not in ("blend", "purpose")} | {"format": 1}
    (folder / "card.json").write_text(json.dumps(old))
    card = registry.resolve(folder)
    assert (card.blend, card.heads, card.purpose) == (None, ("logits",), "")
    deciding = {
        "recipe": "resnet-tiny",
        "labels": LABELS,
        "input": [48, 1],
        "temperature": 1.5,
        "files": {"onnx": sha256_of(folder / "m.onnx")},
    }
    assert card.sha256 == hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def test_a_card_that_averages_logits_is_refused_with_the_remedy_unless_it_has_one_head(folder):
    assert registry.resolve(edited(folder, format=2)).blend is None
    with pytest.raises(ModelError, match=r"card\.json: an older ferflow made it.*ferflow train"):
        registry.resolve(edited(folder, format=2, blend={"share": 0.5, "shift": [0.0] * 7}))


def test_cards_of_the_same_files_are_models_of_their_own(folder):
    plain = registry.resolve(folder)
    still, shifted = (0.0,) * 7, (0.0,) * 6 + (0.1,)
    blends = [
        Blend(0.6, still, still), Blend(0.5, still, still), Blend(0.5, shifted, still), Blend(0.5, still, shifted),
    ]  # fmt: skip
    cards = [plain, *(replace(plain, blend=blend) for blend in blends)]
    assert len({card.sha256 for card in cards}) == 5
    for card in cards[1:]:
        card.save(folder / "again.json")
        assert ModelCard.load(folder / "again.json") == card


def test_a_folder_of_presets_stands_for_its_default(folder):
    shutil.move(folder / "card.json", folder / "default.json")
    registry.resolve(folder / "default.json").save(folder / "other.json")
    assert registry.resolve(folder).name == "m"


def test_label_order_comes_from_the_card_and_not_from_the_alphabet(folder):
    turned = list(reversed(LABELS))
    assert registry.resolve(edited(folder, labels=turned)).labels == tuple(turned)


def test_an_exchanged_byte_in_the_weights_is_refused(folder):
    content = bytearray((folder / "m.onnx").read_bytes())
    content[123] ^= 1
    (folder / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx is damaged or was exchanged.*Restore"):
        registry.resolve(folder)


def test_truncated_weights_are_refused(folder):
    (folder / "m.onnx").write_bytes((folder / "m.onnx").read_bytes()[:50])
    with pytest.raises(ModelError, match="sha256"):
        registry.resolve(folder)


def test_missing_weights_are_refused(folder):
    (folder / "m.onnx").unlink()
    with pytest.raises(ModelError, match="missing"):
        registry.resolve(folder)


def test_a_truncated_card_is_refused(folder):
    text = (folder / "card.json").read_text()
    (folder / "card.json").write_text(text[: len(text) // 2])
    with pytest.raises(ModelError, match="cannot be read as a model card"):
        registry.resolve(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": None},
        {"labels": ["angry", "angry"]},
        {"labels": 7},
        {"temperature": 0},
        {"temperature": "warm"},
        {"input_size": 48.5},
        {"prior": [0.5, 0.5]},
        {"prior": ["a"] * 7},
        {"files": {}},
        {"files": {"pickle": {"file": "m.onnx", "sha256": "0" * 64}}},
        {"files": {"onnx": {"file": "../m.onnx", "sha256": "0" * 64}}},
        {"files": {"onnx": {"file": "m.onnx"}}},
        {"files": {"onnx": "m.onnx"}},
        {"scores": []},
        {"recipe": None},
        {"format": 4},
        {"blend": 7},
        {"blend": {"share": 0.5}},
        {"blend": {"share": 1.5, "label_shift": [0.0] * 7, "vote_shift": [0.0] * 7}},
        {"blend": {"share": 0.5, "label_shift": [0.0] * 7, "vote_shift": [0.0] * 6}},
        {"blend": {"share": 0.5, "label_shift": ["a"] * 7, "vote_shift": [0.0] * 7}},
        {"blend": {"share": 0.5, "label_shift": [0.0] * 7, "vote_shift": [float("nan")] * 7}},
        {"purpose": 7},
        {"code": "import os"},
    ],
)
def test_a_malformed_card_is_refused_in_one_line(folder, changes):
    with pytest.raises(ModelError) as refused:
        registry.resolve(edited(folder, **changes))
    assert "\n" not in str(refused.value)


def test_an_unknown_name_lists_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    (tmp_path / "one.json").write_text("{}")
    assert registry.list_models() == ["one"]
    with pytest.raises(ModelError, match=r"'two' is not a model. Give a name \(one\)"):
        registry.resolve("two")


def test_exchanging_files_and_card_exchanges_the_shipped_model(folder, tmp_path_factory, monkeypatch):
    shipped = tmp_path_factory.mktemp("shipped")
    shutil.copy(folder / "card.json", shipped / "default.json")
    shutil.copy(folder / "m.onnx", shipped)
    monkeypatch.setattr(registry, "SHIPPED", shipped)
    before = registry.resolve(registry.DEFAULT_MODEL)
    (shipped / "m.onnx").write_bytes(b"better")
    edited_card = json.loads((shipped / "default.json").read_text())
    edited_card["files"]["onnx"]["sha256"] = sha256_of(shipped / "m.onnx")
    (shipped / "default.json").write_text(json.dumps(edited_card))
    after = registry.resolve(registry.DEFAULT_MODEL)
    assert after.path("onnx").read_bytes() == b"better"
    assert after.sha256 != before.sha256


def test_a_model_without_weights_for_a_backend_says_so(folder):
    with pytest.raises(ModelError, match="no weights for the keras backend"):
        registry.resolve(folder).path("keras")


def test_a_shipped_card_written_again_has_the_same_bytes(tmp_path):
    for name in registry.list_models():
        path = registry.SHIPPED / f"{name}.json"
        ModelCard.load(path).save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_the_digests_of_the_shipped_models_are_those_that_output_folders_carry():
    # Output folders made with these models store the digest; another one would refuse to go on with them.
    assert {name: registry.resolve(name).sha256 for name in registry.list_models()} == DIGESTS


@pytest.mark.parametrize(
    ("changes", "place", "bound"),
    [
        ({"temperature": 0}, "temperature", "0.001"),
        ({"input_size": 7}, "input_size", "16"),
        ({"labels": ["angry"]}, "labels", "2"),
        ({"prior": [2.0] * 7}, "prior", "1.0"),
        ({"scores": {"labels": {"accuracy": "high"}}}, "scores.labels.accuracy", "float"),
        ({"name": 7}, "name", "str"),
    ],
)
def test_a_refused_card_says_where_and_what_was_expected(folder, changes, place, bound):
    with pytest.raises(ModelError, match=rf"card\.json: not a model card \(Expected .*{bound}.*\$\.{place}"):
        registry.resolve(edited(folder, **changes))


def test_every_shipped_model_is_whole():
    for name in registry.list_models():
        card = registry.resolve(name)
        assert card.labels == LABELS
        assert np.isclose(sum(card.prior), 1, atol=1e-3)
