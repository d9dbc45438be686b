"""One file of a data set: written in row groups of one size, and read again in the order in which it was written."""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.exchange.dataset.tables import DATASET_VERSION, DatasetTable
from ferflow.plain_file import check_plain_file, local_path
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import METADATA_KEY
from ferflow.types import BoolArray

_PAGE_BYTES = 16 << 10
"""Engines that read the index of pages skip those without the minute that they look for: at 30 frames per second a
minute of a face is 1,800 rows, and this is 2,048 or 4,096."""


def write_file(
    path: Path, table: DatasetTable, schema: pa.Schema, rows: Iterable[pa.Table], *, out: Path, made_from: str
) -> None:
    """Write a file that gets its name when it is complete; a row group of it is in memory.

    Args:
        path: of the file, in the folder `out`.
        table: whose rows these are.
        schema: of the rows.
        rows: in order.
        out: the folder of the data set.
        made_from: digest of what the rows were made from, for `read_made_from`.

    Raises:
        RecordsError: it cannot be written.
    """
    about = {"dataset_version": DATASET_VERSION, "table": table.name, "made_from": made_from}
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with (
        atomic_write(path, out=out) as part,
        pq.ParquetWriter(
            local_path(part),
            schema.with_metadata({METADATA_KEY: json.dumps(about).encode()}),
            compression="zstd",
            use_dictionary=texts,
            data_page_size=_PAGE_BYTES,
            write_page_index=True,
            sorting_columns=pq.SortingColumn.from_ordering(
                schema, [(name, "ascending") for name in table.order]
            ),
        ) as writer,
    ):
        for group in _regroup(rows, table.row_group_rows):
            writer.write_table(group, row_group_size=len(group))


def _regroup(rows: Iterable[pa.Table], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of one size; the last may be shorter."""
    waiting: list[pa.Table] = []
    n = 0
    for block in rows:
        waiting.append(block)
        n += len(block)
        while n >= size:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, size)
            # A copy: a slice would keep all of the rows in memory.
            rest = joined.slice(size)
            waiting, n = [rest], len(rest)
    if n:
        yield pa.concat_tables(waiting)


def read_made_from(path: Path) -> str | None:
    """Digest of what a file was made from; None: there is no file that ferflow wrote."""
    try:
        check_plain_file(path)
        about = json.loads((pq.read_metadata(local_path(path)).metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError, RecursionError):
        return None
    made_from = about.get("made_from") if isinstance(about, dict) else None
    return made_from if isinstance(made_from, str) else None


def read_groups(path: Path) -> Iterator[pa.Table]:
    """The row groups of a file.

    Raises:
        OSError, pa.ArrowException: it cannot be read.
    """
    check_plain_file(path)
    with pq.ParquetFile(local_path(path)) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, use_threads=False)


_Part: TypeAlias = tuple[tuple[str, ...], pa.Table]
"""A key, and rows that follow each other and have it."""


class EarlierRows:
    """The rows of a file by key, to be asked in the order of the file: it is read once, a row group at a time.

    Has a state: the place in the file.
    """

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self._parts = _split(path, key)
        self._next: _Part | None = None
        self._is_begun = False

    def of(self, key: tuple[str, ...]) -> Iterator[pa.Table]:
        """Rows of a key; keys before it are skipped.

        Raises:
            OSError, pa.ArrowException: the file cannot be read.
        """
        if not self._is_begun:
            self._next, self._is_begun = next(self._parts, None), True
        while self._next is not None and self._next[0] <= key:
            if self._next[0] == key:
                yield self._next[1]
            self._next = next(self._parts, None)

    def close(self) -> None:
        """Close the file."""
        self._parts.close()


def _split(path: Path, key: Sequence[str]) -> Generator[_Part, None, None]:
    for rows in read_groups(path):
        starts = np.flatnonzero(_is_new(rows, key)).tolist()
        for start, end in itertools.pairwise([*starts, len(rows)]):
            yield tuple(rows.column(name)[start].as_py() for name in key), rows.slice(start, end - start)


def _is_new(rows: pa.Table, key: Sequence[str]) -> BoolArray:
    """Whether the key of each row differs from that of the row before, bool (N,)."""
    found = np.zeros(len(rows), dtype=np.bool_)
    found[:1] = True
    for name in key:
        codes = rows.column(name).combine_chunks().dictionary_encode().indices.to_numpy()
        found[1:] |= codes[1:] != codes[:-1]
    return found
