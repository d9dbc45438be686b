"""From trained weights to a model that can be used: a blend of its heads, a temperature, files and a card.

The blend of heads, the prior and the temperature are chosen on the selection split, which the card says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.models import keras_network
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.data.dataset import Split
from ferflow.models.data.labelled_faces import Faces, as_classes, majority
from ferflow.models.heads import SERVED_HEAD, ByHead
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.registry import CARD_FILE
from ferflow.models.training.export import INPUT, to_onnx
from ferflow.models.training.head_blending import ChosenBlend, best_blend, fit_temperature, selected_on
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import logits
from ferflow.types import Float32Array, UInt8Array

BATCH = 64


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
    files = {"onnx": f"{name}.onnx", "keras": f"{name}.weights.h5"}
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
    card = replace(card, scores=score(card, onnx_outputs(card, selection.images), selection))
    card.save(out / CARD_FILE)
    return card


def onnx_outputs(card: ModelCard, images: UInt8Array, weights: str = "onnx") -> ByHead:
    """Ask one of the card's ONNX files about images (N, S, S): float32 (N, K) by head."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(card.path(weights)), providers=["CPUExecutionProvider"])
    batches = (images[start : start + BATCH, ..., None] for start in range(0, len(images), BATCH))
    answers = [session.run(list(card.heads), {INPUT: batch}) for batch in batches]
    return {head: np.concatenate([answer[k] for answer in answers]) for k, head in enumerate(card.heads)}


def score(card: ModelCard, outputs: Mapping[str, Float32Array], faces: Faces) -> dict[str, Any]:
    """Measure outputs (N, K) by head against the data set's labels and, where it has votes, FER+ majority."""
    probs = card.probabilities(outputs)
    return {
        kind: _brief(evaluate(probs, as_classes(truth, card.labels, card.merged), card.labels))
        for kind, truth in truths(faces).items()
    }


def truths(faces: Faces) -> dict[str, npt.NDArray[np.int64]]:
    """The kinds of labels (N,) that faces have, -1 where one says nothing: FER2013's classes, by name."""
    known = {"labels": faces.labels}
    if faces.votes is not None:
        known["ferplus_majority"] = majority(faces.votes)
    return known


def _brief(scores: Scores) -> dict[str, Any]:
    """What a card keeps; speed depends on the machine and its load, so it is measured anew when asked for."""
    table = scores.table()
    recalls = {name: round(part["recall"], 4) for name, part in table["per_class"].items()}
    kept = ("accuracy", "top2_accuracy", "macro_precision", "macro_recall", "macro_f1", "ece")
    return {"n": scores.n, **{key: round(table[key], 4) for key in kept}, "recall": recalls}


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
