"""Faces between the frames in which they are looked for: carried over by their tracks.

Detection takes most of the time, and a face is hardly elsewhere two frames later. Between two frames that were
looked at, a face of both moves in a straight line; a face of one of them is taken to be there for half of the
way, or up to a cut. What this costs in found faces: `python -m ferflow.jobs.benchmarks.stride`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ferflow.faces.detections import Detections
from ferflow.faces.tracker import Tracker
from ferflow.media.video import Frame
from ferflow.store.records import UNTRACKED
from ferflow.types import Float32Array, Int32Array


@dataclass(frozen=True, slots=True)
class FrameSample:
    """A frame, and what is known of it before anybody looks for faces."""

    frame: Frame
    is_cut: bool
    luma_mean: float
    """0-255."""
    is_key: bool = True
    """Faces are looked for in it."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and its faces: N detections and their ids, int32 (N,)."""

    seen: FrameSample
    faces: Detections
    track_id: Int32Array


def track_faces(
    looked_at: Iterable[tuple[FrameSample, Detections | None]], tracker: Tracker
) -> Iterator[TrackedFrame]:
    """Follow the faces through a video, filling in the frames in which they were not looked for.

    Args:
        looked_at: frames in order, and what was found; None where `is_key` is false. The first one is a key.
        tracker: fresh, or reset.
    """
    last: TrackedFrame | None = None
    between: list[FrameSample] = []
    for seen, found in looked_at:
        if found is None:
            between.append(seen)
            continue
        key = TrackedFrame(seen, found, tracker.update(found, seen.frame.time_s, is_cut=seen.is_cut))
        if last is not None and between:
            yield from _filled(last, key, between)
            between = []
        yield key
        last = key
    if last is not None:
        yield from (_held(last, seen) for seen in between)


def _filled(before: TrackedFrame, after: TrackedFrame, between: list[FrameSample]) -> Iterator[TrackedFrame]:
    if after.seen.is_cut:
        yield from (_held(before, seen) for seen in between)
        return
    start_s, end_s = before.seen.frame.time_s, after.seen.frame.time_s
    mine, theirs = _in_both(before.track_id, after.track_id)
    for seen in between:
        share = (seen.frame.time_s - start_s) / (end_s - start_s) if end_s > start_s else 0.0
        moved = _moved(before.faces[mine], after.faces[theirs], share)
        near, common = (before, mine) if share < 0.5 else (after, theirs)
        alone = np.setdiff1d(np.arange(len(near.faces)), common)
        yield TrackedFrame(
            seen,
            _unscored(Detections.concatenate([moved, near.faces[alone]])),
            np.concatenate([before.track_id[mine], near.track_id[alone]]),
        )


def _held(key: TrackedFrame, seen: FrameSample) -> TrackedFrame:
    return TrackedFrame(seen, _unscored(key.faces), key.track_id)


def _in_both(a: Int32Array, b: Int32Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of `a` and rows of `b` that hold the same track."""
    _, rows_a, rows_b = np.intersect1d(a, b, return_indices=True)
    named = a[rows_a] != UNTRACKED
    order = np.argsort(rows_a[named])
    return rows_a[named][order], rows_b[named][order]


def _moved(before: Detections, after: Detections, share: float) -> Detections:
    def between(a: Float32Array, b: Float32Array) -> Float32Array:
        return (a + np.float32(share) * (b - a)).astype(np.float32)

    return Detections(
        between(before.xyxy, after.xyxy), before.score, between(before.landmarks, after.landmarks)
    )


def _unscored(faces: Detections) -> Detections:
    """The detector has not seen these: no score is theirs."""
    return replace(faces, score=np.full(len(faces), np.nan, np.float32))
