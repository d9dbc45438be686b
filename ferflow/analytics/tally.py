"""Measures of single faces as columns, and sums of them that add up over parts of a video.

>>> import numpy as np
>>> cells = np.array([0, 0, 1])
>>> valence = np.array([0.5, 0.1, np.nan])
>>> parts = [tally({"valence": valence[rows]}, cells[rows], n_cells=2) for rows in ([0], [1, 2])]
>>> sum(parts, start=Tally()).mean("valence").round(2).tolist()
[0.3, nan]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.frame_time import frame_seconds
from ferflow.analytics.measures import NEUTRAL_LABEL, FaceValues, face_measures
from ferflow.errors import RecordsError
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array

BASELINE_QUANTILE = 0.25
"""The resting face is the lower quartile of 1 - p_neutral: a median would erase reactions during half of it."""
BASELINE_SECONDS = 10.0
"""A person in view for less than this has no baseline: too short a time to show a resting face."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums and counts by column, of one cell or of many; ratios are computed last.

    Tallies of parts of the data add up to the tally of all data: `sum(parts, start=Tally())`.
    """

    sums: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): sum of the known values."""
    counts: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): number of known values."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(_add(self.sums, other.sums), _add(self.counts, other.counts))

    def mean(self, column: str) -> Float64Array:
        """Sum divided by count, float64 (cells,); NaN where the count is 0.

        Raises:
            KeyError: an unknown column.
        """
        return ratio(self.sums[column], self.counts[column])

    @property
    def means(self) -> dict[str, Float64Array]:
        """Every column's mean."""
        return {column: self.mean(column) for column in self.sums}


def tally(columns: Mapping[str, Float64Array], cells: Int64Array, n_cells: int) -> Tally:
    """Sum columns by cell.

    Args:
        columns: by name, float64 (N,); NaN is unknown and does not count.
        cells: int64 (N,) in [0, n_cells): the cell of each row.
        n_cells: number of cells.
    """
    sums: dict[str, Float64Array] = {}
    counts: dict[str, Float64Array] = {}
    for name, values in columns.items():
        known = ~np.isnan(values)
        # bincount would make a cell NaN for one unknown value in it.
        counts[name] = np.bincount(cells[known], minlength=n_cells).astype(np.float64)
        sums[name] = np.bincount(cells[known], values[known], n_cells).astype(np.float64)
    return Tally(sums, counts)


def regroup(tallies: Sequence[Tally], cells: Int64Array, n_cells: int) -> Tally:
    """Add up the cells of several tallies by new cells.

    Args:
        tallies: with N cells in all; each has the columns of the first.
        cells: int64 (N,) in [0, n_cells): the new cell of each old one.
        n_cells: number of new cells.
    """

    def grouped(tables: Sequence[Mapping[str, Float64Array]]) -> dict[str, Float64Array]:
        return {
            name: np.bincount(cells, np.concatenate([table[name] for table in tables]), n_cells).astype(
                np.float64
            )
            for name in tables[0]
        }

    return Tally(grouped([part.sums for part in tallies]), grouped([part.counts for part in tallies]))


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Float64Array:
    """Numerator divided by denominator, float64; NaN where the denominator is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    unknown = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.asarray(np.divide(top, bottom, out=unknown, where=bottom > 0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class FaceScores:
    """Measures of N tracked faces of one video. Arrays of length N; NaN where unknown."""

    frame_row: Int64Array
    """Row of FRAMES of each face."""
    track_id: Int64Array
    seconds: Float64Array
    """Seconds that the face's frame stands for."""
    columns: dict[str, Float64Array]
    """Of every measure, by name; see `measures.face_measures`."""


Faces: TypeAlias = pa.Table | Iterable[pa.Table]
"""FACES of one video: one table, or blocks that can be iterated more than once, such as `records.Blocks`. Baselines
need a pass over all faces before the first one can be scored; in blocks, memory does not grow with the video."""


def blocks(faces: Faces) -> Iterable[pa.Table]:
    """The blocks of FACES; a table is one block."""
    return [faces] if isinstance(faces, pa.Table) else faces


@dataclass(frozen=True, slots=True)
class Scorer:
    """Computes the measures of faces, given what must be known of all of the video before any face can be scored."""

    frame_index: Int64Array
    """Of each analysed frame, ascending."""
    seconds: Float64Array
    """Seconds that each analysed frame stands for."""
    baselines: Mapping[int, float]
    """1 - p_neutral of the resting face, in [0, 1], by track."""
    labels: Sequence[str]

    @classmethod
    def of(cls, frames: pa.Table, faces: Faces, labels: Sequence[str]) -> Scorer:
        """Compute the baseline of each track.

        Args:
            frames: FRAMES of the video.
            faces: FACES of the video, in any order.
            labels: the model's labels; measures that need another label are unknown.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        frame_index = column(frames, "frame_index").astype(np.int64)
        seconds = frame_seconds(column(frames, "time_s"))
        rest = _RestingFaces()
        for block in blocks(faces):
            rest.add(_keep_tracked(block), frame_index, seconds, labels)
        return cls(frame_index, seconds, rest.baselines(), labels)

    def __call__(self, faces: pa.Table) -> FaceScores:
        """Compute the measures of the tracked faces of a block.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        faces = _keep_tracked(faces)
        track_id = column(faces, "track_id").astype(np.int64)
        rows = frame_rows(self.frame_index, faces)
        values = FaceValues(
            yaw=column(faces, "yaw"),
            pitch=column(faces, "pitch"),
            probabilities={label: column(faces, f"prob_{label}") for label in self.labels},
            baseline=self._baseline_of(track_id),
        )
        columns = {
            name: measure.compute(values)
            for name, measure in face_measures(self.labels).items()
            if measure.compute is not None
        }
        return FaceScores(rows, track_id, self.seconds[rows], columns)

    def _baseline_of(self, track_id: Int64Array) -> Float64Array:
        """Baseline of the person of each face, float64 (N,)."""
        # By distinct track: there are few tracks, but millions of faces.
        tracks, place = np.unique(track_id, return_inverse=True)
        return np.array([self.baselines[int(track)] for track in tracks], dtype=np.float64)[place]


def frame_rows(frame_index: Int64Array, faces: pa.Table) -> Int64Array:
    """Row of FRAMES of every face, int64 (N,).

    Args:
        frame_index: of FRAMES, int64 (F,), ascending.
        faces: FACES, or a block of it.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    wanted = column(faces, "frame_index").astype(np.int64)
    # Searched, not indexed: FRAMES lacks frames that were skipped or lost, and starts late with `--start`.
    rows = np.searchsorted(frame_index, wanted)
    if len(wanted) and (rows.max() >= len(frame_index) or (frame_index[rows] != wanted).any()):
        raise RecordsError(
            "the faces and frames of this video do not belong together. Analyse it again with --overwrite."
        )
    return rows.astype(np.int64)


def rows_by_value(values: Int64Array) -> dict[int, Int64Array]:
    """Rows of each distinct value, ascending, by value."""
    # One sort: a comparison of all rows with each value would take time with the number of tracks. Stable, so that the
    # rows of a value stay ascending.
    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    return {int(value): rows for value, rows in zip(distinct, np.split(order, starts[1:]), strict=False)}


def column(table: pa.Table, name: str) -> Float64Array:
    """A numeric column as float64 (N,), NaN for null."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _keep_tracked(faces: pa.Table) -> pa.Table:
    return faces.filter(pc.not_equal(faces.column("track_id"), UNTRACKED))


@dataclass(frozen=True, slots=True)
class _RestingFaces:
    """Collects scores of neutral and time in view by track. Four bytes a face: an hour of eight people at 30 frames a
    second takes 3.5 MB, which is why the quantile is exact and not estimated in a stream.
    """

    neutral: dict[int, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def add(
        self, faces: pa.Table, frame_index: Int64Array, seconds: Float64Array, labels: Sequence[str]
    ) -> None:
        here = seconds[frame_rows(frame_index, faces)]
        # Without neutral the baseline is of no use, but time in view is still summed.
        known = column(faces, f"prob_{NEUTRAL_LABEL}") if NEUTRAL_LABEL in labels else np.zeros(len(here))
        for track, rows in rows_by_value(column(faces, "track_id").astype(np.int64)).items():
            self.neutral.setdefault(track, []).append(known[rows].astype(np.float32))
            self.seconds[track] = self.seconds.get(track, 0.0) + float(here[rows].sum())

    def baselines(self) -> dict[int, float]:
        return {
            track: self._baseline(track) if seconds >= BASELINE_SECONDS else 0.0
            for track, seconds in self.seconds.items()
        }

    def _baseline(self, track: int) -> float:
        activity = 1.0 - np.concatenate(self.neutral[track]).astype(np.float64)
        return float(np.quantile(activity, BASELINE_QUANTILE))


def _add(a: Mapping[str, Float64Array], b: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    return {name: a.get(name, np.zeros(())) + b.get(name, np.zeros(())) for name in {**a, **b}}
