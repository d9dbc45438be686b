"""Measure a model on a labelled data set, and say which rows that were.

    assessment = assess(classifier, load(Path("fer2013.npz")), "onnx int8")
    assessment.table()["macro_recall"]

Which rows: those of the named splits; without a name all of them, or, where the data names splits, all but Training. A
model may have fewer classes than the data (`ModelCard.merged`), and the data fewer than the model: macro means are over
classes that have rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models.cards import ModelCard
from ferflow.models.classifier import Classifier
from ferflow.models.data.dataset import TRAINING, leaking
from ferflow.models.data.labelled_faces import SIZE, Faces, as_classes, majority
from ferflow.models.metrics import Scores, evaluate, timed
from ferflow.types import BoolArray, Float32Array, Int64Array, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A model's answers to labelled faces, and how right they are."""

    card: ModelCard
    weights: str
    """Which of the model's forms answered."""
    data: str
    images: UInt8Array
    """uint8 (N, 48, 48), the rows measured."""
    truth: Int64Array
    """(N,), indices into the card's labels."""
    probs: Float32Array
    """float32 (N, K)."""
    scores: Scores
    without_leaks: Scores | None
    """The same without rows that stand in the Training split too; None where the data does not tell."""
    ferplus_majority: Scores | None
    """The same rows by FER+ majority label, ties and non-faces left out; None without votes."""
    leaks: int | None
    """Rows measured that stand in the Training split too."""
    splits: tuple[str, ...]
    """Splits the rows are from; empty where the data names none."""
    left_out: int
    """Rows of classes that the model does not have."""
    skipped: dict[str, int]
    """Why rows of the source could not be used, and how many."""

    def table(self) -> dict[str, Any]:
        """Return what `--json` writes: the scores' keys, then where they are from."""
        parts = {"without_leaks": self.without_leaks, "ferplus_majority": self.ferplus_majority}
        return {
            **self.scores.table(),
            **{name: None if scores is None else scores.table() for name, scores in parts.items()},
            "labels": list(self.card.labels),
            "merged": dict(self.card.merged),
            "weights": self.weights,
            "model_sha256": self.card.sha256,
            "data": self.data,
            "splits": list(self.splits),
            "leaks": self.leaks,
            "left_out": self.left_out,
            "skipped": self.skipped,
        }


def assess(
    classifier: Classifier, faces: Faces, *, data: str, weights: str, splits: Sequence[str] = ()
) -> Assessment:
    """Classify the chosen rows and measure.

    Args:
        classifier: the model.
        faces: the whole data set, Training rows included: they tell which others leak.
        data: its name, for the record.
        weights: which form of the model answers, for the record.
        splits: names of the splits to measure on; empty: see the module.

    Raises:
        OptionsError: no such split, or no row of a class the model has, or a model of another input.
    """
    card = classifier.card
    if (card.input_size, card.channels) != (SIZE, 1):
        raise OptionsError(
            f"{card.name} takes {card.input_size} px and {card.channels} channels; data sets are read as {SIZE} px gray"
        )
    rows = chosen_rows(faces, splits)
    truth = as_classes(faces.labels, card.labels, card.merged)
    measured = rows & (truth >= 0)
    if not measured.any():
        raise OptionsError(
            f"{data}: none of its rows is of a class {card.name} has ({', '.join(card.labels)})"
        )
    probs, rate = timed(classifier, faces.images[measured])
    model = f"{card.name} ({card.recipe})"

    def scored(truth: Int64Array, keep: BoolArray) -> Scores | None:
        keep = keep & (truth >= 0)
        if not keep.any():
            return None
        scores = evaluate(probs[keep], truth[keep], card.labels)
        return replace(scores, faces_per_second=rate, model=model)

    everything = np.ones(int(measured.sum()), np.bool_)
    scores = scored(truth[measured], everything)
    assert scores is not None  # some row is measured
    leaks = _leaks(faces, rows)
    by_votes = None if faces.votes is None else as_classes(majority(faces.votes), card.labels, card.merged)
    return Assessment(
        card=card,
        weights=weights,
        data=data,
        images=faces.images[measured],
        truth=truth[measured],
        probs=probs,
        scores=scores,
        without_leaks=None if leaks is None else scored(truth[measured], ~leaks[measured]),
        ferplus_majority=None if by_votes is None else scored(by_votes[measured], everything),
        leaks=None if leaks is None else int(leaks[measured].sum()),
        splits=() if faces.usage is None else tuple(np.unique(faces.usage[measured]).tolist()),
        left_out=int((rows & ~measured).sum()),
        skipped=dict(faces.skipped),
    )


def chosen_rows(faces: Faces, splits: Sequence[str]) -> BoolArray:
    """Mark the rows to measure on: bool (N,).

    Raises:
        OptionsError: the data names no splits, or not this one.
    """
    if faces.usage is None:
        if splits:
            raise OptionsError(f"the data names no splits, so rows of {', '.join(splits)} cannot be picked")
        return np.ones(len(faces), np.bool_)
    there = np.unique(faces.usage).tolist()
    unknown = [name for name in splits if name not in there]
    if unknown:
        raise OptionsError(f"no split is called {', '.join(unknown)}; the data has {', '.join(there)}")
    if splits:
        return np.isin(faces.usage, list(splits))
    held_out: BoolArray = faces.usage != TRAINING
    return held_out if held_out.any() else np.ones(len(faces), np.bool_)


def _leaks(faces: Faces, rows: BoolArray) -> BoolArray | None:
    """Mark chosen rows that stand in the Training split too: bool (N,); None where that cannot be known."""
    if faces.usage is None:
        return None
    training: npt.NDArray[np.bool_] = faces.usage == TRAINING
    if not training.any() or (rows & training).any():
        return None
    return leaking(faces, rows, training)
