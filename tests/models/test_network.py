"""Networks: heads stay as trained, ONNX equals Keras, and a card brings its network back."""

import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from ferflow.errors import ModelError, OptionsError
from ferflow.models import backbones, keras_network
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.networks import NETWORKS
from ferflow.models.training.export import to_onnx
from tests.conftest import needs_keras

pytestmark = needs_keras

TWO = keras_network.Network(two_heads=True, input_size=None, dropout=0.5)


def shaken(recipe, network, seed=0):
    """A network none of whose weights has its initial value: fresh batch norms would hide mistakes."""
    model = keras_network.build(recipe, network)
    rng = np.random.default_rng(seed)
    # One-dimensional ones only: shaken kernels would give logits in the thousands.
    shake = [np.abs(rng.normal(0, 0.2, w.shape)) * (w.ndim == 1) for w in model.get_weights()]
    model.set_weights([w + s.astype("float32") for w, s in zip(model.get_weights(), shake, strict=True)])
    return model


def crops(n=5, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 48, 48, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def trained():
    return shaken("resnet-tiny", TWO)


@pytest.fixture(scope="module")
def served(trained):
    return keras_network.copy_for_serving(
        shaken("resnet-tiny", keras_network.Network()), "resnet-tiny", keras_network.Network()
    )


def run_onnx(path, images):
    return onnxruntime.InferenceSession(str(path)).run(["logits"], {"images": images})[0]


def test_two_heads_are_served_and_exported_as_they_were_trained(trained, tmp_path):
    both = trained.predict_on_batch(crops())
    twice = keras_network.copy_for_serving(trained, "resnet-tiny", TWO)
    to_onnx(twice, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    assert [output.name for output in session.get_outputs()] == ["label_head", "vote_head"]
    answers = twice.predict_on_batch(crops())
    for head in ("label_head", "vote_head"):
        assert np.asarray(answers[head]) == pytest.approx(np.asarray(both[head]), abs=1e-4)
        (found,) = session.run([head], {"images": crops()})
        assert found == pytest.approx(np.asarray(both[head]), abs=1e-4)


def test_a_shift_is_part_of_a_single_head(served):
    one, shift = keras_network.Network(), np.arange(7, dtype=np.float32)
    shifted = keras_network.copy_for_serving(served, "resnet-tiny", one, shift=shift)
    difference = np.asarray(shifted.predict_on_batch(crops())) - np.asarray(served.predict_on_batch(crops()))
    assert difference == pytest.approx(np.tile(shift, (5, 1)), abs=1e-4)


def test_weights_tell_how_many_heads_they_are_of(trained, served):
    for model, two_heads in ((trained, True), (served, False)):
        again, network = keras_network.build_with_weights("resnet-tiny", model.get_weights(), classes=7)
        assert network.two_heads == two_heads
        assert len(again.get_weights()) == len(model.get_weights())
    with pytest.raises(ModelError, match="do not fit"):
        keras_network.build_with_weights("resnet-lean", trained.get_weights(), classes=7)


def test_onnx_equals_keras_for_any_batch_size(served, tmp_path):
    to_onnx(served, tmp_path / "m.onnx")
    for n in (1, 5):
        logits = run_onnx(tmp_path / "m.onnx", crops(n))
        assert logits.dtype == np.float32
        assert logits == pytest.approx(np.asarray(served.predict_on_batch(crops(n))), abs=1e-4)


QUICK = {"resnet-small", "nine-conv-6class", "lenet-oversampled"}


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in sorted(NETWORKS)],
)
def test_every_recipe_can_be_served_and_exported(recipe, tmp_path):
    how = keras_network.Network(dropout=0.5)
    model = keras_network.copy_for_serving(shaken(recipe, how), recipe, how)
    to_onnx(model, tmp_path / "m.onnx")
    expected = np.asarray(model.predict_on_batch(crops(3).astype(np.float32)))
    scale = max(1.0, float(np.abs(expected).max()))
    for n in (1, 3):
        assert run_onnx(tmp_path / "m.onnx", crops(3)[:n]) == pytest.approx(expected[:n], abs=1e-4 * scale)


def test_an_even_image_and_lighting_change_nothing_but_themselves(served):
    # Brightness and contrast, as long as nothing clips, are no part of an expression.
    face = (crops(1) // 4 + 60).astype(np.float32)
    logits = np.asarray(served.predict_on_batch(np.concatenate([face, face + 50])))
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)
    flat = np.asarray(served.predict_on_batch(np.full((1, 48, 48, 1), 7, np.uint8)))
    assert np.isfinite(flat).all()


def test_a_card_brings_back_the_network_it_was_made_for(served, tmp_path):
    served.save_weights(tmp_path / "m.weights.h5")
    file = WeightFile("m.weights.h5", sha256_of(tmp_path / "m.weights.h5"))
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    card = ModelCard(name="m", recipe="resnet-tiny", labels=labels, files={"keras": file}, folder=tmp_path)
    again = keras_network.load_network(card)
    assert np.array_equal(again.predict_on_batch(crops()), served.predict_on_batch(crops()))


def test_weights_of_another_recipe_are_refused(served, tmp_path):
    served.save_weights(tmp_path / "m.weights.h5")
    file = WeightFile("m.weights.h5", sha256_of(tmp_path / "m.weights.h5"))
    for recipe, complaint in (("resnet-lean", "does not fit"), ("vit-huge", "has no recipe")):
        card = ModelCard(
            name="m", recipe=recipe, labels=tuple("abcdefg"), files={"keras": file}, folder=tmp_path
        )
        with pytest.raises(ModelError, match=complaint):
            keras_network.load_network(card)


def test_a_layer_the_exporter_does_not_know_is_refused(tmp_path):
    import keras

    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3)(backbones.standardise(image))
    with pytest.raises(ModelError, match="'odd'"):
        to_onnx(keras.Model(image, keras.layers.PReLU(name="odd")(x)), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_that_reads_raw_images_is_exported_as_one(tmp_path):
    import keras

    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    to_onnx(model, tmp_path / "m.onnx")
    small = crops(4)[:, :8, :8]
    expected = np.asarray(model.predict_on_batch(small.astype(np.float32)))
    assert run_onnx(tmp_path / "m.onnx", small) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_a_network_that_reads_half_of_the_standardisation_is_refused(tmp_path):
    import keras

    image = keras.Input((8, 8, 1))
    centred = image - keras.ops.mean(image, axis=(1, 2, 3), keepdims=True)
    with pytest.raises(ModelError, match="before it is standardised"):
        to_onnx(keras.Model(image, keras.layers.Conv2D(2, 3)(centred)), tmp_path / "m.onnx")


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(OptionsError, match="resnet-small"):
        keras_network.build("resnet-huge")


def test_nothing_but_our_own_lines_reaches_the_terminal_when_keras_is_loaded():
    code = (
        "import sys; import numpy as np; from ferflow.models import keras_network; "
        "keras_network.build('resnet-tiny').predict_on_batch(np.zeros((1, 48, 48, 1))); print('ours', file=sys.stderr)"
    )
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    reported = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert (reported.stdout, reported.stderr) == ("", "ours\n")
