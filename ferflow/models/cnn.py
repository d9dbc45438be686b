"""The networks, by recipe name: built, merged for serving, and brought back from a card.

A card names its recipe; the recipe and a `.weights.h5` give back the network, so no file we
read ever holds code:

    model = build("resnet-small")
    model.load_weights("default.weights.h5")
    logits = model.predict_on_batch(crops)          # uint8 (N, 48, 48, 1) -> float32 (N, 7)
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import ModelError, OptionsError
from ferflow.models.cards import ModelCard
from ferflow.models.recipes import RECIPES
from ferflow.models.trunks import Network, Trunk

__all__ = ["RECIPES", "Network", "build", "load_served", "serve"]

FloatArray = npt.NDArray[np.float32]
KerasModel = Any

SERVED_HEAD = "logits"
LABEL_HEAD = "label_head"
VOTE_HEAD = "vote_head"


def build(recipe: str, network: Network | None = None) -> KerasModel:
    """Build the untrained network of a recipe.

    Input: uint8 or float (N, S, S, 1), grey levels 0..255. Output: float32 logits (N, classes), or a
    dictionary of two such, `label_head` and `vote_head`, when `two_heads` is set.

    Raises:
        OptionsError: no recipe of that name.
    """
    import keras

    network = network or Network()
    trunk = _trunk(recipe)
    image = keras.Input((network.input_size, network.input_size, 1), name="image", dtype="float32")
    x = trunk(image, network)
    names = (LABEL_HEAD, VOTE_HEAD) if network.two_heads else (SERVED_HEAD,)
    heads = {name: keras.layers.Dense(network.classes, name=name, dtype="float32")(x) for name in names}
    return keras.Model(image, heads if network.two_heads else heads[SERVED_HEAD], name=recipe)


def serve(
    trained: KerasModel,
    recipe: str,
    network: Network,
    *,
    label_share: float,
    shift: npt.ArrayLike = 0.0,
    input_size: int = 48,
) -> KerasModel:
    """Copy a trained network into its one-headed form; two heads become one that blends their logits.

    Both heads are linear in the same features, so `w * a + (1 - w) * b` is again one linear head, and so it is
    after a shift of its logits.

    Args:
        trained: from `build(recipe, network)`.
        recipe: its recipe name.
        network: what it was built with.
        label_share: weight w of the label head, 0..1; the vote head has the rest.
        shift: (K,), added to the logits of each class.
        input_size: side of the images it will be served, pixels.
    """
    served = build(recipe, Network(classes=network.classes, input_size=input_size))
    # By their order: Keras numbers the layers of its own applications anew in every network.
    for layer, source in zip(_trunk_layers(served), _trunk_layers(trained), strict=True):
        layer.set_weights(source.get_weights())
    names_of_heads = (LABEL_HEAD, VOTE_HEAD) if network.two_heads else (SERVED_HEAD,) * 2
    labels, votes = (trained.get_layer(name).get_weights() for name in names_of_heads)
    kernel, bias = (label_share * a + (1 - label_share) * b for a, b in zip(labels, votes, strict=True))
    served.get_layer(SERVED_HEAD).set_weights([kernel, bias + shift])
    return served


def load_served(card: ModelCard, *, compute: str = "float32") -> KerasModel:
    """Build the network a card names and fill it with its weights: (N, S, S, 1) to logits (N, K).

    `compute` is the Keras dtype policy of its trunk.

    Raises:
        ModelError: the recipe is unknown here, or the weights do not fit it.
    """
    if card.recipe not in RECIPES:
        raise ModelError(f"{card.name}: this ferflow has no recipe {card.recipe!r}. Use a newer one.")
    network = Network(classes=len(card.labels), input_size=card.input_size, compute=compute)
    model = build(card.recipe, network)
    path = card.path("keras")
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers it finds nothing for, and leaves them as drawn at random.
            warnings.filterwarnings("error", category=UserWarning, module="keras")
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ModelError(
            f"{path.name}: does not fit recipe {card.recipe!r} ({type(error).__name__})."
        ) from error
    return model


def _trunk_layers(model: KerasModel) -> list[Any]:
    """Layers with weights, heads apart."""
    heads = (SERVED_HEAD, LABEL_HEAD, VOTE_HEAD)
    return [layer for layer in model.layers if layer.weights and layer.name not in heads]


def _trunk(recipe: str) -> Trunk:
    try:
        return RECIPES[recipe].trunk
    except KeyError:
        known = ", ".join(sorted(RECIPES))
        raise OptionsError(f"no recipe is called {recipe!r}; choose one of: {known}") from None
