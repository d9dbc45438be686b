"""A head that says whether the mouth is covered, fitted on things drawn in front of faces.

    served = add_occlusion_head(model, find_marks(parts.training), seed=1)     # one more output, "occluded"

There is no data set of masked, hand-covered and clear faces that may be used, so the covers are drawn (`data.covers`).
Half of the faces get one; those with a cover beside the mouth teach that the mouth must be covered, and not that
something was drawn. All are disturbed as crops from video are.

The head is logistic regression on features in the middle of the expression network, where they are a quarter of the
image's side: deeper ones say less about where something is. A network of its own (three convolutions, 3 MFLOP) found
89 % of drawn masks where this head finds 96 %, and would take time for every face.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from msgspec import structs

from ferflow.errors import ModelError, OptionsError
from ferflow.faces.yunet import weights_path
from ferflow.models import keras_network
from ferflow.models.data.augment import Augmentation, Draw, augment
from ferflow.models.data.covers import LOWER_FACE, UPPER_FACE, draw_cover
from ferflow.models.data.labelled_faces import SIZE, Faces
from ferflow.models.heads import OCCLUSION_HEAD
from ferflow.system.runtime import import_keras
from ferflow.types import BoolArray, Float32Array, Int64Array, UInt8Array

log = logging.getLogger(__name__)

COVERED, CLEAR = 0.7, 0.15
"""Shares of the mouth from which it counts as covered, and up to which it counts as clear. Between the two, people
would not agree whether the expression can be read, and such drawings teach nothing."""

KINDS = (*LOWER_FACE, *UPPER_FACE)
KIND_SHARES = (0.2, 0.1, 0.15, 0.15, 0.13, 0.13, 0.07, 0.07)
"""How often each kind is drawn."""
DRAWN_SHARE = 0.5
"""Of the faces of an epoch."""

DISTURBED = structs.replace(
    Augmentation(), erase_chance=0.0, blur_chance=0.2, shrink_chance=0.3, jpeg_chance=0.3
)
"""Not erased: a rectangle over the mouth would cover it without a label that says so."""

LEAST_SCORE = 0.6
"""Of the detector in the crop of a face: below it, landmarks are too uncertain to draw at them."""
FALSE_ALARMS = 0.01
"""Share of undisturbed clear faces that the head may call covered; some of them have a hand at the mouth."""
LEAST_FACES = 200
"""With fewer faces, the head would learn their backgrounds."""
MOST_FACES = 16_000
"""With more, nothing was gained, and their features take 9 kB each."""
PENALTY = 1.5e-3
"""L2, of weights of standardised features."""
EPOCHS, RATE, BATCH = 12, 3e-3, 256
_MARGIN = 32
"""Pixels around a crop of twice its size, in which the detector finds its face."""


@dataclass(frozen=True, slots=True)
class FaceMarks:
    """Faces with their landmarks."""

    images: UInt8Array
    """uint8 (N, 48, 48)."""
    points: Float32Array
    """float32 (N, 5, 2), pixels of the image."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class DrawnFaces:
    """Faces, some of them with something drawn in front."""

    images: UInt8Array
    """uint8 (N, 48, 48)."""
    mouth_covered: Float32Array
    """float32 (N,), share of the mouth."""
    kind: Int64Array
    """int64 (N,), index into KINDS; -1: nothing was drawn."""

    @property
    def covered(self) -> BoolArray:
        """Which mouths are covered."""
        return self.mouth_covered >= COVERED

    @property
    def clear(self) -> BoolArray:
        """Which mouths are clear."""
        return self.mouth_covered <= CLEAR


def find_marks(faces: Faces) -> FaceMarks:
    """Find the landmarks of faces by YuNet, and leave out those where it finds none.

    Raises:
        ModelError: the detector's weights are missing.
    """
    side = 2 * SIZE + 2 * _MARGIN
    detector = cv2.FaceDetectorYN.create(str(weights_path()), "", (side, side), LEAST_SCORE)
    found = [_landmarks(detector, image) for image in faces.images]
    kept = [i for i, points in enumerate(found) if points is not None]
    points = np.array([found[i] for i in kept], np.float32).reshape(-1, 5, 2)
    return FaceMarks(faces.images[kept], points)


def _landmarks(detector: Any, image: UInt8Array) -> Float32Array | None:
    large = cv2.resize(image, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_LINEAR)
    framed = cv2.copyMakeBorder(large, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_REPLICATE)
    _, found = detector.detect(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR))
    if found is None:
        return None
    best = found[found[:, 14].argmax()]
    points: Float32Array = (best[4:14].reshape(5, 2) - _MARGIN) / 2
    return points


def draw_covers(faces: FaceMarks, rows: Int64Array, draw: Draw, *, share: float = DRAWN_SHARE) -> DrawnFaces:
    """Draw something in front of a share of some faces; what is drawn depends only on seed, epoch and row."""
    images, covered = np.empty((len(rows), SIZE, SIZE), np.uint8), np.zeros(len(rows), np.float32)
    kinds = np.full(len(rows), -1, np.int64)
    for i, row in enumerate(rows):
        rng = np.random.default_rng((draw.seed, draw.epoch, int(row), 2))
        images[i] = faces.images[row]
        if rng.random() < share:
            kinds[i] = rng.choice(len(KINDS), p=KIND_SHARES)
            drawn = draw_cover(faces.images[row], faces.points[row], rng, KINDS[kinds[i]])
            images[i], covered[i] = drawn.image, drawn.mouth_covered
    return DrawnFaces(images, covered, kinds)


def add_occlusion_head(
    model: keras_network.KerasModel, recipe: str, network: keras_network.Network, faces: FaceMarks, seed: int
) -> keras_network.KerasModel:
    """Return a copy of a served network with the output "occluded": a logit (N, 1), > 0 where the mouth is covered.

    Args:
        model: from `build(recipe, network)`, with its weights.
        recipe: its name.
        network: the arguments it was built with, and the layer that the head reads (`find_layer`).
        faces: training faces.
        seed: selects faces, and decides what is drawn.

    Raises:
        OptionsError: too few faces.
    """
    if len(faces) < LEAST_FACES:
        raise OptionsError(
            f"the head for covered mouths needs {LEAST_FACES} faces with landmarks, found {len(faces)}"
        )
    served = keras_network.build(recipe, network)
    for layer in model.layers:
        served.get_layer(layer.name).set_weights(layer.get_weights())
    features = keras_network.occlusion_features(served)
    served.get_layer(OCCLUSION_HEAD).set_weights(_fit(features, faces, seed))
    return served


def find_layer(model: keras_network.KerasModel) -> str:
    """Name of the last layer whose features have a quarter of the image's side.

    Raises:
        ModelError: there is none.
    """
    quarter = model.input.shape[1] // 4
    names = [
        layer.name
        for layer in model.layers
        if len(layer.output.shape) == 4 and layer.output.shape[1] == quarter
    ]
    if not names:
        raise ModelError(
            f"{model.name}: has no features of {quarter} x {quarter} for a head of covered mouths."
        )
    return str(names[-1])


def _fit(features: keras_network.KerasModel, faces: FaceMarks, seed: int) -> list[Float32Array]:
    """Kernel (D, 1) and bias (1,) of the head, at the threshold of `FALSE_ALARMS`."""
    rows = np.random.default_rng(seed).permutation(len(faces))[:MOST_FACES]
    draw = Draw(seed, 0)
    drawn = draw_covers(faces, rows, draw)
    x = _run(features, augment(drawn.images, rows, draw, DISTURBED, size=SIZE))
    counted = drawn.covered | drawn.clear
    kernel, bias = _regress(x[counted], drawn.covered[counted], seed)
    # Undisturbed, since this is what is promised of them; the fit hardly knows these faces: one row in 4608 weights.
    clear = _run(features, faces.images[rows]) @ kernel + bias
    return [kernel[:, None], np.array([bias - np.quantile(clear, 1 - FALSE_ALARMS)], np.float32)]


def _run(features: keras_network.KerasModel, images: UInt8Array) -> Float32Array:
    """Features (N, D) of images (N, S, S)."""
    parts = [
        np.asarray(features.predict_on_batch(part[..., None].astype(np.float32)), np.float32)
        for part in _pieces(images, BATCH)
    ]
    return np.concatenate(parts)


def _pieces(images: UInt8Array, size: int) -> Iterator[UInt8Array]:
    return (images[start : start + size] for start in range(0, len(images), size))


def _regress(x: Float32Array, covered: BoolArray, seed: int) -> tuple[Float32Array, np.float32]:
    """Logistic regression by Adam: weights (D,) and bias of the features as they are."""
    keras = import_keras()
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    keras.utils.set_random_seed(seed)
    dense = keras.layers.Dense(
        1, kernel_initializer="zeros", kernel_regularizer=keras.regularizers.L2(PENALTY)
    )
    model = keras.Sequential([keras.Input((x.shape[1],)), dense])
    steps = EPOCHS * -(-len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit((x - mean) / spread, covered.astype(np.float32), batch_size=BATCH, epochs=EPOCHS, verbose=0)
    kernel, bias = (np.asarray(weights) for weights in dense.get_weights())
    weights: Float32Array = (kernel[:, 0] / spread).astype(np.float32)
    return weights, np.float32(bias[0] - (weights * mean).sum())
