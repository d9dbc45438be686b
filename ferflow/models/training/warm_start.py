"""Networks that a new one begins with or learns from: a run's best so far, or a model that is installed.

network = earlier("first")       # a folder of `ferflow train`, finished or not
network = earlier("fer2013")     # any model with Keras weights, by name, card or folder
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
from ferflow.models.registry import available, resolve
from ferflow.models.training import checkpoint
from ferflow.models.training.net2wider import widened


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier network has learnt."""

    name: str
    recipe: str
    classes: Classes
    weights: Sequence[npt.NDArray[Any]]
    """In Keras' order, heads last: a kernel and a bias each."""
    blend: Blend | None
    """What two heads come to, for a network that has one; None: it has one itself."""

    def one_head(self) -> Sequence[npt.NDArray[Any]]:
        """Its weights with one head, whatever it had.

        Two heads become the one linear layer whose logits are the mean of theirs: near what they serve, which is
        the mean of their probabilities, and a place to begin from.
        """
        if self.blend is None:
            return self.weights
        heads = self.weights[-4:]
        kernels, biases = (dict(zip(BOTH_HEADS, parts, strict=True)) for parts in (heads[::2], heads[1::2]))
        return [*self.weights[:-4], self.blend.mean(kernels), self.blend.mean(self.blend.shift(biases))]

    def two_heads(self) -> Sequence[npt.NDArray[Any]]:
        """Its weights with two heads; the only one of a network that has one stands for both."""
        return [*self.weights, *self.weights[-2:]] if self.blend is None else self.weights


def earlier(name_or_path: str) -> Earlier:
    """Read the network of a run, or of a model as `registry.resolve` finds it.

    Raises:
        OptionsError: a run whose state is damaged.
        ModelError: no such model, or one without Keras weights.
    """
    path = Path(name_or_path) / checkpoint.STATE_FILE
    if name_or_path not in available() and path.is_file():
        saved = checkpoint.read(path)
        recipe, classes, best = saved.options.recipe, saved.options.classes, saved.progress.best
        _, network = keras_network.with_weights(recipe, best, classes=len(classes))
        no_shift = (0.0,) * len(classes)
        label_head = Blend(1.0, no_shift, no_shift) if network.two_heads else None
        return Earlier(Path(name_or_path).name, recipe, classes, best, label_head)
    card = resolve(name_or_path)
    weights = keras_network.load_served(card).get_weights()
    return Earlier(card.name, card.recipe, Classes.without(card.merged), weights, card.blend)


def begin_with(network: Earlier, model: keras_network.KerasModel, *, seed: int) -> None:
    """Give a model the weights of an earlier network, `widened` if need be, with as many heads as it has.

    Raises:
        OptionsError: they are another network's.
    """
    shapes = [weights.shape for weights in model.get_weights()]
    weights = network.two_heads() if isinstance(model.output, dict) else network.one_head()
    try:
        model.set_weights(widened(weights, shapes, seed=seed))
    except ValueError as error:
        raise OptionsError(f"{network.name}: its weights do not fit this network ({error}).") from error
