"""Class activation maps: a network's feature maps, and the evidence for each logit by location. Without TensorFlow.

    inspect = NetworkInspector(resolve("default"))
    inspection = inspect(crops)[0]
    answer = inspection.answers["label_head"]
    answer.evidence[3].mean() + answer.bias[3]      # equals this head's logit of label 3

For a network that ends in a global average and one linear layer per head, evidence by location is the linear layer
applied to the last feature maps before they are averaged (CAM: Zhou et al., 2016). It is computed from inner tensors of
the float32 ONNX file.
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
class HeadAnswer:
    """The answer of one head to one crop."""

    share: float
    """Weight of this head in the scores, above 0; the shares of all heads sum to 1."""
    logits: Float32Array
    """(K,), as the softmax takes them."""
    probs: Float32Array
    """(K,), sum 1: their softmax at the card's temperature."""
    evidence: Float32Array | None
    """(K, H, W); its mean over locations plus `bias` is the logit. None: the network does not end in an average."""
    bias: Float32Array | None
    """(K,)."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What happens to one crop in a network; K labels in the card's order."""

    crop: UInt8Array
    """(S, S)."""
    stages: dict[str, Float32Array]
    """Feature maps (C, H, W) by name of the last tensor of a stage, in the order of the network."""
    answers: dict[str, HeadAnswer]
    """By heads with a share above 0."""
    probs: Float32Array
    """(K,), sum 1: the mean of the heads' probabilities, weighted by their shares."""

    @property
    def evidence(self) -> Float32Array | None:
        """(K, H, W): evidence for each label relative to the mean of all labels; each head has its weight in the score.

        What a head adds to all logits equally changes no score, so it is no evidence.
        """
        # A score is a weighted mean of the heads' probabilities. When the logarithm of one changes a little, that of
        # the score changes by share * probability / score of it: this is the weight of the head.
        parts = [
            (answer.share * answer.probs / np.maximum(self.probs, 1e-12))[:, None, None]
            * (answer.evidence - answer.evidence.mean(axis=0))
            for answer in self.answers.values()
            if answer.evidence is not None
        ]
        return np.sum(parts, axis=0, dtype=np.float32) if parts else None


class NetworkInspector:
    """The float32 network of a model with its inner tensors as additional outputs."""

    def __init__(self, card: ModelCard) -> None:
        """Load the network; ModelError if the file cannot be read."""
        import onnx
        import onnxruntime

        self.card = card
        path = card.path(card.float_file)
        try:
            model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
            self._stages = _find_stages(model.graph)
            self._heads = _find_heads(model.graph, card)
            inner = [*self._stages, *(head.reads for head in self._heads.values())]
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(inner))
            settings = onnxruntime.SessionOptions()
            settings.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # neither onnx nor ONNX Runtime has a public base class for its errors
            raise ModelError(f"{path.name}: cannot be inspected ({type(error).__name__}).") from error

    def __call__(self, crops: UInt8Array) -> list[Inspection]:
        """Inspect crops, uint8 (N, S, S, C)."""
        names = [output.name for output in self._session.get_outputs()]
        values = dict(zip(names, self._session.run(names, {"images": crops}), strict=True))
        outputs = {head: values[head] for head in self.card.heads}
        answers = self._answers(values, self.card.logits(outputs))
        probs = self.card.probabilities(outputs)
        return [
            Inspection(
                crop=crops[i, ..., 0],
                stages={name: values[name][i] for name in self._stages},
                answers={head: of_crops[i] for head, of_crops in answers.items()},
                probs=probs[i],
            )
            for i in range(len(crops))
        ]

    def _answers(self, values: ByHead, logits: ByHead) -> dict[str, list[HeadAnswer]]:
        """Answers by head to the crops with these inner tensors, for heads with a share above 0."""
        answers = {}
        for name, share in self.card.shares.items():
            if not share:
                continue
            head = self._heads.get(name)
            probs = softmax(logits[name], self.card.temperature)
            evidence = None if head is None else np.einsum("ndhw,dk->nkhw", values[head.reads], head.kernel)
            answers[name] = [
                HeadAnswer(
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
    """The linear layer after a global average."""

    reads: str
    """Name of the feature maps (N, D, H, W) that are averaged."""
    kernel: Float32Array
    """(D, K)."""
    bias: Float32Array
    """(K,)."""


_NO_FEATURES = ("Transpose", "AveragePool")
"""A Transpose only reorders the axes for the dense layer after it, and an average comes before the convolutions of a
stage, or before the head for covered mouths."""


def _find_stages(graph: Any) -> list[str]:
    """Find the last feature maps of each size, the outputs of the stages, in the network's order."""
    sizes = {info.name: _sides(info) for info in graph.value_info}
    # Tensors before the first convolution are still the image.
    convolutions = [i for i, node in enumerate(graph.node) if node.op_type == "Conv"]
    last: dict[tuple[int, ...], str] = {}
    for node in graph.node[convolutions[0] :] if convolutions else []:
        sides = sizes.get(node.output[0], ())
        if len(sides) == 2 and min(sides) > 1 and node.op_type not in _NO_FEATURES:
            # Removed first, so that the order of the dictionary is that of the last tensors.
            last.pop(sides, None)
            last[sides] = node.output[0]
    return list(last.values())


def _sides(info: Any) -> tuple[int, ...]:
    """Height and width of a tensor (N, C, H, W); empty for any other."""
    dims = info.type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims[2:]) if len(dims) == 4 else ()


def _find_heads(graph: Any, card: ModelCard) -> dict[str, _Head]:
    """Find the heads, with biases as served, if each is a linear layer on globally averaged feature maps; else none."""
    found = {name: _find_head(graph, name) for name in card.heads}
    heads = {name: head for name, head in found.items() if head is not None}
    if len(heads) < len(found):
        return {}
    biases = card.logits({name: head.bias for name, head in heads.items()})
    return {name: replace(head, bias=biases[name]) for name, head in heads.items()}


def _find_head(graph: Any, output: str) -> _Head | None:
    """Find the linear layer of one output."""
    from onnx import numpy_helper

    makers = {node.output[0]: node for node in graph.node}
    # From the output back to the feature maps, as `training.export` writes them.
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
