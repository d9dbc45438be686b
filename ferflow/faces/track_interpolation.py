"""Faces in the frames between two detections, interpolated along their tracks.

Detection takes most of the time, and a face moves little within a few frames. A face that is found in both frames is
moved in a straight line between them; a face found in only one of them is assumed to be present for half of the time,
or up to a cut. `python -m ferflow.jobs.benchmarks.stride` measures the loss of recall.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ferflow.faces.detections import Detections
from ferflow.faces.tracker import Tracker
from ferflow.media.video import Frame
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, Int32Array


@dataclass(frozen=True, slots=True)
class FrameSample:
    """A frame, and what was computed from it before detection."""

    frame: Frame
    is_cut: bool
    luma_mean: float
    """0-255."""
    is_key: bool = True
    """The detector runs on it."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and its faces: N detections and their ids, int32 (N,)."""

    sample: FrameSample
    faces: Detections
    track_id: Int32Array


def track_faces(
    detected: Iterable[tuple[FrameSample, Detections | None]], tracker: Tracker
) -> Iterator[TrackedFrame]:
    """Assign track ids through a video, and fill in the frames on which the detector did not run.

    Args:
        detected: frames in order, and the faces found; None where `is_key` is false. The first frame is a key frame.
        tracker: fresh, or reset.
    """
    last: TrackedFrame | None = None
    between: list[FrameSample] = []
    for sample, found in detected:
        if found is None:
            between.append(sample)
            continue
        key = TrackedFrame(sample, found, tracker.update(found, sample.frame.time_s, is_cut=sample.is_cut))
        # Ids are assigned at key frames only, and in order, before the frames between them are filled in.
        if last is not None and between:
            yield from _fill_between(last, key, between)
            between = []
        yield key
        last = key
    # At the end of the video no next key frame exists: the faces stay where they were.
    if last is not None:
        yield from (_repeat(last, sample) for sample in between)


def _fill_between(
    before: TrackedFrame, after: TrackedFrame, between: list[FrameSample]
) -> Iterator[TrackedFrame]:
    # No track continues across a cut, so that faces before it stay where they were.
    if after.sample.is_cut:
        yield from (_repeat(before, sample) for sample in between)
        return
    start_s, end_s = before.sample.frame.time_s, after.sample.frame.time_s
    rows_before, rows_after = _common_tracks(before.track_id, after.track_id)
    for sample in between:
        share = (sample.frame.time_s - start_s) / (end_s - start_s) if end_s > start_s else 0.0
        moved = _interpolate(before.faces[rows_before], after.faces[rows_after], share)
        near, common = (before, rows_before) if share < 0.5 else (after, rows_after)
        alone = np.setdiff1d(np.arange(len(near.faces)), common)
        yield TrackedFrame(
            sample,
            _without_scores(Detections.concatenate([moved, near.faces[alone]])),
            np.concatenate([before.track_id[rows_before], near.track_id[alone]]),
        )


def _repeat(key: TrackedFrame, sample: FrameSample) -> TrackedFrame:
    return TrackedFrame(sample, _without_scores(key.faces), key.track_id)


def _common_tracks(a: Int32Array, b: Int32Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of `a` and rows of `b` of the same track, in the order of `a`."""
    _, rows_a, rows_b = np.intersect1d(a, b, return_indices=True)
    # Several faces may be untracked; equal ids do not make them the same face.
    is_tracked = a[rows_a] != UNTRACKED
    order = np.argsort(rows_a[is_tracked])
    return rows_a[is_tracked][order], rows_b[is_tracked][order]


def _interpolate(before: Detections, after: Detections, share: float) -> Detections:
    def between(a: Float32Array, b: Float32Array) -> Float32Array:
        return (a + np.float32(share) * (b - a)).astype(np.float32)

    return Detections(
        between(before.xyxy, after.xyxy), before.score, between(before.landmarks, after.landmarks)
    )


def _without_scores(faces: Detections) -> Detections:
    """NaN scores, since the detector did not find these faces."""
    return replace(faces, score=np.full(len(faces), np.nan, np.float32))
