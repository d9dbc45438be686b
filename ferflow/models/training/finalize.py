"""From trained weights to a model that can be used: a blend of its heads, a temperature, files and a card.

The blend of heads, the prior and the temperature are chosen on the selection split, which the card says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from ferflow.models import keras_network
from ferflow.models.cards import CardScores, Figures, ModelCard, WeightFile, WeightsKind, sha256_of
from ferflow.models.classifier import OnnxClassifier
from ferflow.models.data.dataset import Split
from ferflow.models.data.labelled_faces import Faces, as_classes, majority
from ferflow.models.heads import SERVED_HEAD, ByHead
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.registry import CARD_FILE
from ferflow.models.training.export import to_onnx
from ferflow.models.training.head_blending import ChosenBlend, best_blend, fit_temperature, selected_on
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import logits
from ferflow.types import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network at the end of its training."""

    weights: Sequence[npt.NDArray[Any]]
    """Of `keras_network.build(options.recipe, network)`, in Keras's order."""
    network: keras_network.Network
    options: TrainOptions
    data: str
    """Name of the data set, for the card."""
    parts: Split
    epochs: int
    """How many were trained."""


def finish(trained: Trained, out: Path, note: str = "", *, blend: ChosenBlend | None = None) -> ModelCard:
    """Write `NAME.weights.h5`, `NAME.onnx` and `card.json` into `out` and return the card.

    Two heads stay two in both files, and the card blends them; `blend` is chosen by `best_blend` unless given.
    """
    name, recipe, options = trained.options.name, trained.options.recipe, trained.options
    two_heads = trained.network.two_heads
    model = keras_network.build(recipe, trained.network)
    model.set_weights(list(trained.weights))
    answers = logits(model, trained.parts.selection.images)
    blend = blend or best_blend(answers, trained.parts, options)
    truth = options.classes.numbered(trained.parts.selection.labels)
    served = keras_network.serve(
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
    card = structs.replace(card, scores=score(card, onnx_outputs(card, selection.images), selection))
    card.save(out / CARD_FILE)
    return card


def onnx_outputs(card: ModelCard, images: UInt8Array, weights: WeightsKind = "onnx") -> ByHead:
    """Run one of the card's ONNX files on images (N, S, S): logits float32 (N, K) by head."""
    return OnnxClassifier(card, weights=weights).outputs(images[..., None])


def score(card: ModelCard, outputs: Mapping[str, Float32Array], faces: Faces) -> CardScores:
    """Measure outputs (N, K) by head against the data set's labels and, if it has votes, FER+ majority."""
    probs = card.probabilities(outputs)
    figures = {
        kind: _figures(evaluate(probs, as_classes(truth, card.labels, card.merged), card.labels))
        for kind, truth in truths(faces).items()
    }
    return CardScores(labels=figures["labels"], ferplus_majority=figures.get("ferplus_majority"))


def truths(faces: Faces) -> dict[str, npt.NDArray[np.int64]]:
    """The kinds of labels (N,) that faces have, -1 where one says nothing: FER2013's classes, by name."""
    known = {"labels": faces.labels}
    if faces.votes is not None:
        known["ferplus_majority"] = majority(faces.votes)
    return known


def _figures(scores: Scores) -> Figures:
    """What a card stores. Speed is not part of it: it depends on the machine and its load."""
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
    part = path.with_name("part-" + path.name)  # Keras insists on the ending
    model.save_weights(part)
    part.replace(path)


def _selection_note(trained: Trained) -> str:
    options = trained.options
    choices = {
        "blend of heads": trained.network.two_heads and options.label_share is None,
        "prior": options.adjust_prior and options.prior_tau is None,
    }
    chosen = [name for name, is_chosen in choices.items() if is_chosen]
    epochs = f"best of {trained.epochs} epochs"
    return selected_on(trained.parts.selection, epochs, *chosen, "temperature on the labels")
