"""Faces in the frames between two detections, interpolated along their tracks.

Detection takes most of the time, and a face moves little within a few frames. A face that is found in both frames is
moved in a straight line between them; a face found in only one of them is assumed to be present for half of the time,
or up to a cut. `python -m ferflow.jobs.benchmarks.stride` measures the loss of recall.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.links import LinkChecker
from ferflow.faces.tracker import Tracker
from ferflow.store.schemas import UNTRACKED
from ferflow.types import BoolArray, Float32Array, Int32Array


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and its faces: N detections and their ids, int32 (N,)."""

    sample: FrameSample
    faces: Detections
    track_id: Int32Array


def track_faces(
    detected: Iterable[tuple[FrameSample, Detections | None]],
    tracker: Tracker,
    links: LinkChecker | None = None,
) -> Iterator[TrackedFrame]:
    """Assign track ids through a video, and fill in the frames on which the detector did not run.

    Args:
        detected: frames in order, and the faces found; None where `is_key` is false. The first frame is a key frame.
        tracker: fresh, or reset.
        links: fresh; None: links are not checked.
    """
    last: KeyFrame | None = None
    between: list[FrameSample] = []
    for sample, found in detected:
        if found is None:
            between.append(sample)
            continue
        key = KeyFrame.track(sample, found, tracker, links)
        # A key frame waits for the next one, which may confirm the track of a face that was seen for the first time.
        if last is not None:
            before = last.tracked(tracker.late_ids)
            yield before
            if between:
                yield from _fill_between(before, key.tracked(), between)
                between = []
        last = key
    # At the end of the video no next key frame exists: the faces stay where they were.
    if last is not None:
        yield last.tracked()
        yield from (_repeat(last.tracked(), sample) for sample in between)


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A frame with its detections, and their ids, int32 (N,), as far as they are known when it is tracked."""

    sample: FrameSample
    found: Detections
    track_id: Int32Array
    is_face: BoolArray
    """Bool (N,): all but weak detections that continue no track."""

    @classmethod
    def track(
        cls, sample: FrameSample, found: Detections, tracker: Tracker, links: LinkChecker | None
    ) -> KeyFrame:
        """Track the next frame; see `track_faces`."""
        uncut = links.find_uncut(sample.frame, found, sample.cuts) if links is not None else ()
        ids = tracker.update(found, sample.frame.time_s, cuts=sample.cuts, uncut=uncut, size=sample.size)
        if links is not None:
            ids = links.update(sample.frame, found, ids, tracker)
        return cls(sample, found, ids, (ids != UNTRACKED) | tracker.is_strong(found))

    def tracked(self, late_ids: Mapping[int, int] = MappingProxyType({})) -> TrackedFrame:
        """Its faces, with the ids that are known by now.

        Args:
            late_ids: `Tracker.late_ids` after the next frame was tracked.
        """
        ids = self.track_id.copy()
        ids[list(late_ids)] = list(late_ids.values())
        return TrackedFrame(self.sample, self.found[self.is_face], ids[self.is_face])


def _fill_between(
    before: TrackedFrame, after: TrackedFrame, between: list[FrameSample]
) -> Iterator[TrackedFrame]:
    # A track that continues across a cut hardly moves there, and all others end; so faces before it stay where they
    # were. Where the size of the picture changes, pixels before and after are not comparable.
    if after.sample.is_cut or after.sample.size != before.sample.size:
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
        between(before.xyxy, after.xyxy),
        before.score,
        between(before.landmarks, after.landmarks),
        before.region,
    )


def _without_scores(faces: Detections) -> Detections:
    """NaN scores, since the detector did not find these faces."""
    return replace(faces, score=np.full(len(faces), np.nan, np.float32))
