"""The recipes by name: a network, and how it is trained unless told otherwise.

    RECIPES["two-conv"].options        # what differs from the defaults of `TrainOptions`

Those of the papers keep to what the papers say; where a paper is silent or contradicts itself, `description` says what
was chosen. `default` is ours and an alias: cards name the network itself, which never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ferflow.models.backbones import Backbone, Plain, ResNet, Trunk
from ferflow.models.data.augment import Augmentation

FULL_SIZE = ((1.0, 48),)
"""`image_sizes` of a schedule that sees whole images only."""

STILL = Augmentation(
    rotation_degrees=0, scale=0, shift=0, flip_chance=0, light_chance=0, blur_chance=0, shrink_chance=0,
    jpeg_chance=0, erase_chance=0,
)  # fmt: skip
"""No augmentation at all."""
MIRRORED = replace(STILL, flip_chance=0.5, shift=0.04)
"""What early papers did at most."""
LIGHT = Augmentation(
    scale=0.1, shift=0.06, light_chance=0.3, brightness=30, contrast=0.25, gamma=0.25, blur_chance=0.05,
    shrink_chance=0.05, jpeg_chance=0.05, erase_chance=0.1,
)  # fmt: skip
"""Moved nearly as far as video, lit, blurred, compressed and covered about half as often:
for a later cycle, when a network fits the data set too little rather than too well."""
AUGMENTATIONS = MappingProxyType({"video": Augmentation(), "light": LIGHT, "none": STILL})
"""Those that have a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network and its own way of training, as plain data."""

    trunk: Trunk
    description: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainOptions` that differ from its defaults."""
    published: str = ""
    """What its paper reports on FER2013; empty: it is ours."""


# What the early papers did without.
_BARE: dict[str, Any] = {
    "votes": False,
    "adjust_prior": False,
    "mixup": 0.0,
    "label_smoothing": 0.0,
    "weight_decay": 0.0,
    "average_decay": 0.0,
    "warmup_epochs": 0.0,
    "image_sizes": FULL_SIZE,
    "augmentation": STILL,
}

_TRANSFER = _BARE | {
    "optimizer": "adam",
    "learning_rate": 1e-4,
    "warmup_epochs": 1.0,
    "batch_size": 64,
    "epochs": 12,
    "dropout": 0.3,
    "backbone": "imagenet",
    "augmentation": Augmentation(
        light_chance=0.2, blur_chance=0, shrink_chance=0, jpeg_chance=0, erase_chance=0
    ),
}

_VGG_OFFSET = (-103.939, -116.779, -123.68)
"""Mean colours of ImageNet, blue first, as the authors of VGG subtracted them."""

_BROAD = ResNet((48, 128, 256), (2, 2, 2), stem=5, stem_strides=2)
"""The network that ships, by its own name and as `default`."""

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "default": Recipe(
            trunk=_BROAD,
            description="The shipped model: resnet-broad, two heads, labels and votes.",
            options={"recipe": "resnet-broad", "epochs": 56},
        ),
        "resnet-wide": Recipe(
            trunk=ResNet((48, 96, 192), (2, 2, 2), stem=5, stem_strides=2),
            description="267 MFLOP, 1.6 M parameters; starts at half size.",
            options={"epochs": 56},
        ),
        "resnet-broad": Recipe(
            trunk=_BROAD,
            description="393 MFLOP, 2.7 M parameters; resnet-wide, made wider where an image is small.",
            options={"epochs": 56},
        ),
        "resnet-lean": Recipe(
            trunk=ResNet((32, 64, 128), (1, 2, 2), stem=5, stem_strides=2),
            description="98 MFLOP, 0.7 M parameters; starts at half size.",
        ),
        "resnet-small": Recipe(
            trunk=ResNet((16, 32, 64, 128), (2, 2, 2, 2)),
            description="156 MFLOP, 0.7 M parameters; starts at full size.",
        ),
        "resnet-tiny": Recipe(
            trunk=ResNet((4, 8), (1, 1), stem_strides=2), description="For tests and smoke runs only."
        ),
        "two-conv": Recipe(
            trunk=Plain(blocks=((64,), (64,)), dense=(256,)),
            description="Two 3x3x64 convolutions with pools, dense 256, dropout 0.5; /255; one epoch. Chosen: Adam at "
            "0.001, batches of 64, padding that keeps the size.",
            options=_BARE
            | {
                "optimizer": "adam",
                "learning_rate": 1e-3,
                "schedule": "constant",
                "epochs": 1,
                "batch_size": 64,
                "dropout": 0.5,
            },
            published="37.8 % test",
        ),
        "lenet-oversampled": Recipe(
            trunk=Plain(blocks=((64,), (64,)), dense=(500, 300), kernel=5, scale="standardised"),
            description="Modified LeNet: two 5x5x64 convolutions with pools, dense 500 and 300; minority classes "
            "oversampled, intensity normalised, SGD with momentum and decay, batches of 64. Chosen where the text "
            "contradicts itself or is silent: max pools, padding that keeps the size, dropout 0.5 after the dense "
            "layers, momentum 0.9, rate 0.01 / (1 + 1e-4 step), mirrored copies, 12 epochs.",
            options=_BARE
            | {
                "optimizer": "sgd",
                "learning_rate": 0.01,
                "schedule": "inverse",
                "decay": 1e-4,
                "epochs": 12,
                "batch_size": 64,
                "dropout": 0.5,
                "balance": "oversample",
                "weight_decay": 1e-4,
                "augmentation": MIRRORED,
            },
            published="61.6 % validation, 56.8 % test, precision 0.57",
        ),
        "nine-conv-6class": Recipe(
            trunk=Plain(blocks=((32,) * 3, (64,) * 3, (128,) * 3), dense=(1024, 512)),
            description="Three blocks of three 3x3 convolutions (32, 64, 128) with pools, dense 1024 and 512, disgust "
            "merged into anger: six classes. Chosen: /255, Adam at 0.0005 with a cosine, dropout 0.5, mirrored copies, "
            "15 epochs.",
            options=_BARE
            | {
                "optimizer": "adam",
                "learning_rate": 5e-4,
                "warmup_epochs": 0.5,
                "epochs": 15,
                "batch_size": 128,
                "dropout": 0.5,
                "merge": {"disgust": "angry"},
                "augmentation": MIRRORED,
            },
            published="58 % validation",
        ),
        "deep-nadam": Recipe(
            trunk=Plain(
                blocks=((32, 32), (96, 96), (192, 192), (256, 256)),
                dense=(256,),
                norm=True,
                block_dropout=0.1,
                pooled=True,
                scale="standardised",
            ),
            description="Deep CNN, He-normal, batch norm, dropout, Nadam, inverse-frequency class weights (bounded), "
            "flip, shear, rotation, zoom and brightness, early stopping on the best epoch. Chosen: four blocks of two "
            "3x3 convolutions (32, 96, 192, 256) and a max pool, averaged, dense 256, cosine from 0.002, weight decay, "
            "label smoothing, moving average of weights, 90 epochs that begin on small images.",
            options=_BARE
            | {
                "optimizer": "nadam",
                "learning_rate": 2e-3,
                "warmup_epochs": 1.0,
                "epochs": 90,
                "image_sizes": ((0.3, 32), (0.6, 40), (1.0, 48)),
                "batch_size": 128,
                "dropout": 0.3,
                "label_smoothing": 0.1,
                "balance": "weights",
                "weight_decay": 0.2,
                "average_decay": 0.997,
                "patience": 20,
                "augmentation": Augmentation(
                    rotation_degrees=12,
                    scale=0.12,
                    shift=0.07,
                    shear=0.15,
                    light_chance=0.3,
                    blur_chance=0,
                    shrink_chance=0,
                    jpeg_chance=0,
                    erase_chance=0,
                ),
            },
            published="70.10 % PrivateTest",
        ),
        "vgg16-transfer": Recipe(
            trunk=Backbone(application="VGG16", offset=_VGG_OFFSET),
            description="VGG16 from ImageNet at 48 px, pooled, two tanh layers (256, 128), the whole fine-tuned.",
            options=_TRANSFER,
            published="F1 0.88 claimed; 21.9 % test",
        ),
        "vgg19-transfer": Recipe(
            trunk=Backbone(application="VGG19", offset=_VGG_OFFSET),
            description="VGG19 from ImageNet at 48 px, pooled, two tanh layers (256, 128), the whole fine-tuned.",
            options=_TRANSFER,
            published="F1 0.88 claimed; 21.9 % test",
        ),
        "inception-transfer": Recipe(
            trunk=Backbone(application="InceptionV3", side=96, scale=1 / 127.5, offset=(-1.0, -1.0, -1.0)),
            description="InceptionV3 from ImageNet, crops enlarged to 96 px (it takes 75 at least), pooled, two tanh "
            "layers (256, 128), the whole fine-tuned.",
            options=_TRANSFER,
            published="F1 0.88 claimed; 21.9 % test",
        ),
    }
)
