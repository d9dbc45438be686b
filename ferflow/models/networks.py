"""The networks by name, from which a card's weights can be loaded. A name never changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ferflow.models.backbones import Backbone, Plain, PretrainedBackbone, ResNet

_VGG_OFFSET = (-103.939, -116.779, -123.68)
"""Mean colours of ImageNet, blue first, as the authors of VGG subtracted them."""

NETWORKS: Mapping[str, Backbone] = MappingProxyType(
    {
        "resnet-wide": ResNet((48, 96, 192), (2, 2, 2), stem=5, stem_strides=2),
        "resnet-broad": ResNet((48, 128, 256), (2, 2, 2), stem=5, stem_strides=2),
        "resnet-lean": ResNet((32, 64, 128), (1, 2, 2), stem=5, stem_strides=2),
        "resnet-small": ResNet((16, 32, 64, 128), (2, 2, 2, 2)),
        "resnet-tiny": ResNet((4, 8), (1, 1), stem_strides=2),
        "two-conv": Plain(blocks=((64,), (64,)), dense=(256,)),
        "lenet-oversampled": Plain(blocks=((64,), (64,)), dense=(500, 300), kernel=5, scale="standardised"),
        "nine-conv-6class": Plain(blocks=((32,) * 3, (64,) * 3, (128,) * 3), dense=(1024, 512)),
        "deep-nadam": Plain(
            blocks=((32, 32), (96, 96), (192, 192), (256, 256)),
            dense=(256,),
            norm=True,
            block_dropout=0.1,
            pooled=True,
            scale="standardised",
        ),
        "vgg16-transfer": PretrainedBackbone(application="VGG16", offset=_VGG_OFFSET),
        "vgg19-transfer": PretrainedBackbone(application="VGG19", offset=_VGG_OFFSET),
        "inception-transfer": PretrainedBackbone(
            application="InceptionV3", side=96, scale=1 / 127.5, offset=(-1.0, -1.0, -1.0)
        ),
    }
)
