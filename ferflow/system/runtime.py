"""How the runtimes are started: ONNX Runtime on one thread of the CPU or on a GPU, Keras without its log lines."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferflow.errors import ModelError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs (the package `onnxruntime-gpu`)."""
    import onnxruntime as ort

    return CUDA in ort.get_available_providers()


def has_nvidia_driver() -> bool:
    """Whether a driver for NVIDIA GPUs is loaded."""
    return Path("/proc/driver/nvidia/version").exists()


def start_session(network: str | bytes, *, threads: int = 1, providers: tuple[str, ...] = (CPU,)) -> Any:
    """An inference session.

    Args:
        network: path of an ONNX file, or its content.
        threads: for one call. With 1, several threads may call it at the same time, and none spins while it waits.
        providers: in order of preference; operators that the first lacks run on the next.
    """
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    return ort.InferenceSession(network, settings, providers=list(providers))


def import_keras(purpose: str = "this network") -> Any:
    """The module `keras`; importing it imports its backend, whose log lines would appear between ours.

    Its errors are silenced too (a machine without a GPU has some), unless TF_CPP_MIN_LOG_LEVEL says otherwise.

    Args:
        purpose: what needs it, for the message.

    Raises:
        ModelError: Keras, or the backend that KERAS_BACKEND or its settings name, is not installed.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _without_stderr():
            return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name in ("keras", "tensorflow"):
            raise ModelError(f"{purpose} needs TensorFlow. Run: pip install 'ferflow[train]'") from error
        raise ModelError(
            f"{purpose} needs the package {error.name}, since Keras is set to another backend than TensorFlow. "
            f"Install it, or set KERAS_BACKEND=tensorflow."
        ) from error
    except ValueError as error:  # an unknown backend
        raise ModelError(f"{purpose} needs Keras: {error}. Set KERAS_BACKEND=tensorflow.") from error


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Silence what native code writes while its libraries are loaded, before its settings apply."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
