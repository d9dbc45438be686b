"""Names of a network's outputs, and how two heads are combined into the probabilities that are served.

    blend = Blend(share=0.5, label_shift=(0.0,) * 7, vote_shift=(0.0,) * 7)
    blend({"label_head": a, "vote_head": b})        # 0.5 softmax(a) + 0.5 softmax(b)

A network trained on labels and on votes keeps both heads in its files; the card states which blend of them is served,
so that several models can share one set of weights. Only `ModelCard.probabilities` turns outputs into probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from ferflow.types import Float32Array

ByHead = dict[str, Float32Array]
Tensor = Any
"""Of Keras or TensorFlow, which have no types."""

SERVED_HEAD = "logits"
"""Of a network with one head."""
LABEL_HEAD = "label_head"
VOTE_HEAD = "vote_head"
BOTH_HEADS = (LABEL_HEAD, VOTE_HEAD)
OCCLUSION_HEAD = "occluded"
"""Of a network that also says whether the mouth is covered: a logit (N, 1), > 0 where it is."""


def softmax(logits: Float32Array, temperature: float = 1.0) -> Float32Array:
    """Probabilities float32 (N, K) of logits (N, K) divided by a temperature."""
    scaled = logits.astype(np.float64) / temperature
    # Less the maximum, which cancels out: exp() of a large logit would overflow.
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probs: Float32Array = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probs


_Shift = Annotated[float, Meta(ge=-100, le=100)]


class Blend(Struct, frozen=True, forbid_unknown_fields=True):
    """The weighted mean of the probabilities of two heads (linear opinion pool, Stone, 1961).

    Its confidence is never higher than the mean confidence of the heads; a mean of their logits can be more confident
    than either.
    """

    share: Annotated[float, Meta(ge=0, le=1)]
    """Weight of the label head, 0..1; the vote head has the rest."""
    label_shift: tuple[_Shift, ...]
    """Added to the logits of the label head, one per label: divides out a part of the class prior it has learned."""
    vote_shift: tuple[_Shift, ...]
    """The same for the vote head."""

    def __call__(self, by_head: Mapping[str, Float32Array], temperature: float = 1.0) -> Float32Array:
        """Blend logits (N, K) by head into probabilities, float32 (N, K), whose rows sum to 1."""
        return self.mean({head: softmax(part, temperature) for head, part in self.shift(by_head).items()})

    @property
    def shares(self) -> dict[str, float]:
        """Weight of each head in the probabilities; sum 1."""
        return {LABEL_HEAD: self.share, VOTE_HEAD: 1 - self.share}

    @property
    def shifts(self) -> dict[str, tuple[float, ...]]:
        """What is added to the logits of each head."""
        return {LABEL_HEAD: self.label_shift, VOTE_HEAD: self.vote_shift}

    def shift(self, by_head: Mapping[str, Float32Array]) -> ByHead:
        """Add the shifts to logits, or biases, float32 (..., K) by head."""
        return {head: by_head[head] + np.asarray(shift, np.float32) for head, shift in self.shifts.items()}

    def mean(self, by_head: Mapping[str, Float32Array]) -> Float32Array:
        """Average arrays of one shape by head, weighted by the shares of the heads: float32."""
        labels, votes = (np.asarray(by_head[head], np.float32) for head in BOTH_HEADS)
        share = np.float32(self.share)
        mean: Float32Array = share * labels + (1 - share) * votes
        return mean

    def __str__(self) -> str:
        """In words, for cards and pages."""
        alone = {0.0: "the vote head alone", 1.0: "the label head alone"}.get(self.share)
        return alone or f"{self.share:g} of the label head, {1 - self.share:g} of the vote head"


def split_heads(answer: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The output of a Keras model by name of head; a model with one head returns it without a name."""
    return dict(answer) if isinstance(answer, Mapping) else {SERVED_HEAD: answer}
