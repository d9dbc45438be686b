"""Expression probabilities for batches of crops, by ONNX Runtime or by Keras.

Both use the same weights and return logits of one head or two. `ModelCard.probabilities` turns these into probabilities
in one place, so the two cannot differ. If a card lists an int8 network, ONNX Runtime uses it.

>>> classifier = make_classifier(options)
>>> classifier(crops.images)        # float32 (N, 7), rows sum to 1
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ferflow.errors import ModelError, OptionsError
from ferflow.models.cards import ModelCard, WeightsKind
from ferflow.models.heads import OCCLUSION_HEAD, ByHead, split_heads
from ferflow.models.onnx_file import start_checked
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions
from ferflow.system.cpus import available_cpus
from ferflow.system.runtime import (
    CPU,
    CUDA,
    Provider,
    check_provider,
    has_cuda,
    has_nvidia_driver,
    import_keras,
)
from ferflow.types import BoolArray, Float32Array, Int64Array, UInt8Array

log = logging.getLogger(__name__)

_PIECE = 16
"""Faces per call of the network on a CPU. Larger batches are not faster: their activations do not fit the caches."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a classifier says of N crops."""

    probs: Float32Array
    """float32 (N, K), rows sum to 1, in the card's order."""
    occluded: BoolArray | None = None
    """bool (N,): something covers the mouth, so that the expression cannot be read; None: the model does not say."""

    def take(self, rows: Int64Array) -> Answer:
        """The answer to these crops, int64 (M,); one may occur several times."""
        return Answer(self.probs[rows], None if self.occluded is None else self.occluded[rows])


class Classifier(Protocol):
    """Computes expression probabilities of crops."""

    card: ModelCard
    """Labels in order, crop size, temperature and origin of the weights."""
    backend: str

    def __call__(self, images: UInt8Array) -> Float32Array:
        """Classify a batch.

        Args:
            images: uint8 (N, S, S, C), 0-255, S and C as in the card; N may be 0.

        Returns:
            float32 (N, len(card.labels)), rows sum to 1, in the card's order.
        """

    def answer(self, images: UInt8Array) -> Answer:
        """As `__call__`, and whether the mouth is covered."""


def make_classifier(options: AnalyzeOptions) -> Classifier:
    """Load the classifier that the options select; TensorFlow is imported only if it is used.

    Raises:
        ModelError: the model or a package that it needs is missing or damaged.
        OptionsError: a GPU was requested and there is none.
    """
    card = resolve(options.model)
    if options.device == "gpu":
        return _make_gpu_classifier(card, options.backend)
    if options.device == "auto" and has_nvidia_driver():
        try:
            return _make_gpu_classifier(card, options.backend)
        except (ModelError, OptionsError) as error:
            log.warning("GPU not used (%s); classifying on the CPU", error)
    if options.backend == "keras":
        return _make_keras_classifier(card, on_gpu=False)
    return OnnxClassifier(card, threads=1)  # several batches are classified in parallel instead


class OnnxClassifier:
    """ONNX Runtime, on the CPU or on a GPU."""

    backend = "onnx"

    def __init__(
        self,
        card: ModelCard,
        *,
        threads: int | None = None,
        weights: WeightsKind = "onnx",
        providers: tuple[Provider, ...] = (CPU,),
        piece: int | None = _PIECE,
    ) -> None:
        """Load the network.

        Args:
            card: of the model.
            threads: for one call; None: one per CPU.
            weights: which of the card's files: "onnx", which may be int8, or "onnx_float".
            providers: of ONNX Runtime, in order of preference.
            piece: faces per call of the network; None: a complete batch.

        Raises:
            ModelError: the card has no such file, ONNX Runtime cannot load it, or it contradicts the card.
            OptionsError: the first provider is not available.
        """
        self.card, self._piece = card, piece
        self._session = start_checked(
            card, card.path(weights), threads=threads or available_cpus(), providers=providers
        )
        check_provider(self._session, providers[0])
        self.provider: str = self._session.get_providers()[0]
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: UInt8Array) -> Float32Array:
        """See `Classifier`."""
        return self.answer(images).probs

    def answer(self, images: UInt8Array) -> Answer:
        """See `Classifier`."""
        return _answer(self.card, self.outputs(images)) if len(images) else _no_answer(self.card)

    def outputs(self, images: UInt8Array) -> ByHead:
        """Outputs float32 by name of a batch as in `Classifier`, N at least 1; see `ModelCard.outputs`."""
        step = self._piece or len(images)
        pieces = [images[i : i + step] for i in range(0, len(images), step)]
        heads = list(self.card.outputs)
        answers = [self._session.run(heads, {self._input: piece}) for piece in pieces]
        columns = zip(heads, zip(*answers, strict=True), strict=True)
        return {head: np.concatenate(column) for head, column in columns}


class KerasClassifier:
    """Keras on TensorFlow: for GPUs, and the reference for the exported network."""

    backend = "keras"

    def __init__(self, card: ModelCard, *, compute: str = "float32") -> None:
        """Load the network.

        Args:
            card: of the model.
            compute: Keras dtype policy; "mixed_float16" is fast on GPUs and changes probabilities by less than
                0.01.
        """
        import_keras()
        import tensorflow as tf

        from ferflow.models.keras_network import load_network

        self.card = card
        model = load_network(card, compute=compute, occlusion=True)
        shape = (None, card.input_size, card.input_size, card.channels)
        # With a declared signature, a shorter last batch does not trace the graph again.
        self._outputs = tf.function(
            lambda images: split_heads(model(images, training=False)),
            input_signature=[tf.TensorSpec(shape, tf.uint8)],
        )

    def __call__(self, images: UInt8Array) -> Float32Array:
        """See `Classifier`."""
        return self.answer(images).probs

    def answer(self, images: UInt8Array) -> Answer:
        """See `Classifier`."""
        if not len(images):
            return _no_answer(self.card)
        outputs = self._outputs(images).items()
        return _answer(self.card, {head: np.asarray(part, np.float32) for head, part in outputs})


def _answer(card: ModelCard, outputs: ByHead) -> Answer:
    if not all(np.isfinite(part).all() for part in outputs.values()):
        raise ModelError(
            f"model {card.name}: its answer to a face is not finite. Use another model, or train again."
        )
    occluded = outputs[OCCLUSION_HEAD][:, 0] > 0 if card.occlusion_layer else None
    return Answer(card.probabilities(outputs), occluded)


def _no_answer(card: ModelCard) -> Answer:
    occluded = np.zeros(0, np.bool_) if card.occlusion_layer else None
    return Answer(np.zeros((0, len(card.labels)), np.float32), occluded)


def _make_gpu_classifier(card: ModelCard, backend: str) -> Classifier:
    """Use ONNX Runtime if it has CUDA, otherwise TensorFlow, with complete batches and a precision suited to GPUs."""
    if backend in ("auto", "onnx") and has_cuda():
        # int8 is fast on CPUs only; on GPUs, ONNX Runtime computes float32 convolutions in TF32 by default.
        return OnnxClassifier(card, weights=card.float_file, providers=(CUDA, CPU), piece=None)
    if backend == "onnx":
        raise OptionsError(
            "device gpu: this ONNX Runtime has no CUDA. Run: pip install onnxruntime-gpu, or use --backend keras."
        )
    return _make_keras_classifier(card, on_gpu=True)


def _make_keras_classifier(card: ModelCard, *, on_gpu: bool) -> Classifier:
    if importlib.util.find_spec("tensorflow") is None:
        raise ModelError("the keras backend needs TensorFlow. Run: pip install 'ferflow[train]'")
    import_keras()
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow was already initialised in this process
        # Several batches are classified in parallel; more threads for each would compete for the CPUs.
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if not on_gpu:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
    if not on_gpu:
        return KerasClassifier(card)
    if not tf.config.list_physical_devices("GPU"):
        raise OptionsError("device gpu: TensorFlow sees no GPU on this machine. Use --device cpu or auto.")
    return KerasClassifier(card, compute="mixed_float16")
