"""Coverage: how much of a video the numbers are based on, and the state of each bin's time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.frame_time import frame_seconds
from ferflow.analytics.tally import Faces, blocks, column, frame_rows, ratio
from ferflow.analytics.timeline import bin_of
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array

SMALL_FACE_PX = 30.0
"""Faces with a shorter side, in pixels of the source, are small: models see 48 px or more, so these are enlarged, which
costs accuracy (docs/training.md, "Disturbed faces")."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of frames and faces of one video."""

    n_frames: int
    n_frames_with_face: int
    n_faces: int
    n_untracked: int
    n_pose_unknown: int
    """Of all faces, tracked or not."""
    n_people: int

    @property
    def share(self) -> float:
        """Share of the analysed frames that have a face, in [0, 1]; NaN without frames."""
        return float(ratio(self.n_frames_with_face, self.n_frames))


def coverage(frames: pa.Table, faces: Faces) -> Coverage:
    """Count frames and faces of one video."""
    n_faces, n_untracked, n_pose_unknown, tracks = 0, 0, 0, set[int]()
    for block in blocks(faces):
        ids = column(block, "track_id").astype(np.int64)
        n_faces += len(ids)
        n_untracked += int((ids == UNTRACKED).sum())
        n_pose_unknown += int(np.isnan(column(block, "yaw")).sum())
        tracks |= set(np.unique(ids[ids != UNTRACKED]).tolist())
    return Coverage(
        n_frames=len(frames),
        n_frames_with_face=int((column(frames, "n_faces") > 0).sum()),
        n_faces=n_faces,
        n_untracked=n_untracked,
        n_pose_unknown=n_pose_unknown,
        n_people=len(tracks),
    )


COVERAGE_TIMELINE = pa.schema(
    [
        ("bin_start_s", pa.float64()),
        ("face", pa.float64()),
        ("small", pa.float64()),
        ("no_face", pa.float64()),
        ("missing", pa.float64()),
        ("outside", pa.float64()),
    ]
)
"""Seconds of each bin by state: analysed, with a face (`face`), with small faces only (`small`) or without a face
(`no_face`); without a frame that could be read (`missing`); before the requested start (`outside`)."""


def coverage_timeline(
    frames: pa.Table, faces: Faces, *, bin_seconds: float, failed: bool, ranged: bool
) -> pa.Table:
    """Divide the time of every bin by state; a table of `COVERAGE_TIMELINE`.

    A frame stands for the time until the next frame. In a hole (see `frame_time.frame_seconds`) it stands for one usual
    step, and the rest of the hole is `missing`.

    Args:
        frames: FRAMES of one video, in order.
        faces: FACES of it, `frame_index` and `face_px`, whole or in blocks.
        bin_seconds: length of a bin.
        failed: whether frames of this video could not be decoded.
        ranged: whether a start was requested; the time before the first frame is then `outside`, else `missing`.
    """
    time_s = column(frames, "time_s")
    # One frame alone stands for a bin: there is no step to learn from, and the bin must not look empty.
    ends: Float64Array = time_s + frame_seconds(time_s, alone=bin_seconds, failed=failed)
    # `time_s[-1:]` and not `time_s[-1]`, here and below: a video may have no frame at all.
    n_bins = int(bin_of(time_s[-1:], bin_seconds).max(initial=-1)) + 1
    edges: Float64Array = np.arange(n_bins + 1, dtype=np.float64) * bin_seconds
    state = _frame_states(frames, faces)
    columns = {
        name: _seconds_between(edges, time_s[state == k], ends[state == k])
        for k, name in enumerate(("face", "small", "no_face"))
    }
    before = _seconds_between(edges, np.zeros(len(time_s[:1])), time_s[:1])
    gaps = _seconds_between(edges, ends[:-1], time_s[1:])
    columns["missing"] = gaps if ranged else gaps + before
    columns["outside"] = before if ranged else np.zeros(len(before))
    return pa.table({"bin_start_s": edges[:-1], **columns}, schema=COVERAGE_TIMELINE)


def _frame_states(frames: pa.Table, faces: Faces) -> Int64Array:
    """State of every frame, int64 (N,): 0 with a face, 1 with small faces only, 2 without a face."""
    index, largest = column(frames, "frame_index").astype(np.int64), np.zeros(len(frames))
    for block in blocks(faces):
        # Not `largest[rows] = ...`, which keeps only one of several faces in a frame.
        np.maximum.at(largest, frame_rows(index, block), column(block, "face_px"))
    seen = column(frames, "n_faces") > 0
    return np.where(seen, np.where(largest >= SMALL_FACE_PX, 0, 1), 2).astype(np.int64)


def _seconds_between(edges: Float64Array, starts: Float64Array, ends: Float64Array) -> Float64Array:
    """Seconds between each two neighbouring edges that intervals cover.

    Args:
        edges: float64 (E,), ascending.
        starts: float64 (I,) of intervals that are in order and do not overlap.
        ends: float64 (I,) of the same intervals.

    Returns:
        float64 (E - 1,).
    """
    # Prefix sums: the seconds covered up to each edge are those of all intervals that start before it, less the part
    # of the last of them that is past the edge. One pass, however many intervals a bin has or bins an interval spans.
    filled = np.concatenate([[0.0], np.cumsum(ends - starts)])
    before = np.searchsorted(starts, edges)
    # The appended 0 is what `before - 1` = -1 reads at an edge that no interval starts before; it is then not used.
    over = np.append(ends, 0.0)[before - 1] - edges
    return np.asarray(np.diff(filled[before] - np.where(before > 0, np.maximum(over, 0.0), 0.0)))
