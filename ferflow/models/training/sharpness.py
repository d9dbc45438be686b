"""Sharpness-aware minimisation (SAM; Foret et al., "Sharpness-Aware Minimization for Efficiently Improving
Generalization", ICLR 2021): each step follows the gradient at the worst point near the weights, which costs a second
forward and backward pass.

    model = sharpness_aware(build("resnet-broad", network), radius=0.05)     # compiled and trained like any other
"""

from __future__ import annotations

from typing import Any

from ferflow.errors import OptionsError
from ferflow.models.keras_network import KerasModel
from ferflow.system.runtime import import_keras


def sharpness_aware(model: KerasModel, radius: float) -> KerasModel:
    """The same network, whose training steps are those of SAM.

    Args:
        model: a network that is not compiled; the result has its layers and variables.
        radius: Euclidean distance from the weights at which the second gradient is taken (`rho` of the paper), above 0.

    Raises:
        OptionsError: the backend of Keras is not TensorFlow, in which the step is written.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise OptionsError(
            f"sharpness-aware training needs the TensorFlow backend of Keras, not {keras.backend.backend()}"
        )
    import tensorflow as tf

    class SharpnessAware(keras.Model):  # type: ignore[misc, name-defined]
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
            loss, gradients = self._gradients(x, y, weights)
            scale = radius / (tf.linalg.global_norm(gradients) + 1e-12)
            # Also the statistics of batch norms, which describe the weights that are kept.
            before = [(each, tf.identity(each.value)) for each in self.weights]
            for variable, gradient in zip(self.trainable_variables, gradients, strict=True):
                variable.assign_add(scale * gradient)
            _, gradients = self._gradients(x, y, weights)
            for variable, value in before:
                variable.assign(value)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

        def _gradients(self, x: Any, y: Any, weights: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True), weights, training=True)
            return loss, tape.gradient(loss, self.trainable_variables)

    return SharpnessAware(model.input, model.output, name=model.name)
