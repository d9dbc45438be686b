"""Sums of measures that are weighted by time and add up over parts of a video.

>>> import numpy as np
>>> cells, seconds = np.array([0, 0, 1]), np.array([0.1, 0.3, 0.1])
>>> valence = np.array([0.5, 0.1, np.nan])
>>> parts = [tally({"valence": valence[r]}, cells[r], 2, seconds[r]) for r in ([0], [1, 2])]
>>> sum(parts, start=Tally()).mean("valence").round(2).tolist()
[0.2, nan]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Tally:
    """Weighted sums by column, of one cell or of many; ratios are computed last.

    Tallies of parts of the data add up to the tally of all data: `sum(parts, start=Tally())`.
    """

    sums: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): sum of weight times value over the known values."""
    weights: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): sum of the weights of the known values."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(_add(self.sums, other.sums), _add(self.weights, other.weights))

    def mean(self, column: str) -> Float64Array:
        """Sum divided by weight, float64 (cells,); NaN where the weight is 0.

        Raises:
            KeyError: an unknown column.
        """
        return ratio(self.sums[column], self.weights[column])

    @property
    def means(self) -> dict[str, Float64Array]:
        """Every column's mean."""
        return {column: self.mean(column) for column in self.sums}


def tally(
    columns: Mapping[str, Float64Array], cells: Int64Array, n_cells: int, weights: Float64Array | None = None
) -> Tally:
    """Sum columns by cell.

    Args:
        columns: by name, float64 (N,); NaN is unknown and does not count.
        cells: int64 (N,) in [0, n_cells): the cell of each row.
        n_cells: number of cells.
        weights: of the rows, float64 (N,), such as seconds; None: 1 each.
    """
    weights = np.ones(len(cells)) if weights is None else weights
    sums: dict[str, Float64Array] = {}
    totals: dict[str, Float64Array] = {}
    for name, values in columns.items():
        known = ~np.isnan(values)
        # bincount would make a cell NaN for one unknown value in it.
        totals[name] = np.bincount(cells[known], weights[known], n_cells).astype(np.float64)
        sums[name] = np.bincount(cells[known], (values * weights)[known], n_cells).astype(np.float64)
    return Tally(sums, totals)


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

    return Tally(grouped([part.sums for part in tallies]), grouped([part.weights for part in tallies]))


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Float64Array:
    """Numerator divided by denominator, float64; NaN where the denominator is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    unknown = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.asarray(np.divide(top, bottom, out=unknown, where=bottom > 0), dtype=np.float64)


Faces: TypeAlias = pa.Table | Iterable[pa.Table]
"""FACES of one video: one table, or blocks that can be iterated more than once, such as `records.Blocks`. In blocks,
memory does not grow with the video."""


def blocks(faces: Faces) -> Iterable[pa.Table]:
    """The blocks of FACES; a table is one block."""
    return [faces] if isinstance(faces, pa.Table) else faces


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


def read_ids(faces: pa.Table, name: str = "person_id") -> Int64Array:
    """The person or track of each face, int64 (N,); `UNTRACKED` for a face of none."""
    return np.asarray(pc.fill_null(faces.column(name), UNTRACKED).to_numpy(), dtype=np.int64)


def _add(a: Mapping[str, Float64Array], b: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    return {name: a.get(name, np.zeros(())) + b.get(name, np.zeros(())) for name in {**a, **b}}
