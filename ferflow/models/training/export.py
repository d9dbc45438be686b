"""Write a served Keras network as ONNX: same arithmetic, batch norms folded into their convolutions.

    to_onnx(model, Path("resnet-broad.onnx"))

Takes uint8 (N, S, S, 1) called "images", gives float32 (N, K) called "logits", or "label_head" and "vote_head" of a
network with two heads; N is free. What becomes of them, up to the softmax, is for the card to say.

The converter is our own because it is small: it knows the layers our recipes use and refuses all others.
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
from ferflow.store.atomic_files import whole_file

OPSET, IR_VERSION = 17, 8
"""Old enough for every ONNX Runtime since 1.13, new enough for all we write."""

INPUT = "images"


def to_onnx(model: KerasModel, path: Path) -> None:
    """Write a network from `cnn.serve` or `cnn.load_served` as ONNX, whole or not at all.

    Raises:
        ModelError: it has a layer this converter does not know.
    """
    import onnx

    graph = _Graph(model)
    with whole_file(path) as part:
        onnx.save_model(graph.proto(), str(part))


class _Graph:
    """The ONNX graph while it is being written."""

    def __init__(self, model: KerasModel) -> None:
        self.model = model
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.names: dict[int, str] = {}
        """What the output of each Keras tensor is called here, by the tensor's id."""
        self.norms = _norms_by_input(model)
        self.node("Cast", [INPUT], "grey", to=1)
        self.names[id(model.input)] = self.node("Transpose", ["grey"], "planes", perm=[0, 3, 1, 2])
        for layer in model.operations:
            self._layer(layer)

    def proto(self) -> Any:
        """Return the checked ONNX model."""
        import onnx
        from onnx import TensorProto, helper

        _, *size = self.model.input.shape
        outputs = []
        for head, tensor in split_heads(self.model.output).items():
            self.node("Identity", [self.names[id(tensor)]], head)
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

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str, array: npt.ArrayLike) -> str:
        """Append a float32 constant and return its name."""
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def _standardised(self) -> str:
        """Write what `trunks.standardised` does; a test holds both together."""
        self.node("ReduceMean", ["planes"], "mean", axes=[1, 2, 3], keepdims=1)
        self.node("Sub", ["planes", "mean"], "centred")
        self.node("Mul", ["centred", "centred"], "squared")
        self.node("ReduceMean", ["squared"], "variance", axes=[1, 2, 3], keepdims=1)
        self.node("Sqrt", ["variance"], "deviation")
        self.node("Add", ["deviation", self.weight("contrast_floor", CONTRAST_FLOOR)], "contrast")
        return self.node("Div", ["centred", "contrast"], "standardised")

    def _layer(self, layer: Any) -> None:
        kind = type(layer).__name__
        if kind == "InputLayer":
            return
        if kind in _ARITHMETIC and not hasattr(layer, "weights"):
            # A bare operation is a step of the standardisation, the only arithmetic that trunks do; its last
            # step, a division, is what the first layer reads.
            if kind in ("Divide", "TrueDivide"):
                self.names[id(layer.output)] = self._standardised()
            return
        if kind not in _WRITERS:
            raise ModelError(
                f"{self.model.name}: layer {layer.name!r} ({kind}) cannot be written as ONNX yet."
            )
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        if not all(id(x) in self.names for x in inputs):
            raise ModelError(f"{self.model.name}: {layer.name!r} reads the image before it is standardised.")
        written = _WRITERS[kind](self, layer, [self.names[id(x)] for x in inputs])
        self.names[id(layer.output)] = _activated(self, layer, written)


def _norms_by_input(model: KerasModel) -> dict[int, Any]:
    """Batch norms by the id of the tensor they read."""
    return {id(op.input): op for op in model.operations if type(op).__name__ == "BatchNormalization"}


def _convolution(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    """Write a convolution, with the batch norm that follows folded in."""
    kernel = np.asarray(layer.kernel, np.float64)  # (H, W, in, out)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(kernel.shape[-1])
    norm = graph.norms.get(id(layer.output))
    if norm is not None:
        scale = np.asarray(norm.gamma) if norm.scale else 1.0
        gain = scale / np.sqrt(np.asarray(norm.moving_variance, np.float64) + norm.epsilon)
        kernel = kernel * gain
        bias = (bias - np.asarray(norm.moving_mean)) * gain + np.asarray(norm.beta)
    names = [
        graph.weight(f"{layer.name}/kernel", kernel.transpose(3, 2, 0, 1)),
        graph.weight(f"{layer.name}/bias", bias),
    ]
    return graph.node(
        "Conv",
        inputs + names,
        layer.name,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        pads=_pads(layer, layer.kernel_size),
    )


def _activated(graph: _Graph, layer: Any, written: str) -> str:
    """Write the activation a layer brings with it, if any."""
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if name == "linear":
        return written
    if name not in _ACTIVATIONS:
        raise ModelError(f"activation {name!r} of {layer.name!r} cannot be written as ONNX yet.")
    return graph.node(_ACTIVATIONS[name], [written], f"{layer.name}/{name}")


def _pads(layer: Any, window: tuple[int, ...]) -> list[int]:
    """Padding as Keras lays it: the odd pixel at the end. Order: top, left, bottom, right."""
    if layer.padding != "same":
        return [0, 0, 0, 0]
    starts, ends = [], []
    for size, kernel, stride in zip(layer.input.shape[1:3], window, layer.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        starts.append(missing // 2)
        ends.append(missing - missing // 2)
    return starts + ends


def _folded(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    """Pass a batch norm by: its convolution has it already."""
    if not any(node.op_type == "Conv" and node.output[0] == inputs[0] for node in graph.nodes):
        raise ModelError(f"batch norm {layer.name!r} follows no convolution and cannot be folded.")
    return inputs[0]


def _pool(kind: str) -> Callable[[_Graph, Any, list[str]], str]:
    def write(graph: _Graph, layer: Any, inputs: list[str]) -> str:
        shape, strides = list(layer.pool_size), list(layer.strides)
        pads = _pads(layer, layer.pool_size)
        return graph.node(kind, inputs, layer.name, kernel_shape=shape, strides=strides, pads=pads)

    return write


def _pooled(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    average = graph.node("GlobalAveragePool", inputs, f"{layer.name}/average")
    return graph.node("Flatten", [average], layer.name)


def _flat(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    # Keras lays out colour last, and the dense layer after this one counts on it.
    last = graph.node("Transpose", inputs, f"{layer.name}/last", perm=[0, 2, 3, 1])
    return graph.node("Flatten", [last], layer.name)


def _dense(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    kernel, bias = layer.get_weights()
    names = [graph.weight(f"{layer.name}/kernel", kernel), graph.weight(f"{layer.name}/bias", bias)]
    return graph.node("Gemm", inputs + names, f"{layer.name}/dense")


def _rescaled(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    scale, offset = (
        graph.weight(f"{layer.name}/{part}", np.reshape(getattr(layer, part), (1, -1, 1, 1)))
        for part in ("scale", "offset")
    )
    scaled = graph.node("Mul", [*inputs, scale], f"{layer.name}/scaled")
    return graph.node("Add", [scaled, offset], layer.name)


def _resized(graph: _Graph, layer: Any, inputs: list[str]) -> str:
    _, height, width, _ = layer.output.shape
    # Scales, not sizes: the batch stays free.
    scales = [1.0, 1.0, height / layer.input.shape[1], width / layer.input.shape[2]]
    names = ["", graph.weight(f"{layer.name}/scales", scales)]
    return graph.node(
        "Resize", inputs + names, layer.name, mode="linear", coordinate_transformation_mode="half_pixel"
    )


_ARITHMETIC = frozenset({"Mean", "Subtract", "Square", "Sqrt", "Add", "Divide", "TrueDivide"})
_ACTIVATIONS = MappingProxyType({"relu": "Relu", "tanh": "Tanh"})
_WRITERS: Mapping[str, Callable[[_Graph, Any, list[str]], str]] = MappingProxyType(
    {
        "Conv2D": _convolution,
        "BatchNormalization": _folded,
        "ReLU": lambda graph, layer, inputs: graph.node("Relu", inputs, layer.name),
        "Activation": lambda graph, layer, inputs: inputs[0],
        "Add": lambda graph, layer, inputs: graph.node("Add", inputs, layer.name),
        "Concatenate": lambda graph, layer, inputs: graph.node("Concat", inputs, layer.name, axis=1),
        "AveragePooling2D": _pool("AveragePool"),
        "MaxPooling2D": _pool("MaxPool"),
        "GlobalAveragePooling2D": _pooled,
        "Flatten": _flat,
        "Dense": _dense,
        "Dropout": lambda graph, layer, inputs: inputs[0],
        "Rescaling": _rescaled,
        "Resizing": _resized,
    }
)
