"""The assignment problem: pairs of rows and columns with the smallest sum of costs."""

from __future__ import annotations

import numpy as np

from ferflow.types import Float64Array, Int64Array


def assign(cost: Float64Array) -> list[tuple[int, int]]:
    """Pair rows and columns so that the sum of their costs is minimal, in order of the rows.

    Args:
        cost: float64 (R, C), finite; min(R, C) pairs are made.
    """
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(cost.T))
    # Where no two rows share their cheapest column, that pairing is the optimum.
    cheapest = cost.argmin(axis=1).tolist()
    if len(set(cheapest)) == rows:
        return list(enumerate(cheapest))
    return _hungarian(cost)


def _hungarian(cost: Float64Array) -> list[tuple[int, int]]:
    """Shortest augmenting paths with potentials, R <= C, O(R^2 C) (Kuhn, 1955; Jonker & Volgenant, 1987)."""
    rows, columns = cost.shape
    u, v = np.zeros(rows), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)
    """Row that a column is paired with; the last column stands for the row that is being added."""
    for row in range(rows):
        row_of[-1], column = row, columns
        distance, before = np.full(columns, np.inf), np.full(columns, columns)
        is_done = np.zeros(columns + 1, bool)
        while row_of[column] >= 0:
            is_done[column] = True
            open_columns = np.flatnonzero(~is_done[:-1])
            reduced = cost[row_of[column], open_columns] - u[row_of[column]] - v[open_columns]
            is_closer = reduced < distance[open_columns]
            distance[open_columns[is_closer]] = reduced[is_closer]
            before[open_columns[is_closer]] = column
            column = int(open_columns[distance[open_columns].argmin()])
            step = distance[column]
            u[row_of[is_done]] += step
            v[is_done] -= step
            distance[open_columns] -= step
        _flip(row_of, before, column)
    return sorted((int(row), column) for column, row in enumerate(row_of[:-1]) if row >= 0)


def _flip(row_of: Int64Array, before: Int64Array, column: int) -> None:
    """Pair each column of the path with the row of the column before it."""
    while column != len(before):
        row_of[column] = row_of[before[column]]
        column = int(before[column])
