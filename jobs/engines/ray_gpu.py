"""GPUs of a Ray cluster: an actor on each GPU classifies crops for the actors that analyse videos.

So the network is loaded once per GPU, a batch has crops of several videos, and machines without a GPU can analyse.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ferflow.errors import FerflowError, ModelError
from ferflow.jobs.engines.ray_actor import check_version
from ferflow.jobs.engines.ray_cluster import Placement
from ferflow.jobs.engines.remote_classifier import RemoteClassifier
from ferflow.models.cards import ModelCard
from ferflow.models.classifier import Answer, make_classifier
from ferflow.models.merged_calls import MergedCalls
from ferflow.options import AnalyzeOptions
from ferflow.types import UInt8Array
from ferflow.version import __version__

log = logging.getLogger(__name__)

SECONDS_TO_START = 120.0
"""Time for a GPU to become free and to load the network, after which `--device auto` does without."""

_SECONDS_BETWEEN_LOOKS = 5.0
_RESTARTS = 3


class GpuActor:
    """One process with a GPU; its methods run in as many threads as there are callers."""

    def __init__(self, options: AnalyzeOptions, version: str) -> None:
        self._options, self._version = options, version
        self._merged: MergedCalls | None = None
        self._loading = threading.Lock()

    def load(self) -> ModelCard | FerflowError:
        """Load the network; returns its card, or what is wrong."""
        try:
            check_version(self._version)
            return self._loaded().card
        except FerflowError as error:
            return error

    def answer(self, images: UInt8Array) -> Answer:
        """See `Classifier`. After a restart of the process, the network is loaded again."""
        return self._loaded().answer(images)

    def _loaded(self) -> MergedCalls:
        with self._loading:
            if self._merged is None:
                # Never on a CPU: with `auto`, that is for the run to decide.
                self._merged = MergedCalls(make_classifier(self._options.updated(device="gpu")))
            return self._merged


@contextmanager
def use_gpus(ray: Any, options: AnalyzeOptions, placement: Placement) -> Iterator[list[RemoteClassifier]]:
    """Classifiers on GPUs, one on each that is used; their actors end with the block.

    Args:
        ray: the module, connected.
        options: of the run.
        placement: how many GPUs, and how many callers.

    Raises:
        ModelError, OptionsError: the GPU of `--device gpu` cannot be used.
    """
    actors = _start(ray, options, placement) if placement.n_gpus else []
    try:
        classifiers = _load(ray, actors, options) if actors else []
        used = [classifier.actor for classifier in classifiers]
        # Now: one that waits for a GPU would take the first that becomes free.
        _stop(ray, [actor for actor in actors if actor not in used])
        actors = used
        yield classifiers
    finally:
        _stop(ray, actors)


def _stop(ray: Any, actors: Sequence[Any]) -> None:
    for actor in actors:
        with suppress(ray.exceptions.RayError):  # it may be dead already
            ray.kill(actor)


def _start(ray: Any, options: AnalyzeOptions, placement: Placement) -> list[Any]:
    make = ray.remote(
        num_cpus=0,  # it waits for its GPU most of the time
        num_gpus=1,
        max_concurrency=placement.n_actors * placement.threads + 1,
        max_restarts=_RESTARTS,
        max_task_retries=_RESTARTS,
    )(GpuActor)
    return [make.remote(options, __version__) for _ in range(placement.n_gpus)]


def _load(ray: Any, actors: Sequence[Any], options: AnalyzeOptions) -> list[RemoteClassifier]:
    """Let the actors load the network; those that could. An empty list where `auto` does without GPUs."""
    loading = {actor.load.remote(): actor for actor in actors}
    ready = _wait(ray, list(loading), may_end_without=options.device == "auto")
    found = [(loading[reference], _result(ray, reference)) for reference in ready]
    errors = [result for _, result in found if isinstance(result, FerflowError)]
    classifiers = [
        RemoteClassifier(result, options.backend, actor)
        for actor, result in found
        if isinstance(result, ModelCard)
    ]
    if not classifiers and options.device == "gpu":
        raise errors[0]
    if len(classifiers) < len(actors):
        why = errors[0] if errors else f"not free within {SECONDS_TO_START:.0f} s"
        without = "" if classifiers else "; classifying on the CPUs"
        n_unused = len(actors) - len(classifiers)
        log.warning("%d of %d GPUs not used (%s)%s", n_unused, len(actors), why, without)
    return classifiers


def _wait(ray: Any, loading: list[Any], *, may_end_without: bool) -> list[Any]:
    """Wait until all have ended, or `SECONDS_TO_START` for at least one; returns those that have."""
    began, is_warned = time.monotonic(), False
    while True:
        ready: list[Any]
        ready, rest = ray.wait(loading, num_returns=len(loading), timeout=_SECONDS_BETWEEN_LOOKS)
        is_late = time.monotonic() - began >= SECONDS_TO_START
        if not rest or (is_late and (ready or may_end_without)):
            return ready
        if is_late and not is_warned:
            is_warned = True
            log.warning("No GPU of the cluster is free yet: the run waits.")


def _result(ray: Any, reference: Any) -> ModelCard | FerflowError:
    try:
        result: ModelCard | FerflowError = ray.get(reference)
    except ray.exceptions.RayError as error:
        return ModelError(f"the worker with the GPU could not be started ({type(error).__name__})")
    return result
