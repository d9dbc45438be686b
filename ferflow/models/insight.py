"""What a network looked at: its feature maps, and where in the crop each class's logit comes from. No TensorFlow.

    insight = Insight(resolve("default"))
    seen = insight(crops)[0]
    seen.evidence[3].mean() + seen.bias[3]      # the logit of label 3, exactly

A network that ends in a global average and one linear layer (CAM: Zhou et al., 2016) gives evidence by place: the
linear layer applied to the last feature map before it is averaged. The float ONNX file is asked for its inner tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import ModelError
from ferflow.models.cards import ModelCard
from ferflow.models.evaluate import FloatArray

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Seen:
    """One crop as a network saw it; K labels in the card's order."""

    crop: UInt8Array
    """(S, S)."""
    stages: dict[str, FloatArray]
    """Name of a stage's last tensor -> feature maps (C, H, W), in the order of the network."""
    logits: FloatArray
    """(K,)."""
    probs: FloatArray
    """(K,), sum 1."""
    evidence: FloatArray | None
    """(K, H, W); its mean over places plus `bias` is the logit. None if the network does not end in an average."""
    bias: FloatArray | None
    """(K,)."""


class Insight:
    """A model's float network, opened so that its inner tensors can be read."""

    def __init__(self, card: ModelCard) -> None:
        """Raise ModelError if the file cannot be read as a network."""
        import onnx
        import onnxruntime

        self.card = card
        path = card.path(card.float_file)
        try:
            model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
            self._stages = _stage_tensors(model.graph)
            self._head = _linear_head(model.graph, card)
            inner = [*self._stages, *([self._head.reads] if self._head else [])]
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(inner))
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # neither onnx nor ONNX Runtime has a public base class for its errors
            raise ModelError(f"{path.name}: cannot be looked into ({type(error).__name__}).") from error

    def __call__(self, crops: UInt8Array) -> list[Seen]:
        """Look at crops, uint8 (N, S, S, C)."""
        names = [output.name for output in self._session.get_outputs()]
        values = dict(zip(names, self._session.run(names, {"images": crops}), strict=True))
        outputs = {head: values[head] for head in self.card.heads}
        logits, probs = self.card.logits(outputs), self.card.probabilities(outputs)
        head = self._head
        evidence = None if head is None else np.einsum("ndhw,dk->nkhw", values[head.reads], head.kernel)
        return [
            Seen(
                crop=crops[i, ..., 0],
                stages={name: values[name][i] for name in self._stages},
                logits=logits[i],
                probs=probs[i],
                evidence=None if evidence is None else evidence[i],
                bias=None if head is None else head.bias,
            )
            for i in range(len(crops))
        ]


@dataclass(frozen=True, slots=True)
class _Head:
    """The linear layer behind a global average."""

    reads: str
    """The feature maps (N, D, H, W) that are averaged."""
    kernel: FloatArray
    """(D, K)."""
    bias: FloatArray


def _stage_tensors(graph: Any) -> list[str]:
    """Names of the last feature maps of each size, in the network's order: what a stage hands on."""
    sizes = {info.name: _sides(info) for info in graph.value_info}
    # What is computed before the first convolution is still the image.
    convolutions = [i for i, node in enumerate(graph.node) if node.op_type == "Conv"]
    last: dict[tuple[int, ...], str] = {}
    for node in graph.node[convolutions[0] :] if convolutions else []:
        sides = sizes.get(node.output[0], ())
        if len(sides) == 2 and min(sides) > 1 and node.op_type != "Transpose":
            last.pop(sides, None)
            last[sides] = node.output[0]
    return list(last.values())


def _sides(info: Any) -> tuple[int, ...]:
    """Height and width of a tensor (N, C, H, W); empty for any other."""
    dims = info.type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims[2:]) if len(dims) == 4 else ()


def _linear_head(graph: Any, card: ModelCard) -> _Head | None:
    """The head as it is served, if the logits are one linear layer of globally averaged feature maps.

    Two heads read the same maps, and their blend is one linear layer again.
    """
    heads = {name: _head_of(graph, name) for name in card.heads}
    known = {name: head for name, head in heads.items() if head is not None}
    first = next(iter(known.values()), None)
    if first is None or len(known) < len(heads) or any(head.reads != first.reads for head in known.values()):
        return None
    if card.blend is None:
        return first
    kernels, biases = (
        {name: getattr(head, part) for name, head in known.items()} for part in ("kernel", "bias")
    )
    return _Head(first.reads, card.blend.mixed(kernels), card.blend(biases))


def _head_of(graph: Any, output: str) -> _Head | None:
    """The linear layer behind one output."""
    from onnx import numpy_helper

    makers = {node.output[0]: node for node in graph.node}
    chain, name = [], output
    for kind in ("Identity", "Gemm", "Flatten", "GlobalAveragePool"):
        node = makers.get(name)
        if node is None or node.op_type != kind:
            return None
        chain.append(node)
        name = node.input[0]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kernel, bias = (numpy_helper.to_array(weights[part]) for part in chain[1].input[1:])
    return _Head(name, kernel, bias)
