"""Create a usable model from trained weights: a blend of its heads, a temperature, files and a card.

The blend of heads, the prior and the temperature are chosen on the selection split, as the card states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt
from msgspec import structs

from ferflow.models import keras_network
from ferflow.models.cards import CardScores, Figures, ModelCard, WeightFile, WeightsKind, sha256_of
from ferflow.models.classifier import OnnxClassifier
from ferflow.models.data.dataset import Split
from ferflow.models.data.labelled_faces import Faces, renumber
from ferflow.models.heads import SERVED_HEAD, ByHead
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.registry import CARD_FILE
from ferflow.models.training.export import to_onnx
from ferflow.models.training.head_blending import best_blend, fit_temperature, selected_on
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import compute_logits
from ferflow.types import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A network at the end of its training."""

    weights: Sequence[npt.NDArray[Any]]
    """Of `keras_network.build(options.recipe, network)`, in Keras's order."""
    network: keras_network.Network
    options: TrainOptions
    data: str
    """Name of the data set, for the card."""
    parts: Split
    epochs: int
    """Number of epochs trained."""


def finalize(trained: TrainingResult, out: Path, note: str = "") -> ModelCard:
    """Write `NAME.weights.h5`, `NAME.onnx` and `card.json` into `out` and return the card.

    If there are two heads, the files keep both and the card blends them.
    """
    name, recipe, options = trained.options.name, trained.options.recipe, trained.options
    two_heads = trained.network.two_heads
    model = keras_network.build(recipe, trained.network)
    model.set_weights(list(trained.weights))
    answers = compute_logits(model, trained.parts.selection.images)
    blend = best_blend(answers, trained.parts, options)
    truth = options.classes.renumber(trained.parts.selection.labels)
    served = keras_network.copy_for_serving(
        model, recipe, trained.network, shift=0.0 if two_heads else blend.shift(SERVED_HEAD)
    )
    files: dict[WeightsKind, str] = {"onnx": f"{name}.onnx", "keras": f"{name}.weights.h5"}
    to_onnx(served, out / files["onnx"])
    _save_weights(served, out / files["keras"])
    card = ModelCard(
        name=name,
        recipe=recipe,
        labels=options.classes.names,
        merged=dict(options.merge),
        blend=blend.blend,
        temperature=fit_temperature(partial(blend, answers), truth),
        prior=blend.prior,
        prior_note=blend.note(options),
        files={backend: WeightFile(file, sha256_of(out / file)) for backend, file in files.items()},
        data=trained.data,
        rows=len(trained.parts.training),
        leaks=trained.parts.leaks,
        seed=options.seed,
        selection=_selection_note(trained),
        note=note,
        folder=out,
    )
    selection = trained.parts.selection
    card = structs.replace(card, scores=score_outputs(card, onnx_outputs(card, selection.images), selection))
    card.save(out / CARD_FILE)
    return card


def onnx_outputs(card: ModelCard, images: UInt8Array, weights: WeightsKind = "onnx") -> ByHead:
    """Run one of the card's ONNX files on images (N, S, S): logits float32 (N, K) by head."""
    return OnnxClassifier(card, weights=weights).outputs(images[..., None])


def score_outputs(card: ModelCard, outputs: Mapping[str, Float32Array], faces: Faces) -> CardScores:
    """Measure outputs (N, K) by head against the data set's labels and, if it has votes, FER+ majority."""
    probs = card.probabilities(outputs)
    figures = {
        kind: _figures(evaluate(probs, renumber(truth, card.labels, card.merged), card.labels))
        for kind, truth in faces.truths().items()
    }
    return CardScores(labels=figures["labels"], ferplus_majority=figures.get("ferplus_majority"))


def _figures(scores: Scores) -> Figures:
    """What a card stores. Speed is not part of it: it depends on the machine and its load."""
    # Four digits: one of the 3,589 rows of FER2013's PublicTest is 0.0003.
    return Figures(
        n=scores.n,
        accuracy=round(scores.accuracy, 4),
        top2_accuracy=round(scores.top2_accuracy, 4),
        macro_precision=round(scores.macro_precision, 4),
        macro_recall=round(scores.macro_recall, 4),
        macro_f1=round(scores.macro_f1, 4),
        ece=round(scores.ece, 4),
        recall={name: round(part.recall, 4) for name, part in scores.per_class.items()},
    )


def _save_weights(model: keras_network.KerasModel, path: Path) -> None:
    part = path.with_name("part-" + path.name)  # Keras requires the file extension
    model.save_weights(part)
    part.replace(path)


def _selection_note(trained: TrainingResult) -> str:
    options = trained.options
    choices = {
        "blend of heads": trained.network.two_heads and options.label_share is None,
        "prior": options.adjust_prior and options.prior_tau is None,
    }
    chosen = [name for name, is_chosen in choices.items() if is_chosen]
    epochs = options.describe_kept(trained.epochs)
    return selected_on(trained.parts.selection, epochs, *chosen, "temperature on the labels")
