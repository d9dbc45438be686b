"""Write a served Keras network as ONNX: same arithmetic, batch norms folded into their convolutions.

    to_onnx(model, Path("resnet-broad.onnx"))

The ONNX network takes uint8 (N, S, S, 1) called "images" and returns float32 (N, K) called "logits", or "label_head"
and "vote_head" if it has two heads; N is free. Everything after the logits is defined by the card.

The converter is our own because it is small: it supports the layers that our networks use and refuses all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import ModelError
from ferflow.models.backbones import CONTRAST_FLOOR
from ferflow.models.heads import split_heads
from ferflow.models.keras_network import KerasModel
from ferflow.store.atomic_files import atomic_write

OPSET, IR_VERSION = 17, 8
"""Old enough for every ONNX Runtime since 1.13, new enough for all operators used here."""

INPUT = "images"


def to_onnx(model: KerasModel, path: Path) -> None:
    """Write a network from `keras_network.copy_for_serving` or `load_network` as ONNX, atomically.

    Raises:
        ModelError: it has a layer that this converter does not support.
    """
    import onnx

    graph = _Graph(model)
    with atomic_write(path) as part:
        onnx.save_model(graph.to_proto(), str(part))


class _Graph:
    """The ONNX graph during conversion."""

    def __init__(self, model: KerasModel) -> None:
        self.model = model
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.names: dict[int, str] = {}
        """Name in the graph of each Keras tensor, by its id."""
        self.norms = _norms_by_input(model)
        # 1 is TensorProto.FLOAT. From here on, tensors are (N, C, H, W) as in ONNX, and not (N, H, W, C) as in Keras.
        self.add_node("Cast", [INPUT], "grey", to=1)
        self.names[id(model.input)] = self.add_node("Transpose", ["grey"], "planes", perm=[0, 3, 1, 2])
        for layer in model.operations:
            self._add_layer(layer)

    def to_proto(self) -> Any:
        """Build the ONNX model and check it."""
        import onnx
        from onnx import TensorProto, helper

        _, *size = self.model.input.shape
        outputs = []
        for head, tensor in split_heads(self.model.output).items():
            self.add_node("Identity", [self.names[id(tensor)]], head)
            shape = ["batch", tensor.shape[-1]]
            outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, shape))
        images = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", *size])
        graph = helper.make_graph(self.nodes, self.model.name, [images], outputs, self.weights)
        opset = helper.make_opsetid("", OPSET)
        proto = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="ferflow"
        )
        onnx.checker.check_model(proto, full_check=True)
        return proto

    def add_node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def add_weight(self, name: str, array: npt.ArrayLike) -> str:
        """Append a float32 constant and return its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def _add_standardisation(self) -> str:
        """Add what `backbones.standardise` does; a test compares the two."""
        self.add_node("ReduceMean", ["planes"], "mean", axes=[1, 2, 3], keepdims=1)
        self.add_node("Sub", ["planes", "mean"], "centred")
        self.add_node("Mul", ["centred", "centred"], "squared")
        self.add_node("ReduceMean", ["squared"], "variance", axes=[1, 2, 3], keepdims=1)
        self.add_node("Sqrt", ["variance"], "deviation")
        self.add_node("Add", ["deviation", self.add_weight("contrast_floor", CONTRAST_FLOOR)], "contrast")
        return self.add_node("Div", ["centred", "contrast"], "standardised")

    def _add_layer(self, layer: Any) -> None:
        kind = type(layer).__name__
        if kind == "InputLayer":
            return
        if kind in _ARITHMETIC and not hasattr(layer, "weights"):
            # An operation that is not a layer is a step of the standardisation, the only arithmetic of backbones. The
            # first layer reads its last step, a division.
            if kind in ("Divide", "TrueDivide"):
                self.names[id(layer.output)] = self._add_standardisation()
            return
        if kind not in _WRITERS:
            raise ModelError(
                f"{self.model.name}: layer {layer.name!r} ({kind}) cannot be written as ONNX yet."
            )
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        if not all(id(x) in self.names for x in inputs):
            raise ModelError(f"{self.model.name}: {layer.name!r} reads the image before it is standardised.")
        written = _WRITERS[kind](self, layer, [self.names[id(x)] for x in inputs])
        self.names[id(layer.output)] = _write_activation(self, layer, written)


def _norms_by_input(model: KerasModel) -> dict[int, Any]:
    """Batch norms by the id of the tensor that they read."""
    return {id(op.input): op for op in model.operations if type(op).__name__ == "BatchNormalization"}


def _write_convolution(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    """Write a convolution, with the following batch norm folded in."""
    # Folded in float64, so that weights are rounded once.
    kernel = np.asarray(layer.kernel, np.float64)  # (H, W, in, out)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(kernel.shape[-1])
    norm = graph.norms.get(id(layer.output))
    if norm is not None:
        scale = np.asarray(norm.gamma) if norm.scale else 1.0
        gain = scale / np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
        kernel = kernel * gain
        bias = (bias - np.asarray(norm.moving_mean)) * gain + np.asarray(norm.beta)
    names = [
        graph.add_weight(f"{layer.name}/kernel", kernel.transpose(3, 2, 0, 1)),
        graph.add_weight(f"{layer.name}/bias", bias),
    ]
    return graph.add_node(
        "Conv",
        inputs + names,
        layer.name,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        pads=_pads(layer, layer.kernel_size),
    )


def _write_activation(graph: _Graph, layer: Any, written: str) -> str:
    """Write the activation of a layer, if it has one."""
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if name == "linear":
        return written
    if name not in _ACTIVATIONS:
        raise ModelError(f"activation {name!r} of {layer.name!r} cannot be written as ONNX yet.")
    return graph.add_node(_ACTIVATIONS[name], [written], f"{layer.name}/{name}")


def _pads(layer: Any, window: tuple[int, ...]) -> list[int]:
    """Padding as in Keras, with an odd pixel at the end. Order: top, left, bottom, right."""
    if layer.padding != "same":
        return [0, 0, 0, 0]
    starts, ends = [], []
    for size, kernel, stride in zip(layer.input.shape[1:3], window, layer.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        starts.append(missing // 2)
        ends.append(missing - missing // 2)
    return starts + ends


def _skip_folded_norm(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    """Skip a batch norm: it is folded into its convolution."""
    if not any(node.op_type == "Conv" and node.output[0] == inputs[0] for node in graph.nodes):
        raise ModelError(f"batch norm {layer.name!r} follows no convolution and cannot be folded.")
    return inputs[0]


def _pool_writer(kind: str) -> Callable[[_Graph, Any, list[str]], str]:
    def write(graph: _Graph, layer: Any, inputs: list[str]) -> str:
        shape, strides = list(layer.pool_size), list(layer.strides)
        pads = _pads(layer, layer.pool_size)
        return graph.add_node(kind, inputs, layer.name, kernel_shape=shape, strides=strides, pads=pads)

    return write


def _write_global_pool(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    average = graph.add_node("GlobalAveragePool", inputs, f"{layer.name}/average")
    return graph.add_node("Flatten", [average], layer.name)


def _write_flatten(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    # Keras flattens with channels last, and the following dense layer expects this order.
    last = graph.add_node("Transpose", inputs, f"{layer.name}/last", perm=[0, 2, 3, 1])
    return graph.add_node("Flatten", [last], layer.name)


def _write_dense(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    kernel, bias = layer.get_weights()
    names = [graph.add_weight(f"{layer.name}/kernel", kernel), graph.add_weight(f"{layer.name}/bias", bias)]
    return graph.add_node("Gemm", inputs + names, f"{layer.name}/dense")


def _write_rescaling(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    scale, offset = (
        graph.add_weight(f"{layer.name}/{part}", np.reshape(getattr(layer, part), (1, -1, 1, 1)))
        for part in ("scale", "offset")
    )
    scaled = graph.add_node("Mul", [*inputs, scale], f"{layer.name}/scaled")
    return graph.add_node("Add", [scaled, offset], layer.name)


def _write_resizing(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _, height, width, _ = layer.output.shape
    # Scales, not sizes, because the batch size is free.
    scales = [1.0, 1.0, height / layer.input.shape[1], width / layer.input.shape[2]]
    names = ["", graph.add_weight(f"{layer.name}/scales", scales)]
    return graph.add_node(
        "Resize", inputs + names, layer.name, mode="linear", coordinate_transformation_mode="half_pixel"
    )


_ARITHMETIC = frozenset({"Mean", "Subtract", "Square", "Sqrt", "Add", "Divide", "TrueDivide"})
_ACTIVATIONS = MappingProxyType({"relu": "Relu", "tanh": "Tanh"})
_WRITERS: Mapping[str, Callable[[_Graph, Any, list[str]], str]] = MappingProxyType(
    {
        "Conv2D": _write_convolution,
        "BatchNormalization": _skip_folded_norm,
        "ReLU": lambda graph, layer, inputs: graph.add_node("Relu", inputs, layer.name),
        "Activation": lambda graph, layer, inputs: inputs[0],
        "Add": lambda graph, layer, inputs: graph.add_node("Add", inputs, layer.name),
        "Concatenate": lambda graph, layer, inputs: graph.add_node("Concat", inputs, layer.name, axis=1),
        "AveragePooling2D": _pool_writer("AveragePool"),
        "MaxPooling2D": _pool_writer("MaxPool"),
        "GlobalAveragePooling2D": _write_global_pool,
        "Flatten": _write_flatten,
        "Dense": _write_dense,
        "Dropout": lambda graph, layer, inputs: inputs[0],
        "Rescaling": _write_rescaling,
        "Resizing": _write_resizing,
    }
)
