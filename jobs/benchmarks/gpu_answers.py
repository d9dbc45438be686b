"""Whether a column of the GPU benchmark answers as the float32 networks on the CPU do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ferflow.faces.crops import crop_frames
from ferflow.faces.detections import Detections, iou
from ferflow.jobs.benchmarks.gpu_columns import Bounds
from ferflow.media.video import Frame
from ferflow.models.classifier import OnnxClassifier
from ferflow.pipeline import Tools
from ferflow.types import Float32Array, UInt8Array

_SAME_FACE_IOU = 0.5


class Answers(NamedTuple):
    """About frames, and crops of the faces in them."""

    faces: list[Detections]
    """Per frame."""
    logits: Float32Array
    """float32 (N, heads x K), side by side; NaN where TensorFlow's are not known."""
    probs: Float32Array


class Difference(NamedTuple):
    """Of one column from the reference."""

    what: str
    value: float
    bound: float = np.inf
    """The largest value; infinite: any."""
    is_share: bool = False
    """A share of equal answers: the bound is the least value."""

    @property
    def is_wrong(self) -> bool:
        """Whether the bound is violated; NaN violates it."""
        return self.bound < np.inf and not (
            self.value >= self.bound if self.is_share else self.value <= self.bound
        )

    def __str__(self) -> str:
        if self.bound == np.inf:
            return "unknown" if np.isnan(self.value) else f"{self.value:.2g}"
        return f"{self.value:.3g} ({'>=' if self.is_share else '<='} {self.bound:g})"


def crop_all(frames: list[Frame], tools: Tools) -> UInt8Array:
    """Crops of all faces in some frames, uint8 (N, S, S, C)."""
    faces = tools.detector.detect(frames)
    ids = [np.zeros(len(found), np.int32) for found in faces]
    return crop_frames(frames, faces, ids, tools.crop_shape).images


def ask(tools: Tools, frames: list[Frame], crops: UInt8Array) -> Answers:
    """The answers of detector and classifier."""
    classifier, logits = tools.classifier, np.full((len(crops), 1), np.nan, np.float32)
    if isinstance(classifier, OnnxClassifier):
        outputs = classifier.outputs(crops)
        logits = np.concatenate([outputs[head] for head in classifier.card.heads], axis=1)
    return Answers(tools.detector.detect(frames), logits, classifier(crops))


def compare(right: Answers, found: Answers, bounds: Bounds) -> list[Difference]:
    """All differences between answers about the same frames and crops."""
    pairs = [_match(*both) for both in zip(right.faces, found.faces, strict=True)]
    boxes = [(mine.xyxy - other.xyxy) / _heights(mine) for mine, other in pairs]
    scores = [mine.score - other.score for mine, other in pairs]
    n_faces = max(sum(map(len, right.faces)), sum(map(len, found.faces)))
    is_equal = right.probs.argmax(axis=1) == found.probs.argmax(axis=1)
    return [
        Difference("boxes, max difference / face height", _largest(boxes), bounds.box),
        Difference("scores, max difference", _largest(scores), bounds.score),
        Difference("faces found by both, share", sum(map(len, scores)) / n_faces, bounds.equal, True),
        Difference("logits, max difference", _largest([right.logits - found.logits])),
        Difference("probs, max difference", _largest([right.probs - found.probs]), bounds.probs),
        Difference("equal labels, share", float(is_equal.mean()), bounds.equal, True),
    ]


def _match(right: Detections, found: Detections) -> tuple[Detections, Detections]:
    """The faces that both have, in the same order: pairs of which each is the other's best."""
    overlap = iou(right.xyxy, found.xyxy)
    if not overlap.size:
        return Detections.empty(), Detections.empty()
    best, rows = overlap.argmax(axis=1), np.arange(len(right))
    both = (overlap.argmax(axis=0)[best] == rows) & (overlap[rows, best] >= _SAME_FACE_IOU)
    return right[both], found[best[both]]


def _heights(faces: Detections) -> Float32Array:
    return faces.xyxy[:, 3:] - faces.xyxy[:, 1:2]


def _largest(parts: Sequence[Float32Array]) -> float:
    """Largest absolute value; NaN where one is."""
    return float(np.abs(np.concatenate([part.ravel() for part in parts])).max(initial=0))
