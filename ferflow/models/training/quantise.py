"""An int8 twin of an exported network, calibrated on face crops.

    to_int8(Path("whole.onnx"), Path("resnet-broad.int8.onnx"), crops)

Static QDQ quantisation by ONNX Runtime: weights as int8 with a scale per output channel, activations as uint8 with the
range that a batch of the crops has on average. Only convolutions are quantised, which is where the time goes:
standardisation, sums, pooling and the linear heads stay float32, and cost nothing to speak of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ferflow.errors import ModelError
from ferflow.store.atomic_files import whole_file
from ferflow.types import UInt8Array

CALIBRATION_CROPS = 2048
"""Ranges settle far earlier; this many take seconds."""
CALIBRATION_BATCH = 64
RANGE_MEMORY = 0.05
"""What a batch counts in the moving average of ranges. The extremes of all crops, one odd crop's, would make
the steps of every other coarser: probabilities then differ from float's by a third more."""
QUANTISED = ("Conv", "Relu", "MaxPool")
"""A Relu after a convolution is a bound of its integer range, and a maximum needs no arithmetic: both go with it."""


def to_int8(source: Path, target: Path, crops: UInt8Array) -> None:
    """Write the int8 twin of a float network from `export.to_onnx`, whole or not at all.

    Args:
        source: the float network.
        target: where the twin goes.
        crops: uint8 (N, S, S, C), faces as the network will see them; N >= 1.

    Raises:
        ModelError: ONNX Runtime cannot quantise it, or there is no crop.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not len(crops):
        raise ModelError(
            f"{source.name}: int8 needs face crops to calibrate on. Give a data set with --data."
        )
    with whole_file(target) as part, _silent():
        try:
            quantize_static(
                _prepared(source),
                part,
                _Crops(crops[:CALIBRATION_CROPS]),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                activation_type=QuantType.QUInt8,  # with int8 weights the one x86 has instructions for
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": RANGE_MEMORY},
            )
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise ModelError(
                f"{source.name}: cannot be quantised ({type(error).__name__}: {error})."
            ) from error


class _Crops:
    """What `quantize_static` calls a CalibrationDataReader."""

    def __init__(self, crops: UInt8Array) -> None:
        self._batches: Iterator[UInt8Array] = (
            crops[start : start + CALIBRATION_BATCH] for start in range(0, len(crops), CALIBRATION_BATCH)
        )

    def get_next(self) -> dict[str, UInt8Array] | None:
        """Return the next batch by input name, None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _prepared(source: Path) -> Any:
    """Load a network with shapes inferred; batch norms are folded already."""
    import onnx
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.shape_inference.infer_shapes(onnx.load(str(source)))
    add_pre_process_metadata(model)
    return model


class _silent:  # noqa: N801 - used like a function
    """Keep ONNX Runtime's remarks on the root logger to itself."""

    def __enter__(self) -> None:
        self._level = logging.root.level
        logging.root.setLevel(logging.ERROR)

    def __exit__(self, *error: object) -> None:
        logging.root.setLevel(self._level)
