"""A wider network begins where a narrower one ended."""

import numpy as np
import pytest

from ferflow.models.backbones import Network, ResNet
from ferflow.models.training.net2wider import widen
from tests.conftest import needs_keras

pytestmark = needs_keras

NARROW, WIDE = ResNet((4, 8), (1, 2), stem_strides=2), ResNet((7, 20), (1, 2), stem_strides=2)


def network(trunk):
    import keras

    image = keras.Input((48, 48, 1))
    features = trunk(image, Network())
    return keras.Model(image, keras.layers.Dense(7)(features))


def disturbed(model):
    """As if trained: fresh batch norms would hide a channel that is read wrongly."""
    rng = np.random.default_rng(5)
    model.set_weights([w + rng.uniform(0.0, 0.3, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def test_the_wider_network_answers_as_the_narrow_one():
    narrow, wide = disturbed(network(NARROW)), network(WIDE)
    wide.set_weights(widen(narrow.get_weights(), [weights.shape for weights in wide.get_weights()], seed=1))
    images = np.random.default_rng(6).uniform(0, 255, (5, 48, 48, 1)).astype(np.float32)
    answers = narrow.predict_on_batch(images)
    assert np.ptp(answers, axis=0).max() > 1e-2
    assert wide.predict_on_batch(images) == pytest.approx(answers, rel=1e-3, abs=1e-3)


def test_copies_of_a_channel_are_read_by_shares_that_differ_and_add_up():
    kernel = np.full((3, 3, 2, 4), 6.0, np.float32)
    spread, again = (widen([kernel], [(3, 3, 5, 4)], seed=seed)[0] for seed in (1, 2))
    first, second = spread[:, :, 0::2], spread[:, :, 1::2]  # copies of the one channel read, and of the other
    assert first.sum(axis=2) == pytest.approx(np.full((3, 3, 4), 6.0), abs=1e-5)
    assert second.sum(axis=2) == pytest.approx(np.full((3, 3, 4), 6.0), abs=1e-5)
    assert np.abs(first[:, :, 0] - first[:, :, 1]).min() > 1e-3
    assert np.abs(spread - again).max() > 1e-3


def test_equal_widths_keep_the_weights_to_the_bit():
    weights = [np.random.default_rng(1).normal(size=(3, 3, 4, 6)).astype(np.float32), np.ones(6, np.float32)]
    kept = widen(weights, [w.shape for w in weights], seed=9)
    assert all(np.array_equal(now, before) for now, before in zip(kept, weights, strict=True))


@pytest.mark.parametrize(
    "shapes",
    [[(3, 3, 4, 5), (5,)], [(5, 5, 4, 6), (6,)], [(3, 3, 4, 6)], [(3, 3, 4, 6), (6, 2)]],
    ids=["narrower", "other kernel", "fewer layers", "other kind"],
)
def test_what_is_not_the_same_made_wider_is_refused(shapes):
    weights = [np.zeros((3, 3, 4, 6), np.float32), np.zeros(6, np.float32)]
    with pytest.raises(ValueError, match="same layers"):
        widen(weights, shapes, seed=1)
