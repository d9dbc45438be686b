"""How much of a video the numbers rest on, and what became of its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.frame_time import frame_seconds
from ferflow.analytics.tally import (
    Faces,
    blocks,
    column,
    frame_rows,
    ratio,
)
from ferflow.analytics.timeline import bin_of
from ferflow.store.records import UNTRACKED
from ferflow.types import Float64Array, Int64Array

SMALL_FACE_PX = 30.0
"""Below this side in pixels of the source, a face is a guess: the models see 48 px or more."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a video the numbers rest on."""

    n_frames: int
    n_frames_with_face: int
    n_faces: int
    n_untracked: int
    n_pose_unknown: int
    """Among all faces."""
    n_people: int

    @property
    def share(self) -> float:
        """Analysed frames with a face, of all analysed; NaN without any."""
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
        ("nobody", pa.float64()),
        ("missing", pa.float64()),
        ("outside", pa.float64()),
    ]
)
"""What became of the time of each bin, in seconds: analysed with a face, with none but small ones, with nobody;
without a frame that could be read; and outside of the range that was asked for."""


def coverage_timeline(
    frames: pa.Table, faces: Faces, *, bin_seconds: float, failed: bool, ranged: bool
) -> pa.Table:
    """What became of the time of every bin, a table of `STRIP`.

    A frame stands for the time until the next one; a longer gap is `missing` from one usual step on. It is a
    gap when it is longer than a second and than twice the usual step; where frames are known to have failed,
    when it is `HOLE_STEPS` usual steps or longer.

    Args:
        frames: FRAMES of one video, in order.
        faces: FACES of it, `frame_index` and `face_px`, whole or in blocks.
        bin_seconds: length of a bin.
        failed: whether frames of this video could not be decoded.
        ranged: whether a start was asked for; time before the first frame then lies outside.
    """
    time_s = column(frames, "time_s")
    # One frame alone stands for a bin: it has no step to learn from, and the bin must not look empty.
    ends: Float64Array = time_s + frame_seconds(time_s, alone=bin_seconds, failed=failed)
    n_bins = int(bin_of(time_s[-1:], bin_seconds).max(initial=-1)) + 1
    edges: Float64Array = np.arange(n_bins + 1, dtype=np.float64) * bin_seconds
    state = _frame_states(frames, faces)
    columns = {
        name: _seconds_between(edges, time_s[state == k], ends[state == k])
        for k, name in enumerate(("face", "small", "nobody"))
    }
    before = _seconds_between(edges, np.zeros(len(time_s[:1])), time_s[:1])
    gaps = _seconds_between(edges, ends[:-1], time_s[1:])
    columns["missing"] = gaps if ranged else gaps + before
    columns["outside"] = before if ranged else np.zeros(len(before))
    return pa.table({"bin_start_s": edges[:-1], **columns}, schema=COVERAGE_TIMELINE)


def _frame_states(frames: pa.Table, faces: Faces) -> Int64Array:
    """Of every frame, int64 (N,): 0 with a face, 1 with small ones only, 2 with none."""
    index, largest = column(frames, "frame_index").astype(np.int64), np.zeros(len(frames))
    for block in blocks(faces):
        np.maximum.at(largest, frame_rows(index, block), column(block, "face_px"))
    seen = column(frames, "n_faces") > 0
    return np.where(seen, np.where(largest >= SMALL_FACE_PX, 0, 1), 2).astype(np.int64)


def _seconds_between(edges: Float64Array, starts: Float64Array, ends: Float64Array) -> Float64Array:
    """How much of each stretch between two edges is filled by intervals in order that do not overlap."""
    filled = np.concatenate([[0.0], np.cumsum(ends - starts)])
    before = np.searchsorted(starts, edges)
    over = np.append(ends, 0.0)[before - 1] - edges
    return np.asarray(np.diff(filled[before] - np.where(before > 0, np.maximum(over, 0.0), 0.0)))
