"""Evaluate a model on a labelled data set.

    assessment = assess(classifier, load(Path("fer2013.npz")), "onnx int8")
    assessment.table()["macro_recall"]

Rows: those of the named splits; without a name all rows, or all except Training if the data names splits. A model may
have fewer classes than the data (`ModelCard.merged`), and the data fewer than the model: macro means are over classes
that have rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models.cards import ModelCard
from ferflow.models.classifier import Classifier
from ferflow.models.data.dataset import TRAINING, mark_leaks
from ferflow.models.data.labelled_faces import SIZE, Faces, majority_labels, renumber
from ferflow.models.metrics import Scores, evaluate, predict_timed
from ferflow.types import BoolArray, Float32Array, Int64Array, JsonObject, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The answers of a model to labelled faces, and their scores."""

    card: ModelCard
    weights: str
    """Which form of the model was evaluated."""
    data: str
    images: UInt8Array
    """uint8 (N, 48, 48), the evaluated rows."""
    truth: Int64Array
    """(N,), indices into the card's labels."""
    probs: Float32Array
    """float32 (N, K)."""
    scores: Scores
    without_leaks: Scores | None
    """The same without rows that are also in the Training split; None: unknown."""
    ferplus_majority: Scores | None
    """The same rows by FER+ majority label, without ties and non-faces; None: the data has no votes."""
    leaks: int | None
    """Evaluated rows that are also in the Training split; None: unknown."""
    splits: tuple[str, ...]
    """Splits of the rows; empty: the data names no splits."""
    left_out: int
    """Rows whose classes the model does not have."""
    skipped: dict[str, int]
    """Rows of the source that could not be used, by reason."""

    def table(self) -> JsonObject:
        """Return what `--json` writes: the scores, then their origin."""
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
    """Classify the selected rows and measure the answers.

    Args:
        classifier: the model.
        faces: the complete data set; its Training rows show which other rows leak.
        data: its name, for the result.
        weights: which form of the model is evaluated, for the result.
        splits: names of the splits to evaluate on; empty: see the module.

    Raises:
        OptionsError: no such split, no row with a class of the model, or a model with another input size.
    """
    card = classifier.card
    if (card.input_size, card.channels) != (SIZE, 1):
        raise OptionsError(
            f"{card.name} takes {card.input_size} px and {card.channels} channels; data sets are read as {SIZE} px gray"
        )
    rows = choose_rows(faces, splits)
    truth = renumber(faces.labels, card.labels, card.merged)
    measured = rows & (truth >= 0)
    if not measured.any():
        raise OptionsError(f"{data}: none of its rows has a class of {card.name} ({', '.join(card.labels)})")
    probs, rate = predict_timed(classifier, faces.images[measured])
    model = f"{card.name} ({card.recipe})"

    def score_rows(truth: Int64Array, keep: BoolArray) -> Scores | None:
        keep = keep & (truth >= 0)
        if not keep.any():
            return None
        scores = evaluate(probs[keep], truth[keep], card.labels)
        return replace(scores, faces_per_second=rate, model=model)

    all_rows = np.ones(int(measured.sum()), np.bool_)
    scores = score_rows(truth[measured], all_rows)
    assert scores is not None  # `measured` has a row
    leaks = _mark_leaks(faces, rows)
    by_votes = (
        None if faces.votes is None else renumber(majority_labels(faces.votes), card.labels, card.merged)
    )
    return Assessment(
        card=card,
        weights=weights,
        data=data,
        images=faces.images[measured],
        truth=truth[measured],
        probs=probs,
        scores=scores,
        without_leaks=None if leaks is None else score_rows(truth[measured], ~leaks[measured]),
        ferplus_majority=None if by_votes is None else score_rows(by_votes[measured], all_rows),
        leaks=None if leaks is None else int(leaks[measured].sum()),
        splits=() if faces.usage is None else tuple(np.unique(faces.usage[measured]).tolist()),
        left_out=int((rows & ~measured).sum()),
        skipped=dict(faces.skipped),
    )


def choose_rows(faces: Faces, splits: Sequence[str]) -> BoolArray:
    """Mark the rows to evaluate on: bool (N,).

    Raises:
        OptionsError: the data has no splits, or not this one.
    """
    if faces.usage is None:
        if splits:
            raise OptionsError(f"the data names no splits, so rows of {', '.join(splits)} cannot be selected")
        return np.ones(len(faces), np.bool_)
    there = np.unique(faces.usage).tolist()
    unknown = [name for name in splits if name not in there]
    if unknown:
        raise OptionsError(f"no split is called {', '.join(unknown)}; the data has {', '.join(there)}")
    if splits:
        return np.isin(faces.usage, list(splits))
    held_out: BoolArray = faces.usage != TRAINING
    return held_out if held_out.any() else np.ones(len(faces), np.bool_)


def _mark_leaks(faces: Faces, rows: BoolArray) -> BoolArray | None:
    """Mark selected rows that are also in the Training split: bool (N,); None: unknown."""
    if faces.usage is None:
        return None
    training: npt.NDArray[np.bool_] = faces.usage == TRAINING
    # Of Training rows themselves, each would count as a leak.
    if not training.any() or (rows & training).any():
        return None
    return mark_leaks(faces, rows, training)
