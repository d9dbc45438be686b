"""From faces to a timeline: a row per time bin for every person, and one for the audience.

    table = timeline(frames, faces, video_id="talk", bin_seconds=1.0, labels=labels, participants=None)

A person's bin is the mean over that person's faces; the audience's bin is the mean over its people, so that people with
more frames do not count more. All numbers are defined in `docs/numbers.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from ferflow.analytics.measures import MEASURES, NEUTRAL_LABEL, face_measures, timeline_measures
from ferflow.analytics.tally import (
    Faces,
    FaceScores,
    Scorer,
    Tally,
    blocks,
    column,
    frame_rows,
    ratio,
    regroup,
    tally,
)
from ferflow.errors import RecordsError
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import Blocks, read_table, write_table
from ferflow.store.run_manifest import RunManifest
from ferflow.store.video_files import VideoFiles
from ferflow.system.memory import release_memory
from ferflow.types import Float64Array, Int64Array

MOST_BINS = 1_000_000
"""Eleven days of seconds. A single broken timestamp could otherwise require more bins than fit into memory."""

_FILE_COLUMNS = ["frame_index", "track_id", "yaw", "pitch"]
"""Columns of FACES that measures are computed from, besides the probabilities."""

# 0.3 / 0.1 is 2.9999999999999996 in floating point, but a frame at 0.3 s belongs to the bin that starts there.
_BIN_TOLERANCE = 1e-9


def timeline_schema(labels: Sequence[str]) -> pa.Schema:
    """Columns of TIMELINE: a row per bin and person, and one per bin for the audience (person_id null).

    Counts stay exact as integers; measures are float32, which is as exact as the probabilities that they are made of.
    """
    return pa.schema(
        [
            ("video_id", pa.string()),
            ("bin_start_s", pa.float64()),
            ("bin_end_s", pa.float64()),
            ("person_id", pa.int32()),
            ("n_frames", pa.int32()),
            ("n_faces", pa.int32()),
            *((name, pa.float32()) for name in timeline_measures(labels)),
            ("n_people", pa.int16()),
        ]
    )


def timeline(
    frames: pa.Table,
    faces: Faces,
    *,
    video_id: str,
    bin_seconds: float,
    labels: Sequence[str],
    participants: int | None = None,
) -> pa.Table:
    """Aggregate the faces of one video to time bins.

    Bin k spans [k, k + 1) x `bin_seconds`, from 0 to the last analysed frame. Each bin has an audience row, also
    without frames. A person has a row in each bin with a face of that person; a sole participant (`participants` 1) has
    one in each bin with frames, and frames without the face then count with `Measure.when_away`.

    Args:
        frames: FRAMES of the video, in order.
        faces: FACES of the video, whole or in blocks; untracked faces count in the audience's `n_faces` only.
        video_id: written into every row.
        bin_seconds: length of a bin.
        labels: the model's labels, in its order.
        participants: known number of people, if any.

    Returns:
        A table of `timeline_schema(labels)`, by bin; within a bin the audience first, then people by id.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    bins = bin_of(column(frames, "time_s"), bin_seconds)
    n_frames = np.bincount(bins)
    scorer = Scorer.of(frames, faces, labels)
    n_faces = np.zeros(len(n_frames), dtype=np.int64)
    parts = [_BinSums.none(labels)]
    for block in blocks(faces):
        parts.append(_BinSums.of(scorer(block), bins))
        n_faces += np.bincount(bins[frame_rows(scorer.frame_index, block)], minlength=len(n_frames))
    people = _person_rows(_BinSums.joined(parts), n_frames, sole=participants == 1)
    rows = [_audience_rows(people, frames, bins, n_frames), people]
    return _table(rows, n_faces, video_id, bin_seconds, labels)


def audience(table: pa.Table) -> pa.Table:
    """The audience rows of a timeline, one per bin."""
    return table.filter(pc.is_null(table.column("person_id")))


def probability_columns(table: pa.Table) -> list[str]:
    """`prob_<label>` columns, in the model's order."""
    return [name for name in table.column_names if name.startswith("prob_")]


def leading_label(means: dict[str, float], *, neutral: bool = False) -> str | None:
    """Label with the highest mean probability; None if no probability is known.

    Args:
        means: by column name `prob_<label>`.
        neutral: whether neutral may lead.
    """
    named = {name.removeprefix("prob_"): value for name, value in means.items() if np.isfinite(value)}
    if not neutral:
        named.pop(NEUTRAL_LABEL, None)
    return max(named, key=lambda label: named[label]) if named else None


def bin_length(table: pa.Table) -> float:
    """Length of the bins of a TIMELINE in seconds; NaN for an empty one."""
    if not len(table):
        return float("nan")
    return float(table.column("bin_end_s")[0].as_py()) - float(table.column("bin_start_s")[0].as_py())


def bin_of(time_s: Float64Array, bin_seconds: float) -> Int64Array:
    """Index of the bin of each time, int64 (N,)."""
    return np.floor(time_s / bin_seconds + _BIN_TOLERANCE).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _BinSums:
    """Sums of measures by bin and person. Arrays of length C, in order of bin, then of person."""

    bin: Int64Array
    track_id: Int64Array
    n_faces: Int64Array
    total: Tally

    @classmethod
    def none(cls, labels: Sequence[str]) -> _BinSums:
        """Sums without any face, with every column."""
        nothing = np.zeros(0, dtype=np.int64)
        total = tally({name: np.zeros(0) for name in face_measures(labels)}, nothing, 0)
        return cls(nothing, nothing, nothing, total)

    @classmethod
    def of(cls, scores: FaceScores, bins: Int64Array) -> _BinSums:
        """Sum up the faces of a block. `bins`, int64 (frames,), is the bin of each row of FRAMES."""
        bin_, track_id, cell = _distinct(bins[scores.frame_row], scores.track_id)
        total = tally(scores.columns, cell, len(bin_))
        return cls(bin_, track_id, np.bincount(cell, minlength=len(bin_)), total)

    @classmethod
    def joined(cls, parts: Sequence[_BinSums]) -> _BinSums:
        """Add up the sums of all blocks; a bin may be in two of them."""
        bin_, track_id, cell = _distinct(*(np.concatenate([getattr(part, name) for part in parts])
                                           for name in ("bin", "track_id")))  # fmt: skip
        n_faces = np.bincount(cell, np.concatenate([part.n_faces for part in parts]), len(bin_))
        total = regroup([part.total for part in parts], cell, len(bin_))
        return cls(bin_, track_id, n_faces.astype(np.int64), total)

    def with_empty(self, bins: Int64Array, track_id: int) -> _BinSums:
        """With a cell for this person in each of these bins, also where there is no face."""
        n = len(bins)
        nothing = np.zeros(n, dtype=np.int64)
        empty = Tally(*({name: np.zeros(n) for name in self.total.sums} for _ in range(2)))
        return _BinSums.joined([self, _BinSums(bins, nothing + track_id, nothing, empty)])


def _distinct(bins: Int64Array, track_id: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Bin and track of the distinct pairs, in order, and for each row the index of its pair."""
    # One integer for a pair: np.unique sorts integers much faster than rows of two.
    most = int(track_id.max(initial=0)) + 1
    pairs, cell = np.unique(bins * most + track_id, return_inverse=True)
    return pairs // most, pairs % most, cell.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _TimelineRows:
    """Rows of the future timeline. Arrays of length R."""

    bin: Int64Array
    track_id: Int64Array
    """0 for the audience: `UNTRACKED` is -1, people start at 1."""
    n_frames: Int64Array
    n_faces: Int64Array
    n_people: Int64Array
    columns: dict[str, Float64Array]


def _person_rows(cells: _BinSums, n_frames: Int64Array, *, sole: bool) -> _TimelineRows:
    if sole:
        # Without any face no id was given; the first id is 1.
        sole_id = int(cells.track_id.min()) if len(cells.bin) else 1
        cells = cells.with_empty(np.flatnonzero(n_frames), sole_id)
    n_bin_frames = n_frames[cells.bin]
    total = cells.total
    if sole:
        n_away = np.where(cells.track_id == sole_id, n_bin_frames - cells.n_faces, 0)
        total += _absences(total, n_away.astype(np.float64))
    columns = total.means
    for name in (measure.name for measure in MEASURES.values() if measure.majority):
        columns[name] = _half_or_more(columns[name])
    columns["presence"] = ratio(cells.n_faces, n_bin_frames)
    seen = (cells.n_faces > 0).astype(np.int64)
    return _TimelineRows(cells.bin, cells.track_id, n_bin_frames, cells.n_faces, seen, columns)


def _absences(total: Tally, n_away: Float64Array) -> Tally:
    """What frames without the sole participant add: the value that a measure has then, if it has one.

    A measure that is known of no face of the video adds nothing: without any pose, being away must not be the only
    thing known about attention.
    """
    values = {
        name: measure.when_away
        for name, measure in MEASURES.items()
        if measure.when_away is not None and total.counts[name].any()
    }
    return Tally({name: value * n_away for name, value in values.items()}, dict.fromkeys(values, n_away))


def _half_or_more(share: Float64Array) -> Float64Array:
    """1 where the share is at least a half, which is the upper median of zeros and ones; else 0, NaN where unknown."""
    return np.where(np.isnan(share), np.nan, share >= 0.5)


def _audience_rows(
    people: _TimelineRows, frames: pa.Table, bins: Int64Array, n_frames: Int64Array
) -> _TimelineRows:
    n_bins = len(n_frames)
    columns = tally(people.columns, people.bin, n_bins).means
    with_face = column(frames, "n_faces") > 0
    columns["presence"] = ratio(np.bincount(bins[with_face], minlength=n_bins), n_frames)
    n_people = np.bincount(people.bin, weights=people.n_people, minlength=n_bins).astype(np.int64)
    zeros = np.zeros(n_bins, dtype=np.int64)
    # `n_faces` counts untracked faces, too, which no person row has: `_table` gets it separately.
    return _TimelineRows(np.arange(n_bins), zeros, n_frames, zeros, n_people, columns)


def _table(
    rows: Sequence[_TimelineRows],
    audience_faces: Int64Array,
    video_id: str,
    bin_seconds: float,
    labels: Sequence[str],
) -> pa.Table:
    audience, people = rows
    bins = np.concatenate([audience.bin, people.bin])
    tracks = np.concatenate([audience.track_id, people.track_id])
    order = np.lexsort([tracks, bins])
    schema = timeline_schema(labels)
    n_faces = np.concatenate([audience_faces, people.n_faces])
    # Bounds are rounded, so that bin 3 of 0.1 s starts at 0.3 and not at 0.30000000000000004.
    values: dict[str, object] = {
        "video_id": np.repeat(video_id, len(order)),
        "bin_start_s": np.round(bins * bin_seconds, 9)[order],
        "bin_end_s": np.round((bins + 1) * bin_seconds, 9)[order],
        "n_frames": np.concatenate([audience.n_frames, people.n_frames])[order],
        "n_faces": n_faces[order],
        "n_people": np.concatenate([audience.n_people, people.n_people])[order],
    }
    for name in timeline_measures(labels):
        values[name] = np.concatenate([audience.columns[name], people.columns[name]])[order]
    # from_pandas turns NaN into null: in the tables, unknown is null.
    arrays = [
        pa.array(values[name], from_pandas=True).cast(schema.field(name).type)
        for name in schema.names
        if name != "person_id"
    ]
    ids = pa.array(tracks[order], mask=tracks[order] == 0, type=pa.int32())
    arrays.insert(schema.names.index("person_id"), ids)
    return pa.Table.from_arrays(arrays, schema=schema)


# --- The timeline of a finished video, on disk -----------------------------------------------------------


def write_timeline(paths: VideoFiles, options: AnalyzeOptions) -> None:
    """Write the timeline of a finished video from its records.

    Raises:
        RecordsError: the records cannot be read, or make more bins than a timeline can have.
    """
    metadata = read_metadata(paths.faces)
    if (n_bins := metadata.duration_s / options.bin_seconds) > MOST_BINS:
        raise RecordsError(
            f"{paths.video_id}: {n_bins:.0f} bins of {options.bin_seconds:g} s are more than {MOST_BINS}. "
            "Give a longer --bin; if the video is not that long, its timestamps are broken."
        )
    # Before, what the analysis left fragmented; after, what this function read: the page is made next.
    release_memory()
    table = timeline(
        read_table(paths.frames, ["frame_index", "time_s", "n_faces"]),
        Blocks(paths.faces, [*_FILE_COLUMNS, *(f"prob_{label}" for label in metadata.labels)]),
        video_id=paths.video_id,
        bin_seconds=options.bin_seconds,
        labels=metadata.labels,
        participants=metadata.options.participants,
    )
    write_table(paths.timeline, table, replace(metadata, bin_seconds=options.bin_seconds))
    release_memory()


def needs_timeline(paths: VideoFiles, options: AnalyzeOptions) -> bool:
    """Whether a finished video lacks its timeline, or has one with other bins or without one of the measures."""
    try:
        bin_seconds = read_metadata(paths.timeline).bin_seconds
    except RecordsError:
        return True
    return bin_seconds != options.bin_seconds or _lacks_columns(paths.timeline)


def has_complete_timeline(paths: VideoFiles) -> bool:
    """Whether a finished video has its timeline, with all measures."""
    return paths.timeline.exists() and not _lacks_columns(paths.timeline)


def complete_timeline(paths: VideoFiles) -> None:
    """Write a finished video's timeline if it is missing or lacks a column.

    Its bins are those it had; a missing timeline gets those of the last run, since a folder has bins of one length.

    Raises:
        RecordsError: the records cannot be read, or make more bins than a timeline can have.
    """
    if not paths.timeline.exists():
        manifest = RunManifest.load(OutputFolder(paths.out).manifest)
        last = manifest.options if manifest else read_metadata(paths.faces).options
        bin_seconds: float | None = last.bin_seconds
    elif _lacks_columns(paths.timeline):
        bin_seconds = read_metadata(paths.timeline).bin_seconds
    else:
        return
    write_timeline(paths, AnalyzeOptions().updated(bin_seconds=bin_seconds))


def _lacks_columns(path: Path) -> bool:
    """Whether a timeline was written by an earlier schema, or before a measure was added.

    False for a file that is not a table, which readers refuse.
    """
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return False
    return not {"person_id", *timeline_measures(())} <= set(names)
