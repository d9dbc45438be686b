"""Coverage: how much of a video the numbers are based on, and the state of each bin's time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.limits import NO_LIMITS, Limits, Stretch
from ferflow.analytics.readability import REASONS, read_codes
from ferflow.analytics.tally import Faces, blocks, column, read_ids
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of frames and faces of one video."""

    n_frames: int
    n_frames_with_face: int
    n_faces: int
    n_untracked: int
    n_pose_unknown: int
    """Of all faces, tracked or not."""


def coverage(frames: pa.Table, faces: Faces) -> Coverage:
    """Count frames and faces of one video."""
    n_faces, n_untracked, n_pose_unknown = 0, 0, 0
    for block in blocks(faces):
        ids = read_ids(block)
        n_faces += len(ids)
        n_untracked += int((ids == UNTRACKED).sum())
        n_pose_unknown += int(np.isnan(column(block, "yaw")).sum())
    return Coverage(
        n_frames=len(frames),
        n_frames_with_face=int((column(frames, "n_faces") > 0).sum()),
        n_faces=n_faces,
        n_untracked=n_untracked,
        n_pose_unknown=n_pose_unknown,
    )


STATES = ("readable", *REASONS, "uncounted", "no_face", "excluded", "missing", "outside")
"""States of a video's time: analysed, with a readable face of a person who counts; with none that is readable, by what
the largest of their faces is unreadable for; only with faces that do not count, such as people seen briefly and
pictures of faces; without a face; excluded by `corrections.csv`, or only with faces that it leaves out or that were
erased; without a frame that could be read; before the requested start, or outside of the part that counts."""

_STATES_OF_FRAMES = STATES[: STATES.index("excluded") + 1]

FindLeftOut: TypeAlias = Callable[[pa.Table], npt.NDArray[np.bool_]]

COVERAGE_TIMELINE = pa.schema([("bin_start_s", pa.float64()), *((state, pa.float64()) for state in STATES)])
"""Seconds of each bin by state."""


def coverage_timeline(
    times: FrameTimes,
    frames: pa.Table,
    faces: Faces,
    *,
    counted: Collection[int],
    bin_seconds: float,
    ranged: bool,
    limits: Limits = NO_LIMITS,
    find_left_out: FindLeftOut | None = None,
    erased: Sequence[Stretch] = (),
) -> pa.Table:
    """Divide the time of every bin by state; a table of `COVERAGE_TIMELINE`.

    Args:
        times: of the analysed frames.
        frames: FRAMES of one video, in order.
        faces: FACES of it, `frame_index`, `person_id` and `readability.READABILITY_COLUMNS`, whole or in blocks.
        counted: ids of the persons who count.
        bin_seconds: length of a bin.
        ranged: whether a start was requested; the time before the first frame is then `outside`, else `missing`.
        limits: the part that counts; what is excluded of it is `excluded`, and all other time `outside`.
        find_left_out: which faces of a block corrections leave out; None: there are none.
        erased: stretches whose only faces were erased on request.
    """
    starts, ends = times.time_s, times.time_s + times.seconds
    # At the end, not at the last frame: the time for which it stands may reach into further bins.
    n_bins = int(np.ceil(ends.max(initial=0.0) / bin_seconds - 1e-9))
    edges: Float64Array = np.arange(n_bins + 1, dtype=np.float64) * bin_seconds
    state = _frame_states(times, frames, faces, counted, find_left_out)
    without_face = state == _STATES_OF_FRAMES.index("no_face")
    state[without_face & _is_within(starts, erased)] = _STATES_OF_FRAMES.index("excluded")

    def seconds(first: Float64Array, last: Float64Array) -> Float64Array:
        _, low, high = limits.split(first, last)
        return _seconds_between(edges, low, high)

    columns = {
        name: seconds(starts[state == k], ends[state == k]) for k, name in enumerate(_STATES_OF_FRAMES)
    }
    before = seconds(np.zeros(len(starts[:1])), starts[:1])
    gaps = seconds(ends[:-1], np.maximum(ends[:-1], starts[1:]))
    columns["missing"] = gaps if ranged else gaps + before
    end_s = np.array([ends.max(initial=0.0)])
    excluded = np.array(limits.excluded, dtype=np.float64).reshape(-1, 2).T
    whole = Limits(limits.start_s, min(limits.end_s, float(end_s[0])))
    columns["excluded"] = columns["excluded"] + _seconds_between(edges, *whole.clip(*excluded))
    outside = _seconds_between(edges, np.zeros(1), np.minimum(limits.start_s, end_s))
    outside += _seconds_between(edges, np.minimum(limits.end_s, end_s), end_s)
    columns["outside"] = outside + before if ranged else outside
    return pa.table({"bin_start_s": edges[:-1], **columns}, schema=COVERAGE_TIMELINE)


def _is_within(time_s: Float64Array, stretches: Sequence[Stretch]) -> npt.NDArray[np.bool_]:
    """Whether each time lies in one of the stretches, which are in order and do not overlap."""
    bounds = np.array(stretches, dtype=np.float64).ravel()
    return np.asarray(np.searchsorted(bounds, time_s, side="right") % 2 == 1)


def _frame_states(
    times: FrameTimes,
    frames: pa.Table,
    faces: Faces,
    counted: Collection[int],
    find_left_out: FindLeftOut | None,
) -> Int64Array:
    """State of every frame, int64 (F,): place in `_STATES_OF_FRAMES`."""
    n_left_out = np.zeros(len(frames), dtype=np.int64)
    readable, reason = np.zeros(len(frames), dtype=np.bool_), np.zeros(len(frames), dtype=np.int64)
    largest = np.zeros(len(frames))
    persons = np.array(sorted(counted), dtype=np.int64)
    for block in blocks(faces):
        if find_left_out is not None:
            n_left_out += np.bincount(times.rows(block)[find_left_out(block)], minlength=len(frames))
        block = block.filter(pa.array(np.isin(read_ids(block), persons)))
        rows, codes, side = times.rows(block), read_codes(block), column(block, "face_px")
        # Not `readable[rows] = ...`, which keeps only one of several faces in a frame.
        np.logical_or.at(readable, rows, codes == 0)
        np.maximum.at(largest, rows, side)
        is_largest = side == largest[rows]
        reason[rows[is_largest]] = codes[is_largest]
    n_faces = column(frames, "n_faces")
    kinds = [n_faces == 0, n_left_out < n_faces]
    without = np.select(
        kinds,
        [_STATES_OF_FRAMES.index(name) for name in ("no_face", "uncounted")],
        len(_STATES_OF_FRAMES) - 1,
    )
    return np.where(readable, 0, np.where(largest > 0, np.maximum(reason, 1), without)).astype(np.int64)


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
