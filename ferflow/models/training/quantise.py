"""Quantise an exported network to int8, calibrated on face crops.

    to_int8(Path("float32.onnx"), Path("resnet-broad.int8.onnx"), crops)

Static QDQ quantisation by ONNX Runtime: weights as int8 with a scale per output channel, activations as uint8 with the
average range over batches of the crops. Only convolutions are quantised, because they take the time: standardisation,
sums, pooling and the linear heads stay float32 and cost little.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ferflow.errors import ModelError
from ferflow.store.atomic_files import atomic_write
from ferflow.types import UInt8Array

CALIBRATION_CROPS = 2048
"""More than ranges need to converge; this many take seconds."""
CALIBRATION_BATCH = 64
RANGE_MEMORY = 0.05
"""Weight of a batch in the moving average of ranges. With the extremes of all crops, a single outlier would make the
steps coarser for all others: probabilities then differ from those of float32 by a third more."""
QUANTISED = ("Conv", "Relu", "MaxPool")
"""A Relu after a convolution only bounds its integer range, and a maximum needs no arithmetic: both stay in int8."""


def to_int8(source: Path, target: Path, crops: UInt8Array) -> None:
    """Write the int8 version of a float32 network from `export.to_onnx`, atomically.

    Args:
        source: the float32 network.
        target: path of the int8 network.
        crops: uint8 (N, S, S, C), faces like those that it will classify; N >= 1.

    Raises:
        ModelError: ONNX Runtime cannot quantise it, or there are no crops.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not len(crops):
        raise ModelError(
            f"{source.name}: int8 needs face crops to calibrate on. Give a data set with --data."
        )
    with atomic_write(target) as part, _silence_root_logger():
        try:
            quantize_static(
                _load_with_shapes(source),
                part,
                _Crops(crops[:CALIBRATION_CROPS]),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                activation_type=QuantType.QUInt8,  # x86 has instructions for uint8 activations with int8 weights only
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": RANGE_MEMORY},
            )
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise ModelError(
                f"{source.name}: cannot be quantised ({type(error).__name__}: {error})."
            ) from error


class _Crops:
    """A CalibrationDataReader for `quantize_static`."""

    def __init__(self, crops: UInt8Array) -> None:
        self._batches: Iterator[UInt8Array] = (
            crops[start : start + CALIBRATION_BATCH] for start in range(0, len(crops), CALIBRATION_BATCH)
        )

    def get_next(self) -> dict[str, UInt8Array] | None:
        """Return the next batch by input name, None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _load_with_shapes(source: Path) -> Any:
    """Load a network and infer shapes; batch norms are already folded."""
    import onnx
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.shape_inference.infer_shapes(onnx.load(str(source)))
    add_pre_process_metadata(model)
    return model


@contextmanager
def _silence_root_logger() -> Iterator[None]:
    """Hide what ONNX Runtime's quantiser writes to the root logger."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
