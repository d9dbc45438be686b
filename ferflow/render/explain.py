"""Faces to explain: those of a picture, or of a few frames of a video.

>>> for moment in find_moments(Path("talk.mp4"), tools, options):
...     moment.crops.images
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ferflow.errors import OptionsError, VideoError
from ferflow.faces.crops import FaceCrops, crop_faces, resize_to_square
from ferflow.faces.detections import Detections
from ferflow.faces.orientation import turn_upright
from ferflow.media.video import Frame, Reading, Selection, open_video
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.pipeline import Tools
from ferflow.text import sanitize
from ferflow.types import Float32Array, UInt8Array

log = logging.getLogger(__name__)

SEARCH_FPS = 2.0
"""Frames per second that are searched for the one to explain."""
MAX_SEARCHED_FRAMES = 600
"""Five minutes of video; later frames are chosen with --at."""
PREVIEW_PX = 560
"""Width of the frame's small picture."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame and its faces."""

    time_s: float
    why: str
    """Reason for this frame: "picture", "asked for", "first face", "most expressive"."""
    preview: UInt8Array
    """uint8 (h, w), luma, with a box around each face."""
    crops: FaceCrops


def find_moments(
    path: Path, tools: Tools, options: AnalyzeOptions, at: Sequence[TimePoint] = (), *, whole: bool = False
) -> list[Moment]:
    """Find the frames to explain.

    Args:
        path: a picture or a video.
        tools: detector and classifier.
        options: thresholds of the detector, and how the file is read. What `stream` and `rotate` come to, and what else
            the file has, is logged as a warning, as of an analysis.
        at: the frames to explain; empty: the first one with a face and the most expressive one, of two frames per
            second in the first five minutes.
        whole: the picture is one face, so that no detector runs.

    Raises:
        VideoError: it cannot be read, or shows no face there.
        OptionsError: the video ends before a frame that was asked for.
    """
    video = _VideoFile(path, _choose_reading(path, tools, options, whole=whole), options.threads)
    if at:
        found = [_make_moment(_frame_at(video, point), "asked for", tools, whole=whole) for point in at]
    else:
        found = _choose_moments(video, tools, whole=whole)
    found = [moment for moment in found if len(moment.crops)]
    if not found:
        raise VideoError(
            f"{path.name}: no face found. If the picture contains nothing but a face, use --whole."
        )
    return found


@dataclass(frozen=True, slots=True)
class _VideoFile:
    """A file, and how it is read."""

    path: Path
    reading: Reading
    threads: int | None

    def frames(self, selection: Selection) -> Iterator[Frame]:
        with open_video(self.path, self.reading, threads=self.threads) as video:
            yield from islice(video.frames(selection), MAX_SEARCHED_FRAMES)


def _choose_reading(path: Path, tools: Tools, options: AnalyzeOptions, *, whole: bool) -> Reading:
    reading = Reading.of(options)
    with open_video(path, reading, threads=options.threads) as video:
        if not whole:  # a picture that is one face tells no orientation by its faces
            turn_upright(video, options, tools.detector)
        next(video.frames(Selection()), None)
        for warning in video.report.warnings:
            log.warning("%s: %s", sanitize(path.name), sanitize(warning))
        return replace(reading, turn=video.turn)


def _choose_moments(video: _VideoFile, tools: Tools, *, whole: bool) -> list[Moment]:
    selection = Selection(fps=SEARCH_FPS)
    first: Moment | None = None
    best, most = None, -1.0
    n_searched = 0
    for frame in video.frames(selection):
        n_searched += 1
        moment = _make_moment(frame, "most expressive", tools, whole=whole)
        if not len(moment.crops):
            continue
        first = first or moment
        expressive = _expressiveness(moment, tools)
        if expressive > most:
            best, most = moment, expressive
    if first is None or best is None:
        return []
    if n_searched == 1:
        return [replace(first, why="picture")]
    first_face = replace(first, why="first face")
    return [first_face] if best is first else [first_face, best]


def _expressiveness(moment: Moment, tools: Tools) -> float:
    """Highest probability, over the faces of the frame, of an expression other than neutral, in [0, 1]."""
    labels = tools.classifier.card.labels
    probs = tools.classifier(moment.crops.images)
    # Without a neutral class the most certain prediction counts as the most expressive.
    neutral = probs[:, labels.index("neutral")] if "neutral" in labels else 1 - probs.max(axis=1)
    return float((1 - neutral).max())


def _frame_at(video: _VideoFile, point: TimePoint) -> Frame:
    frame = next(video.frames(Selection(start=point)), None)
    if frame is None:
        raise OptionsError(f"{video.path.name}: ends before {point}. Ask for an earlier moment with --at.")
    return frame


def _make_moment(frame: Frame, why: str, tools: Tools, *, whole: bool) -> Moment:
    if whole:
        preview = _draw_preview(frame, np.zeros((0, 4), np.float32))
        return Moment(frame.time_s, why, preview, _crop_whole_picture(frame, tools))
    (found,) = tools.detector.detect([frame])
    crops = crop_faces(frame, found, np.arange(1, len(found) + 1, dtype=np.int32), tools.crop_shape)
    return Moment(frame.time_s, why, _draw_preview(frame, found.xyxy), crops)


def _crop_whole_picture(frame: Frame, tools: Tools) -> FaceCrops:
    """The picture as one crop, distorted to a square in the same way as pictures of a training set."""
    height, width = frame.planes.y.shape
    box = np.array([[0, 0, width, height]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))
    crops = crop_faces(frame, found, np.ones(1, np.int32), tools.crop_shape)
    # A crop of that box would be a square around its centre, not the picture.
    crops.images[0] = resize_to_square(frame.planes, frame.planes.y, tools.crop_shape.size)[..., None]
    return crops


def _draw_preview(frame: Frame, xyxy: Float32Array) -> UInt8Array:
    """Draw a small picture of the luma, with square pixels and a rectangle for each box of xyxy (N, 4)."""
    height, width = frame.planes.y.shape
    factor_x = min(1.0, PREVIEW_PX / width)
    factor_y = factor_x / frame.pixel_aspect
    shape = (max(1, round(width * factor_x)), max(1, round(height * factor_y)))
    small = np.asarray(cv2.resize(frame.planes.y, shape, interpolation=cv2.INTER_AREA), np.uint8)
    small = np.ascontiguousarray(frame.planes.to_full_range(small))
    for x1, y1, x2, y2 in xyxy:
        low = (round(float(x1) * factor_x), round(float(y1) * factor_y))
        high = (round(float(x2) * factor_x), round(float(y2) * factor_y))
        cv2.rectangle(small, low, high, 255, 2)
    return small
