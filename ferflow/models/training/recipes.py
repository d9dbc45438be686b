"""The recipes by name: a network and how it is trained.

    options = options_of("two-conv", epochs=3)      # the recipe's options, with changes

The recipes of papers follow the papers; where a paper is silent or contradicts itself, `description` states our choice.
`default` is ours: it trains the network that ships, `resnet-broad`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msgspec import structs

from ferflow.errors import OptionsError
from ferflow.models.data.augment import FLIP_AND_SHIFT, NO_AUGMENTATION, Augmentation
from ferflow.models.training.options import FULL_SIZE, TrainOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network and how it is trained."""

    options: TrainOptions
    description: str
    published: str = ""
    """What its paper reports on FER2013; empty: the recipe is ours."""


_EARLY = TrainOptions(
    votes=False,
    adjust_prior=False,
    mixup=0.0,
    label_smoothing=0.0,
    weight_decay=0.0,
    average_decay=0.0,
    warmup_epochs=0.0,
    image_sizes=FULL_SIZE,
    augmentation=NO_AUGMENTATION,
)
"""Without everything that the early papers did without."""

_TRANSFER = structs.replace(
    _EARLY,
    optimizer="adam",
    learning_rate=1e-4,
    warmup_epochs=1.0,
    batch_size=64,
    epochs=12,
    dropout=0.3,
    backbone="imagenet",
    augmentation=Augmentation(
        light_chance=0.2, blur_chance=0, shrink_chance=0, jpeg_chance=0, erase_chance=0
    ),
)


def _options(name: str, base: TrainOptions | None = None, **changes: object) -> TrainOptions:
    return structs.replace(base or TrainOptions(), **{"name": name, "recipe": name, **changes})


# fmt: off
_RECIPES = (
    Recipe(
        options=_options("default", recipe="resnet-broad", epochs=56),
        description="The shipped model: resnet-broad, two heads, labels and votes.",
    ),
    Recipe(
        options=_options("resnet-wide", epochs=56),
        description="267 MFLOP, 1.6 M parameters; starts at half size.",
    ),
    Recipe(
        options=_options("resnet-broad", epochs=56),
        description="393 MFLOP, 2.7 M parameters; resnet-wide with more channels in the later stages.",
    ),
    Recipe(
        options=_options("resnet-lean"),
        description="98 MFLOP, 0.7 M parameters; starts at half size.",
    ),
    Recipe(
        options=_options("resnet-small"),
        description="156 MFLOP, 0.7 M parameters; starts at full size.",
    ),
    Recipe(options=_options("resnet-tiny"), description="For tests and smoke runs only."),
    Recipe(
        options=_options(
            "two-conv", _EARLY, optimizer="adam", learning_rate=1e-3, schedule="constant", epochs=1,
            batch_size=64, dropout=0.5,
        ),
        description="Two 3x3x64 convolutions with pools, dense 256, dropout 0.5; /255; one epoch. Chosen: Adam at "
        "0.001, batches of 64, padding that keeps the size.",
        published="37.8 % test",
    ),
    Recipe(
        options=_options(
            "lenet-oversampled", _EARLY, optimizer="sgd", learning_rate=0.02, warmup_epochs=0.5, epochs=30,
            batch_size=64, dropout=0.5, balance="oversample", weight_decay=1e-3,
            augmentation=structs.replace(FLIP_AND_SHIFT, rotation_degrees=8, scale=0.08, shift=0.06),
        ),
        description="Modified LeNet: two 5x5x64 convolutions with pools, dense 500 and 300; minority classes "
        "oversampled, intensity normalised, SGD with momentum and decay, batches of 64. Chosen where the text "
        "contradicts itself or is silent: max pools, padding that keeps the size, dropout 0.5 after the dense "
        "layers, momentum 0.9, a cosine from 0.02, weight decay, copies that are mirrored, turned, scaled and shifted, "
        "30 epochs.",
        published="61.6 % validation, 56.8 % test, precision 0.57",
    ),
    Recipe(
        options=_options(
            "nine-conv-6class", _EARLY, optimizer="adam", learning_rate=5e-4, warmup_epochs=0.5,
            epochs=15, batch_size=128, dropout=0.5, merge={"disgust": "angry"},
            augmentation=FLIP_AND_SHIFT,
        ),
        description="Three blocks of three 3x3 convolutions (32, 64, 128) with pools, dense 1024 and 512, disgust "
        "merged into anger: six classes. Chosen: /255, Adam at 0.0005 with a cosine, dropout 0.5, mirrored copies, "
        "15 epochs.",
        published="58 % validation",
    ),
    Recipe(
        options=_options(
            "deep-nadam", _EARLY, optimizer="nadam", learning_rate=2e-3, warmup_epochs=1.0, epochs=90,
            image_sizes=((0.3, 32), (0.6, 40), (1.0, 48)), batch_size=128, dropout=0.3,
            label_smoothing=0.1, balance="weights", weight_decay=0.2, average_decay=0.997, patience=20,
            augmentation=Augmentation(rotation_degrees=12, scale=0.12, shift=0.07, shear=0.15,
            light_chance=0.3, blur_chance=0, shrink_chance=0, jpeg_chance=0, erase_chance=0),
        ),
        description="Deep CNN, He-normal, batch norm, dropout, Nadam, inverse-frequency class weights (bounded), "
        "flip, shear, rotation, zoom and brightness, early stopping on the best epoch. Chosen: four blocks of two "
        "3x3 convolutions (32, 96, 192, 256) and a max pool, averaged, dense 256, cosine from 0.002, weight decay, "
        "label smoothing, moving average of weights, 90 epochs that begin on small images.",
        published="70.10 % PrivateTest",
    ),
    Recipe(
        options=_options("vgg16-transfer", _TRANSFER),
        description="VGG16 from ImageNet at 48 px, pooled, two tanh layers (256, 128), all layers fine-tuned.",
        published="F1 0.88 claimed; 21.9 % test",
    ),
    Recipe(
        options=_options("vgg19-transfer", _TRANSFER),
        description="VGG19 from ImageNet at 48 px, pooled, two tanh layers (256, 128), all layers fine-tuned.",
        published="F1 0.88 claimed; 21.9 % test",
    ),
    Recipe(
        options=_options("inception-transfer", _TRANSFER),
        description="InceptionV3 from ImageNet, crops enlarged to 96 px (it takes 75 at least), pooled, two tanh "
        "layers (256, 128), all layers fine-tuned.",
        published="F1 0.88 claimed; 21.9 % test",
    ),
)
# fmt: on

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.options.name: recipe for recipe in _RECIPES})


def options_of(name: str, **changes: object) -> TrainOptions:
    """Return the options of a recipe with changes; None leaves an option as it is.

    Raises:
        OptionsError: no such recipe, or options that cannot be used.
    """
    if name not in RECIPES:
        raise OptionsError(f"no recipe is called {name!r}; choose one of: {', '.join(sorted(RECIPES))}")
    return RECIPES[name].options.updated(**changes)
