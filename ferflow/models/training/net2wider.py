"""Start a wider network from the weights of a narrower one (Net2WiderNet, Chen et al., 2016).

    wide.set_weights(widen(narrow.get_weights(), [w.shape for w in wide.get_weights()], seed=1))

`wide` then gives the same answers as `narrow` and can learn more. Every new channel is a copy of an old one. The weight
with which a later layer reads a channel is divided among its copies, in random parts, so that the copies get different
gradients and become different.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]
Shape = tuple[int, ...]

SHARES = (0.5, 1.5)
"""Range from which the parts of copies are drawn, before they are normalised to sum 1. It does not reach 0, at which a
copy would get no gradient."""


def widen(weights: Sequence[Array], shapes: Sequence[Shape], *, seed: int) -> list[Array]:
    """Convert the weights of a network for one with the same layers, each of the same width or wider.

    Args:
        weights: of the narrow network, in Keras' order: vectors (C,), and kernels (..., inputs, outputs).
        shapes: of the wide network's weights, in the same order; equal shapes give equal weights.
        seed: of the random parts.

    Returns:
        Arrays of these shapes.

    Raises:
        ValueError: the layers differ in more than their width.
    """
    if len(weights) != len(shapes) or not all(map(_fits, weights, shapes)):
        raise ValueError("the shapes must be those of the same layers, none of them narrower")
    rng = np.random.default_rng(seed)
    return [_spread(old, shape, rng) for old, shape in zip(weights, shapes, strict=True)]


def _fits(old: Array, shape: Shape) -> bool:
    same_kernel = old.ndim == len(shape) and old.shape[:-2] == shape[:-2]
    return same_kernel and all(was <= now for was, now in zip(old.shape[-2:], shape[-2:], strict=True))


def _spread(old: Array, shape: Shape, rng: np.random.Generator) -> Array:
    made = old[..., _copy_index(old.shape[-1], shape[-1])]
    if len(shape) == 1:
        return made
    read = _copy_index(old.shape[-2], shape[-2])
    return (made[..., read, :] * _draw_shares(read, shape[-1], rng)).astype(old.dtype)


def _copy_index(old: int, new: int) -> Indices:
    """Which old channel each new one copies: the same rule in all layers, so that residual sums match."""
    return np.arange(new) % old


def _draw_shares(read: Indices, readers: int, rng: np.random.Generator) -> Array:
    """Part of a channel's weight that each copy gets: (channels, readers), sum 1 over the copies."""
    drawn = rng.uniform(*SHARES, (len(read), readers))
    total = np.zeros((int(read.max()) + 1, readers))
    np.add.at(total, read, drawn)
    return drawn / total[read]
