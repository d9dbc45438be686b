"""Faces of a live picture, frame by frame, each answered at once.

>>> analyzer = StreamAnalyzer(Tools.load(options), options)
>>> for frame, time_s in pictures:
...     print(analyzer.analyze(frame, time_s).faces)

Detector, tracker, crops and classifier are those of `ferflow.analyze`. It looks ahead by one frame, and this does not:
a face whose score does not start a track at once has track id -1 in the first frame that shows it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ferflow.errors import OptionsError
from ferflow.faces.crops import FaceCrops, crop_faces
from ferflow.faces.detector import KeyFrameDetector
from ferflow.faces.face_result import FaceResult
from ferflow.faces.frame_sample import FrameSampler
from ferflow.faces.people import People
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.media.video import Frame
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.regions import AUTO, Region
from ferflow.single_picture import describe_faces
from ferflow.store.schemas import UNTRACKED
from ferflow.types import JsonObject

_FACE_KEYS = ("track_id", "xyxy", "score", "label", "probs", "yaw", "pitch", "roll")


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """What was found in one analysed frame of a live picture."""

    frame_index: int
    """0-based count of the frames of the source, those that were dropped included."""
    time_s: float
    """Seconds after the first frame, by the timestamps of the source."""
    latency_ms: float
    """From the moment the frame was there until its faces were known."""
    dropped: int
    """Frames so far that were not analysed, since newer ones came."""
    faces: tuple[FaceResult, ...]

    def to_json(self) -> JsonObject:
        """As `ferflow live --json` prints it; `track_id` -1: not assigned to a track."""
        return {
            "frame_index": self.frame_index,
            "time_s": round(self.time_s, 6),
            "latency_ms": round(self.latency_ms, 2),
            "dropped": self.dropped,
            "faces": [_face_to_json(face) for face in self.faces],
        }


def _face_to_json(face: FaceResult) -> JsonObject:
    known = {"track_id": UNTRACKED} | face.to_json()
    return {key: known[key] for key in _FACE_KEYS}


@dataclass(frozen=True, slots=True)
class AnalyzedFrame:
    """A frame, its N tracked faces, and what is known of each."""

    tracked: TrackedFrame
    before: TrackedFrame | None
    """The frame before it, with the track ids that this one confirmed; None at the first frame."""
    crops: FaceCrops
    answer: Answer
    faces: tuple[FaceResult, ...]


class StreamAnalyzer:
    """Analyses the frames of one stream; it has its tracks, so each stream needs its own. Tools may be shared."""

    def __init__(self, tools: Tools, options: AnalyzeOptions | None = None) -> None:
        """Start with a stream.

        Args:
            tools: detector and classifier.
            options: None: the defaults. Those that choose frames of a video have no effect.

        Raises:
            OptionsError: an option needs frames that are not there yet.
        """
        options = options or AnalyzeOptions()
        _check_live(options)
        self._tools = tools
        self.regions: Sequence[Region] = options.regions
        self._detect = KeyFrameDetector(tools.detector, options, self.regions)
        self._sampler = FrameSampler(regions=self.regions)
        self.people = People(options, self.regions, tools.describer)
        self._n_frames = 0
        self._time_s = 0.0

    def analyze(self, frame: Frame, time_s: float) -> LiveFrame:
        """Analyse the next frame on the caller's thread.

        Args:
            frame: the picture, such as `single_picture.make_frame` makes; its index and time do not matter.
            time_s: seconds since any moment; a time before that of the last frame counts as that.

        Raises:
            VideoError: a region is outside of the picture.
        """
        started = time.perf_counter()
        self._time_s = max(self._time_s, time_s)
        timed = replace(frame, index=self._n_frames, time=Fraction(self._time_s))
        self._n_frames += 1
        faces = self.analyze_frame(timed).faces
        latency_ms = (time.perf_counter() - started) * 1000
        return LiveFrame(timed.index, self._time_s, latency_ms, 0, faces)

    def analyze_frame(self, frame: Frame) -> AnalyzedFrame:
        """Analyse the next frame, which has its index and a time that is not before that of the last one.

        Raises:
            VideoError: a region is outside of the picture.
        """
        sample = self._sampler.sample(frame)
        found = self._detect(sample)
        assert found is not None  # without a stride, each frame is a key frame
        tracked, before = self.people.track_now(sample, found)
        crops = crop_faces(frame, tracked.faces, tracked.track_id, self._tools.crop_shape)
        classifier = self._tools.classifier
        answer = classifier.answer(crops.images)
        return AnalyzedFrame(
            tracked, before, crops, answer, describe_faces(crops, answer, classifier.card.labels)
        )


def _check_live(options: AnalyzeOptions) -> None:
    if options.region == (AUTO,):
        raise OptionsError(
            "region auto needs a video: a live picture does not show yet which part of it stays."
        )
    if options.detect_stride > 1:
        raise OptionsError(
            f"detect {options.detect} needs later frames, which a live picture does not have. Use full."
        )
