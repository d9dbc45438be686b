"""Trained networks from which a new one starts or learns: the best weights of a run, or a model.

network = load_trained("first")       # a folder of `ferflow train`, finished or not
network = load_trained("fer2013")     # any model with Keras weights, by name, card or folder
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models import keras_network
from ferflow.models.data.labelled_faces import Classes
from ferflow.models.heads import BOTH_HEADS, Blend
from ferflow.models.registry import list_models, resolve
from ferflow.models.training import checkpoint
from ferflow.models.training.net2wider import widen


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """The weights of a trained network."""

    name: str
    recipe: str
    classes: Classes
    weights: Sequence[npt.NDArray[Any]]
    """In Keras' order, heads last: a kernel and a bias each."""
    blend: Blend | None
    """How its two heads are combined for a network with one head; None: it has one head."""

    def for_one_head(self) -> Sequence[npt.NDArray[Any]]:
        """Weights for a network with one head.

        Two heads become the linear layer whose logits are the mean of theirs. That is close to the mean of their
        probabilities, and good enough as a start.
        """
        if self.blend is None:
            return self.weights
        heads = self.weights[-4:]
        kernels, biases = (dict(zip(BOTH_HEADS, parts, strict=True)) for parts in (heads[::2], heads[1::2]))
        return [*self.weights[:-4], self.blend.mean(kernels), self.blend.mean(self.blend.shift(biases))]

    def for_two_heads(self) -> Sequence[npt.NDArray[Any]]:
        """Weights for a network with two heads; a single head is used for both."""
        return [*self.weights, *self.weights[-2:]] if self.blend is None else self.weights


def load_trained(name_or_path: str) -> TrainedNetwork:
    """Load the network of a run, or of a model (see `registry.resolve`).

    Raises:
        OptionsError: the checkpoint of the run is damaged.
        ModelError: no such model, or one without Keras weights.
    """
    path = Path(name_or_path) / checkpoint.STATE_FILE
    # Names of shipped models first, as in `registry.resolve`.
    if name_or_path not in list_models() and path.is_file():
        saved = checkpoint.read(path)
        recipe, classes, best = saved.options.recipe, saved.options.classes, saved.progress.best
        _, network = keras_network.build_with_weights(recipe, best, classes=len(classes))
        no_shift = (0.0,) * len(classes)
        label_head = Blend(1.0, no_shift, no_shift) if network.two_heads else None
        return TrainedNetwork(Path(name_or_path).name, recipe, classes, best, label_head)
    card = resolve(name_or_path)
    weights = keras_network.load_network(card).get_weights()
    return TrainedNetwork(card.name, card.recipe, Classes.without(card.merged), weights, card.blend)


def initialise(network: TrainedNetwork, model: keras_network.KerasModel, *, seed: int) -> None:
    """Set a model to the weights of a trained network, for its number of heads, with `widen` if it is wider.

    Raises:
        OptionsError: the networks have different layers.
    """
    shapes = [weights.shape for weights in model.get_weights()]
    weights = network.for_two_heads() if isinstance(model.output, dict) else network.for_one_head()
    try:
        model.set_weights(widen(weights, shapes, seed=seed))
    except ValueError as error:
        raise OptionsError(f"{network.name}: its weights do not fit this network ({error}).") from error
