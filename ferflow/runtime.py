"""How ONNX Runtime is started here: on one thread of the CPU, or on a GPU where it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs (the package `onnxruntime-gpu`)."""
    import onnxruntime as ort

    return CUDA in ort.get_available_providers()


def has_nvidia_driver() -> bool:
    """Whether a driver for NVIDIA GPUs is loaded."""
    return Path("/proc/driver/nvidia/version").exists()


def session(network: str | bytes, *, threads: int = 1, providers: tuple[str, ...] = (CPU,)) -> Any:
    """An inference session.

    Args:
        network: path of an ONNX file, or its content.
        threads: for one call. With 1, calls may be made side by side, and no thread waits in a loop.
        providers: in order of preference; what the first cannot do, the next ones do.
    """
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    return ort.InferenceSession(network, settings, providers=list(providers))
