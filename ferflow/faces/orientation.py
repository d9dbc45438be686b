"""Whether the picture of a video is upright, as the faces in it say.

A recording that lies on its side or on its head, without a mark of it in the file, has faces that a detector finds and
a classifier misreads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ferflow.errors import VideoError
from ferflow.faces.detector import Detector
from ferflow.media.video import Frame, Reading, Selection, Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.types import Float64Array

_SAMPLES = 8
"""Frames that are looked at, in each orientation that has to be tried."""
_LEAST_KEY_FRAMES = 4
"""With fewer of them, the frames of the first seconds are looked at."""
_SAMPLES_PER_SECOND = 2.0

_CERTAIN = 0.91
"""Mean score of the best faces with which a picture is upright. YuNet also finds faces that lie on their head, and puts
eyes above the mouth in them; but it scores them 0.85 to 0.89, and upright ones 0.94. Of 51 photographs and 11 clips,
not one has a higher score when turned."""
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
    frames, by_file = _sample(path, options)
    if not frames:
        return None
    before = _best_scores(detector, frames, 0)
    if before.any() and before[before > 0].mean() >= _CERTAIN:
        return None
    after = {degrees: _best_scores(detector, frames, degrees) for degrees in (90, 180, 270)}
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


def _sample(path: Path, options: AnalyzeOptions) -> tuple[list[Frame], int]:
    """Some frames of one size, and the degrees clockwise by which the file says that they are turned."""
    frames: list[Frame] = []
    with (
        suppress(VideoError),  # the analysis itself will say what is wrong
        open_video(path, Reading.of(options), threads=options.threads) as video,
    ):
        frames.extend(map(_copy, video.key_frames(_SAMPLES, video.info.duration_s_from_header or 0.0)))
        if len(frames) < _LEAST_KEY_FRAMES:
            first = video.frames(Selection(fps=_SAMPLES_PER_SECOND))
            frames = [_copy(frame) for frame in islice(first, _SAMPLES)]
        frames = [frame for frame in frames if frame.planes.y.shape == frames[0].planes.y.shape]
        return frames, -video.rotation % 360
    return [], 0


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
