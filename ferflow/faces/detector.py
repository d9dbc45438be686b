"""The detectors behind one protocol.

>>> detector = make_detector(options)
>>> for found in detector.detect(frames): print(found.xyxy, found.score)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.haar import Haar
from ferflow.faces.regions import split_frame
from ferflow.faces.tracker import WEAK_SCORE
from ferflow.faces.yunet import make_yunet
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.regions import Region


class Detector(Protocol):
    """Finds the faces of frames."""

    name: str
    sha256: str
    """Hash of its file of weights."""
    crop_side: float
    """Side of the square that the classifier sees, in heights of this detector's boxes."""

    def detect(self, frames: Sequence[Frame], score: float | None = None) -> list[Detections]:
        """Detect the faces of each frame, in order; a frame's result does not depend on the other frames.

        Works on the caller's thread only, and may be called by several threads at once.

        Args:
            frames: the frames.
            score: faces of lower scores are left out; None: that of the options.
        """


def make_detector(options: AnalyzeOptions) -> Detector:
    """Load the detector that options name.

    Raises:
        ModelError: its file is missing or altered.
    """
    if options.detector == "haar":
        return Haar(options)
    return make_yunet(options)


@dataclass(frozen=True, slots=True)
class KeyFrameDetector:
    """Detects the faces of key frames, weak ones too, for a tracker; may be called by several threads at once."""

    detector: Detector
    options: AnalyzeOptions
    regions: Sequence[Region] = ()

    def __call__(self, sample: FrameSample) -> Detections | None:
        """The faces of a frame; None where it is no key frame."""
        if not sample.is_key:
            return None
        parts = split_frame(sample.frame, self.regions)
        found = self.detector.detect([part.frame for part in parts], min(self.options.score, WEAK_SCORE))
        return Detections.concatenate(
            [
                self._limit(faces, number).moved(part.x, part.y, region=number)
                for number, (part, faces) in enumerate(zip(parts, found, strict=True))
            ]
        )

    def _limit(self, faces: Detections, region: int) -> Detections:
        is_named = bool(self.regions) and self.regions[region].name is not None
        count = 1 if is_named else self.options.participants
        return faces if count is None else self._largest(faces, count)

    def _largest(self, faces: Detections, count: int) -> Detections:
        """The largest faces; weak ones only where there are fewer strong ones than participants."""
        is_strong = faces.score >= self.options.score
        strong = faces[is_strong].largest(count)
        weak = faces[~is_strong].largest(count - len(strong))
        return Detections.concatenate([strong, weak])
