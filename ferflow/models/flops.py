"""Size and cost of a Keras network.

cost = network_cost(model)
cost.mflop, cost.parameters
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ferflow.models.keras_network import KerasModel


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs per image."""

    parameters: int
    """Weights, moving statistics of batch norms not counted."""
    mflop: float
    """Millions of multiplications and additions in convolutions and dense layers; all others are negligible."""


def network_cost(model: KerasModel) -> Cost:
    """Count the parameters and operations of a network whose input size is fixed."""
    flop = sum(_layer_flop(layer) for layer in model.layers)
    return Cost(sum(math.prod(weights.shape) for weights in model.trainable_weights), flop / 1e6)


def _layer_flop(layer: Any) -> int:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A convolution uses its kernel once per pixel of its output, a dense layer once.
    places = math.prod(layer.output.shape[1:-1])
    return int(2 * math.prod(kernel.shape) * places)
