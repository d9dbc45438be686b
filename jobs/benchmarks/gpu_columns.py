"""Columns of the GPU benchmark: the networks on the CPU and, in several precisions, on a GPU; and what is missing."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from ferflow.errors import OptionsError
from ferflow.faces.detector import make_detector
from ferflow.faces.yunet import YuNet, weights_path
from ferflow.models.cards import ModelCard, WeightFile, sha256_of
from ferflow.models.classifier import OnnxClassifier, make_classifier
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions, DeviceName
from ferflow.pipeline import Tools
from ferflow.system.runtime import (
    CPU,
    CUDA,
    Provider,
    check_provider,
    has_cuda,
    has_nvidia_driver,
    start_session,
)

ON_CPU = AnalyzeOptions(device="cpu")


class Bounds(NamedTuple):
    """How far answers may be from those of the float32 networks on the CPU."""

    box: float
    """Largest difference of a side of a box, as a share of the face's height."""
    score: float
    probs: float
    equal: float = 0.98
    """Least share of faces that both find, and of equal labels."""


INT8 = Bounds(box=0.0, score=0.0, probs=0.2, equal=0.9)
"""Detection on the CPU is the reference's own; for int8 expressions see `tests/models/test_classifier.py`."""
FLOAT32 = Bounds(box=0.002, score=0.002, probs=0.002)
ELEVEN_BITS = Bounds(box=0.02, score=0.02, probs=0.02)
"""TF32 and float16 round each factor to eleven bits."""

PRECISIONS = {"GPU float32": (False, False), "GPU TF32": (True, False), "GPU FP16": (False, True)}
"""Whether ONNX Runtime uses TF32, as it does with `--device gpu`; whether the networks are converted to float16."""
TENSORFLOW = "TensorFlow FP16"
"""What `--device gpu` uses where ONNX Runtime has no CUDA: mixed float16; faces are detected on the CPU."""


@dataclass(frozen=True, slots=True)
class Column:
    """Networks in one precision on one device."""

    name: str
    bounds: Bounds
    tools: Tools | None
    """None: they do not run on this machine."""
    note: str
    """What they run on, or why they do not."""


def load_columns(device: DeviceName, folder: Path) -> list[Column]:
    """The CPU's column, and those of the GPU; `folder` is for converted networks."""
    on_cpu = Tools.load(ON_CPU)
    columns = [Column("CPU", INT8, on_cpu, _name_provider(on_cpu))]
    for name in (*PRECISIONS, TENSORFLOW):
        try:
            if device == "cpu":
                raise OptionsError("--device cpu")
            if name != TENSORFLOW:
                tools = load_on_cuda(*PRECISIONS[name], folder)
            elif any(column.tools for column in columns[1:]):
                # TensorFlow takes nearly all of a GPU's memory at once.
                raise OptionsError("ONNX Runtime is used")
            else:
                tools = load_in_tensorflow(device)
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            columns.append(Column(name, ELEVEN_BITS, None, str(error).partition("\n")[0]))
        else:
            bounds = FLOAT32 if name == "GPU float32" else ELEVEN_BITS
            columns.append(Column(name, bounds, tools, _name_provider(tools)))
    return columns


def _name_provider(tools: Tools) -> str:
    """What the session says that it runs on, which may be another provider than the one asked for."""
    if isinstance(tools.classifier, OnnxClassifier):
        return tools.classifier.provider
    return "TensorFlow's GPU; detection on the CPU"


def load_reference() -> Tools:
    """The float32 networks on the CPU."""
    card = resolve(ON_CPU.model)
    return Tools(make_detector(ON_CPU), OnnxClassifier(card, threads=1, weights=card.float_file))


def load_on_cuda(tf32: bool, half: bool, folder: Path) -> Tools:
    """The networks in ONNX Runtime on the GPU, as `PRECISIONS` says.

    Raises:
        FerflowError: it cannot start them there.
    """
    if not has_cuda():
        raise OptionsError("ONNX Runtime without CUDA")
    card, providers = resolve(ON_CPU.model), list_providers(tf32)
    card = _write_float16(card, folder) if half else card
    classifier = OnnxClassifier(card, weights=card.float_file, providers=providers, piece=None)
    start = partial(_start_checked, half=half, providers=providers)
    return Tools(YuNet(ON_CPU, weights_path(), start=start), classifier)


def list_providers(tf32: bool) -> tuple[Provider, ...]:
    """Providers of ONNX Runtime, in order of preference."""
    return (CUDA, {"use_tf32": str(int(tf32))}), CPU


def load_in_tensorflow(device: DeviceName) -> Tools:
    """The classifier as `--device gpu --backend keras` loads it.

    Raises:
        FerflowError: TensorFlow is not installed, or sees no GPU.
    """
    if device == "auto" and not has_nvidia_driver():
        raise OptionsError("no NVIDIA driver is loaded")
    return Tools(make_detector(ON_CPU), make_classifier(AnalyzeOptions(device="gpu", backend="keras")))


def describe_setup() -> Iterator[str]:
    """A line for each thing that a GPU needs: what is there, or what to do."""
    import onnxruntime as ort

    yield f"NVIDIA driver: {'loaded' if has_nvidia_driver() else 'not loaded. Install it for any GPU.'}"
    if has_cuda():
        plugin = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
        missing, remedy = find_missing_library(plugin), "Install CUDA and cuDNN, and set LD_LIBRARY_PATH."
        yield f"ONNX Runtime {ort.__version__}: with CUDA"
        yield f"CUDA libraries: {f'{missing}. {remedy}' if missing else 'found'}"
    else:
        remedy = "pip uninstall onnxruntime, then pip install onnxruntime-gpu; install CUDA and cuDNN."
        yield f"ONNX Runtime {ort.__version__}: without CUDA. For a GPU: {remedy}"
    if importlib.util.find_spec("tensorflow") is None:
        yield "TensorFlow: not installed. Needed only for a GPU without onnxruntime-gpu: pip install 'ferflow[train]'"
    else:
        yield f"TensorFlow {importlib.metadata.version('tensorflow')}: for a GPU without onnxruntime-gpu"


def find_missing_library(plugin: Path) -> str:
    """What the loader says of the first missing library; empty: all are there. ONNX Runtime just goes on on the CPU."""
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        # Any other error: all libraries were found, and the plugin misses the program that it is made for.
        return str(error) if "cannot open shared object" in str(error) else ""
    return ""


def _start_checked(network: bytes, *, half: bool, providers: tuple[Provider, ...]) -> Any:
    session = start_session(_to_float16(network) if half else network, providers=providers)
    check_provider(session, providers[0])
    return session


def _write_float16(card: ModelCard, folder: Path) -> ModelCard:
    """Write the float32 network as float16; returns its card. Its outputs stay float32."""
    path = folder / "float16.onnx"
    path.write_bytes(_to_float16(card.path(card.float_file).read_bytes()))
    return structs.replace(card, folder=folder, files={"onnx": WeightFile(path.name, sha256_of(path))})


def _to_float16(network: bytes) -> bytes:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load_model_from_string(network), keep_io_types=True)
    return bytes(model.SerializeToString())
