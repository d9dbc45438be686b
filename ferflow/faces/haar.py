"""The Haar cascade (Viola and Jones, 2001), as the early expression papers used it; kept for comparison."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ferflow.errors import ModelError
from ferflow.faces.detections import Detections, min_face_height
from ferflow.faces.search_windows import Places
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions

_FILE = "haarcascade_frontalface_default.xml"
_SCALE_STEP, _NEIGHBOURS = 1.3, 5
"""Those of the papers' script, `jobs/benchmarks/haar.py`, so that the comparison is with what was published."""
_WINDOW = 24
"""Side of the cascade's window; smaller faces cannot be found."""


class Haar:
    """`cv2.CascadeClassifier` on luma. Gives no landmarks, so head pose stays unknown; every score is 1."""

    name = "haar"
    # YuNet's boxes around the same face are 1.10 times as high (median of 373 faces on seven clips). The crop must show
    # the same part of the face with both detectors: 0.97 * 1.10.
    crop_side = 1.07

    def __init__(self, options: AnalyzeOptions) -> None:
        self._path = Path(cv2.__file__).parent / "data" / _FILE
        self._options = options
        self._of_thread = threading.local()
        if self._cascade().empty():
            raise ModelError(
                f"{_FILE}: not in this OpenCV. Run: pip install 'opencv-python-headless>=4.12,<5'"
            )
        self.sha256 = hashlib.sha256(self._path.read_bytes()).hexdigest()

    def detect(self, frames: Sequence[Frame], score: float | None = None) -> list[Detections]:
        """See `Detector`."""
        return [self._detect_one(frame) for frame in frames]

    def gains_near(self, width: int, height: int, places: Places | None = None) -> bool:
        """See `Detector`."""
        return False

    def detect_near(self, frame: Frame, places: Places, score: float) -> Detections:
        """See `Detector`; all of the picture is searched."""
        return self._detect_one(frame)

    def find_reduced(self, frame: Frame, faces: Detections) -> Detections:
        """See `Detector`; it finds none."""
        return faces.unknown()

    def _cascade(self) -> cv2.CascadeClassifier:
        """The cascade of the calling thread: it has state while it runs, so threads cannot share one."""
        if not hasattr(self._of_thread, "cascade"):
            self._of_thread.cascade = cv2.CascadeClassifier(str(self._path))
        cascade: cv2.CascadeClassifier = self._of_thread.cascade
        return cascade

    def _detect_one(self, frame: Frame) -> Detections:
        planes = frame.planes
        smallest = min_face_height(self._options, planes.width, planes.height)
        # The smallest face becomes about as large as the window: in a larger picture the cascade only searches longer.
        factor = max(1, min(smallest // _WINDOW, planes.width, planes.height))
        size = (round(planes.width // factor * frame.pixel_aspect), planes.height // factor)
        luma = planes.to_full_range(
            np.asarray(cv2.resize(planes.y, size, interpolation=cv2.INTER_AREA), np.uint8)
        )
        side = max(smallest // factor, 1)
        boxes = self._cascade().detectMultiScale(luma, _SCALE_STEP, _NEIGHBOURS, minSize=(side, side))
        if not len(boxes):
            return Detections.empty()
        scale = np.array([planes.width / size[0], planes.height / size[1]] * 2, np.float32)
        xywh = np.asarray(boxes, np.float32) * scale
        xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        n = len(xyxy)
        return Detections(xyxy, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32))
