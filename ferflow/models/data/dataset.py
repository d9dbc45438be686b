"""Labelled faces for training and measuring, from whatever they come in.

    faces = load(Path("fer2013.npz"))
    parts = split(faces, seed=1)      # leaking rows are out of `parts.training`

Three layouts are read:

- `.npz` with `images` uint8, gray (N, S, S) or RGB (N, S, S, 3), and `emotion` or `labels` (N,); optionally
  `usage` (N,) text, `ferplus` (N, 10) annotator votes, `leaks` (N,) bool;
- the Kaggle CSV `emotion,pixels[,Usage]`;
- a folder with one subfolder per class, named as in the labels (or as FER+ names them), holding images.

Images of any size, gray or colour, become gray 48x48; those that are not square are squeezed.

What cannot be used is never guessed. A row or image that is broken by itself (not a number, not 48x48
pixels, grey level or label out of range, unreadable image) is skipped and counted in `Faces.skipped`. A data
set that is broken as a whole (no such file, no images, a missing column, arrays of different
lengths, an empty class folder, a folder that is no class, nothing left) is an `OptionsError`.
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


@dataclass(frozen=True, slots=True)
class Split:
    """Faces to train on and faces to select by."""

    training: Faces
    selection: Faces
    leaks: int
    """Training rows left out because they stand elsewhere too."""


def load(path: Path, usage: str | None = None) -> Faces:
    """Read a data set, or the rows of one split of it.

    Args:
        path: `.npz`, `.csv` or a folder per class.
        usage: keep only this split, such as "PublicTest".

    Raises:
        OptionsError: it is not there, not in one of the layouts, or nothing is left.
    """
    faces = read(path)
    if usage is not None:
        if faces.usage is None:
            raise OptionsError(f"{path.name}: names no splits, so rows of {usage!r} cannot be picked")
        faces = faces.where(faces.usage == usage)
    if not len(faces):
        raise OptionsError(
            f"{path.name}: no usable face{f' of {usage!r}' if usage else ''}; skipped {_told(faces.skipped)}"
        )
    return faces


def split(faces: Faces, seed: int) -> Split:
    """Part faces into those to train on and those to select by, free of leaks.

    With a `usage` column: its Training and PublicTest rows. Without, a tenth of every class is held out,
    drawn by `seed`. Either way a training row goes if the source marks it as leaking, or
    if its very pixels stand in any other split.

    Raises:
        OptionsError: one of the two would be empty.
    """
    if faces.usage is None:
        chosen = _held_out(faces.labels, seed)
        training, other = ~chosen, chosen
    else:
        training, chosen = faces.usage == TRAINING, faces.usage == SELECTION
        other = ~training
    leaks = leaking(faces, training, other)
    training &= ~leaks
    if not training.any() or not chosen.any():
        raise OptionsError(
            f"need rows to train on and to select by, got {int(training.sum())} and {int(chosen.sum())}"
        )
    return Split(faces.where(training), faces.where(chosen), int(leaks.sum()))


def leaking(faces: Faces, training: BoolArray, other: BoolArray) -> BoolArray:
    """Mark the training rows that also stand elsewhere, by the source's word or by pixels: bool (N,)."""
    elsewhere = {image.tobytes() for image in faces.images[other]}
    same = np.fromiter((image.tobytes() in elsewhere for image in faces.images), bool, len(faces))
    marked = same if faces.leaks is None else same | faces.leaks
    return marked & training


def _told(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in skipped.items()) or "none"


def _held_out(labels: Int64Array, seed: int) -> BoolArray:
    """Draw a tenth of every class, at least one row of it: bool (N,)."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen[rows[: max(1, round(len(rows) * HELD_OUT_SHARE))]] = True
    return chosen
