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
    """Of the file that holds its weights."""
    crop_side: float
    """Side of the square that the classifier sees, in heights of this detector's boxes."""

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Faces per frame, in the order given; the result does not depend on what else is in `frames`.

        Works on the caller's thread alone, and may be called by several threads at once.
        """


def make_detector(options: AnalyzeOptions) -> Detector:
    """The detector that options name.

    Raises:
        ModelError: its file is missing or altered.
    """
    if options.detector == "haar":
        return Haar(options)
    return make_yunet(options)
