"""A finished run of `ferflow train`, read back with its best weights.

run = read_run(resolve("run"))
run.network.two_heads
"""

from __future__ import annotations

from dataclasses import dataclass

from ferflow.models import keras_network
from ferflow.models.cards import ModelCard
from ferflow.models.training import checkpoint
from ferflow.models.training.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run."""

    card: ModelCard
    """As training wrote it; an older ferflow may have merged the heads into one."""
    model: keras_network.KerasModel
    """The network for serving, with the best weights and the heads as trained."""
    network: keras_network.Network
    options: TrainOptions
    """As in the checkpoint."""
    epochs: int
    """Number of epochs trained."""


def read_run(card: ModelCard) -> Run | None:
    """Return the run in the folder of a card; None if that folder has no checkpoint.

    Raises:
        OptionsError: the checkpoint is damaged.
        ModelError: the weights do not fit their network.
    """
    path = None if card.folder is None else card.folder / checkpoint.STATE_FILE
    if path is None or not path.is_file():
        return None
    saved = checkpoint.read(path)
    options, best = saved.options, saved.progress.best
    model, network = keras_network.build_with_weights(options.recipe, best, classes=len(options.classes))
    return Run(card, model, network, options, saved.progress.epoch)
