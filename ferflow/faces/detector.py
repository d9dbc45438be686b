"""The detectors behind one protocol.

>>> detector = make_detector(options)
>>> for found in detector.detect(frames): print(found.xyxy, found.score)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.haar import Haar
from ferflow.faces.local_search import Expected, Look, Plan
from ferflow.faces.regions import Part, split_frame
from ferflow.faces.search_windows import Places
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

    def gains_near(self, width: int, height: int, places: Places | None = None) -> bool:
        """Whether `detect_near` is quicker than `detect` in pictures of this size, at these places or at few."""

    def detect_near(self, frame: Frame, places: Places, score: float) -> Detections:
        """Detect the faces at some places of a frame, and perhaps others.

        Args:
            frame: the frame.
            places: at least one, in pixels of the frame.
            score: faces of lower scores are left out.
        """

    def find_reduced(self, frame: Frame, faces: Detections) -> Detections:
        """Find large faces again, as `detect_near` finds them where the picture is reduced.

        Args:
            frame: the frame.
            faces: N faces of it, as of `detect`.

        Returns:
            N faces; NaN where the picture should not be reduced.
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
        return self.limit(self._detect(sample)) if sample.is_key else None

    def _detect(self, sample: FrameSample) -> Detections:
        parts = split_frame(sample.frame, self.regions)
        return self._merge(parts, self.detector.detect([part.frame for part in parts], self._least_score))

    def gains_near(self, size: tuple[int, int], region: int = 0, places: Places | None = None) -> bool:
        """Whether `search` is quicker than a look at all of a region, of a picture of this size; see `Detector`."""
        if not self.regions:
            return self.detector.gains_near(*size, places)
        x, y, width, height = self.regions[region].pixels(*size)
        return self.detector.gains_near(width, height, None if places is None else places.moved(-x, -y))

    def look(self, sample: FrameSample) -> Look:
        """All faces of a key frame, for `plan_searches`: one that is left out now may be the largest soon."""
        found = self._detect(sample)
        reduced = found.unknown()
        if sample.is_alone:
            return Look.at(sample, found, reduced)
        for number, part in enumerate(split_frame(sample.frame, self.regions)):
            rows = np.flatnonzero((found.region == number) & (found.score >= self.options.score))
            if len(rows):
                faces = found[rows].moved(-part.x, -part.y, region=number)
                again = self.detector.find_reduced(part.frame, faces).moved(part.x, part.y, region=number)
                reduced = reduced.replaced(rows, again)
        return Look.at(sample, found, reduced)

    def search(self, plan: Plan) -> Detections:
        """All faces of a frame, where they are expected or already known, see `local_search`."""
        sample, expected = plan
        if isinstance(expected, Detections):
            return expected
        parts = split_frame(sample.frame, self.regions)
        return self._merge(parts, [self._search(*one) for one in zip(parts, expected, strict=True)])

    def _search(self, part: Part, expected: Expected | None) -> Detections:
        if expected is not None:
            if self.regions:
                expected = expected.moved(-part.x, -part.y)
            places = expected.all_places(part.frame.planes.width, part.frame.planes.height)
            if not len(places):
                return Detections.empty()
            found = expected.correct(self.detector.detect_near(part.frame, places, self._least_score))
            if expected.is_met(found, self.options.score):
                return found
        return self.detector.detect([part.frame], self._least_score)[0]

    @property
    def _least_score(self) -> float:
        return min(self.options.score, WEAK_SCORE)

    def _merge(self, parts: Sequence[Part], found: Sequence[Detections]) -> Detections:
        if not self.regions:
            return found[0]
        pairs = zip(parts, found, strict=True)
        return Detections.concatenate(
            [faces.moved(part.x, part.y, region=number) for number, (part, faces) in enumerate(pairs)]
        )

    def limit(self, found: Detections) -> Detections:
        """Of each region, as many faces as it has participants."""
        if not self.regions:
            return self._limit(found, 0)
        return Detections.concatenate(
            [self._limit(found[found.region == number], number) for number in range(len(self.regions))]
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
