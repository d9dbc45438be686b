"""What a network looked at: its feature maps, and where in the crop each class's logit comes from. No TensorFlow.

    insight = Insight(resolve("default"))
    seen = insight(crops)[0]
    answer = seen.answers["label_head"]
    answer.evidence[3].mean() + answer.bias[3]      # this head's logit of label 3, exactly

A network that ends in a global average and a linear layer per head (CAM: Zhou et al., 2016) gives evidence by place:
the linear layer applied to the last feature map before it is averaged. The float ONNX file is asked for its inner
tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ferflow.errors import ModelError
from ferflow.models.cards import ModelCard
from ferflow.models.heads import ByHead, softmax
from ferflow.types import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True)
class Answer:
    """What one head of a network says of one crop."""

    share: float
    """Of this head in the scores, above 0; those of all heads sum to 1."""
    logits: Float32Array
    """(K,), as the softmax takes them."""
    probs: Float32Array
    """(K,), sum 1: their softmax at the card's temperature."""
    evidence: Float32Array | None
    """(K, H, W); its mean over places plus `bias` is the logit. None if the network does not end in an average."""
    bias: Float32Array | None
    """(K,)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One crop as a network saw it; K labels in the card's order."""

    crop: UInt8Array
    """(S, S)."""
    stages: dict[str, Float32Array]
    """Name of a stage's last tensor -> feature maps (C, H, W), in the order of the network."""
    answers: dict[str, Answer]
    """By the heads that are heard."""
    probs: Float32Array
    """(K,), sum 1: the mean of the heads' by their shares."""

    @property
    def evidence(self) -> Float32Array | None:
        """(K, H, W): what speaks for each label more than for the mean of all, by what each head gives of its score.

        What a head says for all labels alike moves no score.
        """
        parts = [
            (answer.share * answer.probs / np.maximum(self.probs, 1e-12))[:, None, None]
            * (answer.evidence - answer.evidence.mean(axis=0))
            for answer in self.answers.values()
            if answer.evidence is not None
        ]
        return np.sum(parts, axis=0, dtype=np.float32) if parts else None


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
            self._heads = _linear_heads(model.graph, card)
            inner = [*self._stages, *(head.reads for head in self._heads.values())]
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
        answers = self._answers(values, self.card.logits(outputs))
        probs = self.card.probabilities(outputs)
        return [
            Seen(
                crop=crops[i, ..., 0],
                stages={name: values[name][i] for name in self._stages},
                answers={head: of_crops[i] for head, of_crops in answers.items()},
                probs=probs[i],
            )
            for i in range(len(crops))
        ]

    def _answers(self, values: ByHead, logits: ByHead) -> dict[str, list[Answer]]:
        """What each head that is heard says of the crops whose inner tensors these are."""
        answers = {}
        for name, share in self.card.shares.items():
            if not share:
                continue
            head = self._heads.get(name)
            probs = softmax(logits[name], self.card.temperature)
            evidence = None if head is None else np.einsum("ndhw,dk->nkhw", values[head.reads], head.kernel)
            answers[name] = [
                Answer(
                    share=share,
                    logits=logits[name][i],
                    probs=probs[i],
                    evidence=None if evidence is None else evidence[i],
                    bias=None if head is None else head.bias,
                )
                for i in range(len(probs))
            ]
        return answers


@dataclass(frozen=True, slots=True)
class _Head:
    """The linear layer behind a global average."""

    reads: str
    """The feature maps (N, D, H, W) that are averaged."""
    kernel: Float32Array
    """(D, K)."""
    bias: Float32Array
    """(K,)."""


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


def _linear_heads(graph: Any, card: ModelCard) -> dict[str, _Head]:
    """The heads, biases as served, if all are a linear layer of globally averaged feature maps; else none."""
    found = {name: _head_of(graph, name) for name in card.heads}
    heads = {name: head for name, head in found.items() if head is not None}
    if len(heads) < len(found):
        return {}
    biases = card.logits({name: head.bias for name, head in heads.items()})
    return {name: replace(head, bias=biases[name]) for name, head in heads.items()}


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
