"""Export: float equals Keras, int8 keeps close, every file is in the card, and nothing is replaced in silence."""

import json

import numpy as np
import onnx
import pytest

from ferflow.errors import ModelError, OptionsError
from ferflow.models import keras_network, registry
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.data.labelled_faces import LABELS, Faces
from ferflow.models.training import release
from ferflow.models.training.finalize import onnx_outputs
from ferflow.models.training.presets import Preset
from tests.conftest import needs_keras
from tests.models.test_network import shaken
from tests.models.training.test_train import faces as drawn_faces

pytestmark = needs_keras


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """A model with Keras weights alone."""
    folder = tmp_path_factory.mktemp("trained")
    served = keras_network.copy_for_serving(
        shaken("resnet-tiny", keras_network.Network()), "resnet-tiny", keras_network.Network()
    )
    served.save_weights(folder / "m.weights.h5")
    file = WeightFile("m.weights.h5", sha256_of(folder / "m.weights.h5"))
    card = ModelCard(name="m", recipe="resnet-tiny", labels=LABELS, files={"keras": file}, folder=folder)
    card.save(folder / "card.json")
    return card


@pytest.fixture(scope="module")
def faces():
    images, labels, votes = drawn_faces(400, seed=2)
    usage = np.array(["Training"] * 330 + ["PublicTest"] * 70)
    return Faces(images=images, labels=labels, votes=votes, usage=usage)


@pytest.fixture(scope="module")
def released(card, faces, tmp_path_factory):
    (written,) = release.release(card, tmp_path_factory.mktemp("released"), faces)
    return written


def probs(card, images, weights="onnx"):
    return card.probabilities(onnx_outputs(card, images, weights))


def test_a_release_holds_three_forms_and_their_digests(released):
    again = registry.resolve(released.folder)
    assert set(again.files) == {"onnx", "onnx_float", "keras"}
    assert again.is_int8
    for file in again.files.values():
        assert sha256_of(again.folder / file.file) == file.sha256


def test_the_float_network_answers_as_the_keras_weights_do(released, faces):
    crops = faces.images[:50]
    keras = np.asarray(
        keras_network.load_network(released).predict_on_batch(crops[..., None].astype(np.float32))
    )
    powers = np.exp(keras - keras.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert probs(released, crops, "onnx_float") == pytest.approx(expected, abs=1e-3)


def test_int8_keeps_close_for_any_batch_size(released, faces):
    crops = faces.images[-70:]
    together = probs(released, crops)
    assert np.abs(together - probs(released, crops, "onnx_float")).mean() < 0.01
    for size in (1, 3, 64):
        assert probs(released, crops[:size]) == pytest.approx(together[:size], abs=1e-6)


def test_convolutions_are_int8_with_a_scale_per_channel_and_the_input_stays_bytes(released):
    network = onnx.load(str(released.path("onnx")))
    kinds = {
        tensor.data_type for tensor in network.graph.initializer if tensor.name.endswith("kernel_quantized")
    }
    assert kinds == {onnx.TensorProto.INT8}
    scales = [tensor for tensor in network.graph.initializer if tensor.name.endswith("kernel_scale")]
    assert scales
    assert all(scale.dims for scale in scales)
    shown = network.graph.input[0].type.tensor_type
    assert shown.elem_type == onnx.TensorProto.UINT8
    assert shown.shape.dim[0].dim_param == "batch"
    assert not any(node.op_type == "BatchNormalization" for node in network.graph.node)


def test_the_card_states_what_both_forms_reach(released):
    stated = json.loads((released.folder / "card.json").read_text())["scores"]
    for kind in ("labels", "ferplus_majority"):
        assert {"accuracy", "macro_recall", "ece"} <= set(stated[kind])
        assert set(stated["float"][kind]) == {"accuracy", "macro_recall", "ece"}


def test_without_faces_the_float_network_alone_is_written(card, tmp_path):
    (written,) = release.release(card, tmp_path / "new", None)
    assert set(written.files) == {"onnx", "keras"}
    assert not written.is_int8


def test_weights_that_do_not_answer_alike_are_not_released(card, faces, tmp_path, monkeypatch):
    def twisted(model, path):
        kernel, bias = model.get_layer("logits").get_weights()
        model.get_layer("logits").set_weights([kernel, bias + np.arange(7)])
        original(model, path)
        model.get_layer("logits").set_weights([kernel, bias])

    original = release.to_onnx
    monkeypatch.setattr(release, "to_onnx", twisted)
    with pytest.raises(ModelError, match="differs from the Keras weights"):
        release.release(card, tmp_path / "new", faces)
    assert not (tmp_path / "new" / "card.json").exists()


def test_a_card_with_a_float_twin_but_no_int8_network_is_refused(released, tmp_path):
    table = json.loads((released.folder / "card.json").read_text())
    del table["files"]["onnx"]
    (tmp_path / "card.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match="twin"):
        ModelCard.load(tmp_path / "card.json")


@pytest.mark.parametrize("name", registry.list_models())
def test_the_shipped_int8_network_is_small_and_loses_less_than_half_a_point(name):
    card = registry.resolve(name)
    assert card.path("onnx").stat().st_size <= 3_000_000
    for kind, scores in card.scores.of_float.items():
        assert card.scores.by_kind()[kind].accuracy >= scores.accuracy - 0.005


def test_the_command_refuses_to_replace_a_model(card, tmp_path):
    from ferflow.cli.models_export import export_model

    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(OptionsError, match="--overwrite"):
        export_model(str(card.folder), tmp_path)
    with pytest.raises(OptionsError, match="of this model itself"):
        export_model(str(card.folder), card.folder, overwrite=True)


def test_a_blend_of_heads_that_are_not_there_is_refused(card, faces, tmp_path):
    preset = Preset(name="m", share=0.5, tau=0.0)
    for data in (faces, None):
        with pytest.raises(OptionsError, match="finished run with two heads"):
            release.release(card, tmp_path, data, [preset])
