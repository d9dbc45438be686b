"""A finished run of `ferflow train`, read back with all that it learnt.

run = read_run(resolve("run"))
run.network.two_heads
"""

from __future__ import annotations

from dataclasses import dataclass

from ferflow.models import keras_network
from ferflow.models.cards import ModelCard
from ferflow.models.training import checkpoint
from ferflow.models.training.options import TrainOptions

_STILL_MATTER = ("name", "recipe", "seed", "merge", "balance", "adjust_prior")
"""Options that say what the weights are and what prior they learnt; the others are history."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run."""

    card: ModelCard
    """As it was written at the end; an older ferflow's may have merged the heads into one."""
    model: keras_network.KerasModel
    """The best weights, in the form that is served, heads as trained."""
    network: keras_network.Network
    options: TrainOptions
    """Those that still matter; the others are the defaults."""
    epochs: int
    """How many were trained."""


def read_run(card: ModelCard) -> Run | None:
    """Return the run whose folder a card stands in; None if that folder holds no state of a run.

    Raises:
        OptionsError: the state is damaged.
        ModelError: it does not fit its recipe.
    """
    path = None if card.folder is None else card.folder / checkpoint.STATE_FILE
    if path is None or not path.is_file():
        return None
    facts, groups = checkpoint.read(path)
    stored = facts["options"]
    options = TrainOptions(**{name: stored[name] for name in _STILL_MATTER if name in stored})
    model, network = keras_network.with_weights(options.recipe, groups["best"], classes=len(options.classes))
    return Run(card, model, network, options, facts["epoch"])
