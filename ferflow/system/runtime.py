"""How the runtimes are started: ONNX Runtime on one thread of the CPU or on a GPU, Keras without its log lines."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.errors import ModelError, OptionsError
from ferflow.options import AnalyzeOptions
from ferflow.types import Int8Array

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, str]]
"""Of ONNX Runtime: its name, or its name and settings."""


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs (the package `onnxruntime-gpu`)."""
    import onnxruntime as ort

    return CUDA in ort.get_available_providers()


def has_nvidia_driver() -> bool:
    """Whether a driver for NVIDIA GPUs is loaded."""
    return Path("/proc/driver/nvidia/version").exists()


def may_use_gpu(options: AnalyzeOptions) -> bool:
    """Whether an analysis with these options uses a GPU if it can; no runtime is loaded to find out."""
    return options.device == "gpu" or (options.device == "auto" and has_nvidia_driver())


def start_session(network: str | bytes, *, threads: int = 1, providers: tuple[Provider, ...] = (CPU,)) -> Any:
    """Start an inference session.

    Args:
        network: path of an ONNX file, or its content.
        threads: for one call. With 1, several threads may call it at the same time, and none spins while waiting.
        providers: in order of preference; operators that the first one lacks run on the next.
    """
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = (
        3  # errors: its warnings are about the graph, and not for those who analyse videos
    )
    if CPU in providers and sums_overflow():
        # The labels of 6 % of the faces changed. This gives the same sums as on other CPUs, and takes 1.4 times the
        # time; on CPUs that do not need it, 2.5 times.
        settings.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(network, settings, providers=list(providers))


@lru_cache(maxsize=1)
def sums_overflow() -> bool:
    """Whether sums of int8 products are cut off at 16 bits, as on x86 CPUs without VNNI instructions.

    Computes one such sum, as no library says it for all systems and CPUs; this takes about 10 ms.
    """
    import onnxruntime as ort

    n, most = 64, 255 * 127
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(_product_of(np.full((n, 16), 127, np.int8)), settings, providers=[CPU])
    (sums,) = session.run(None, {"x": np.full((1, n), 255, np.uint8)})
    return bool((sums != n * most).any())


def _product_of(weights: Int8Array) -> bytes:
    """A network that multiplies "x", uint8 (1, N), by weights, int8 (N, M); its output is int32 (1, M)."""
    from onnx import TensorProto, helper, numpy_helper

    n, m = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weights"], ["sums"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, n])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, m])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def check_provider(session: Any, provider: Provider) -> None:
    """Refuse a session on another provider: ONNX Runtime only logs that one cannot start, and takes the next.

    Raises:
        OptionsError: it does not run on this one.
    """
    name = provider if isinstance(provider, str) else provider[0]
    if session.get_providers()[0] != name:
        raise OptionsError(
            f"ONNX Runtime cannot start {name}. Install the CUDA version it was built for, or use --device cpu."
        )


def import_keras(purpose: str = "this network") -> Any:
    """Import Keras and its backend, without the backend's log lines, which would appear between those of ferflow.

    TensorFlow's errors are silenced too (on a machine without a GPU it reports some), unless TF_CPP_MIN_LOG_LEVEL is
    set.

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
    except ValueError as error:  # Keras does not know the backend
        raise ModelError(f"{purpose} needs Keras: {error}. Set KERAS_BACKEND=tensorflow.") from error


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Redirect the file descriptor of stderr: native code writes to it while it is loaded, before its settings
    apply.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(devnull)
