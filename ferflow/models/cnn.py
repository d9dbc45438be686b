"""The networks, by recipe name, written in Keras 3 alone so that any of its backends can train them.

A card names its recipe; the recipe and a `.weights.h5` give back the network, so no file we
read ever holds code:

    model = build("resnet-small")
    model.load_weights("default.weights.h5")
    logits = model.predict_on_batch(crops)          # uint8 (N, 48, 48, 1) -> float32 (N, 7)

Rescaling and standardisation are part of the network, so that training, Keras and ONNX cannot drift apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import ModelError, OptionsError
from ferflow.models.cards import ModelCard

FloatArray = npt.NDArray[np.float32]
KerasModel = Any
KerasTensor = Any

CONTRAST_FLOOR = 8.0
"""Added to the standard deviation (grey levels of 255), so that a flat crop's noise is not blown up."""

BATCH_NORM_MOMENTUM = 0.95
"""An epoch has some 200 steps: statistics over the last 20 follow the weights closely enough."""

SERVED_HEAD = "logits"
LABEL_HEAD = "label_head"
VOTE_HEAD = "vote_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What shapes a network apart from its recipe."""

    classes: int = 7
    """Outputs, in the order of the card's labels."""
    input_size: int | None = 48
    """Side of the square grayscale input, pixels; None takes any, to train on small images first."""
    two_heads: bool = False
    """Train a second linear head on annotators' votes beside the one for labels."""
    dropout: float = 0.0
    """Share of pooled features dropped while training; it leaves no trace in the weights."""
    compute: str = "float32"
    """Keras dtype policy of the trunk; heads stay float32."""


@dataclass(frozen=True, slots=True)
class ResNet:
    """A plain post-activation residual trunk: its batch norms can be folded into the convolutions."""

    widths: tuple[int, ...]
    """Channels of each stage; every stage after the first halves height and width."""
    blocks: tuple[int, ...]
    """Basic blocks (two 3x3 convolutions) of each stage."""
    stem: int = 3
    """Side of the first convolution, pixels."""
    stem_strides: int = 1
    """2 starts at half size: the first stage of a full-size stem costs most of the training time on a CPU."""

    def __call__(self, image: KerasTensor, dtype: str) -> KerasTensor:
        """Turn a standardised image (N, S, S, 1) into features (N, S', S', widths[-1])."""
        x = _conv(
            image, self.widths[0], kernel=self.stem, strides=self.stem_strides, name="stem", dtype=dtype
        )
        for stage, (width, blocks) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for block in range(blocks):
                halve = stage > 0 and block == 0
                x = _basic_block(x, width, halve=halve, name=f"stage{stage}_block{block}", dtype=dtype)
        return x


Trunk = Callable[[KerasTensor, str], KerasTensor]

RECIPES: Mapping[str, Trunk] = MappingProxyType(
    {
        "resnet-small": ResNet((16, 32, 64, 128), (2, 2, 2, 2)),  # 157 MFLOP, 0.7 M parameters
        "resnet-lean": ResNet((32, 64, 128), (1, 2, 2), stem=5, stem_strides=2),  # 95 MFLOP, 0.7 M parameters
        "resnet-wide": ResNet(
            (48, 96, 192), (2, 2, 2), stem=5, stem_strides=2
        ),  # 263 MFLOP, 1.6 M parameters
        "resnet-tiny": ResNet((4, 8), (1, 1), stem_strides=2),  # for tests and smoke runs only
    }
)


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
    x = trunk(_standardise(image), network.compute)
    x = keras.layers.GlobalAveragePooling2D(name="pooled", dtype="float32")(x)
    if network.dropout:
        x = keras.layers.Dropout(network.dropout, name="dropout", dtype="float32")(x)
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
    names = {layer.name for layer in trained.layers}
    for layer in served.layers:
        if layer.name in names and layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())
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


def _trunk(recipe: str) -> Trunk:
    try:
        return RECIPES[recipe]
    except KeyError:
        known = ", ".join(sorted(RECIPES))
        raise OptionsError(f"no recipe is called {recipe!r}; choose one of: {known}") from None


def _standardise(image: KerasTensor) -> KerasTensor:
    """Give every image mean 0 and about unit contrast: lighting differs more between videos than faces do."""
    from keras import ops

    centred = image - ops.mean(image, axis=(1, 2, 3), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / (deviation + CONTRAST_FLOOR)


def _conv(
    x: KerasTensor, width: int, *, name: str, dtype: str, kernel: int = 3, strides: int = 1, relu: bool = True
) -> KerasTensor:
    """Convolution without bias, batch norm and, unless told otherwise, a ReLU."""
    from keras import layers

    x = layers.Conv2D(
        width,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
        dtype=dtype,
    )(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm", dtype=dtype)(x)
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x) if relu else x


def _basic_block(x: KerasTensor, width: int, *, halve: bool, name: str, dtype: str) -> KerasTensor:
    """Two 3x3 convolutions around which the input is added; `halve` pools both paths by two first."""
    from keras import layers

    shortcut = x
    if halve:
        # Averaging both paths, rather than striding, throws no pixel away and is as fast in every runtime.
        x = layers.AveragePooling2D(2, name=f"{name}_pool", dtype=dtype)(x)
        shortcut = _conv(x, width, kernel=1, relu=False, name=f"{name}_shortcut", dtype=dtype)
    y = _conv(x, width, name=f"{name}_a", dtype=dtype)
    y = _conv(y, width, relu=False, name=f"{name}_b", dtype=dtype)
    y = layers.Add(name=f"{name}_add", dtype=dtype)([y, shortcut])
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(y)
