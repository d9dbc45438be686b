"""Whether the picture of a video is upright, as the faces in it say.

A recording that lies on its side or on its head, without a mark of it in the file, has faces that a detector finds and
a classifier misreads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ferflow.errors import VideoError
from ferflow.faces.detector import Detector
from ferflow.media.video import Frame, Reading, Selection, Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.types import Float64Array

_TURNS = (90, 180, 270)
"""Degrees clockwise."""
_SAMPLES = 8
"""Frames that are looked at, in each orientation that has to be tried."""
_LEAST_KEY_FRAMES = 4
"""With fewer of them, the frames of the first seconds are looked at."""
_SAMPLES_PER_SECOND = 2.0

_CERTAIN = 0.91
"""Mean score of the best faces with which a picture is upright. YuNet also finds faces that lie on their head, and puts
eyes above the mouth in them; but it scores them 0.85 to 0.89, and upright ones 0.94. Of 51 photographs and 11 clips,
not one has a higher score when turned."""
_CLEAR = 0.92
"""Score with which the best face of a frame is upright without doubt."""
_QUITE_CLEAR = 0.85
"""The same if no turn of the frame has a score above this one less the margin."""
_FEW = 2
"""The check ends after so many frames in a row, the first ones with a face, that are upright without doubt: decoding
the others would take up to half of the time of a short video."""
_MARGIN = 0.03
"""By which the score of a turned face is higher than before."""
_LEAST_FRAMES = 3
"""In which that is so, without which nothing is turned."""
_LEAST_SHARE = 0.75
"""Of the frames with a face in either orientation."""


@dataclass(frozen=True, slots=True)
class Turn:
    """By how much pictures must be turned, and why."""

    degrees: int
    """Clockwise, of the stored picture."""
    n_frames: int
    """Frames that were looked at."""
    n_better: int
    """Of them, those whose best face has a higher score after the turn."""


def find_turn(path: Path, options: AnalyzeOptions, detector: Detector) -> Turn | None:
    """Find how pictures must be turned; None: as the file says, or unknown.

    Args:
        path: the video.
        options: how it is analysed.
        detector: of faces; one whose scores say nothing (Haar) gives None.
    """
    if detector.name != "yunet":
        return None
    sample = _Sample()
    try:
        with open_video(path, Reading.of(options), threads=options.threads) as video:
            if sample.add_until_upright(_key_frames(video), detector):
                return None
            if len(sample.frames) < _LEAST_KEY_FRAMES:
                sample = _Sample()
                if sample.add_until_upright(_first_frames(video), detector):
                    return None
            by_file = -video.rotation % 360  # known from the first frame on
    except VideoError:
        return None  # the analysis itself will say what is wrong
    frames, before = sample.frames, np.array(sample.scores, np.float64)
    if not frames or (before.any() and before[before > 0].mean() >= _CERTAIN):
        return None
    after = {degrees: _best_scores(detector, frames, degrees) for degrees in _TURNS}
    best = max(after, key=lambda degrees: after[degrees].sum())
    is_better = after[best] >= before + _MARGIN
    n_better, n_with_face = int(is_better.sum()), int(np.maximum(after[best], before).astype(bool).sum())
    if n_better < max(_LEAST_FRAMES, _LEAST_SHARE * n_with_face):
        return None
    return Turn((by_file + best) % 360, len(frames), n_better)


def turn_upright(video: Video, options: AnalyzeOptions, detector: Detector) -> None:
    """For `auto`, turn the pictures as their faces say, with a warning."""
    if options.rotate != "auto" or (turn := find_turn(video.info.path, options, detector)) is None:
        return
    video.turn = turn.degrees
    video.report.warnings.append(
        f"rotate auto: the stored picture is turned by {turn.degrees} degrees clockwise, since its faces are then "
        f"upright (clearer in {turn.n_better} of {turn.n_frames} sample frames); --rotate file leaves it as it is"
    )


def _best_scores(detector: Detector, frames: Sequence[Frame], degrees: int) -> Float64Array:
    """Score of the best face of each frame, turned clockwise; 0 without a face. Float64 (F,)."""
    found = detector.detect([_turned(frame, degrees) for frame in frames])
    return np.array([faces.score.max(initial=0.0) for faces in found], np.float64)


@dataclass(slots=True)
class _Sample:
    """Frames of one size that were looked at, and the score of the best face of each."""

    frames: list[Frame] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    is_clear: list[bool] = field(default_factory=list)
    """Of frames with a face: it is upright without doubt."""

    def add(self, frame: Frame, detector: Detector) -> None:
        """Look at a frame, as the file turns it, if it has the size of the others."""
        if self.frames and frame.planes.y.shape != self.frames[0].planes.y.shape:
            return
        self.frames.append(_copy(frame))
        (score,) = _best_scores(detector, self.frames[-1:], 0)
        self.scores.append(score)
        if score > 0:
            self.is_clear.append(score >= _CLEAR or self._is_worse_when_turned(score, detector))

    def add_until_upright(self, frames: Iterable[Frame], detector: Detector) -> bool:
        """Look at frames until the first faces leave no doubt; whether they do."""
        for frame in frames:
            self.add(frame, detector)
            if len(self.is_clear) >= _FEW and all(self.is_clear):
                return True
        return False

    def _is_worse_when_turned(self, score: float, detector: Detector) -> bool:
        if score < _QUITE_CLEAR:
            return False
        turned = (_best_scores(detector, self.frames[-1:], degrees)[0] for degrees in _TURNS)
        return all(other <= score - _MARGIN for other in turned)


def _key_frames(video: Video) -> Iterator[Frame]:
    """Frames from all of the video."""
    return video.key_frames(_SAMPLES, video.info.duration_s_from_header or 0.0)


def _first_frames(video: Video) -> Iterator[Frame]:
    """Frames of the first seconds."""
    return islice(video.frames(Selection(fps=_SAMPLES_PER_SECOND)), _SAMPLES)


def _copy(frame: Frame) -> Frame:
    """Without the decoder's memory."""
    return _turned(frame, 0)


def _turned(frame: Frame, degrees: int) -> Frame:
    """The same picture, turned clockwise."""
    planes, turns = frame.planes, -degrees // 90
    u, v = (None if plane is None else np.rot90(plane, turns).copy() for plane in (planes.u, planes.v))
    turned = replace(planes, y=np.rot90(planes.y, turns).copy(), u=u, v=v)
    aspect = frame.pixel_aspect if degrees % 180 == 0 else 1 / frame.pixel_aspect
    return replace(frame, planes=turned, pixel_aspect=aspect)
