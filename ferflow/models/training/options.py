"""How a network is trained: schedule, regularisation and augmentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, structs

from ferflow.errors import OptionsError
from ferflow.models.backbones import RANDOM
from ferflow.models.data.augment import Augmentation
from ferflow.models.data.labelled_faces import LABELS, Classes
from ferflow.models.networks import NETWORKS
from ferflow.options import Checked
from ferflow.types import JsonObject

Share = Annotated[float, Meta(ge=0, le=1)]

FULL_SIZE = ((1.0, 48),)
"""`TrainOptions.image_sizes` of a schedule without small images."""


class TrainOptions(Checked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train; `recipes.RECIPES` holds these options for each recipe.

    A run is resumed only with equal options, see `is_same_run`.
    """

    name: str = "default"
    """Name of the card and of the files written."""
    recipe: str = "resnet-lean"
    """Name of the network in `networks.NETWORKS`."""
    epochs: Annotated[int, Meta(ge=1)] = 22
    seed: int = 1
    batch_size: Annotated[int, Meta(ge=2)] = 128
    optimizer: Literal["sgd", "adam", "nadam"] = "sgd"
    """SGD has Nesterov momentum."""
    learning_rate: float = 0.1
    """Highest value, reached after the warm-up."""
    schedule: Literal["cosine", "inverse", "constant"] = "cosine"
    """After the warm-up: a cosine to zero over all epochs; "inverse", peak / (1 + decay step); or "constant"."""
    decay: float = 0.0
    """Of the inverse schedule, per step."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 4e-3
    """Decoupled: each step shrinks the kernels by this times the learning rate."""
    label_smoothing: float = 0.05
    """Of hard labels; votes are distributions already."""
    balance: Literal["none", "weights", "oversample"] = "none"
    """Class balancing: "weights" weights a row by the inverse frequency of its class, within bounds; "oversample" shows
    rows of rarer classes more often, each time with another augmentation."""
    hold_out: bool = False
    """Select on a fixed tenth of the Training rows, which leaves PublicTest for the final figures; see `dataset.split`.
    Without splits in the data, a tenth is held out in any case."""
    keep: Literal["best", "last"] = "best"
    """Weights that become the model: those of the epoch with the best score on the selection rows, or of the last
    epoch. "last" selects nothing, for a start that has seen the selection rows."""
    votes: bool = True
    """Also learn from FER+ votes, with a second head, if the data has them."""
    adjust_prior: bool = True
    """Choose on the selection split how much of the learned class prior is divided out."""
    merge: Mapping[str, str] = {}
    """Classes that count as another class: {"disgust": "angry"} leaves six."""
    backbone: str = RANDOM
    """Initial weights of a transfer recipe: "none", "imagenet", or the path of an h5 file."""
    teachers: tuple[str, ...] = ()
    """Runs, models or files of stored answers (`.npz`) that are mixed into the targets (distillation, Hinton et al.,
    2015)."""
    teacher_share: Share = 0.5
    """Weight of the teachers' answers in the targets."""
    mixup: float = 0.2
    """Both parameters of the Beta distribution of the mixing weight; 0: no mixup."""
    dropout: float = 0.1
    sharpness_radius: Annotated[float, Meta(ge=0)] = 0.0
    """Each step takes the gradient at the worst point at this distance (SAM, `training.sharpness`); 0: off."""
    average_decay: float = 0.997
    """Of the moving average of weights that is evaluated and kept: about 1 / (1 - decay) steps."""
    label_share: Share | None = None
    """Weight of the label head in what is served, the vote head has the rest; None: chosen on the selection split."""
    prior_tau: Share | None = None
    """Power of the learned class prior that is divided out; None: chosen on the selection split."""
    patience: int = 0
    """Stop after this many epochs without a better selection score; 0: never stop early."""
    compute: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Keras dtype policy of the backbone; "mixed_bfloat16" is faster only on GPUs and recent CPUs."""
    image_sizes: Annotated[tuple[tuple[float, int], ...], Meta(min_length=1)] = (
        (0.5, 32),
        (0.8, 40),
        (1.0, 48),
    )
    """(until this share of the epochs, side in pixels). Early epochs on small images cost far less."""
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before any data is read.

        Raises:
            OptionsError: naming the option and its value.
        """
        super().__post_init__()
        if self.recipe not in NETWORKS:
            raise OptionsError(
                f"no network is called {self.recipe!r}; choose one of: {', '.join(sorted(NETWORKS))}"
            )
        unknown = {*self.merge, *self.merge.values()} - set(LABELS)
        if unknown or set(self.merge) & set(self.merge.values()):
            raise OptionsError(f"merge must name classes of {', '.join(LABELS)}, got {dict(self.merge)}")
        if self.image_sizes[-1][0] < 1.0:
            raise OptionsError(f"image_sizes must reach the share 1.0 of the epochs, got {self.image_sizes}")

    @property
    def classes(self) -> Classes:
        """The classes of the network."""
        return Classes.without(self.merge)

    def describe_kept(self, epochs: int) -> str:
        """Which of the epochs of a finished run the model comes from, for its card."""
        return f"{self.keep} of {epochs} epochs"

    def size_at(self, epoch: int) -> int:
        """Side of the training images in an epoch (from 0), pixels."""
        return next(size for until, size in self.image_sizes if epoch < until * self.epochs or until >= 1.0)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step (from 0): linear warm-up, then the schedule."""
        warm = self.warmup_epochs * steps_per_epoch
        total = self.epochs * steps_per_epoch
        if step < warm:
            # + 1, since a rate of 0 in the first step would waste it.
            return self.learning_rate * (step + 1) / (warm + 1)
        if self.schedule == "inverse":
            return self.learning_rate / (1 + self.decay * (step - warm))
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, total - warm)))

    def identity(self) -> JsonObject:
        """What a checkpoint stores of the options, JSON-able."""
        table: JsonObject = msgspec.to_builtins(self)
        return {name: value for name, value in table.items() if name not in _NOT_TRAINING}

    def is_same_run(self, stored: TrainOptions) -> bool:
        """Whether a run with the options of a checkpoint continues under these options.

        The name may differ, and so may what changes the end of a run and its card, but not its training. An option that
        an older ferflow did not know has its default in `stored`, which is what was done then.
        """
        ignored = {name: getattr(self, name) for name in ("name", *_NOT_TRAINING)}
        return structs.replace(stored, **ignored) == self


_NOT_TRAINING = ("patience", "label_share", "prior_tau")
"""Options that change when a run ends or what its card says, but no step of the training."""
