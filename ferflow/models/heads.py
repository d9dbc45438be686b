"""What a network's outputs are called, and how two of them become the logits that are served.

    blend = Blend(share=0.6, shift=(0.0,) * 7)
    blend({"label_head": a, "vote_head": b})        # 0.6 a + 0.4 b + shift

A network trained on labels and on votes keeps both heads in its files; which blend of them is served stands in the
card, so that several models share one set of weights. `ModelCard.probabilities` is the only way from outputs to scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByHead = dict[str, FloatArray]

SERVED_HEAD = "logits"
"""Of a network with one head."""
LABEL_HEAD = "label_head"
VOTE_HEAD = "vote_head"
BOTH_HEADS = (LABEL_HEAD, VOTE_HEAD)


@dataclass(frozen=True, slots=True)
class Blend:
    """How two heads' logits become those that are served."""

    share: float
    """Of the label head, 0..1; the vote head has the rest."""
    shift: tuple[float, ...]
    """Added to the blended logits, one per label: what divides a part of the learnt class prior out."""

    def mixed(self, by_head: Mapping[str, FloatArray]) -> FloatArray:
        """Blend anything that is linear in the heads, of one shape in both: their logits, or their kernels."""
        labels, votes = (np.asarray(by_head[head], np.float32) for head in BOTH_HEADS)
        share = np.float32(self.share)
        mixed: FloatArray = share * labels + (1 - share) * votes
        return mixed

    def __call__(self, by_head: Mapping[str, FloatArray]) -> FloatArray:
        """Blend logits, or biases, float32 (..., K) by head, into those that are served."""
        return self.mixed(by_head) + np.asarray(self.shift, np.float32)

    def __str__(self) -> str:
        """In words, for a reader of cards and pages."""
        alone = {0.0: "the vote head alone", 1.0: "the label head alone"}.get(self.share)
        return alone or f"{self.share:g} of the label head, {1 - self.share:g} of the vote head"


def by_head(answer: Any) -> dict[str, Any]:
    """A Keras model's answer by the name of the head: a model with one head answers without its name."""
    return dict(answer) if isinstance(answer, Mapping) else {SERVED_HEAD: answer}
