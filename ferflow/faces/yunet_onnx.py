"""YuNet's network, rewritten for how it is used here; the arithmetic stays, what surrounds it goes.

The file wants float BGR of 640x640 and answers in twelve pieces. Rewritten, it takes planes of any size as the
codec has them, since the change from YUV to BGR is linear and so is the first layer; and the four heads of each
level, which read the same values, are one of sixteen channels. Together a third less time per frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.media.planes import yuv_to_bgr

STRIDES = (8, 16, 32)
"""Pixels per cell of the three levels."""

_HEADS = ("cls", "obj", "bbox", "kps")
_CHANNELS = 16
"""Of all heads: class, object, box of 4, points of 10."""


def black_level(full_range: bool) -> int:
    """Luma of black."""
    return 0 if full_range else 16


def for_planes(weights: bytes, *, full_range: bool) -> bytes:
    """The network as ONNX.

    In: "planes", uint8 (1, 3, H, W), Y, U, V; H and W multiples of 32. Out, cells of the finest level first,
    each level row by row: "score", float32 (1, N, 1) in [0, 1]; "faces", float32 (1, N, 14), a box (centre, log
    size) and five points, in cells.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = onnx.load_model_from_string(weights).graph
    network = _Network(graph)
    network.read_planes(full_range)
    network.merge_heads()
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "n", size])
        for name, size in (("score", 1), ("faces", 14))
    ]
    planes = helper.make_tensor_value_info("planes", TensorProto.UINT8, [1, 3, "height", "width"])
    # Shapes inferred for 640 pixels are left behind: they would contradict the open ones.
    changed = helper.make_graph(network.nodes, graph.name, [planes], outputs, network.used_weights())
    opset = helper.make_opsetid("", 11)
    return bytes(helper.make_model(changed, opset_imports=[opset], ir_version=8).SerializeToString())


class _Network:
    """Nodes and weights while they are being changed."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.nodes: list[Any] = list(graph.node)
        self._weights = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
        self._maker = {output: node for node in self.nodes for output in node.output}

    def read_planes(self, full_range: bool) -> None:
        """Let the first convolution read YUV, less black: then the zeros around the picture are black too."""
        first = self.nodes[0]
        kernel = self._weights[first.input[1]].astype(np.float64)
        to_bgr = yuv_to_bgr(full_range)[:, :3]
        self._weights[first.input[1]] = np.einsum("obij,by->oyij", kernel, to_bgr).astype(np.float32)
        black = np.array([black_level(full_range), 128, 128], np.float32).reshape(1, 3, 1, 1)
        self.nodes = [
            _node("Cast", ["planes"], "levels", to=1),  # to float32
            _node("Sub", ["levels", self._weight("black", black)], first.input[0]),
            *self.nodes,
        ]

    def merge_heads(self) -> None:
        """One pair of convolutions per level in place of four, and one score per cell."""
        levels = [self._merged(stride) for stride in STRIDES]
        self.nodes += [
            _node("Concat", levels, "cells", axis=1),
            _node("Split", ["cells"], "class", "object", "faces", axis=2, split=[1, 1, 14]),
            _node("Sigmoid", ["class"], "class_score"),
            _node("Sigmoid", ["object"], "object_score"),
            _node("Mul", ["class_score", "object_score"], "product"),
            _node("Sqrt", ["product"], "score"),
        ]

    def used_weights(self) -> list[Any]:
        """What the nodes read."""
        from onnx import numpy_helper

        read = {name for node in self.nodes for name in node.input}
        return [numpy_helper.from_array(a, name) for name, a in self._weights.items() if name in read]

    def _merged(self, stride: int) -> str:
        """Replace the heads of one level; returns the name of its cells, (1, N, 16)."""
        heads = [self._head(f"{kind}_{stride}") for kind in _HEADS]
        replaced = {id(node) for head in heads for node in head}
        self.nodes = [node for node in self.nodes if id(node) not in replaced]
        narrow, wide = f"narrow_{stride}", f"wide_{stride}"
        pointwise, depthwise = ([head[position] for head in heads] for position in (0, 1))
        shape = self._weight("cells_shape", np.array([1, -1, _CHANNELS], np.int64))
        self.nodes += [
            _node(
                "Conv",
                [pointwise[0].input[0], *self._stacked(pointwise, narrow)],
                narrow,
                kernel_shape=[1, 1],
            ),
            _node(
                "Conv",
                [narrow, *self._stacked(depthwise, wide)],
                wide,
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                group=_CHANNELS,
            ),
            _node("Transpose", [wide], f"rows_{stride}", perm=[0, 2, 3, 1]),
            _node("Reshape", [f"rows_{stride}", shape], f"cells_{stride}"),
        ]
        return f"cells_{stride}"

    def _head(self, output: str) -> list[Any]:
        """The nodes of one head, from its first convolution to its output."""
        nodes: list[Any] = []
        while [node.op_type for node in nodes].count("Conv") < 2:
            nodes.append(self._maker[nodes[-1].input[0] if nodes else output])
        return nodes[::-1]

    def _stacked(self, convolutions: Iterable[Any], name: str) -> list[str]:
        """Kernels and biases of several convolutions as those of one; their names."""
        parts = [(self._weights[node.input[1]], self._weights[node.input[2]]) for node in convolutions]
        kernels, biases = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return [self._weight(f"{name}_kernel", kernels), self._weight(f"{name}_bias", biases)]

    def _weight(self, name: str, values: npt.NDArray[Any]) -> str:
        self._weights[name] = values
        return name


def _node(kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, inputs, list(outputs), **attributes)
