"""From a trained model to the folder that can be shipped: Keras weights, float ONNX, int8 ONNX and their cards.

    release(resolve("run"), Path("release"), load(Path("fer2013.npz")))

All files are made from the Keras weights, and the ONNX networks are compared with them before a card is written. int8
needs face crops for the ranges of its activations: training rows, never the rows it is evaluated on. A run with two
heads gives one set of files and a card per preset.
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
from ferflow.models.training.finalize import onnx_outputs, score_outputs
from ferflow.models.training.finished_run import Run, read_run
from ferflow.models.training.float16 import halve_kernels, round_to_float16, save_compact
from ferflow.models.training.occlusion import add_occlusion_head, find_layer, find_marks
from ferflow.models.training.presets import PRESETS, Preset, preset_card
from ferflow.models.training.quantise import CALIBRATION_CROPS, to_int8
from ferflow.models.training.targets import compute_logits
from ferflow.types import UInt8Array

CHECKED_CROPS = 256
FLOAT_TOLERANCE = 1e-3
"""Of probabilities: the rounding of fused multiplications, and no more."""
INT8_LEAST_AGREEMENT = 0.95
"""Share of crops with the same most probable label; below it, the ranges are wrong."""


def release(
    card: ModelCard,
    out: Path,
    faces: Faces | None,
    presets: Sequence[Preset] | None = None,
    *,
    occlusion: bool = False,
) -> list[ModelCard]:
    """Write `RECIPE.weights.h5`, `RECIPE.onnx`, with faces `RECIPE.int8.onnx` too, and the cards into `out`.

    With faces, a finished run with two heads gets a card per preset, `PRESET.json`, or `card.json` if there is only one
    preset. A preset of an earlier release gets a new version of its card, and so do the presets that share its files.
    Any other model gets a new version of its own card, `card.json`.

    Args:
        card: of a run, or a model with Keras weights.
        out: another folder than the card's.
        faces: for calibration of int8 (Training rows) and evaluation (PublicTest rows), split by `dataset.split` with
            the card's seed; None writes the float32 network only and keeps the card's scores.
        presets: in place of `PRESETS`.
        occlusion: fit a head for covered mouths on the Training rows; otherwise, an earlier one is not kept.

    Raises:
        ModelError: no Keras weights, or an ONNX network does not agree with them.
        OptionsError: the faces do not contain both kinds of rows, or the run was not trained on them; or presets are
            given for a model without two heads.
    """
    run = None if faces is None else read_run(card)
    hold_out = run is not None and run.options.hold_out
    parts = None if faces is None else split(faces, card.seed, hold_out=hold_out)
    model, cards = _make_cards(card, run, parts, presets)
    if occlusion:
        model, cards = _add_occlusion(model, cards, parts)
    out.mkdir(parents=True, exist_ok=True)
    files = _write(model, cards[0], out, parts)
    cards = [structs.replace(made, files=files, folder=out) for made in cards]
    _check_agreement(cards, model, _comparison_crops(parts, card))
    if faces is not None:
        # On PublicTest also if the run was selected on a tenth of Training: these are the figures that are published.
        cards = _add_scores(cards, split(faces, card.seed).selection)
    for made in cards:
        made.save(out / card_file(made, cards))
    return cards


def card_file(card: ModelCard, cards: Sequence[ModelCard]) -> str:
    """File name of a card of a release: its model's name if there are several cards."""
    return CARD_FILE if len(cards) == 1 else f"{card.name}.json"


def cards_in(folder: Path) -> list[Path]:
    """Cards of an earlier release in this folder."""
    names = [CARD_FILE, *(f"{preset.name}.json" for preset in PRESETS)]
    return [folder / name for name in names if (folder / name).exists()]


def _make_cards(
    card: ModelCard, run: Run | None, parts: Split | None, presets: Sequence[Preset] | None
) -> tuple[keras_network.KerasModel, list[ModelCard]]:
    """Return the network to write, rounded, and its cards, still without the new files and scores."""
    if parts is not None and run is not None and run.network.two_heads:
        model = round_to_float16(run.model)
        answers = compute_logits(model, parts.selection.images)
        return model, [preset_card(preset, run, parts, answers) for preset in presets or PRESETS]
    if presets is not None:
        raise OptionsError(
            f"{card.name}: only a finished run with two heads can be blended, with the data it was trained on. "
            "Give the folder of the run and --data."
        )
    plain = [structs.replace(each, occlusion_layer="") for each in _sharing(card)]
    return round_to_float16(keras_network.load_network(card)), plain


def _sharing(card: ModelCard) -> list[ModelCard]:
    """The presets of an earlier release that share the files of this one; any other model alone."""
    cards = [] if card.folder is None else [ModelCard.load(path) for path in cards_in(card.folder)]
    same = [each for each in cards if each.files == card.files]
    return same if card in same else [card]


def _add_occlusion(
    model: keras_network.KerasModel, cards: Sequence[ModelCard], parts: Split | None
) -> tuple[keras_network.KerasModel, list[ModelCard]]:
    """Fit a head for covered mouths, and name its layer in the cards."""
    if parts is None:
        raise OptionsError("the head for covered mouths is fitted on faces. Give a data set with --data.")
    card, layer = cards[0], find_layer(model)
    network = keras_network.Network(
        classes=len(card.labels), two_heads=card.blend is not None, occlusion_layer=layer
    )
    marked = find_marks(parts.training)
    served = round_to_float16(add_occlusion_head(model, card.recipe, network, marked, card.seed))
    return served, [structs.replace(each, occlusion_layer=layer) for each in cards]


def _write(
    model: keras_network.KerasModel, card: ModelCard, out: Path, parts: Split | None
) -> Mapping[WeightsKind, WeightFile]:
    """Write all files of the network and return them by kind."""
    files: dict[WeightsKind, str] = {"onnx": f"{card.recipe}.onnx", "keras": f"{card.recipe}.weights.h5"}
    save_compact(model, out / files["keras"])
    float32 = out / f"{card.recipe}.float32.onnx"
    try:
        to_onnx(model, float32)
        if parts is not None:
            files = {"onnx": f"{card.recipe}.int8.onnx", "onnx_float": files["onnx"], "keras": files["keras"]}
            to_int8(float32, out / files["onnx"], _calibration_crops(parts, card.seed))
        halve_kernels(float32, out / files.get("onnx_float", files["onnx"]))
    finally:
        float32.unlink(missing_ok=True)
    return {kind: WeightFile(file, sha256_of(out / file)) for kind, file in files.items()}


def _comparison_crops(parts: Split | None, card: ModelCard) -> UInt8Array:
    """Return crops (N, S, S) for the comparison of networks: faces, or noise if there are none."""
    if parts is None:
        shape = (CHECKED_CROPS, card.input_size, card.input_size)
        return np.random.default_rng(card.seed).integers(0, 256, shape, dtype=np.uint8)
    return parts.training.images[-CHECKED_CROPS:]


def _calibration_crops(parts: Split, seed: int) -> UInt8Array:
    # The last rows are kept for the comparison of networks.
    rows = np.random.default_rng(seed).permutation(max(len(parts.training) - CHECKED_CROPS, 1))
    return parts.training.images[rows[:CALIBRATION_CROPS], ..., None]


def _check_agreement(cards: Sequence[ModelCard], model: keras_network.KerasModel, crops: UInt8Array) -> None:
    """Compare the ONNX networks with the Keras weights on crops (N, S, S), for the blend of each card."""
    expected, found = compute_logits(model, crops), _outputs(cards[0], crops)
    for card in cards:
        wanted = card.probabilities(expected)
        worst = float(np.abs(card.probabilities(found[card.float_file]) - wanted).max())
        # `not <=` and not `>`: a network that returns NaN is refused, too.
        if not worst <= FLOAT_TOLERANCE:
            raise ModelError(f"{card.name}: the ONNX network differs from the Keras weights by {worst:.2g}.")
        given = card.probabilities(found["onnx"])
        same = float((given.argmax(axis=1) == wanted.argmax(axis=1)).mean())
        if card.is_int8 and not same >= INT8_LEAST_AGREEMENT:
            raise ModelError(
                f"{card.name}: int8 gives another label for {1 - same:.0%} of the crops it was compared on. "
                "Calibrate it on faces like those that it will classify."
            )


def _outputs(card: ModelCard, images: UInt8Array) -> dict[WeightsKind, ByHead]:
    """Logits of each ONNX file of a card for images (N, S, S)."""
    kinds: set[WeightsKind] = {"onnx", card.float_file}
    return {kind: onnx_outputs(card, images, kind) for kind in kinds}


def _add_scores(cards: Sequence[ModelCard], faces: Faces) -> list[ModelCard]:
    """Add the scores of the int8 and float32 networks on the same rows."""
    outputs = _outputs(cards[0], faces.images)
    return [structs.replace(card, scores=_scores(card, outputs, faces)) for card in cards]


def _scores(card: ModelCard, outputs: Mapping[WeightsKind, ByHead], faces: Faces) -> CardScores:
    of_float = score_outputs(card, outputs[card.float_file], faces).by_kind()
    twin = {
        kind: TwinFigures(accuracy=found.accuracy, macro_recall=found.macro_recall, ece=found.ece)
        for kind, found in of_float.items()
    }
    return structs.replace(score_outputs(card, outputs["onnx"], faces), of_float=twin)
