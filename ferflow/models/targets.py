"""What the heads should answer, the batches they learn from, and how their answers are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferflow.models import cnn
from ferflow.models.augment import Draw, augment
from ferflow.models.labelled import LABELS, Faces, IntArray, UInt8Array, majority, vote_counts
from ferflow.models.options import TrainOptions

FloatArray = npt.NDArray[np.float32]
ByHead = dict[str, FloatArray]
Batch = tuple[FloatArray, ByHead | FloatArray, ByHead | None]
"""Images (n, S, S, 1), targets (n, 7) and sample weights (n,); the latter two by head if there are two."""

LEAST_VOTES = 5
"""Of ten. With fewer left for our seven classes, the annotators saw something else."""

EVALUATION_BATCH = 512


@dataclass(frozen=True, slots=True)
class Targets:
    """What each row should be answered with."""

    labels: FloatArray
    """float32 (N, 7), rows sum to 1."""
    votes: FloatArray | None
    """float32 (N, 7), rows sum to 1, or to 0 where too few votes are left; None without votes."""


def targets(faces: Faces, smoothing: float) -> Targets:
    """Smooth the hard labels, share out the votes."""
    hard = np.eye(len(LABELS), dtype=np.float32)[faces.labels]
    smooth = hard * (1 - smoothing) + smoothing / len(LABELS)
    return Targets(smooth.astype(np.float32), None if faces.votes is None else vote_shares(faces.votes))


def vote_shares(votes: UInt8Array) -> FloatArray:
    """Distribution over LABELS of FER+ votes (N, 10): float32 (N, 7), all 0 where too few votes are left."""
    counts = vote_counts(votes)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total >= LEAST_VOTES, counts / np.maximum(total, 1), 0).astype(np.float32)


def batch(images: UInt8Array, wanted: Targets, rows: IntArray, draw: Draw, options: TrainOptions) -> Batch:
    """Make the augmented and mixed batch of these rows of images (N, S, S)."""
    size = options.size_at(draw.epoch)
    x = augment(images[rows], rows, draw, options.augmentation, size=size).astype(np.float32)
    labels = wanted.labels[rows]
    votes = None if wanted.votes is None else wanted.votes[rows]
    if options.mixup > 0:
        mixing = np.random.default_rng((draw.seed, draw.epoch, int(rows[0]), 1))
        share = np.float32(mixing.beta(options.mixup, options.mixup))
        x, labels = _mix(x, share), _mix(labels, share)
        votes = None if votes is None else _mix(votes, share)
    if votes is None:
        return x[..., None], labels, None
    # A row without votes mixed with one that has them counts by the share of the latter.
    weight = votes.sum(axis=1)
    votes = votes / np.maximum(weight, 1e-6)[:, None]
    heads = {cnn.LABEL_HEAD: labels, cnn.VOTE_HEAD: votes}
    return x[..., None], heads, {cnn.LABEL_HEAD: np.ones_like(weight), cnn.VOTE_HEAD: weight}


def logits(model: cnn.KerasModel, images: UInt8Array) -> ByHead:
    """Answer images (N, S, S) in batches: float32 (N, 7) by head."""
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(images), EVALUATION_BATCH):
        answer = model.predict_on_batch(
            images[start : start + EVALUATION_BATCH, ..., None].astype(np.float32)
        )
        for name, part in (answer if isinstance(answer, dict) else {cnn.SERVED_HEAD: answer}).items():
            parts.setdefault(name, []).append(np.asarray(part, np.float32))
    return {name: np.concatenate(part) for name, part in parts.items()}


def judge(answers: Mapping[str, FloatArray], faces: Faces) -> dict[str, float]:
    """Accuracy by labels and, where there are votes, by FER+ majority; each head on its own ground."""
    by_label = answers[cnn.LABEL_HEAD if cnn.LABEL_HEAD in answers else cnn.SERVED_HEAD]
    figures = {"accuracy": float((by_label.argmax(axis=1) == faces.labels).mean())}
    if faces.votes is not None:
        truth = majority(faces.votes)
        by_vote = answers.get(cnn.VOTE_HEAD, by_label).argmax(axis=1)
        figures["ferplus_accuracy"] = float((by_vote == truth)[truth >= 0].mean())
    return figures


def _mix(values: FloatArray, share: np.float32) -> FloatArray:
    """Blend every row with the one at the other end of the batch: rows are in random order already."""
    return (share * values + (1 - share) * values[::-1]).astype(np.float32)
