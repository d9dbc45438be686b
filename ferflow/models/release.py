"""From a trained model to the folder that can be shipped: Keras weights, float ONNX, int8 ONNX and their card.

    release(resolve("run"), Path("release"), load(Path("fer2013.npz")))

All is made anew from the Keras weights, and the float network is held against them before anything is written. int8
needs face crops to see the ranges of its activations: training rows, never those it is measured on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import ModelError
from ferflow.models import cnn
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.dataset import Split, split
from ferflow.models.evaluate import FloatArray, softmax
from ferflow.models.export import to_onnx
from ferflow.models.finish import onnx_probs, score
from ferflow.models.half import halved, rounded, save_compact
from ferflow.models.labelled import Faces
from ferflow.models.quantise import CALIBRATION_CROPS, to_int8
from ferflow.models.registry import CARD_FILE

UInt8Array = npt.NDArray[np.uint8]

CHECKED_CROPS = 256
FLOAT_TOLERANCE = 1e-3
"""Of probabilities: what a fused multiplication may round away, and no more."""
INT8_LEAST_AGREEMENT = 0.95
"""Share of crops with the same first label; below it something is wrong with the ranges."""


def release(card: ModelCard, out: Path, faces: Faces | None) -> ModelCard:
    """Write `NAME.weights.h5`, `NAME.onnx`, with faces `NAME.int8.onnx` too, and `card.json` into `out`.

    Args:
        card: a model with Keras weights.
        out: another folder than the card's.
        faces: to calibrate int8 on (Training rows) and to measure on (PublicTest rows), parted by `dataset.split`
            with the card's seed; None writes the float network only and keeps the card's scores.

    Raises:
        ModelError: no Keras weights, or what was written does not answer as they do.
        OptionsError: the faces do not hold both kinds of rows.
    """
    model = rounded(cnn.load_served(card))
    parts = None if faces is None else split(faces, card.seed)
    out.mkdir(parents=True, exist_ok=True)
    files = {"onnx": f"{card.name}.onnx", "keras": f"{card.name}.weights.h5"}
    save_compact(model, out / files["keras"])
    whole = out / f"{card.name}.whole.onnx"
    to_onnx(model, whole)
    crops = _crops(parts, card)
    expected = softmax(np.asarray(model.predict_on_batch(crops.astype(np.float32))), card.temperature)
    if parts is not None:
        files = {"onnx": f"{card.name}.int8.onnx", "onnx_float": files["onnx"], "keras": files["keras"]}
        to_int8(whole, out / files["onnx"], _calibration(parts, card.seed))
    halved(whole, out / (files["onnx_float"] if parts is not None else files["onnx"]))
    whole.unlink()
    named = {kind: WeightFile(file, sha256_of(out / file)) for kind, file in files.items()}
    released = replace(card, files=named, folder=out)
    _agree(released, crops, expected)
    if parts is not None:
        released = replace(released, scores=_scores(released, parts.selection))
    released.save(out / CARD_FILE)
    return released


def _crops(parts: Split | None, card: ModelCard) -> UInt8Array:
    """Return crops to compare networks on: faces, or noise where there are none."""
    if parts is None:
        shape = (CHECKED_CROPS, card.input_size, card.input_size, card.channels)
        return np.random.default_rng(card.seed).integers(0, 256, shape, dtype=np.uint8)
    return parts.training.images[-CHECKED_CROPS:, ..., None]


def _calibration(parts: Split, seed: int) -> UInt8Array:
    # The last rows are those that the networks are compared on.
    rows = np.random.default_rng(seed).permutation(max(len(parts.training) - CHECKED_CROPS, 1))
    return parts.training.images[rows[:CALIBRATION_CROPS], ..., None]


def _agree(card: ModelCard, crops: UInt8Array, expected: FloatArray) -> None:
    """Hold what was written against the Keras weights' answers (N, K) to crops (N, S, S, C)."""
    found = onnx_probs(card, card.float_file)(crops)
    worst = float(np.abs(found - expected).max())
    if not worst <= FLOAT_TOLERANCE:
        raise ModelError(f"{card.name}: the ONNX network differs from the Keras weights by {worst:.2g}.")
    if card.is_int8:
        found = onnx_probs(card)(crops)
        same = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
        if not same >= INT8_LEAST_AGREEMENT:
            raise ModelError(
                f"{card.name}: int8 gives another label for {1 - same:.0%} of the crops it was checked on. "
                "Calibrate it on faces like those it will see."
            )


def _scores(card: ModelCard, faces: Faces) -> Mapping[str, Any]:
    """Scores of the int8 network, and what the float one reaches on the same rows."""
    kept = ("accuracy", "macro_recall", "ece")
    of_float = score(card, faces, card.float_file)
    return score(card, faces) | {
        "float": {kind: {key: scores[key] for key in kept} for kind, scores in of_float.items()}
    }
