"""The networks, by recipe name: built, copied for serving, and brought back from a card.

A card names its recipe; the recipe and a `.weights.h5` give back the network, so no file we
read ever holds code:

    model = build("resnet-small")
    model.load_weights("resnet-small.weights.h5")
    logits = model.predict_on_batch(crops)          # uint8 (N, 48, 48, 1) -> float32 (N, 7)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from ferflow.errors import ModelError, OptionsError
from ferflow.models.backbones import Network, Trunk
from ferflow.models.cards import ModelCard
from ferflow.models.heads import BOTH_HEADS, SERVED_HEAD
from ferflow.models.networks import NETWORKS
from ferflow.system.runtime import import_keras

__all__ = [
    "KerasModel", "Network", "build", "heads_of", "load_served", "serve", "with_weights",
]  # fmt: skip

KerasModel = Any


def build(recipe: str, network: Network | None = None) -> KerasModel:
    """Build the untrained network of a recipe.

    Input: uint8 or float (N, S, S, 1), grey levels 0..255. Output: float32 logits (N, classes), or a
    dictionary of two such, `label_head` and `vote_head`, when `two_heads` is set.

    Raises:
        OptionsError: no recipe of that name.
    """
    keras = import_keras()
    network = network or Network()
    trunk = _trunk(recipe)
    image = keras.Input((network.input_size, network.input_size, 1), name="image", dtype="float32")
    x = trunk(image, network)
    names = heads_of(network)
    heads = {name: keras.layers.Dense(network.classes, name=name, dtype="float32")(x) for name in names}
    return keras.Model(image, heads if network.two_heads else heads[SERVED_HEAD], name=recipe)


def heads_of(network: Network) -> tuple[str, ...]:
    """Names of a network's outputs."""
    return BOTH_HEADS if network.two_heads else (SERVED_HEAD,)


def serve(
    trained: KerasModel,
    recipe: str,
    network: Network,
    *,
    shift: npt.ArrayLike = 0.0,
    input_size: int = 48,
) -> KerasModel:
    """Copy a trained network into the form that is served: float32, one image size, its heads as they are.

    Args:
        trained: from `build(recipe, network)`.
        recipe: its recipe name.
        network: what it was built with.
        shift: (K,), added to the logits of one head for good; those of two are blended by their card.
        input_size: side of the images it will be served, pixels.
    """
    served = build(
        recipe, Network(classes=network.classes, input_size=input_size, two_heads=network.two_heads)
    )
    # By their order: Keras numbers the layers of its own applications anew in every network.
    for layer, source in zip(_trunk_layers(served), _trunk_layers(trained), strict=True):
        layer.set_weights(source.get_weights())
    for head in heads_of(network):
        kernel, bias = trained.get_layer(head).get_weights()
        served.get_layer(head).set_weights([kernel, bias if network.two_heads else bias + shift])
    return served


def with_weights(
    recipe: str, weights: Sequence[npt.NDArray[Any]], *, classes: int
) -> tuple[KerasModel, Network]:
    """Build a recipe's network for serving, with one head or two, whichever these weights of it fit.

    Raises:
        ModelError: they fit neither.
    """
    for two_heads in (True, False):
        network = Network(classes=classes, two_heads=two_heads)
        model = build(recipe, network)
        if [kept.shape for kept in model.get_weights()] == [kept.shape for kept in weights]:
            model.set_weights(list(weights))
            return model, network
    raise ModelError(f"the weights do not fit recipe {recipe!r}.")


def load_served(card: ModelCard, *, compute: str = "float32") -> KerasModel:
    """Build the network a card names and fill it with its weights: (N, S, S, 1) to logits (N, K), by head if two.

    `compute` is the Keras dtype policy of its trunk.

    Raises:
        ModelError: the recipe is unknown here, or the weights do not fit it.
    """
    if card.recipe not in NETWORKS:
        raise ModelError(f"{card.name}: this ferflow has no recipe {card.recipe!r}. Use a newer one.")
    network = Network(
        classes=len(card.labels),
        input_size=card.input_size,
        two_heads=card.blend is not None,
        compute=compute,
    )
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
    heads = (SERVED_HEAD, *BOTH_HEADS)
    return [layer for layer in model.layers if layer.weights and layer.name not in heads]


def _trunk(recipe: str) -> Trunk:
    try:
        return NETWORKS[recipe]
    except KeyError:
        known = ", ".join(sorted(NETWORKS))
        raise OptionsError(f"no network is called {recipe!r}; choose one of: {known}") from None
