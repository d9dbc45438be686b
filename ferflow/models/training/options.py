"""How a network is trained: the schedule, the regularisers and the augmentation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ferflow.errors import OptionsError
from ferflow.models.backbones import RANDOM
from ferflow.models.data.augment import Augmentation
from ferflow.models.data.labelled_faces import LABELS, Classes
from ferflow.models.recipes import RECIPES

_NOT_TRAINING = ("patience", "label_share", "prior_tau")
"""Options that change when a run ends and what is made of it, not the run."""

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
"""Keras dtype policies of the trunk."""

CHOICES = {
    "compute": POLICIES,
    "optimizer": ("sgd", "adam", "nadam"),
    "schedule": ("cosine", "inverse", "constant"),
    "balance": ("none", "weights", "oversample"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train; a recipe (`of_recipe`) states what it wants otherwise.

    A run is resumed only by the very same options, `patience` aside.
    """

    name: str = "default"
    """Name of the card and of the files written."""
    recipe: str = "resnet-lean"
    """Whose network."""
    epochs: int = 22
    seed: int = 1
    batch_size: int = 128
    optimizer: str = "sgd"
    """With Nesterov momentum; or "adam", "nadam"."""
    learning_rate: float = 0.1
    """Peak; reached after the warm-up."""
    schedule: str = "cosine"
    """Afterwards: a cosine to zero over all epochs; "inverse", peak / (1 + decay step); or "constant"."""
    decay: float = 0.0
    """Of the inverse schedule, per step."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 4e-3
    """Decoupled: each step shrinks the kernels by this times the learning rate."""
    label_smoothing: float = 0.05
    """For hard labels; votes are soft by themselves."""
    balance: str = "none"
    """Against rare classes going under: "weights" lets a row count by the inverse frequency of its class, within
    bounds; "oversample" shows rows of rarer classes more often, each time disturbed anew."""
    votes: bool = True
    """Learn from FER+ votes too, by a second head, where the data has them."""
    adjust_prior: bool = True
    """Choose on the selection split how much of the learnt class prior is divided out."""
    merge: Mapping[str, str] = field(default_factory=dict)
    """Classes that count as another one: {"disgust": "angry"} makes six."""
    backbone: str = RANDOM
    """Weights that a transfer recipe starts from: "none", "imagenet", or the path of an h5 file."""
    teachers: tuple[str, ...] = ()
    """Runs or models whose answers are mixed into the targets (distillation, Hinton et al., 2015)."""
    teacher_share: float = 0.5
    """How much of the targets is the teachers', 0..1."""
    mixup: float = 0.2
    """Both parameters of the Beta the mixing share is drawn from; 0 mixes nothing."""
    dropout: float = 0.1
    average_decay: float = 0.997
    """Of the moving average of weights that is judged and kept: about 1 / (1 - decay) steps."""
    label_share: float | None = None
    """Weight of the label head in what is served, 0..1, the vote head has the rest; None: by the selection split."""
    prior_tau: float | None = None
    """Power of the learnt class prior that is divided out, 0..1; None: by the selection split."""
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
        if not 0 <= self.teacher_share <= 1:
            raise OptionsError(f"teacher_share must be in 0..1, got {self.teacher_share}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise OptionsError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        strange = [label for pair in self.merge.items() for label in pair if label not in LABELS]
        if strange or set(self.merge) & set(self.merge.values()):
            raise OptionsError(f"merge must name classes of {', '.join(LABELS)}, got {dict(self.merge)}")
        if not self.image_sizes or self.image_sizes[-1][0] < 1.0:
            raise OptionsError(f"image_sizes must reach the share 1.0 of the epochs, got {self.image_sizes}")

    @classmethod
    def of_recipe(cls, name: str, **changes: Any) -> Self:
        """Return a recipe's own options, changed where asked.

        Raises:
            OptionsError: no such recipe, or options that cannot be trained.
        """
        if name not in RECIPES:
            raise OptionsError(f"no recipe is called {name!r}; choose one of: {', '.join(sorted(RECIPES))}")
        return cls(**{"name": name, "recipe": name, **RECIPES[name].options, **changes})

    @property
    def classes(self) -> Classes:
        """What the network tells apart."""
        return Classes.without(self.merge)

    def size_at(self, epoch: int) -> int:
        """Side of the training images in an epoch (from 0), pixels."""
        return next(size for until, size in self.image_sizes if epoch < until * self.epochs or until >= 1.0)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step (from 0): linear warm-up, then the schedule."""
        warm = self.warmup_epochs * steps_per_epoch
        total = self.epochs * steps_per_epoch
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        if self.schedule == "inverse":
            return self.learning_rate / (1 + self.decay * (step - warm))
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, total - warm)))

    def identity(self) -> dict[str, Any]:
        """What must be equal for two runs to be the same run."""
        return {name: value for name, value in asdict(self).items() if name not in _NOT_TRAINING}

    def is_run_of(self, stored: Mapping[str, Any]) -> bool:
        """Whether a stored `identity` is this run's; what an older ferflow did not store had today's default."""
        mine, usual = self.identity(), TrainOptions().identity()
        augmentation = usual["augmentation"] | stored.get("augmentation", {})
        then = usual | dict(stored) | {"augmentation": augmentation, "name": self.name}
        return bool(json.loads(json.dumps(mine)) == json.loads(json.dumps(then)))
