"""Backbones: the part of a network between image and linear head, in Keras 3 only, for any of its backends.

A backbone takes grey levels 0..255, (N, S, S, 1), scales them, and returns features (N, D). Scaling is part of the
network, so training, Keras and ONNX cannot differ in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ferflow.errors import OptionsError
from ferflow.plain_file import check_plain_file

KerasTensor = Any

CONTRAST_FLOOR = 8.0
"""Added to the standard deviation (grey levels of 255), so that the noise of a flat crop is not amplified."""

BATCH_NORM_MOMENTUM = 0.95
"""An epoch has some 200 steps: statistics over the last 20 follow the weights closely enough."""

RANDOM = "none"
"""`Network.backbone` of a backbone that starts from random weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What determines the shape of a network in addition to its name."""

    classes: int = 7
    """Outputs, in the order of the card's labels."""
    input_size: int | None = 48
    """Side of the square grayscale input, pixels; None: any side, so that training can begin on small images."""
    two_heads: bool = False
    """Train a second linear head, on annotators' votes, in addition to the head for labels."""
    occlusion_layer: str = ""
    """Layer whose features a head for covered mouths reads; empty: no such head."""
    dropout: float = 0.0
    """Share of features dropped during training, at places defined by the backbone; it is not part of the weights."""
    compute: str = "float32"
    """Keras dtype policy of the backbone; heads stay float32."""
    backbone: str = RANDOM
    """Initial weights of a `PretrainedBackbone`: "none", "imagenet" (Keras downloads them), or the path of an h5."""


Backbone = Callable[[KerasTensor, Network], KerasTensor]


@dataclass(frozen=True, slots=True)
class ResNet:
    """A plain post-activation residual network: its batch norms can be folded into the convolutions."""

    widths: tuple[int, ...]
    """Channels of each stage; every stage after the first halves height and width."""
    blocks: tuple[int, ...]
    """Basic blocks (two 3x3 convolutions) of each stage."""
    stem: int = 3
    """Side of the first convolution, pixels."""
    stem_strides: int = 1
    """2: start at half size. At full size, the first stage takes most of the training time on a CPU."""

    def __call__(self, image: KerasTensor, network: Network) -> KerasTensor:
        """Compute pooled features (N, widths[-1])."""
        dtype = network.compute
        x = _conv(
            standardise(image),
            self.widths[0],
            kernel=self.stem,
            strides=self.stem_strides,
            name="stem",
            dtype=dtype,
        )
        for stage, (width, blocks) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for block in range(blocks):
                halve = stage > 0 and block == 0
                x = _basic_block(x, width, halve=halve, name=f"stage{stage}_block{block}", dtype=dtype)
        return _pool_globally(x, network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Blocks of convolutions, each followed by a 2x2 max pool, then dense layers: the networks of the early papers."""

    blocks: tuple[tuple[int, ...], ...]
    """Channels of the convolutions of each block."""
    dense: tuple[int, ...]
    """Units of the dense layers; each is followed by dropout."""
    kernel: int = 3
    """Side of the convolutions, pixels."""
    norm: bool = False
    """Whether there is a batch norm before every activation."""
    block_dropout: float = 0.0
    """Dropout after each block."""
    pooled: bool = False
    """Whether the dense layers read the average over the image, which permits any image size, or every pixel."""
    scale: Literal["unit", "standardised"] = "unit"
    """Grey levels divided by 255, or each image normalised to mean 0 and about unit contrast."""

    def __call__(self, image: KerasTensor, network: Network) -> KerasTensor:
        """Compute the features of the last dense layer (N, dense[-1])."""
        from keras import layers

        dtype = network.compute
        x = standardise(image) if self.scale == "standardised" else _scale_to_unit(image)
        for i, widths in enumerate(self.blocks):
            for k, width in enumerate(widths):
                x = self._conv(x, width, dtype, name=f"block{i}_{k}")
            x = layers.MaxPooling2D(2, name=f"block{i}_pool", dtype=dtype)(x)
            x = _drop_out(x, self.block_dropout, f"block{i}_dropout", dtype)
        flat = layers.GlobalAveragePooling2D if self.pooled else layers.Flatten
        x = flat(name="flat", dtype=dtype)(x)
        for i, units in enumerate(self.dense):
            x = self._dense(x, units, dtype, name=f"dense{i}")
            x = _drop_out(x, network.dropout, f"dense{i}_dropout")
        return x

    def _conv(self, x: KerasTensor, width: int, dtype: str, *, name: str) -> KerasTensor:
        from keras import layers

        if self.norm:
            return _conv(x, width, kernel=self.kernel, name=name, dtype=dtype)
        x = layers.Conv2D(
            width,
            self.kernel,
            padding="same",
            kernel_initializer="he_normal",
            name=f"{name}_conv",
            dtype=dtype,
        )(x)
        return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)

    def _dense(self, x: KerasTensor, units: int, dtype: str, *, name: str) -> KerasTensor:
        from keras import layers

        x = layers.Dense(units, kernel_initializer="he_normal", name=name, dtype=dtype)(x)
        return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedBackbone:
    """A network of `keras.applications` for colour photographs, pooled, followed by tanh layers."""

    application: str
    """Its name in `keras.applications`."""
    side: int = 48
    """Side to which the crop is enlarged, pixels."""
    scale: float = 1.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added to the scaled grey levels, one number per colour channel, as the ImageNet weights expect."""
    dense: tuple[int, ...] = (256, 128)
    """Units of the tanh layers."""

    def __call__(self, image: KerasTensor, network: Network) -> KerasTensor:
        """Compute the features of the last dense layer (N, dense[-1])."""
        import keras
        from keras import layers

        x = image
        if self.side != network.input_size:
            x = layers.Resizing(self.side, self.side, name="enlarged", dtype="float32")(x)
        # The ImageNet weights expect three colour channels.
        x = layers.Concatenate(name="colour", dtype="float32")([x, x, x])
        x = layers.Rescaling(self.scale, list(self.offset), name="rescaled", dtype="float32")(x)
        make = getattr(keras.applications, self.application)
        with _dtype_policy(network.compute):
            x = self._features(make, x, network.backbone)
        x = layers.GlobalAveragePooling2D(name="pooled", dtype="float32")(x)
        for i, units in enumerate(self.dense):
            x = layers.Dense(units, activation="tanh", name=f"dense{i}", dtype="float32")(x)
            x = _drop_out(x, network.dropout, f"dense{i}_dropout")
        return x

    def _features(self, make: Callable[..., Any], x: KerasTensor, weights: str) -> KerasTensor:
        # Only weights are loaded, into a network that Keras builds from its own code: files cannot bring code.
        try:
            if (path := Path(weights)).exists():
                check_plain_file(path)
            return make(
                include_top=False, weights=None if weights == RANDOM else weights, input_tensor=x
            ).output
        except Exception as error:  # downloads, h5py and Keras each have their own errors
            if weights == RANDOM:
                raise
            raise OptionsError(
                f"{self.application}: weights {weights!r} cannot be loaded ({type(error).__name__}). "
                f"Give the path of an h5 file without its top layers, or {RANDOM!r} to start from random weights."
            ) from error


def standardise(image: KerasTensor) -> KerasTensor:
    """Normalise every image to mean 0 and about unit contrast: lighting differs more between videos than faces do."""
    from keras import ops

    centred = image - ops.mean(image, axis=(1, 2, 3), keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=(1, 2, 3), keepdims=True))
    return centred / (deviation + CONTRAST_FLOOR)


def _scale_to_unit(image: KerasTensor) -> KerasTensor:
    from keras import layers

    return layers.Rescaling(1 / 255, name="unit", dtype="float32")(image)


def _pool_globally(x: KerasTensor, network: Network) -> KerasTensor:
    from keras import layers

    # Float32 with every `compute`: the heads are float32, and a mean in half precision would lose digits before them.
    x = layers.GlobalAveragePooling2D(name="pooled", dtype="float32")(x)
    return _drop_out(x, network.dropout, "dropout")


def _drop_out(x: KerasTensor, share: float, name: str, dtype: str = "float32") -> KerasTensor:
    from keras import layers

    return layers.Dropout(share, name=name, dtype=dtype)(x) if share else x


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Set another Keras dtype policy for layers that take no `dtype` argument."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _conv(
    x: KerasTensor, width: int, *, name: str, dtype: str, kernel: int = 3, strides: int = 1, relu: bool = True
) -> KerasTensor:
    """Convolution without bias, batch norm and, by default, a ReLU."""
    from keras import layers

    # Without bias: the batch norm would subtract it again.
    x = layers.Conv2D(
        width,
        kernel,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
        dtype=dtype,
    )(x)
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm", dtype=dtype)(x)
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x) if relu else x


def _basic_block(x: KerasTensor, width: int, *, halve: bool, name: str, dtype: str) -> KerasTensor:
    """Two 3x3 convolutions with a residual connection; `halve` first pools both paths by two."""
    from keras import layers

    shortcut = x
    if halve:
        # Averaging uses every pixel, unlike strides, and is equally fast in every runtime.
        x = layers.AveragePooling2D(2, name=f"{name}_pool", dtype=dtype)(x)
        shortcut = _conv(x, width, kernel=1, relu=False, name=f"{name}_shortcut", dtype=dtype)
    y = _conv(x, width, name=f"{name}_a", dtype=dtype)
    y = _conv(y, width, relu=False, name=f"{name}_b", dtype=dtype)
    y = layers.Add(name=f"{name}_add", dtype=dtype)([y, shortcut])
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(y)
