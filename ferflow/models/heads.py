"""What a network's outputs are called, and how those of two heads become the probabilities that are served.

    blend = Blend(share=0.5, label_shift=(0.0,) * 7, vote_shift=(0.0,) * 7)
    blend({"label_head": a, "vote_head": b})        # 0.5 softmax(a) + 0.5 softmax(b)

A network trained on labels and on votes keeps both heads in its files; which blend of them is served stands in the
card, so that several models share one set of weights. `ModelCard.probabilities` is the only way from outputs to scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferflow.types import Float32Array

ByHead = dict[str, Float32Array]

SERVED_HEAD = "logits"
"""Of a network with one head."""
LABEL_HEAD = "label_head"
VOTE_HEAD = "vote_head"
BOTH_HEADS = (LABEL_HEAD, VOTE_HEAD)


def softmax(logits: Float32Array, temperature: float = 1.0) -> Float32Array:
    """Probabilities float32 (N, K) of logits (N, K) divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probs: Float32Array = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probs


@dataclass(frozen=True, slots=True)
class Blend:
    """How two heads' answers become one: the weighted mean of their probabilities (linear opinion pool, Stone, 1961).

    It is never surer than the heads are on average, where a mean of their logits can be surer than both.
    """

    share: float
    """Of the label head, 0..1; the vote head has the rest."""
    label_shift: tuple[float, ...]
    """Added to the label head's logits, one per label: what divides a part of the class prior it has learnt out."""
    vote_shift: tuple[float, ...]
    """The same for the vote head."""

    def __call__(self, by_head: Mapping[str, Float32Array], temperature: float = 1.0) -> Float32Array:
        """Blend logits (N, K) by head into probabilities, float32 (N, K), whose rows sum to 1."""
        return self.mean({head: softmax(part, temperature) for head, part in self.shifted(by_head).items()})

    @property
    def shares(self) -> dict[str, float]:
        """How much of the scores comes from each head; sum 1."""
        return {LABEL_HEAD: self.share, VOTE_HEAD: 1 - self.share}

    def shifted(self, by_head: Mapping[str, Float32Array]) -> ByHead:
        """Shift logits, or biases, float32 (..., K) by head."""
        shifts = {LABEL_HEAD: self.label_shift, VOTE_HEAD: self.vote_shift}
        return {head: by_head[head] + np.asarray(shift, np.float32) for head, shift in shifts.items()}

    def mean(self, by_head: Mapping[str, Float32Array]) -> Float32Array:
        """Weight what both heads have in one shape, float32, by their shares."""
        labels, votes = (np.asarray(by_head[head], np.float32) for head in BOTH_HEADS)
        share = np.float32(self.share)
        mean: Float32Array = share * labels + (1 - share) * votes
        return mean

    def __str__(self) -> str:
        """In words, for a reader of cards and pages."""
        alone = {0.0: "the vote head alone", 1.0: "the label head alone"}.get(self.share)
        return alone or f"{self.share:g} of the label head, {1 - self.share:g} of the vote head"


def by_head(answer: Any) -> dict[str, Any]:
    """A Keras model's answer by the name of the head: a model with one head answers without its name."""
    return dict(answer) if isinstance(answer, Mapping) else {SERVED_HEAD: answer}
