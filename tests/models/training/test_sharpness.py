"""Sharpness-aware training: the step of the paper, computed by hand for a linear network."""

import numpy as np
import pytest

from ferflow.errors import OptionsError
from ferflow.models.heads import softmax
from tests.conftest import needs_keras

pytestmark = needs_keras

RATE, RADIUS = 0.5, 0.3


def gradient(kernel, images, wanted):
    """Of the mean cross-entropy of a linear network."""
    return images.T @ (softmax(images @ kernel) - wanted) / len(images)


def linear(keras, kernel):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False, name="head")(inputs))
    model.get_layer("head").set_weights([kernel])
    return model


def test_a_step_follows_the_gradient_at_the_worst_point_nearby():
    import keras

    from ferflow.models.training.sharpness import sharpness_aware

    rng = np.random.default_rng(0)
    kernel, images = rng.normal(size=(4, 3)).astype("f4"), rng.normal(size=(8, 4)).astype("f4")
    wanted = np.eye(3, dtype="f4")[rng.integers(0, 3, 8)]
    model = sharpness_aware(linear(keras, kernel), RADIUS)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss=loss, jit_compile=False)
    figures = model.train_on_batch(images, wanted, return_dict=True)

    first = gradient(kernel, images, wanted)
    worst = kernel + RADIUS * first / np.linalg.norm(first)
    expected = kernel - RATE * gradient(worst, images, wanted)
    (found,) = model.get_weights()
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.abs(found - (kernel - RATE * first)).max() > 1e-3  # a plain step is another one
    assert figures["loss"] == pytest.approx(
        -np.mean(np.log(softmax(images @ kernel)[wanted.astype(bool)])), abs=1e-5
    )


def test_batch_norms_keep_the_statistics_of_the_first_pass():
    import keras

    from ferflow.models.training.sharpness import sharpness_aware

    rng = np.random.default_rng(0)
    images, wanted = rng.normal(size=(8, 4)).astype("f4"), np.eye(3, dtype="f4")[rng.integers(0, 3, 8)]
    inputs = keras.Input((4,))
    norm = keras.layers.BatchNormalization(momentum=0.9, name="norm")
    model = sharpness_aware(keras.Model(inputs, keras.layers.Dense(3)(norm(inputs))), RADIUS)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss=loss, jit_compile=False)
    model.train_on_batch(images, wanted)
    assert norm.moving_mean.numpy() == pytest.approx(0.1 * images.mean(0), abs=1e-6)  # once, not twice


def test_another_backend_than_tensorflow_is_refused(monkeypatch):
    import keras

    from ferflow.models.training.sharpness import sharpness_aware

    model = linear(keras, np.zeros((4, 3), "f4"))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(OptionsError, match="needs the TensorFlow backend"):
        sharpness_aware(model, RADIUS)
