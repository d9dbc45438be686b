"""The complete state of a training run in one file that is replaced atomically."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ferflow.errors import OptionsError
from ferflow.models.data.arrays import open_arrays
from ferflow.models.history import Epoch, write_history
from ferflow.models.keras_network import KerasModel
from ferflow.models.training.options import TrainOptions
from ferflow.store.atomic_files import atomic_write

STATE_FILE = "state.npz"

Weights = list[npt.NDArray[Any]]


@dataclass(slots=True)
class Progress:
    """What changes during training and must survive a kill, apart from the network and its optimiser."""

    epoch: int
    """Epochs done."""
    step: int
    """Steps done, over all epochs."""
    average: Weights
    """Moving average of all the network's weights."""
    best: Weights
    """The average after the epoch that is kept so far: the one with the best selection score, or the last."""
    best_score: float
    """Selection score of `best`."""
    history: list[Epoch]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state file as it was read."""

    options: TrainOptions
    """Of the run, apart from those that `TrainOptions.identity` leaves out, which have their defaults."""
    progress: Progress
    model: Weights
    """All variables of the network that learns."""
    optimizer: Weights


class _Facts(Struct, frozen=True, kw_only=True):
    """What a state file contains apart from arrays, as JSON."""

    epoch: int
    step: int
    best_score: float
    history: list[Epoch]
    options: TrainOptions


def new_progress(model: KerasModel) -> Progress:
    """Progress of an untrained network."""
    # Copied: some backends return the very memory that they train in.
    average = [np.array(weights) for weights in model.get_weights()]
    return Progress(0, 0, average, [kept.copy() for kept in average], -math.inf, [])


def save(out: Path, model: KerasModel, progress: Progress, options: TrainOptions) -> None:
    """Write the state with one rename: after a kill there is the old state or the new one, never a mixture."""
    groups: dict[str, Sequence[Any]] = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "average": progress.average,
        "best": progress.best,
    }
    arrays = {
        f"{name}/{i}": np.asarray(value) for name, group in groups.items() for i, value in enumerate(group)
    }
    facts = {
        "epoch": progress.epoch,
        "step": progress.step,
        "best_score": progress.best_score,
        "history": msgspec.to_builtins(progress.history),
        "options": options.identity(),
    }
    save_arrays(out / STATE_FILE, {"facts": np.array(json.dumps(facts)), **arrays})
    write_history(out, progress.history)


def save_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays by name as npz, atomically."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type] # NumPy's stubs take any keyword for `allow_pickle`


def read(path: Path) -> Checkpoint:
    """Read a state file.

    Raises:
        OptionsError: it is not a state file, or damaged.
    """
    groups: dict[str, Weights] = {"model": [], "optimizer": [], "average": [], "best": []}
    try:
        with open_arrays(path) as archive:
            # Not msgspec's own decoder, which refuses NaN: the loss of a run that diverged.
            facts = msgspec.convert(json.loads(str(archive["facts"])), _Facts)
            for key in archive.files:
                if "/" in key:
                    groups[key.partition("/")[0]].append(archive[key])
    except Exception as error:  # zipfile, zlib, NumPy, JSON and msgspec each have their own
        raise OptionsError(
            f"{path.parent.name}/{path.name}: cannot be read ({error}). Delete it to train from the start."
        ) from error
    progress = Progress(
        epoch=facts.epoch,
        step=facts.step,
        average=groups["average"],
        best=groups["best"],
        best_score=facts.best_score,
        history=facts.history,
    )
    return Checkpoint(facts.options, progress, groups["model"], groups["optimizer"])


def restore(path: Path, model: KerasModel, options: TrainOptions) -> Progress:
    """Set a compiled network to a saved state and return the progress with it.

    Raises:
        OptionsError: the state is damaged, or belongs to other options or another network.
    """
    saved = read(path)
    if not options.is_same_run(saved.options):
        raise OptionsError(
            f"{path.parent.name}: contains a run with other options. "
            "Use another folder, or the same options to continue."
        )
    for variables, values in ((model.variables, saved.model), (model.optimizer.variables, saved.optimizer)):
        if [tuple(v.shape) for v in variables] != [value.shape for value in values]:
            raise OptionsError(f"{path.parent.name}: its state does not fit this network; use another folder")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return saved.progress
