"""From trained weights to a model that can be shipped: one head, a temperature, files and a card.

The blend of heads, the prior and the temperature are chosen on the selection split, which the card says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from ferflow.models import cnn
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.dataset import SELECTION, Split
from ferflow.models.evaluate import Scores, evaluate, measure, softmax
from ferflow.models.export import to_onnx
from ferflow.models.labelled import Classes, Faces, IntArray, as_classes, majority
from ferflow.models.options import TrainOptions
from ferflow.models.registry import CARD_FILE
from ferflow.models.targets import class_weights, logits, vote_shares

FloatArray = npt.NDArray[np.float32]

SHARES = tuple(share / 10 for share in range(11))
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
LABEL_SLACK = 0.01
"""Accuracy by the data set's own labels that a blend may give up for what it gains elsewhere."""
TEMPERATURES = (0.2, 5.0)
LEAST_SHARE = 1e-3
"""Of a class that training lacks: dividing out a prior of nothing would make it the answer to everything."""


@dataclass(frozen=True, slots=True)
class Blend:
    """How the heads' logits become those that are served."""

    share: float
    """Of the label head, 0..1; the vote head has the rest."""
    tau: float
    """Power of the class prior that is divided out, 0..1 (Menon et al., 2021, logit adjustment)."""
    learnt: FloatArray
    """Class shares (7,) that the blended heads have learnt to assume."""

    @property
    def shift(self) -> FloatArray:
        """What is added to the blended logits, (7,)."""
        return (-self.tau * np.log(self.learnt)).astype(np.float32)

    @property
    def prior(self) -> tuple[float, ...]:
        """Class shares that are still assumed after the shift."""
        left = self.learnt ** (1 - self.tau)
        return tuple(round(float(part), 6) for part in left / left.sum())

    def __call__(self, answers: dict[str, FloatArray]) -> FloatArray:
        """Blend logits (N, 7) by head into those that are served."""
        if cnn.SERVED_HEAD in answers:
            return answers[cnn.SERVED_HEAD] + self.shift
        votes = (1 - self.share) * answers[cnn.VOTE_HEAD]
        return self.share * answers[cnn.LABEL_HEAD] + votes + self.shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network at the end of its training."""

    weights: Sequence[npt.NDArray[Any]]
    """Of `cnn.build(options.recipe, network)`, in Keras's order."""
    network: cnn.Network
    options: TrainOptions
    data: str
    """Name of the data set, for the card."""
    parts: Split
    epochs: int
    """How many were trained."""


def finish(trained: Trained, out: Path, note: str = "", *, blend: Blend | None = None) -> ModelCard:
    """Write `NAME.weights.h5`, `NAME.onnx` and `card.json` into `out` and return the card.

    `blend` is chosen by `best_blend` unless given.
    """
    name, recipe = trained.options.name, trained.options.recipe
    model = cnn.build(recipe, trained.network)
    model.set_weights(list(trained.weights))
    answers = logits(model, trained.parts.selection.images)
    blend = blend or best_blend(answers, trained.parts, trained.options)
    truth = trained.options.classes.numbered(trained.parts.selection.labels)
    temperature = fit_temperature(blend(answers), truth)
    served = cnn.serve(model, recipe, trained.network, label_share=blend.share, shift=blend.shift)
    files = {"onnx": f"{name}.onnx", "keras": f"{name}.weights.h5"}
    to_onnx(served, out / files["onnx"])
    _save_weights(served, out / files["keras"])
    card = ModelCard(
        name=name,
        recipe=recipe,
        labels=trained.options.classes.names,
        merged=dict(trained.options.merge),
        temperature=round(temperature, 4),
        prior=blend.prior,
        prior_note=_prior_note(trained, blend),
        files={backend: WeightFile(file, sha256_of(out / file)) for backend, file in files.items()},
        data=trained.data,
        rows=len(trained.parts.training),
        leaks=trained.parts.leaks,
        seed=trained.options.seed,
        selection=_selection_note(trained),
        note=note,
        folder=out,
    )
    card = replace(card, scores=score(card, trained.parts.selection))
    card.save(out / CARD_FILE)
    return card


def best_blend(answers: dict[str, FloatArray], parts: Split, options: TrainOptions | None = None) -> Blend:
    """Choose the heads' shares and the prior by accuracy and macro recall on both kinds of labels.

    One kind alone would let the blend forget either the data set's labels or the annotators' majority; accuracy
    alone would give up rare classes, and macro recall alone the common ones. Accuracy counts twice, and no
    more than `LABEL_SLACK` of it is given up on the labels, which are what published figures are about.
    """
    options = options or TrainOptions()
    shares = SHARES if cnn.VOTE_HEAD in answers else (1.0,)
    taus = TAUS if options.adjust_prior else (0.0,)
    if options.label_share is not None:
        shares = (options.label_share,)
    if options.prior_tau is not None:
        taus = (options.prior_tau,)
    learnt = {share: learnt_prior(parts.training, share, options) for share in shares}
    blends = [Blend(share, tau, learnt[share]) for share in shares for tau in taus]
    scored = [(blend, _both(softmax(blend(answers)), parts.selection, options.classes)) for blend in blends]
    least = max(found[0].accuracy for _, found in scored) - LABEL_SLACK
    merits = [
        (float(np.mean([2 * scores.accuracy + scores.macro_recall for scores in found])), blend)
        for blend, found in scored
        if found[0].accuracy >= least
    ]
    return max(merits, key=lambda merit: merit[0])[1]


def fit_temperature(blended: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature of least negative log-likelihood (Guo et al., 2017) for logits (N, K)."""

    def loss(temperature: float) -> float:
        probs = softmax(blended, temperature)
        return float(-np.log(np.maximum(probs[np.arange(len(labels)), labels], 1e-12)).mean())

    return float(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x)


def learnt_prior(training: Faces, share: float, options: TrainOptions | None = None) -> FloatArray:
    """Class shares (K,) a blend of heads has learnt to assume; blending logits blends log priors."""
    options = options or TrainOptions()
    prior = np.maximum(_shown_shares(options.classes.numbered(training.labels), options), LEAST_SHARE)
    if training.votes is not None and share < 1:
        soft = options.classes.shared(vote_shares(training.votes))
        soft = soft[soft.sum(axis=1) > 0].mean(axis=0)
        prior = prior**share * np.maximum(soft, LEAST_SHARE) ** (1 - share)
    shares: FloatArray = (prior / prior.sum()).astype(np.float32)
    return shares


def _shown_shares(numbers: IntArray, options: TrainOptions) -> npt.NDArray[np.float64]:
    """Share (K,) of each class in what training shows of classes (N,), as balanced."""
    counts = np.bincount(numbers, minlength=len(options.classes)).astype(np.float64)
    if options.balance == "weights":
        counts *= class_weights(numbers, len(counts))
    elif options.balance == "oversample":
        counts = np.where(counts > 0, 1.0, 0.0)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def score(card: ModelCard, faces: Faces, weights: str = "onnx") -> dict[str, Any]:
    """Measure one of the card's ONNX files by the data set's labels and, where it has votes, by FER+ majority."""
    classifier = onnx_probs(card, weights)
    truths = {"labels": faces.labels}
    if faces.votes is not None:
        truths["ferplus_majority"] = majority(faces.votes)
    return {
        kind: _brief(
            measure(classifier, faces.images, as_classes(truth, card.labels, card.merged), card.labels)
        )
        for kind, truth in truths.items()
    }


def _both(probs: FloatArray, faces: Faces, classes: Classes) -> list[Scores]:
    truths = [faces.labels] if faces.votes is None else [faces.labels, majority(faces.votes)]
    numbered = [classes.numbered(truth) for truth in truths]
    return [evaluate(probs[truth >= 0], truth[truth >= 0], classes.names) for truth in numbered]


def onnx_probs(card: ModelCard, weights: str = "onnx") -> Callable[[npt.NDArray[np.uint8]], FloatArray]:
    """Return what turns crops (N, S, S, C) into probabilities (N, K) by one of the card's ONNX files."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(card.path(weights)), providers=["CPUExecutionProvider"])
    return lambda images: softmax(session.run(["logits"], {"images": images})[0], card.temperature)


def _brief(scores: Scores) -> dict[str, Any]:
    """What a card keeps; speed depends on the machine and its load, so it is measured anew when asked for."""
    table = scores.table()
    recalls = {name: round(part["recall"], 4) for name, part in table["per_class"].items()}
    kept = ("accuracy", "top2_accuracy", "macro_precision", "macro_recall", "macro_f1", "ece")
    return {"n": scores.n, **{key: round(table[key], 4) for key in kept}, "recall": recalls}


def _save_weights(model: cnn.KerasModel, path: Path) -> None:
    part = path.with_name("part-" + path.name)  # Keras insists on the ending
    model.save_weights(part)
    part.replace(path)


def _prior_note(trained: Trained, blend: Blend) -> str:
    learnt = "class shares of the training labels"
    if trained.options.balance != "none":
        learnt = f"class shares of the training labels, balanced by {trained.options.balance}"
    if trained.network.two_heads:
        learnt = f"training labels^{blend.share:g} x annotators' votes^{1 - blend.share:g}"
    return f"({learnt})^{1 - blend.tau:g}, normalised; share {blend.share:g} of the label head, tau {blend.tau:g}"


def _selection_note(trained: Trained) -> str:
    selection = trained.parts.selection
    rows = f"{SELECTION if selection.usage is not None else 'a held-out tenth'}, {len(selection)} rows"
    chosen = "blend of heads, prior, " if trained.options.adjust_prior else ""
    return f"{rows}: best of {trained.epochs} epochs, {chosen}temperature"
