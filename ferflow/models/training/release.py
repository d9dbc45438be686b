"""From a trained model to the folder that can be shipped: Keras weights, float ONNX, int8 ONNX and their cards.

    release(resolve("run"), Path("release"), load(Path("fer2013.npz")))

All is made anew from the Keras weights, and the float network is held against them before anything is written. int8
needs face crops to see the ranges of its activations: training rows, never those it is measured on. A run with two
heads becomes one set of files and a card per preset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import structs

from ferflow.errors import ModelError, OptionsError
from ferflow.models import keras_network
from ferflow.models.cards import CardScores, ModelCard, TwinFigures, WeightFile, WeightsKind, sha256_of
from ferflow.models.data.dataset import Split, split
from ferflow.models.data.labelled_faces import Faces
from ferflow.models.heads import ByHead
from ferflow.models.registry import CARD_FILE
from ferflow.models.training.export import to_onnx
from ferflow.models.training.finalize import onnx_outputs, score
from ferflow.models.training.finished_run import read_run
from ferflow.models.training.float16 import halved, rounded, save_compact
from ferflow.models.training.presets import PRESETS, Preset, preset_card
from ferflow.models.training.quantise import CALIBRATION_CROPS, to_int8
from ferflow.models.training.targets import logits
from ferflow.types import UInt8Array

CHECKED_CROPS = 256
FLOAT_TOLERANCE = 1e-3
"""Of probabilities: what a fused multiplication may round away, and no more."""
INT8_LEAST_AGREEMENT = 0.95
"""Share of crops with the same first label; below it something is wrong with the ranges."""


def release(
    card: ModelCard, out: Path, faces: Faces | None, presets: Sequence[Preset] | None = None
) -> list[ModelCard]:
    """Write `RECIPE.weights.h5`, `RECIPE.onnx`, with faces `RECIPE.int8.onnx` too, and the cards into `out`.

    A finished run with two heads, given faces, gets a card per preset, `PRESET.json`, or `card.json` if there is one
    preset only. Everything else gets its own card anew, `card.json`.

    Args:
        card: of a run, or a model with Keras weights.
        out: another folder than the card's.
        faces: to calibrate int8 on (Training rows) and to measure on (PublicTest rows), parted by `dataset.split`
            with the card's seed; None writes the float network only and keeps the card's scores.
        presets: what to make of two heads in place of `PRESETS`.

    Raises:
        ModelError: no Keras weights, or what was written does not answer as they do.
        OptionsError: the faces do not hold both kinds of rows, or are not those that the run learnt from; or
            presets are given where there are no two heads to blend.
    """
    parts = None if faces is None else split(faces, card.seed)
    model, cards = _made(card, parts, presets)
    out.mkdir(parents=True, exist_ok=True)
    files = _write(model, cards[0], out, parts)
    cards = [structs.replace(made, files=files, folder=out) for made in cards]
    _agree(cards, model, _crops(parts, card))
    if parts is not None:
        cards = _scored(cards, parts.selection)
    for made in cards:
        made.save(out / card_file(made, cards))
    return cards


def card_file(card: ModelCard, cards: Sequence[ModelCard]) -> str:
    """Under which name a card of a release stands: its own, if there are others."""
    return CARD_FILE if len(cards) == 1 else f"{card.name}.json"


def cards_in(folder: Path) -> list[Path]:
    """Cards of an earlier release that a new one in this folder would replace."""
    names = [CARD_FILE, *(f"{preset.name}.json" for preset in PRESETS)]
    return [folder / name for name in names if (folder / name).exists()]


def _made(
    card: ModelCard, parts: Split | None, presets: Sequence[Preset] | None
) -> tuple[keras_network.KerasModel, list[ModelCard]]:
    """The network to write, rounded, and its cards, files and scores still to come."""
    run = None if parts is None else read_run(card)
    if parts is not None and run is not None and run.network.two_heads:
        model = rounded(run.model)
        answers = logits(model, parts.selection.images)
        return model, [preset_card(preset, run, parts, answers) for preset in presets or PRESETS]
    if presets is not None:
        raise OptionsError(
            f"{card.name}: a blend can be chosen of a finished run with two heads, by the data it learnt from. "
            "Give the run's folder and --data."
        )
    return rounded(keras_network.load_served(card)), [card]


def _write(
    model: keras_network.KerasModel, card: ModelCard, out: Path, parts: Split | None
) -> Mapping[WeightsKind, WeightFile]:
    """Write the network in all its forms, and return the files by what reads them."""
    files: dict[WeightsKind, str] = {"onnx": f"{card.recipe}.onnx", "keras": f"{card.recipe}.weights.h5"}
    save_compact(model, out / files["keras"])
    whole = out / f"{card.recipe}.whole.onnx"
    try:
        to_onnx(model, whole)
        if parts is not None:
            files = {"onnx": f"{card.recipe}.int8.onnx", "onnx_float": files["onnx"], "keras": files["keras"]}
            to_int8(whole, out / files["onnx"], _calibration(parts, card.seed))
        halved(whole, out / files.get("onnx_float", files["onnx"]))
    finally:
        whole.unlink(missing_ok=True)
    return {kind: WeightFile(file, sha256_of(out / file)) for kind, file in files.items()}


def _crops(parts: Split | None, card: ModelCard) -> UInt8Array:
    """Return crops (N, S, S) to compare networks on: faces, or noise where there are none."""
    if parts is None:
        shape = (CHECKED_CROPS, card.input_size, card.input_size)
        return np.random.default_rng(card.seed).integers(0, 256, shape, dtype=np.uint8)
    return parts.training.images[-CHECKED_CROPS:]


def _calibration(parts: Split, seed: int) -> UInt8Array:
    # The last rows are those that the networks are compared on.
    rows = np.random.default_rng(seed).permutation(max(len(parts.training) - CHECKED_CROPS, 1))
    return parts.training.images[rows[:CALIBRATION_CROPS], ..., None]


def _agree(cards: Sequence[ModelCard], model: keras_network.KerasModel, crops: UInt8Array) -> None:
    """Hold what was written against the Keras weights' answers to crops (N, S, S), as each card blends them."""
    expected, found = logits(model, crops), _outputs(cards[0], crops)
    for card in cards:
        wanted = card.probabilities(expected)
        worst = float(np.abs(card.probabilities(found[card.float_file]) - wanted).max())
        if not worst <= FLOAT_TOLERANCE:
            raise ModelError(f"{card.name}: the ONNX network differs from the Keras weights by {worst:.2g}.")
        given = card.probabilities(found["onnx"])
        same = float((given.argmax(axis=1) == wanted.argmax(axis=1)).mean())
        if card.is_int8 and not same >= INT8_LEAST_AGREEMENT:
            raise ModelError(
                f"{card.name}: int8 gives another label for {1 - same:.0%} of the crops it was checked on. "
                "Calibrate it on faces like those it will see."
            )


def _outputs(card: ModelCard, images: UInt8Array) -> dict[WeightsKind, ByHead]:
    """Logits of each ONNX file of a card for images (N, S, S)."""
    kinds: set[WeightsKind] = {"onnx", card.float_file}
    return {kind: onnx_outputs(card, images, kind) for kind in kinds}


def _scored(cards: Sequence[ModelCard], faces: Faces) -> list[ModelCard]:
    """Add scores of the int8 network, and what the float one reaches on the same rows."""
    outputs = _outputs(cards[0], faces.images)
    return [structs.replace(card, scores=_scores(card, outputs, faces)) for card in cards]


def _scores(card: ModelCard, outputs: Mapping[WeightsKind, ByHead], faces: Faces) -> CardScores:
    of_float = score(card, outputs[card.float_file], faces).by_kind()
    twin = {
        kind: TwinFigures(accuracy=found.accuracy, macro_recall=found.macro_recall, ece=found.ece)
        for kind, found in of_float.items()
    }
    return structs.replace(score(card, outputs["onnx"], faces), of_float=twin)
