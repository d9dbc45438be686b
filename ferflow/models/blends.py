"""Which blend of heads is served, which class prior it assumes, and the temperature that goes with it.

    chosen = best_blend(answers, parts, options)            # or what `options` say
    temperature = fit_temperature(chosen(answers), labels)

Labels and votes differ above all in their class prior. What a blend has learnt of it is divided out in part, which is a
shift of the logits (Menon et al., 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from ferflow.models.dataset import SELECTION, Split
from ferflow.models.evaluate import Scores, evaluate, softmax
from ferflow.models.heads import SERVED_HEAD, VOTE_HEAD, Blend, FloatArray
from ferflow.models.labelled import Classes, Faces, IntArray, majority
from ferflow.models.options import TrainOptions
from ferflow.models.targets import class_weights, vote_shares

SHARES = tuple(share / 10 for share in range(11))
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
LABEL_SLACK = 0.01
"""Accuracy by the data set's own labels that a blend may give up for what it gains elsewhere."""
TEMPERATURES = (0.2, 5.0)
LEAST_SHARE = 1e-3
"""Of a class that training lacks: dividing out a prior of nothing would make it the answer to everything."""


@dataclass(frozen=True, slots=True)
class ChosenBlend:
    """A share of the heads and a part of the prior, as chosen or as told."""

    share: float
    """Of the label head, 0..1; the vote head has the rest."""
    tau: float
    """Power of the class prior that is divided out, 0..1 (Menon et al., 2021, logit adjustment)."""
    learnt: FloatArray
    """Class shares (K,) that the blended heads have learnt to assume."""

    @property
    def shift(self) -> tuple[float, ...]:
        """What is added to the blended logits, one number per class."""
        return tuple(round(float(part), 6) for part in -self.tau * np.log(self.learnt))

    @property
    def blend(self) -> Blend:
        """What a card says of it."""
        return Blend(self.share, self.shift)

    @property
    def prior(self) -> tuple[float, ...]:
        """Class shares that are still assumed after the shift."""
        left = self.learnt ** (1 - self.tau)
        return tuple(round(float(part), 6) for part in left / left.sum())

    def __call__(self, answers: Mapping[str, FloatArray]) -> FloatArray:
        """Turn logits (N, K) of one head, or by head of two, into those that are served."""
        if SERVED_HEAD in answers:
            return answers[SERVED_HEAD] + np.asarray(self.shift, np.float32)
        return self.blend(answers)

    def note(self, options: TrainOptions, *, two_heads: bool) -> str:
        """Where the prior comes from, for the card."""
        learnt = "class shares of the training labels"
        if options.balance != "none":
            learnt = f"class shares of the training labels, balanced by {options.balance}"
        if two_heads:
            learnt = f"training labels^{self.share:g} x annotators' votes^{1 - self.share:g}"
        told = f"share {self.share:g} of the label head, tau {self.tau:g}"
        return f"({learnt})^{1 - self.tau:g}, normalised; {told}"


def best_blend(
    answers: Mapping[str, FloatArray], parts: Split, options: TrainOptions | None = None
) -> ChosenBlend:
    """Choose the heads' shares and the prior by accuracy and macro recall on both kinds of labels.

    One kind alone would let the blend forget either the data set's labels or the annotators' majority; accuracy
    alone would give up rare classes, and macro recall alone the common ones. Accuracy counts twice, and no
    more than `LABEL_SLACK` of it is given up on the labels, which are what published figures are about. What
    the options state is not chosen.
    """
    options = options or TrainOptions()
    shares = SHARES if VOTE_HEAD in answers else (1.0,)
    taus = TAUS if options.adjust_prior else (0.0,)
    if options.label_share is not None:
        shares = (options.label_share,)
    if options.prior_tau is not None:
        taus = (options.prior_tau,)
    learnt = {share: learnt_prior(parts.training, share, options) for share in shares}
    blends = [ChosenBlend(share, tau, learnt[share]) for share in shares for tau in taus]
    if len(blends) == 1:
        return blends[0]
    scored = [(blend, _both(softmax(blend(answers)), parts.selection, options.classes)) for blend in blends]
    least = max(found[0].accuracy for _, found in scored) - LABEL_SLACK
    merits = [
        (float(np.mean([2 * scores.accuracy + scores.macro_recall for scores in found])), blend)
        for blend, found in scored
        if found[0].accuracy >= least
    ]
    return max(merits, key=lambda merit: merit[0])[1]


def fit_temperature(blended: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature of least negative log-likelihood (Guo et al., 2017) for logits (N, K).

    Rows labelled -1 are left out.
    """
    blended, labels = blended[labels >= 0], labels[labels >= 0]

    def loss(temperature: float) -> float:
        probs = softmax(blended, temperature)
        return float(-np.log(np.maximum(probs[np.arange(len(labels)), labels], 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x), 4)


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


def selected_on(selection: Faces, *chosen: str) -> str:
    """What a card says of the rows that something was chosen on."""
    split = SELECTION if selection.usage is not None else "a held-out tenth"
    return f"{split}, {len(selection)} rows: {', '.join(chosen)}"


def _shown_shares(numbers: IntArray, options: TrainOptions) -> npt.NDArray[np.float64]:
    """Share (K,) of each class in what training shows of classes (N,), as balanced."""
    counts = np.bincount(numbers, minlength=len(options.classes)).astype(np.float64)
    if options.balance == "weights":
        counts *= class_weights(numbers, len(counts))
    elif options.balance == "oversample":
        counts = np.where(counts > 0, 1.0, 0.0)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def _both(probs: FloatArray, faces: Faces, classes: Classes) -> list[Scores]:
    truths = [faces.labels] if faces.votes is None else [faces.labels, majority(faces.votes)]
    return [evaluate(probs, classes.numbered(truth), classes.names) for truth in truths]
