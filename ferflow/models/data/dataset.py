"""Read labelled faces for training and evaluation, and split them.

    faces = load(Path("fer2013.npz"))
    parts = split(faces, seed=1)      # `parts.training` has no leaking rows

Three layouts are read:

- `.npz` with `images` uint8, gray (N, S, S) or RGB (N, S, S, 3), and `emotion` or `labels` (N,); optionally
  `usage` (N,) text, `ferplus` (N, 10) annotator votes, `leaks` (N,) bool;
- the Kaggle CSV `emotion,pixels[,Usage]`;
- a folder with one subfolder per class, named as in the labels (or as FER+ names them), holding images.

Images of any size, gray or colour, become gray 48x48; images in folders that are not square are scaled to a square.

Nothing is guessed. A row or image that is broken by itself (not a number, not 48x48
pixels, grey level or label out of range, unreadable image) is skipped and counted in `Faces.skipped`. A data
set that is broken as a whole (no such file, no images, a missing column, arrays of different
lengths, an empty class folder, a folder that is not a class, no usable row) is an `OptionsError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferflow.errors import OptionsError
from ferflow.models.data.dataset_formats import read
from ferflow.models.data.labelled_faces import Faces
from ferflow.types import BoolArray, Int64Array

TRAINING, SELECTION = "Training", "PublicTest"
HELD_OUT_SHARE = 0.1
HELD_OUT_SEED = 0
"""Of the tenth of the Training rows: the same rows for all runs, so that their scores can be compared."""


@dataclass(frozen=True, slots=True)
class Split:
    """Faces for training and faces for selecting the best epoch."""

    training: Faces
    selection: Faces
    leaks: int
    """Training rows left out because they are also part of another split."""


def load(path: Path, usage: str | None = None) -> Faces:
    """Read a data set, or the rows of one of its splits.

    Args:
        path: `.npz`, `.csv` or a folder per class.
        usage: keep only this split, such as "PublicTest".

    Raises:
        OptionsError: it is missing, has none of the layouts, or has no usable row.
    """
    faces = read(path)
    if usage is not None:
        if faces.usage is None:
            raise OptionsError(f"{path.name}: names no splits, so rows of {usage!r} cannot be selected")
        faces = faces.where(faces.usage == usage)
    if not len(faces):
        raise OptionsError(
            f"{path.name}: no usable face{f' of {usage!r}' if usage else ''}; skipped {_describe(faces.skipped)}"
        )
    return faces


def split(faces: Faces, seed: int, *, hold_out: bool = False) -> Split:
    """Split faces into rows for training and rows for selection, without leaks.

    With a `usage` column: its Training and PublicTest rows; with `hold_out`, nine tenths of its Training rows and the
    other tenth of every class, the same rows for every seed. Without a `usage` column, a tenth of every class is drawn
    for selection with `seed`. In all cases a training row is left out if the source marks it as leaking, or if a row
    with identical pixels is part of another split.

    Raises:
        OptionsError: one of the two would be empty.
    """
    if faces.usage is None:
        chosen = _hold_out(faces.labels, seed)
        training = ~chosen
    elif hold_out:
        training = faces.usage == TRAINING
        clean = np.flatnonzero(training & ~mark_leaks(faces, training, ~training))
        chosen = np.zeros(len(faces), np.bool_)
        chosen[clean] = _hold_out(faces.labels[clean], HELD_OUT_SEED)
        training &= ~chosen
    else:
        training, chosen = faces.usage == TRAINING, faces.usage == SELECTION
    # PrivateTest, too: it would be useless for a final figure if the network had seen its rows.
    leaks = mark_leaks(faces, training, ~training)
    training &= ~leaks
    if not training.any() or not chosen.any():
        raise OptionsError(
            f"need rows for training and for selection, got {int(training.sum())} and {int(chosen.sum())}"
        )
    return Split(faces.where(training), faces.where(chosen), int(leaks.sum()))


def mark_leaks(faces: Faces, training: BoolArray, other: BoolArray) -> BoolArray:
    """Mark training rows that are also in `other`, according to the source or by identical pixels: bool (N,)."""
    elsewhere = {image.tobytes() for image in faces.images[other]}
    same = np.fromiter((image.tobytes() in elsewhere for image in faces.images), bool, len(faces))
    marked = same if faces.leaks is None else same | faces.leaks
    return marked & training


def _describe(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in skipped.items()) or "none"


def _hold_out(labels: Int64Array, seed: int) -> BoolArray:
    """Draw a tenth of every class, at least one row each: bool (N,)."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen[rows[: max(1, round(len(rows) * HELD_OUT_SHARE))]] = True
    return chosen
