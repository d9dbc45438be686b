"""Which blend of heads is served, which class prior it assumes, and the temperature that goes with it.

    chosen = best_blend(answers, parts, options)            # or what `options` say
    temperature = fit_temperature(partial(chosen, answers), labels)

Labels and votes differ above all in their class prior. What a head has learnt of its own is divided out in part, which
is a shift of its logits (Menon et al., 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from ferflow.models.data.dataset import SELECTION, Split
from ferflow.models.data.labelled_faces import Classes, Faces, majority
from ferflow.models.heads import LABEL_HEAD, SERVED_HEAD, VOTE_HEAD, Blend, ByHead, softmax
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import class_weights, vote_shares
from ferflow.types import Float32Array, Int64Array

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
    """Of the label head, 0..1; the vote head has the rest. Without meaning where there is one head."""
    tau: float
    """Power of the class prior that is divided out, 0..1 (Menon et al., 2021, logit adjustment)."""
    learnt: Mapping[str, Float32Array]
    """Class shares (K,) that each head has learnt to assume."""

    def shift(self, head: str) -> tuple[float, ...]:
        """What is added to a head's logits, one number per class."""
        return tuple(round(float(part), 6) for part in -self.tau * np.log(self.learnt[head]))

    @property
    def blend(self) -> Blend | None:
        """What a card says of it; None of one head, whose bias takes the shift."""
        if SERVED_HEAD in self.learnt:
            return None
        return Blend(self.share, self.shift(LABEL_HEAD), self.shift(VOTE_HEAD))

    @property
    def prior(self) -> tuple[float, ...]:
        """Class shares that are still assumed after the shift."""
        powers = {head: learnt ** (1 - self.tau) for head, learnt in self.learnt.items()}
        left = {head: power / power.sum() for head, power in powers.items()}
        blend = self.blend
        prior = left[SERVED_HEAD] if blend is None else blend.mean(left)
        return tuple(round(float(part), 6) for part in prior)

    def __call__(self, answers: Mapping[str, Float32Array], temperature: float = 1.0) -> Float32Array:
        """Turn logits (N, K) by head into the probabilities that are served."""
        blend = self.blend
        if blend is None:
            shift = np.asarray(self.shift(SERVED_HEAD), np.float32)
            return softmax(answers[SERVED_HEAD] + shift, temperature)
        return blend(answers, temperature)

    def note(self, options: TrainOptions) -> str:
        """Where the prior comes from, for the card."""
        labels = "class shares of the training labels"
        if options.balance != "none":
            labels = f"class shares of the training labels, balanced by {options.balance}"
        known = {SERVED_HEAD: labels, LABEL_HEAD: labels, VOTE_HEAD: "class shares of annotators' votes"}
        blend = self.blend
        shares = {SERVED_HEAD: 1.0} if blend is None else blend.shares
        terms = [
            f"{'' if share == 1 else f'{share:g} x '}({known[head]})^{1 - self.tau:g}, normalised"
            for head, share in shares.items()
            if share
        ]
        return f"{' + '.join(terms)}; tau {self.tau:g}"


def best_blend(
    answers: Mapping[str, Float32Array], parts: Split, options: TrainOptions | None = None
) -> ChosenBlend:
    """Choose the heads' shares and the prior by accuracy and macro recall on both kinds of labels.

    One kind alone would let the blend forget either the data set's labels or the annotators' majority; accuracy
    alone would give up rare classes, and macro recall alone the common ones. Accuracy counts twice, and no
    more than `LABEL_SLACK` of it is given up on the labels, which are what published figures are about. Each is
    judged at the temperature that fits it, since that decides between heads that disagree. What the options state
    is not chosen.
    """
    options = options or TrainOptions()
    shares = SHARES if VOTE_HEAD in answers else (1.0,)
    taus = TAUS if options.adjust_prior else (0.0,)
    if options.label_share is not None:
        shares = (options.label_share,)
    if options.prior_tau is not None:
        taus = (options.prior_tau,)
    learnt = learnt_priors(parts.training, answers, options)
    blends = [ChosenBlend(share, tau, learnt) for share in shares for tau in taus]
    if len(blends) == 1:
        return blends[0]
    truth = options.classes.numbered(parts.selection.labels)
    scored = []
    for blend in blends:
        probs = blend(answers, fit_temperature(partial(blend, answers), truth))
        scored.append((blend, _both(probs, parts.selection, options.classes)))
    least = max(found[0].accuracy for _, found in scored) - LABEL_SLACK
    merits = [
        (float(np.mean([2 * scores.accuracy + scores.macro_recall for scores in found])), blend)
        for blend, found in scored
        if found[0].accuracy >= least
    ]
    return max(merits, key=lambda merit: merit[0])[1]


def fit_temperature(probabilities: Callable[[float], Float32Array], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature of least negative log-likelihood (Guo et al., 2017).

    Args:
        probabilities: gives float32 (N, K) at a temperature.
        labels: (N,); rows labelled -1 are left out.
    """
    rows = np.flatnonzero(labels >= 0)

    def loss(temperature: float) -> float:
        probs = probabilities(temperature)[rows, labels[rows]]
        return float(-np.log(np.maximum(probs, 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x), 4)


def learnt_priors(training: Faces, heads: Iterable[str], options: TrainOptions | None = None) -> ByHead:
    """Class shares (K,) that each head has learnt to assume: those of the votes, or of the labels as balanced."""
    options = options or TrainOptions()
    priors = {}
    for head in heads:
        if head == VOTE_HEAD:
            assert training.votes is not None  # they made the head
            shares = options.classes.shared(vote_shares(training.votes))
            prior = shares[shares.sum(axis=1) > 0].mean(axis=0)
        else:
            prior = _shown_shares(options.classes.numbered(training.labels), options)
        prior = np.maximum(prior, LEAST_SHARE)
        priors[head] = (prior / prior.sum()).astype(np.float32)
    return priors


def selected_on(selection: Faces, *chosen: str) -> str:
    """What a card says of the rows that something was chosen on."""
    split = SELECTION if selection.usage is not None else "a held-out tenth"
    return f"{split}, {len(selection)} rows: {', '.join(chosen)}"


def _shown_shares(numbers: Int64Array, options: TrainOptions) -> npt.NDArray[np.float64]:
    """Share (K,) of each class in what training shows of classes (N,), as balanced."""
    counts = np.bincount(numbers, minlength=len(options.classes)).astype(np.float64)
    if options.balance == "weights":
        counts *= class_weights(numbers, len(counts))
    elif options.balance == "oversample":
        counts = np.where(counts > 0, 1.0, 0.0)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def _both(probs: Float32Array, faces: Faces, classes: Classes) -> list[Scores]:
    truths = [faces.labels] if faces.votes is None else [faces.labels, majority(faces.votes)]
    return [evaluate(probs, classes.numbered(truth), classes.names) for truth in truths]
