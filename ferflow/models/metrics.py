"""Measure predictions against labels: accuracy, scores per class, confusion matrix and calibration.

scores = evaluate(predict(classifier, faces.images), faces.labels, card.labels)
scores.macro_recall, scores.table()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.types import Float32Array, Int64Array, JsonObject, UInt8Array

ECE_BINS = 15
"""As in Guo et al. (2017)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Scores of one class, each in [0, 1]; 0 in place of 0 / 0."""

    precision: float
    recall: float
    f1: float
    support: int
    """Rows whose true label is this class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Agreement of probabilities with labels; all shares in [0, 1]."""

    n: int
    accuracy: float
    top2_accuracy: float
    """Share of rows whose true label is one of the two most probable."""
    macro_precision: float
    """Macro means are over the classes that have rows."""
    macro_recall: float
    macro_f1: float
    per_class: dict[str, ClassScores]
    confusion: list[list[int]]
    """Rows: true class; columns: predicted; both in the order of the card's labels."""
    ece: float
    """Expected calibration error over 15 equal bins of confidence."""
    faces_per_second: float | None = None
    model: str | None = None

    def table(self) -> JsonObject:
        """Convert to JSON-able values."""
        return asdict(self)


def evaluate(probs: Float32Array, labels: Int64Array, names: tuple[str, ...]) -> Scores:
    """Compare probabilities with labels.

    Args:
        probs: float32 (N, K), rows sum to 1.
        labels: (N,), 0..K-1; rows labelled -1 are left out, and at least one row must remain.
        names: the K classes, in order.

    Raises:
        OptionsError: no row to measure, or shapes do not match.
    """
    if probs.shape != (len(labels), len(names)) or not (labels >= 0).any():
        raise OptionsError(
            f"cannot measure probs {probs.shape} against {(labels >= 0).sum()} labels of {len(names)} classes"
        )
    probs, labels = probs[labels >= 0], labels[labels >= 0]
    predicted = probs.argmax(axis=1)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = {name: _class_scores(confusion, i) for i, name in enumerate(names)}
    present = [scores for scores in per_class.values() if scores.support]
    top2 = np.argsort(probs, axis=1)[:, -2:]
    return Scores(
        n=len(labels),
        accuracy=float((predicted == labels).mean()),
        top2_accuracy=float((top2 == labels[:, None]).any(axis=1).mean()),
        macro_precision=float(np.mean([scores.precision for scores in present])),
        macro_recall=float(np.mean([scores.recall for scores in present])),
        macro_f1=float(np.mean([scores.f1 for scores in present])),
        per_class=per_class,
        confusion=confusion.tolist(),
        ece=calibration_error(probs, labels),
    )


def calibration_error(probs: Float32Array, labels: Int64Array) -> float:
    """Mean distance between confidence and accuracy over bins of confidence, weighted by rows; in [0, 1]."""
    confidence, right, place = _bin_by_confidence(probs, labels)
    # Sums in place of means: the weight of a bin is its number of rows, which cancels the denominator of the mean.
    gaps = np.bincount(place, weights=confidence - right, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def predict(
    classifier: Callable[[UInt8Array], Float32Array], images: UInt8Array, batch: int = 64
) -> Float32Array:
    """Classify images (N, S, S) in batches: float32 (N, K)."""
    starts = range(0, len(images), batch)
    return np.concatenate([classifier(images[start : start + batch, ..., None]) for start in starts])


def predict_timed(
    classifier: Callable[[UInt8Array], Float32Array], images: UInt8Array
) -> tuple[Float32Array, float]:
    """Classify images (N, S, S), N >= 1, and return probabilities float32 (N, K) and faces per second."""
    classifier(images[:1, ..., None])  # the first call also initialises the network
    began = time.perf_counter()
    probs = predict(classifier, images)
    return probs, len(images) / max(time.perf_counter() - began, 1e-9)


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Rows whose confidence (highest probability) is in [low, high); the last bin includes 1."""

    low: float
    high: float
    n: int
    confidence: float
    """Mean confidence; 0 without rows."""
    accuracy: float
    """Share of correct rows; 0 without rows."""


def reliability_bins(probs: Float32Array, labels: Int64Array) -> list[ConfidenceBin]:
    """Bins of the reliability diagram (Guo et al., 2017), over which `calibration_error` sums."""
    confidence, right, place = _bin_by_confidence(probs, labels)
    counts = np.bincount(place, minlength=ECE_BINS)
    sums = [np.bincount(place, weights=values, minlength=ECE_BINS) for values in (confidence, right)]
    means = [total / np.maximum(counts, 1) for total in sums]
    return [
        ConfidenceBin(
            i / ECE_BINS, (i + 1) / ECE_BINS, int(counts[i]), float(means[0][i]), float(means[1][i])
        )
        for i in range(ECE_BINS)
    ]


def _bin_by_confidence(
    probs: Float32Array, labels: Int64Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], Int64Array]:
    """Confidence, correctness and bin of each row; each (N,)."""
    confidence = probs.max(axis=1).astype(np.float64)
    place = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    return confidence, probs.argmax(axis=1) == labels, place


def _class_scores(confusion: Int64Array, i: int) -> ClassScores:
    hits, true, predicted = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
    return ClassScores(
        precision=hits / predicted if predicted else 0.0,
        recall=hits / true if true else 0.0,
        # The harmonic mean of the two in counts, which is also defined where one of them is 0 / 0.
        f1=2 * hits / (true + predicted) if true + predicted else 0.0,
        support=true,
    )
