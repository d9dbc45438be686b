"""Training targets, training batches, and the evaluation of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ferflow.models import keras_network
from ferflow.models.data.augment import Draw, augment
from ferflow.models.data.labelled_faces import SEVEN, Classes, Faces, count_votes, majority_labels
from ferflow.models.heads import LABEL_HEAD, SERVED_HEAD, VOTE_HEAD, ByHead, split_heads
from ferflow.models.training.options import TrainOptions
from ferflow.types import Float32Array, Int64Array, UInt8Array

Batch = tuple[Float32Array, ByHead | Float32Array, ByHead | Float32Array | None]
"""Images (n, S, S, 1), targets (n, K) and sample weights (n,) or None; the latter two by head if there are two."""

LEAST_VOTES = 5
"""Of ten. With fewer votes for our seven classes, most annotators saw something else."""

EVALUATION_BATCH = 512

WEIGHTS = (0.5, 3.0)
"""Bounds of class weights: without them, one row of disgust would count as much as nine others."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The target of each row."""

    labels: Float32Array
    """float32 (N, K), rows sum to 1."""
    votes: Float32Array | None
    """float32 (N, K), rows sum to 1, or to 0 if too few votes are left; None: no votes."""
    weights: Float32Array | None = None
    """float32 (N,), weight of the label of a row, 1 on average; None: equal weights."""


def make_targets(
    faces: Faces, smoothing: float, *, classes: Classes = SEVEN, votes: bool = True, weighted: bool = False
) -> Targets:
    """Smooth hard labels, normalise votes, and weight rows by the inverse frequency of their class."""
    numbers = classes.renumber(faces.labels)
    hard = np.eye(len(classes), dtype=np.float32)[numbers]
    smooth = hard * (1 - smoothing) + smoothing / len(classes)
    return Targets(
        smooth.astype(np.float32),
        classes.merge_columns(vote_shares(faces.votes)) if votes and faces.votes is not None else None,
        class_weights(numbers, len(classes))[numbers] if weighted else None,
    )


def mix_in_answers(wanted: Targets, answers: Mapping[str, Float32Array], share: float) -> Targets:
    """Mix teachers' answers (N, K) by head into the targets, except vote targets of rows with too few votes.

    Targets of a head that no teacher has stay the same.
    """
    labels, votes = answers.get(LABEL_HEAD), answers.get(VOTE_HEAD)
    mixed = wanted.labels if labels is None else (1 - share) * wanted.labels + share * labels
    if votes is None or wanted.votes is None:
        return replace(wanted, labels=mixed.astype(np.float32))
    # 0 for rows with too few votes, whose target stays 0.
    counted = wanted.votes.sum(axis=1, keepdims=True)
    mixed_votes = (1 - share) * wanted.votes + share * counted * votes
    return replace(wanted, labels=mixed.astype(np.float32), votes=mixed_votes.astype(np.float32))


def class_weights(numbers: Int64Array, n_classes: int) -> Float32Array:
    """Weights by inverse frequency within `WEIGHTS`, scaled so that rows weigh 1 on average: float32 (K,)."""
    counts = np.bincount(numbers, minlength=n_classes)
    bounded = np.clip(len(numbers) / (n_classes * np.maximum(counts, 1)), *WEIGHTS)
    weights: Float32Array = (bounded * len(numbers) / (bounded * counts).sum()).astype(np.float32)
    return weights


def oversample(numbers: Int64Array, rng: np.random.Generator) -> Int64Array:
    """Repeat rows so that every class with rows has as many as the largest class.

    Args:
        numbers: (N,), class of each row.
        rng: selects the rows of a class that are repeated once more than the others.

    Returns:
        (M,), row + N times the number of the copy, so that each copy has its own number and augmentation.
    """
    n, most = len(numbers), int(np.bincount(numbers).max())
    parts = []
    for label in np.unique(numbers):
        rows = np.flatnonzero(numbers == label)
        n_copies, rest = divmod(most, len(rows))
        copies = [rows + n * copy for copy in range(n_copies)]
        parts += [*copies, rng.permutation(rows)[:rest] + n * n_copies]
    return np.concatenate(parts)


def vote_shares(votes: UInt8Array) -> Float32Array:
    """Distribution over LABELS of FER+ votes (N, 10): float32 (N, 7), all 0 if too few votes are left."""
    counts = count_votes(votes)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total >= LEAST_VOTES, counts / np.maximum(total, 1), 0).astype(np.float32)


def make_batch(
    images: UInt8Array, wanted: Targets, rows: Int64Array, draw: Draw, options: TrainOptions
) -> Batch:
    """Make the batch of rows of images (N, S, S), with augmentation and mixup; rows from N on are copies."""
    size = options.size_at(draw.epoch)
    at = rows % len(images)
    x = augment(images[at], rows, draw, options.augmentation, size=size).astype(np.float32)
    labels = wanted.labels[at]
    votes = None if wanted.votes is None else wanted.votes[at]
    weights = None if wanted.weights is None else wanted.weights[at]
    if options.mixup > 0:
        # The 1 separates these numbers from those of the row itself, which `Draw.rng` derives from the other three.
        mixing = np.random.default_rng((draw.seed, draw.epoch, int(rows[0]), 1))
        share = np.float32(mixing.beta(options.mixup, options.mixup))
        x, labels = _mix(x, share), _mix(labels, share)
        votes = None if votes is None else _mix(votes, share)
        weights = None if weights is None else _mix(weights, share)
    if votes is None:
        return x[..., None], labels, weights
    # A row without votes, mixed with a row with votes, counts by the weight of the latter.
    counts = votes.sum(axis=1)
    votes = votes / np.maximum(counts, 1e-6)[:, None]
    heads = {LABEL_HEAD: labels, VOTE_HEAD: votes}
    label_weights = np.ones_like(counts) if weights is None else weights
    return x[..., None], heads, {LABEL_HEAD: label_weights, VOTE_HEAD: counts}


def compute_logits(model: keras_network.KerasModel, images: UInt8Array) -> ByHead:
    """Run a Keras network on images (N, S, S) in batches: float32 (N, K) by head."""
    parts: dict[str, list[Float32Array]] = {}
    for start in range(0, len(images), EVALUATION_BATCH):
        answer = model.predict_on_batch(
            images[start : start + EVALUATION_BATCH, ..., None].astype(np.float32)
        )
        for name, part in split_heads(answer).items():
            parts.setdefault(name, []).append(np.asarray(part, np.float32))
    return {name: np.concatenate(part) for name, part in parts.items()}


def judge(answers: Mapping[str, Float32Array], faces: Faces, classes: Classes = SEVEN) -> dict[str, float]:
    """Accuracy by labels and, if there are votes, by FER+ majority; each head by its own kind of labels."""
    by_label = answers[LABEL_HEAD if LABEL_HEAD in answers else SERVED_HEAD]
    figures = {"accuracy": float((by_label.argmax(axis=1) == classes.renumber(faces.labels)).mean())}
    if faces.votes is not None:
        truth = classes.renumber(majority_labels(faces.votes))
        by_vote = answers.get(VOTE_HEAD, by_label).argmax(axis=1)
        figures["ferplus_accuracy"] = float((by_vote == truth)[truth >= 0].mean())
    return figures


def _mix(values: Float32Array, share: np.float32) -> Float32Array:
    """Mix every row with the one at the opposite end of the batch: rows are already in random order."""
    return (share * values + (1 - share) * values[::-1]).astype(np.float32)
