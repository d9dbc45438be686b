"""Build Keras networks by name, copy them for serving, and load them from a card.

A card names its network; the name and a `.weights.h5` restore it, so no file that is read contains code:

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
from ferflow.models.backbones import Backbone, Network
from ferflow.models.cards import ModelCard
from ferflow.models.heads import BOTH_HEADS, OCCLUSION_HEAD, SERVED_HEAD
from ferflow.models.networks import NETWORKS
from ferflow.plain_file import check_plain_file
from ferflow.system.runtime import import_keras

__all__ = [
    "KerasModel", "Network", "build", "build_with_weights", "copy_for_serving", "head_names", "load_network",
    "occlusion_features",
]  # fmt: skip

KerasModel = Any


def build(recipe: str, network: Network | None = None) -> KerasModel:
    """Build an untrained network by name.

    Input: uint8 or float (N, S, S, 1), grey levels 0..255. Output: float32 logits (N, classes), or a
    dictionary of two such, `label_head` and `vote_head`, when `two_heads` is set; and `occluded`, float32 (N, 1), when
    `occlusion_layer` is set.

    Raises:
        OptionsError: no network has that name.
    """
    keras = import_keras()
    network = network or Network()
    backbone = _find_backbone(recipe)
    image = keras.Input((network.input_size, network.input_size, 1), name="image", dtype="float32")
    x = backbone(image, network)
    names = head_names(network)
    heads = {name: keras.layers.Dense(network.classes, name=name, dtype="float32")(x) for name in names}
    if network.occlusion_layer:
        heads[OCCLUSION_HEAD] = _add_occlusion_head(keras.Model(image, x), network.occlusion_layer)
    return _model(image, heads, recipe)


def head_names(network: Network) -> tuple[str, ...]:
    """Names of the outputs of a network."""
    return BOTH_HEADS if network.two_heads else (SERVED_HEAD,)


def occlusion_features(model: KerasModel) -> KerasModel:
    """The part of a network with an `occlusion_layer` that computes what this head reads: float32 (N, D)."""
    keras = import_keras()
    return keras.Model(model.input, model.get_layer(OCCLUSION_HEAD).input)


def copy_for_serving(
    trained: KerasModel,
    recipe: str,
    network: Network,
    *,
    shift: npt.ArrayLike = 0.0,
) -> KerasModel:
    """Copy a trained network into the form that is served: float32, 48 px, the same heads.

    Args:
        trained: from `build(recipe, network)`.
        recipe: its name.
        network: the arguments it was built with.
        shift: (K,), added to the bias of a single head; the shifts of two heads are part of their card.
    """
    served = build(recipe, Network(classes=network.classes, two_heads=network.two_heads))
    # By order, not by name: Keras numbers the layers of its applications differently in every network.
    for layer, source in zip(_backbone_layers(served), _backbone_layers(trained), strict=True):
        layer.set_weights(source.get_weights())
    for head in head_names(network):
        kernel, bias = trained.get_layer(head).get_weights()
        served.get_layer(head).set_weights([kernel, bias if network.two_heads else bias + shift])
    return served


def build_with_weights(
    recipe: str, weights: Sequence[npt.NDArray[Any]], *, classes: int
) -> tuple[KerasModel, Network]:
    """Build a network for serving from its weights, with one head or two, depending on which the weights fit.

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


def load_network(card: ModelCard, *, compute: str = "float32", occlusion: bool = False) -> KerasModel:
    """Build the network of a card and load its weights: (N, S, S, 1) to logits (N, K), by head if it has two.

    `compute` is the Keras dtype policy of its backbone. With `occlusion`, the head for covered mouths is one more
    output if the card has one.

    Raises:
        ModelError: the network is unknown, or the weights do not fit it.
    """
    if card.recipe not in NETWORKS:
        raise ModelError(f"{card.name}: this ferflow has no recipe {card.recipe!r}. Use a newer one.")
    network = Network(
        classes=len(card.labels),
        input_size=card.input_size,
        two_heads=card.blend is not None,
        compute=compute,
        occlusion_layer=card.occlusion_layer,
    )
    model = build(card.recipe, network)
    path = card.path("keras")
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers without weights in the file, and leaves them random.
            warnings.filterwarnings("error", category=UserWarning, module="keras")
            check_plain_file(path)
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ModelError(
            f"{path.name}: does not fit recipe {card.recipe!r} ({type(error).__name__})."
        ) from error
    if occlusion or not card.occlusion_layer:
        return model
    return _model(model.input, {name: model.output[name] for name in head_names(network)}, card.recipe)


def _model(image: Any, heads: dict[str, Any], recipe: str) -> KerasModel:
    """A model with outputs by head, or with one output without a name if there is one head."""
    keras = import_keras()
    return keras.Model(image, heads if len(heads) > 1 else heads[SERVED_HEAD], name=recipe)


def _add_occlusion_head(backbone: KerasModel, layer: str) -> Any:
    """One linear unit on the features of a layer, averaged over 2 x 2 places."""
    from keras import layers

    x = backbone.get_layer(layer).output
    x = layers.AveragePooling2D(2, name="occlusion_pool", dtype="float32")(x)
    x = layers.Flatten(name="occlusion_flat", dtype="float32")(x)
    return layers.Dense(1, name=OCCLUSION_HEAD, dtype="float32")(x)


def _backbone_layers(model: KerasModel) -> list[Any]:
    """Layers with weights, except heads."""
    heads = (SERVED_HEAD, *BOTH_HEADS)
    return [layer for layer in model.layers if layer.weights and layer.name not in heads]


def _find_backbone(recipe: str) -> Backbone:
    try:
        return NETWORKS[recipe]
    except KeyError:
        known = ", ".join(sorted(NETWORKS))
        raise OptionsError(f"no network is called {recipe!r}; choose one of: {known}") from None
