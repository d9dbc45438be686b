"""How a network is trained: the schedule, the regularisers and the augmentation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from ferflow.errors import OptionsError
from ferflow.models.augment import Augmentation
from ferflow.models.cnn import RECIPES

FULL_SIZE = ((1.0, 48),)
"""`image_sizes` of a schedule that sees whole images only."""


POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
"""Keras dtype policies of the trunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train; the defaults are those of the shipped model.

    A run is resumed only by the very same options, `patience` aside.
    """

    name: str = "default"
    """Name of the card and of the files written."""
    recipe: str = "resnet-lean"
    epochs: int = 22
    seed: int = 1
    batch_size: int = 128
    learning_rate: float = 0.1
    """Peak; reached after the warm-up, then a cosine to zero over all epochs."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 4e-3
    """Decoupled: each step shrinks the kernels by this times the learning rate."""
    label_smoothing: float = 0.05
    """For hard labels; votes are soft by themselves."""
    mixup: float = 0.2
    """Both parameters of the Beta the mixing share is drawn from; 0 mixes nothing."""
    dropout: float = 0.1
    average_decay: float = 0.997
    """Of the moving average of weights that is judged and kept: about 1 / (1 - decay) steps."""
    patience: int = 0
    """Stop after so many epochs without a better selection score; 0 never stops early."""
    compute: str = "float32"
    """Keras dtype policy; "mixed_bfloat16" pays on GPUs and recent CPUs only."""
    image_sizes: tuple[tuple[float, int], ...] = ((0.5, 32), (0.8, 40), (1.0, 48))
    """(until this share of the epochs, side in pixels). Early epochs on small images cost far less."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before any data is read."""
        if self.epochs < 1 or self.batch_size < 2:
            raise OptionsError(
                f"need epochs >= 1 and batch_size >= 2, got {self.epochs} and {self.batch_size}"
            )
        if self.recipe not in RECIPES:
            raise OptionsError(
                f"no recipe is called {self.recipe!r}; choose one of: {', '.join(sorted(RECIPES))}"
            )
        if self.compute not in POLICIES:
            raise OptionsError(f"compute must be one of {', '.join(POLICIES)}, got {self.compute!r}")
        if not self.image_sizes or self.image_sizes[-1][0] < 1.0:
            raise OptionsError(f"image_sizes must reach the share 1.0 of the epochs, got {self.image_sizes}")

    def size_at(self, epoch: int) -> int:
        """Side of the training images in an epoch (from 0), pixels."""
        return next(size for until, size in self.image_sizes if epoch < until * self.epochs or until >= 1.0)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step (from 0): linear warm-up, then a cosine to zero."""
        warm = self.warmup_epochs * steps_per_epoch
        total = self.epochs * steps_per_epoch
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, total - warm)))

    def identity(self) -> dict[str, Any]:
        """What must be equal for two runs to be the same run."""
        return {name: value for name, value in asdict(self).items() if name != "patience"}
