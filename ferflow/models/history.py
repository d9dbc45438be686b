"""The history of a training run: the figures of each epoch, in `history.json`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from msgspec import Struct

from ferflow.errors import RecordsError
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write

HISTORY_FILE = "history.json"
_MOST_BYTES = 16 << 20


class Epoch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Figures of one epoch; accuracies in [0, 1], on the selection split."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean over the steps, on augmented training images."""
    accuracy: float
    """By the labels of the data set."""
    ferplus_accuracy: float | None = None
    """By the majority of FER+ annotators; None: the data has no votes."""
    selection: float
    """Score by which the best epoch is chosen."""
    seconds: float


def write_history(out: Path, history: list[Epoch]) -> None:
    """Write `history.json` into the folder of a run, atomically."""
    with atomic_write(out / HISTORY_FILE) as part:
        part.write_text(json.dumps(msgspec.to_builtins(history), indent=1))


def read_history(out: Path) -> list[Epoch]:
    """Read `history.json` from the folder of a run.

    Raises:
        RecordsError: it is missing or cannot be read.
    """
    path = out / HISTORY_FILE
    try:
        # Not msgspec's own decoder, which refuses NaN: the loss of a run that diverged.
        return msgspec.convert(json.loads(read_plain_file(path, _MOST_BYTES)), list[Epoch])
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise RecordsError(f"{path}: cannot be read ({error}). Train first.") from error
