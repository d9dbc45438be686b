"""Expression probabilities for batches of crops, by ONNX Runtime or by Keras.

Both run the same weights and end in logits; temperature and softmax are applied here, so they cannot differ. Where
a card lists an int8 network, that is what ONNX Runtime serves.

>>> classifier = make_classifier(options)
>>> classifier(crops.images)        # float32 (N, 7), rows sum to 1
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Protocol

import numpy as np

from ferflow.cpus import available_cpus
from ferflow.errors import ModelError, OptionsError
from ferflow.faces import Float32Array
from ferflow.models.cards import ModelCard
from ferflow.models.evaluate import softmax
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions
from ferflow.planes import UInt8Array

log = logging.getLogger(__name__)

_PIECE = 16
"""Faces that go through the network together on a CPU."""


class Classifier(Protocol):
    """Gives each crop its probabilities."""

    card: ModelCard
    """Labels in order, crop size, temperature; where the weights come from."""
    backend: str

    def __call__(self, images: UInt8Array) -> Float32Array:
        """Classify a batch.

        Args:
            images: uint8 (N, S, S, C), 0-255, S and C as in the card; N may be 0.

        Returns:
            float32 (N, len(card.labels)), rows sum to 1, in the card's order.
        """


def make_classifier(options: AnalyzeOptions) -> Classifier:
    """The classifier that options ask for; TensorFlow is imported only if it is going to be used.

    Raises:
        ModelError: the model or a package that it needs is missing or altered.
        OptionsError: a GPU was asked for and there is none.
    """
    card = resolve(options.model)
    if options.backend == "keras" or options.device == "gpu":
        return _keras(card, options)
    if options.backend == "auto" and options.device == "auto" and _gpu_in_reach():
        try:
            return _keras(card, AnalyzeOptions(model=options.model, device="gpu"))
        except (ModelError, OptionsError) as error:
            log.warning("GPU not used (%s); classifying on the CPU", error)
    return OnnxClassifier(card, threads=1)  # batches run side by side instead


class OnnxClassifier:
    """ONNX Runtime on the CPU.

    `weights` picks an entry of the card's files: "onnx", which is int8 where the card says so, or its float twin.

    A batch is run in pieces: larger ones are no faster, and what lies between two layers would no longer fit
    the caches.
    """

    backend = "onnx"

    def __init__(self, card: ModelCard, *, threads: int | None = None, weights: str = "onnx") -> None:
        import onnxruntime as ort

        self.card = card
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads or available_cpus()
        settings.log_severity_level = 3
        path = card.path(weights)
        try:
            self._session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise ModelError(
                f"{path.name}: not a network ONNX Runtime can load ({type(error).__name__})."
            ) from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: UInt8Array) -> Float32Array:
        """See `Classifier`."""
        if not len(images):
            return np.zeros((0, len(self.card.labels)), np.float32)
        pieces = [images[i : i + _PIECE] for i in range(0, len(images), _PIECE)]
        logits = [self._session.run(["logits"], {self._input: piece})[0] for piece in pieces]
        return softmax(np.concatenate(logits), self.card.temperature)


class KerasClassifier:
    """Keras on TensorFlow: the GPU's way, and the reference for the exported network."""

    backend = "keras"

    def __init__(self, card: ModelCard) -> None:
        import tensorflow as tf

        from ferflow.models.cnn import load_served

        self.card = card
        model = load_served(card)
        shape = (None, card.input_size, card.input_size, card.channels)
        # The signature is declared so that a short last batch does not trace the graph again.
        self._logits = tf.function(
            lambda images: model(images, training=False), input_signature=[tf.TensorSpec(shape, tf.uint8)]
        )

    def __call__(self, images: UInt8Array) -> Float32Array:
        """See `Classifier`."""
        if not len(images):
            return np.zeros((0, len(self.card.labels)), np.float32)
        return softmax(np.asarray(self._logits(images), np.float32), self.card.temperature)


def _keras(card: ModelCard, options: AnalyzeOptions) -> Classifier:
    if importlib.util.find_spec("tensorflow") is None:
        raise ModelError("the keras backend needs TensorFlow. Run: pip install 'ferflow[train]'")
    import tensorflow as tf

    if options.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif options.device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise OptionsError("device gpu: TensorFlow sees no GPU on this machine. Use --device cpu or auto.")
    return KerasClassifier(card)


def _gpu_in_reach() -> bool:
    """Whether it is worth the ten seconds of importing TensorFlow to ask it for a GPU."""
    return Path("/proc/driver/nvidia/version").exists() and importlib.util.find_spec("tensorflow") is not None
