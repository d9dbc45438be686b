"""Every place of a picture in which somebody may see a face: a search that rather finds too much.

>>> finder = FaceFinder.make((1280, 720))
>>> finder.find(frame, least_score=0.2).xyxy

The detector of the analysis, with a low threshold, in the picture and in copies of a half, a quarter and so on of its
size: it misses faces that are much larger than those that it was made for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ferflow.faces.detections import Detections, min_face_height
from ferflow.faces.detector import Detector, make_detector
from ferflow.faces.yunet import SMALLEST_IN_INPUT
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions

SMALLEST_SHARE = 30
"""The smallest faces are this part of the picture's short side high: half of what an analysis looks for."""
_LEAST_INPUT_SIDE = 64
"""Pixels of the short side of the smallest copy."""
_SAME_FACE_IOU = 0.4


@dataclass(frozen=True, slots=True)
class FaceFinder:
    """A search on one thread; may be called by several threads at once."""

    detectors: tuple[Detector, ...]
    """One per size of the detector's input, the largest first."""

    @classmethod
    def make(cls, size: tuple[int, int], min_face: int | None = None) -> FaceFinder:
        """Load the networks.

        Args:
            size: (width, height) of the pictures.
            min_face: height of the smallest face, pixels; None: see `SMALLEST_SHARE`.

        Raises:
            ModelError: the detector is missing or altered.
        """
        options = AnalyzeOptions()
        smallest = min_face or max(SMALLEST_IN_INPUT, min(size) // SMALLEST_SHARE)
        finest = max(1, smallest // SMALLEST_IN_INPUT)
        factors = {finest, 2 * finest, 4 * finest, 8 * finest}
        # That of an analysis, too: what it would find is looked for in the same way.
        factors.add(max(1, min_face_height(options, *size) // SMALLEST_IN_INPUT))
        usable = sorted(factor for factor in factors if min(size) // factor >= _LEAST_INPUT_SIDE) or [finest]
        return cls(
            tuple(make_detector(options.updated(min_face=SMALLEST_IN_INPUT * factor)) for factor in usable)
        )

    def find(self, frame: Frame, least_score: float) -> Detections:
        """The faces of a frame; of detections of one face, the one of the highest score."""
        return keep_strongest([detector.detect([frame], least_score)[0] for detector in self.detectors])


def keep_strongest(found: Sequence[Detections]) -> Detections:
    """Faces of several searches of one picture, each once."""
    every = Detections.concatenate([Detections.empty(), *found])
    if not len(every):
        return every
    corners = every.xyxy[:, :2], every.xyxy[:, 2:] - every.xyxy[:, :2]
    boxes = np.concatenate(corners, axis=1).tolist()
    keep = cv2.dnn.NMSBoxes(boxes, every.score.tolist(), 0.0, _SAME_FACE_IOU)
    return every[np.sort(np.asarray(keep, np.intp).reshape(-1))]
