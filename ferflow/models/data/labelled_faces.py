"""Labelled faces as arrays, and the meaning of FER+ votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.types import BoolArray, Int64Array, UInt8Array

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In FER2013's order: the meaning of the numbers in its `emotion` column."""

ALIASES = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "happiness": "happy", "sadness": "sad",
    "surprised": "surprise",
}  # fmt: skip
"""Other names of the same classes in data sets."""

FERPLUS_COLUMNS = (4, 5, 6, 1, 3, 2, 0)
"""Columns of LABELS in the FER+ votes: neutral, happiness, surprise, sadness, anger, disgust, fear, then contempt,
unknown, not a face (Barsoum et al., 2016), which have no counterpart in LABELS."""

SIZE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Grayscale faces with their labels; all arrays have the same length.

    Raises:
        OptionsError: shapes or types do not match.
    """

    images: UInt8Array
    """uint8 (N, 48, 48)."""
    labels: Int64Array
    """int64 (N,), indices into LABELS."""
    usage: npt.NDArray[np.str_] | None = None
    """Split of each row, where the source names one."""
    votes: UInt8Array | None = None
    """uint8 (N, 10), FER+ votes in FER+'s own order, where the source has them."""
    leaks: BoolArray | None = None
    """Rows that the source marks as part of another split too."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows of the source that were left out, by reason."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not match."""
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (SIZE, SIZE):
            raise OptionsError(
                f"images must be uint8 (N, {SIZE}, {SIZE}), got {self.images.dtype} {self.images.shape}"
            )
        shapes = {"labels": (n,), "usage": (n,), "votes": (n, 10), "leaks": (n,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise OptionsError(f"{name} must have shape {shape} for {n} images, got {array.shape}")

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.images)

    def truths(self) -> dict[str, Int64Array]:
        """Labels (N,) by kind: `labels`, and `ferplus_majority` if there are votes (-1: no majority)."""
        known = {"labels": self.labels}
        if self.votes is not None:
            known["ferplus_majority"] = majority_labels(self.votes)
        return known

    def where(self, keep: BoolArray) -> Faces:
        """Return the rows where `keep` (N,) is true."""
        return Faces(
            images=self.images[keep],
            labels=self.labels[keep],
            usage=None if self.usage is None else self.usage[keep],
            votes=None if self.votes is None else self.votes[keep],
            leaks=None if self.leaks is None else self.leaks[keep],
            skipped=self.skipped,
        )


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a network: all of LABELS, or fewer, with some labels merged into others."""

    names: tuple[str, ...] = LABELS
    merged: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def without(cls, merged: Mapping[str, str]) -> Classes:
        """LABELS without those that count as another one."""
        return cls(tuple(label for label in LABELS if label not in merged), merged)

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.names)

    def renumber(self, labels: Int64Array) -> Int64Array:
        """Renumber labels (N,), see the function `renumber`."""
        return renumber(labels, self.names, self.merged)

    def merge_columns(self, shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Add up the columns (N, 7) of merged classes: (N, K)."""
        # No place is -1, which would add to the last class: each of LABELS is a class or merged into one.
        places = self.renumber(np.arange(len(LABELS)))
        return (shares @ np.eye(len(self), dtype=np.float32)[places]).astype(np.float32)


def renumber(labels: Int64Array, names: Sequence[str], merged: Mapping[str, str]) -> Int64Array:
    """Renumber labels for a network with other classes: int64 (N,), -1 where it has no such class.

    Args:
        labels: (N,), indices into LABELS; -1 stays -1.
        names: the network's classes, in its order.
        merged: classes that count as another one, such as {"disgust": "angry"}.
    """
    counted_as = [merged.get(label, label) for label in LABELS]
    places = [names.index(label) if label in names else -1 for label in counted_as]
    # The appended -1 is at index -1, so that label -1 stays -1.
    return np.array([*places, -1], np.int64)[labels]


def count_votes(votes: UInt8Array) -> npt.NDArray[np.float32]:
    """Votes for LABELS: float32 (N, 7) from FER+ votes (N, 10).

    A single vote is regarded as a mistake, as in FER+; contempt, unknown and not-a-face are dropped.
    """
    kept = np.where(votes > 1, votes, 0)
    return kept[:, FERPLUS_COLUMNS].astype(np.float32)


def majority_labels(votes: UInt8Array) -> Int64Array:
    """FER+ majority label of each row: int64 (N,), -1 for rows to leave out.

    These are ties for the most votes, and rows whose majority is contempt, unknown or not-a-face.
    """
    most = votes.max(axis=1, keepdims=True)
    tied = (votes == most).sum(axis=1) > 1
    place = np.full(10, -1, np.int64)
    place[list(FERPLUS_COLUMNS)] = np.arange(len(LABELS))
    return np.where(tied, -1, place[votes.argmax(axis=1)])


SEVEN = Classes()
"""All of LABELS in their order."""
