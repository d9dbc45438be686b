"""A wider network that starts with what a narrower one has learnt (Net2WiderNet, Chen et al., 2016).

    wide.set_weights(widened(narrow.get_weights(), [w.shape for w in wide.get_weights()], seed=1))

answers as `narrow` does and has room to learn more. Every new channel is a copy of an old one. Whoever reads a channel
of which there are now several takes a share of its old weight from each; the shares are drawn at random, so that
the copies get different gradients and part company.
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
"""Range the shares of copies are drawn from, before they are made to sum to 1."""


def widened(weights: Sequence[Array], shapes: Sequence[Shape], *, seed: int) -> list[Array]:
    """Spread the weights of a network over one of the same layers, each as wide or wider.

    Args:
        weights: of the narrow network, in Keras' order: vectors (C,), and kernels (..., channels read, channels made).
        shapes: of the wide network's, in the same order; the same shapes give the same weights.
        seed: draws the shares of copied channels.

    Returns:
        Arrays of these shapes.

    Raises:
        ValueError: the layers differ in more than their width.
    """
    if len(weights) != len(shapes) or not all(map(_fits, weights, shapes)):
        raise ValueError("not the same layers made wider")
    rng = np.random.default_rng(seed)
    return [_spread(old, shape, rng) for old, shape in zip(weights, shapes, strict=True)]


def _fits(old: Array, shape: Shape) -> bool:
    same_kernel = old.ndim == len(shape) and old.shape[:-2] == shape[:-2]
    return same_kernel and all(was <= now for was, now in zip(old.shape[-2:], shape[-2:], strict=True))


def _spread(old: Array, shape: Shape, rng: np.random.Generator) -> Array:
    made = old[..., _copied(old.shape[-1], shape[-1])]
    if len(shape) == 1:
        return made
    read = _copied(old.shape[-2], shape[-2])
    return (made[..., read, :] * _shares(read, shape[-1], rng)).astype(old.dtype)


def _copied(old: int, new: int) -> Indices:
    """Which old channel each new one is a copy of: the same rule everywhere, so that residual sums fit."""
    return np.arange(new) % old


def _shares(read: Indices, readers: int, rng: np.random.Generator) -> Array:
    """Part of a channel's weight that each copy of it gets: (channels, readers), summing to 1 over the copies."""
    drawn = rng.uniform(*SHARES, (len(read), readers))
    total = np.zeros((int(read.max()) + 1, readers))
    np.add.at(total, read, drawn)
    return drawn / total[read]
