"""The detectors behind one protocol.

>>> detector = make_detector(options)
>>> for found in detector.detect(frames): print(found.xyxy, found.score)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ferflow.faces.detections import Detections
from ferflow.faces.haar import Haar
from ferflow.faces.yunet import make_yunet
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions


class Detector(Protocol):
    """Finds the faces of frames."""

    name: str
    sha256: str
    """Hash of its file of weights."""
    crop_side: float
    """Side of the square that the classifier sees, in heights of this detector's boxes."""

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detect the faces of each frame, in order; a frame's result does not depend on the other frames.

        Works on the caller's thread only, and may be called by several threads at once.
        """


def make_detector(options: AnalyzeOptions) -> Detector:
    """Load the detector that options name.

    Raises:
        ModelError: its file is missing or altered.
    """
    if options.detector == "haar":
        return Haar(options)
    return make_yunet(options)
