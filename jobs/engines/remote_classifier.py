"""A classifier in another process of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferflow.errors import ModelError
from ferflow.models.cards import ModelCard
from ferflow.models.classifier import Answer
from ferflow.types import Float32Array, UInt8Array

SECONDS_TO_ANSWER = 300.0
"""A GPU that has not answered for so many seconds is lost. Ray starts its actor again within them if it can."""


@dataclass(slots=True, eq=False)
class RemoteClassifier:
    """See `Classifier`."""

    card: ModelCard
    backend: str
    actor: Any
    """A `GpuActor`."""
    is_lost: bool = False
    """It did not answer, or it died and was not started again."""

    def __call__(self, images: UInt8Array) -> Float32Array:
        """See `Classifier`."""
        return self.answer(images).probs

    def answer(self, images: UInt8Array) -> Answer:
        """See `Classifier`.

        Raises:
            ModelError: it is lost.
        """
        import ray

        try:
            answer: Answer = ray.get(self.actor.answer.remote(images), timeout=SECONDS_TO_ANSWER)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # without the trace of the other process, which is its text
        except ray.exceptions.RayError as error:
            self.is_lost = True
            raise ModelError(f"the worker with the GPU was lost ({type(error).__name__}).") from error
        return answer
