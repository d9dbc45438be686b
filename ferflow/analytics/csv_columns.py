"""Large CSV files by column, as programs write them; `csv_input` reads what people write.

>>> columns = read_csv_columns(Path("play.signals.csv"), most_bytes=2**28, most_rows=10**7)
>>> columns.names, columns.numbers("health").values
(('time_s', 'health'), array([100., 97.5]))
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from ferflow.analytics.csv_input import Dialect, check_unique, clean_cell, find_dialect, pad_cells, read_text
from ferflow.analytics.logged_columns import LoggedColumns, check_n_rows
from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.types import Int64Array

_ROWS_AT_ONCE = 65_536
_LONGEST_HEADER = 2**20


def read_csv_columns(path: Path, *, most_bytes: int, most_rows: int) -> LoggedColumns:
    """Read a CSV file with a header line; formats as of `csv_input`. Empty lines and unnamed columns are left out.

    Raises:
        OptionsError: unreadable, too large, not UTF-8, not CSV, two columns of one name, or a row with more cells than
            the header; one line says which.
    """
    text, file = read_text(path, most_bytes), sanitize(path)
    check_n_rows(text, file, most_rows)
    dialect = find_dialect(text)
    header = _read_header(text[:_LONGEST_HEADER], dialect, file)
    table = _read_fast(text, dialect, len(header))
    if table is not None:
        lines = np.arange(2, len(table) + 2) + dialect.n_before
    else:
        table, lines = _read_exactly(text, dialect, len(header), file)
    cells = {name: table.column(k) for k, name in enumerate(header) if name}
    return LoggedColumns(file, cells, lines, dialect.delimiter)


def _read_header(text: str, dialect: Dialect, file: str) -> list[str]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    try:
        cells = next(islice(reader, dialect.n_before, None), [])
    except csv.Error as error:
        raise _not_csv(file, 1, error) from error
    header = [clean_cell(cell) for cell in cells]
    check_unique(file, [name.lower() for name in header])
    return header


def _read_fast(text: str, dialect: Dialect, n_columns: int) -> pa.Table | None:
    """All cells as text, by Arrow, ten times as fast as the csv module; None unless each line is a row."""
    names = [str(k) for k in range(n_columns)]
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(text.encode()),
            read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1 + dialect.n_before),
            parse_options=arrow_csv.ParseOptions(delimiter=dialect.delimiter),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:  # such as a row of another length
        return None
    # Behind an unclosed quote, Arrow takes the rest of the file as one cell.
    n_lines = text.count("\n") + (not text.endswith("\n"))
    return table if len(table) == n_lines - 1 - dialect.n_before else None


def _read_exactly(text: str, dialect: Dialect, n_columns: int, file: str) -> tuple[pa.Table, Int64Array]:
    """All cells as text, and the line of each row.

    Raises:
        OptionsError: not CSV, or a row with more cells than the header.
    """
    names = [str(k) for k in range(n_columns)]
    parts, lines = [pa.schema([(name, pa.string()) for name in names]).empty_table()], list[int]()
    rows = _rows(text, dialect, n_columns, file)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        lines += [line for line, _ in some]
        columns = zip(*(cells for _, cells in some), strict=True)
        parts.append(pa.table([pa.array(column, pa.string()) for column in columns], names=names))
    return pa.concat_tables(parts), np.array(lines, dtype=np.int64)


def _rows(text: str, dialect: Dialect, n_columns: int, file: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    try:
        for cells in islice(reader, 1 + dialect.n_before, None):
            if any(cell.strip() for cell in cells):
                yield reader.line_num, pad_cells(f"{file}: line {reader.line_num}", n_columns, cells)
    except csv.Error as error:
        raise _not_csv(file, reader.line_num, error) from error


def _not_csv(file: str, line: int, error: csv.Error) -> OptionsError:
    return OptionsError(f"{file}: line {line} is not CSV ({error}). Save the file as comma-separated text.")
