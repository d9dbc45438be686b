"""Choose the blend of heads that is served, the class prior that it assumes, and its temperature.

    chosen = best_blend(answers, parts, options)
    temperature = fit_temperature(partial(chosen, answers), labels)

Labels and votes differ most in their class prior. A part of the prior that a head has learned is divided out, by a
shift of its logits (Menon et al., 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from ferflow.models.data.dataset import SELECTION, TRAINING, Split
from ferflow.models.data.labelled_faces import Classes, Faces
from ferflow.models.heads import LABEL_HEAD, SERVED_HEAD, VOTE_HEAD, Blend, ByHead, softmax
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import class_weights, vote_shares
from ferflow.types import Float32Array, Int64Array

SHARES = tuple(share / 10 for share in range(11))
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
LABEL_SLACK = 0.01
"""Accuracy by the labels of the data set that a blend may lose in exchange for other gains."""
TEMPERATURES = (0.2, 5.0)
LEAST_SHARE = 1e-3
"""Of a class without training rows: dividing out a prior of 0 would make this class the answer to everything."""


@dataclass(frozen=True, slots=True)
class ChosenBlend:
    """The weight of the heads and the part of the prior that is divided out."""

    share: float
    """Weight of the label head, 0..1; the vote head has the rest. Unused if there is one head."""
    tau: float
    """Power of the class prior that is divided out, 0..1 (Menon et al., 2021, logit adjustment)."""
    learned: Mapping[str, Float32Array]
    """Class shares (K,) that each head has learned."""

    def shift(self, head: str) -> tuple[float, ...]:
        """What is added to the logits of a head, one number per class."""
        return tuple(round(float(part), 6) for part in -self.tau * np.log(self.learned[head]))

    @property
    def blend(self) -> Blend | None:
        """The blend for the card; None if there is one head, whose bias includes the shift."""
        if SERVED_HEAD in self.learned:
            return None
        return Blend(self.share, self.shift(LABEL_HEAD), self.shift(VOTE_HEAD))

    @property
    def prior(self) -> tuple[float, ...]:
        """Class shares that the probabilities still assume after the shift."""
        powers = {head: learned ** (1 - self.tau) for head, learned in self.learned.items()}
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


def best_blend(answers: Mapping[str, Float32Array], parts: Split, options: TrainOptions) -> ChosenBlend:
    """Choose the heads' shares and the prior by accuracy and macro recall on both kinds of labels.

    With one kind of labels only, the blend would ignore the other kind; with accuracy only, it would give up rare
    classes, and with macro recall only, common classes. Accuracy counts twice, and at most `LABEL_SLACK` of the
    accuracy by labels is given up, because published figures are about labels. Each blend is evaluated at its fitted
    temperature, which matters where the heads disagree. Values set in the options are not chosen.
    """
    shares = SHARES if VOTE_HEAD in answers else (1.0,)
    taus = TAUS if options.adjust_prior else (0.0,)
    if options.label_share is not None:
        shares = (options.label_share,)
    if options.prior_tau is not None:
        taus = (options.prior_tau,)
    learned = learned_priors(parts.training, answers, options)
    blends = [ChosenBlend(share, tau, learned) for share in shares for tau in taus]
    if len(blends) == 1:
        return blends[0]
    # Temperatures are fitted on the labels: fitted on the annotators' majority, every smile became certain.
    truth = options.classes.renumber(parts.selection.labels)
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
    """Find the temperature with the lowest negative log-likelihood (Guo et al., 2017).

    Args:
        probabilities: returns float32 (N, K) at a temperature.
        labels: (N,); rows labelled -1 are left out.
    """
    rows = np.flatnonzero(labels >= 0)

    def loss(temperature: float) -> float:
        probs = probabilities(temperature)[rows, labels[rows]]
        return float(-np.log(np.maximum(probs, 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x), 4)


def learned_priors(training: Faces, heads: Iterable[str], options: TrainOptions) -> ByHead:
    """Class shares (K,) that each head has learned: those of the votes, or those of the labels after balancing."""
    priors = {}
    for head in heads:
        if head == VOTE_HEAD:
            assert training.votes is not None  # they made the head
            shares = options.classes.merge_columns(vote_shares(training.votes))
            prior = shares[shares.sum(axis=1) > 0].mean(axis=0)
        else:
            prior = _shown_shares(options.classes.renumber(training.labels), options)
        prior = np.maximum(prior, LEAST_SHARE)
        priors[head] = (prior / prior.sum()).astype(np.float32)
    return priors


def selected_on(selection: Faces, *chosen: str) -> str:
    """Describe for a card the rows on which something was chosen."""
    return f"{_split_name(selection)}, {len(selection)} rows: {', '.join(chosen)}"


def _split_name(selection: Faces) -> str:
    if selection.usage is None:
        return "a tenth of the data"
    return "a fixed tenth of Training" if (selection.usage == TRAINING).all() else SELECTION


def _shown_shares(numbers: Int64Array, options: TrainOptions) -> npt.NDArray[np.float64]:
    """Share (K,) of each class in the training rows (N,) after balancing."""
    counts = np.bincount(numbers, minlength=len(options.classes)).astype(np.float64)
    if options.balance == "weights":
        counts *= class_weights(numbers, len(counts))
    elif options.balance == "oversample":
        # All classes with rows are repeated to the size of the largest.
        counts = np.where(counts > 0, 1.0, 0.0)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def _both(probs: Float32Array, faces: Faces, classes: Classes) -> list[Scores]:
    return [evaluate(probs, classes.renumber(truth), classes.names) for truth in faces.truths().values()]
