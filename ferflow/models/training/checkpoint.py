"""The whole state of a training run in one file that is only ever replaced whole."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models.keras_network import KerasModel
from ferflow.models.training.options import TrainOptions
from ferflow.store.atomic_files import whole_file

STATE_FILE, HISTORY_FILE = "state.npz", "history.json"
GROUPS = ("model", "optimizer", "average", "best")

Weights = list[npt.NDArray[Any]]
Epoch = dict[str, float]
"""Figures of one epoch: epoch (from 1), loss, accuracy, ferplus_accuracy, selection, seconds."""


@dataclass(slots=True)
class Progress:
    """Everything that changes while training and must survive a kill, network and optimiser aside."""

    epoch: int
    """Epochs done."""
    step: int
    """Steps done, over all epochs."""
    average: Weights
    """Moving average of all the network's weights."""
    best: Weights
    """The average after the epoch with the best selection score."""
    best_score: float
    history: list[Epoch]


def fresh(model: KerasModel) -> Progress:
    """Progress of a network nobody has trained yet."""
    # Copied: what a backend hands out may be the very memory it goes on training in.
    average = [np.array(weights) for weights in model.get_weights()]
    return Progress(0, 0, average, [kept.copy() for kept in average], -math.inf, [])


def save(out: Path, model: KerasModel, progress: Progress, options: TrainOptions) -> None:
    """Put the state on disk in one rename: a kill leaves the old state or the new one, nothing between."""
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
        "history": progress.history,
        "options": options.identity(),
    }
    buffer = io.BytesIO()
    # Any: NumPy's stubs take every keyword for the flag `allow_pickle`.
    named: dict[str, Any] = {"facts": np.array(json.dumps(facts)), **arrays}
    np.savez(buffer, **named)
    _replace(out / STATE_FILE, buffer.getvalue())
    _replace(out / HISTORY_FILE, json.dumps(progress.history, indent=1).encode())


def read(path: Path) -> tuple[dict[str, Any], dict[str, Weights]]:
    """Read a state file: its facts, and its arrays by group.

    Raises:
        OptionsError: it is no state file, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            facts = json.loads(str(archive["facts"]))
            groups: dict[str, Weights] = {name: [] for name in GROUPS}
            for key in archive.files:
                if "/" in key:
                    groups[key.partition("/")[0]].append(archive[key])
    except Exception as error:  # zipfile, zlib, NumPy and JSON each have their own
        raise OptionsError(
            f"{path.parent.name}/{path.name}: cannot be read ({error}). Delete it to train from the start."
        ) from error
    return facts, groups


def restore(path: Path, model: KerasModel, options: TrainOptions) -> Progress:
    """Set a compiled network to a saved state and return the progress with it.

    Raises:
        OptionsError: the state is damaged, or belongs to other options or another network.
    """
    facts, groups = read(path)
    if not options.is_run_of(facts["options"]):
        raise OptionsError(
            f"{path.parent.name}: holds a run with other options. "
            "Use another folder, or the same options to go on."
        )
    for name, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        if [tuple(v.shape) for v in variables] != [value.shape for value in groups[name]]:
            raise OptionsError(f"{path.parent.name}: its state does not fit this network; use another folder")
        for variable, value in zip(variables, groups[name], strict=True):
            variable.assign(value)
    return Progress(
        epoch=facts["epoch"],
        step=facts["step"],
        average=groups["average"],
        best=groups["best"],
        best_score=facts["best_score"],
        history=facts["history"],
    )


def _replace(path: Path, content: bytes) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
