"""Rows of the session list, from CSV, JSON Lines or Parquet.

>>> read_rows(Path("sessions.parquet"), required=("video",))[0].values["group"]
'control'
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.analytics.csv_input import MOST_BYTES, Row, check_unique, clean_cell, read_csv, read_text
from ferflow.errors import OptionsError
from ferflow.plain_file import check_plain_file, local_path
from ferflow.text import sanitize

JSON_SUFFIXES = frozenset({".jsonl", ".ndjson"})
PARQUET_SUFFIXES = frozenset({".parquet"})

_MOST_CELLS = 20_000_000
"""Limit for Parquet files, whose compressed size says little: a million rows of twenty columns."""


def read_rows(path: Path, *, required: Sequence[str], numbers: Sequence[str] = ()) -> list[Row]:
    """Read the rows of a list. Its suffix decides the format; every suffix that is not named below means CSV.

    JSON Lines (`.jsonl`, `.ndjson`): an object per line, whose values are texts, numbers, true, false or null.
    Parquet (`.parquet`): columns of such values, or of dates and times. Names of columns and values are cleaned as
    those of a CSV; null is an empty cell.

    Args:
        path: the list.
        required: columns that must be there, in lower case.
        numbers: columns of numbers and times, whose decimal sign must be clear where text can have two.

    Returns:
        Rows; `line` is the line of the file, or the number of the row in a Parquet file, from 1.

    Raises:
        OptionsError: unreadable, too large, not of its kind, or without a required column.
    """
    suffix = path.suffix.lower()
    if suffix not in JSON_SUFFIXES | PARQUET_SUFFIXES:
        return read_csv(path, required=required, numbers=numbers)
    try:
        status = path.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError:  # reading it says why
        stamp = None
    return list(_read_as_of(path, stamp, tuple(required)))


@lru_cache(maxsize=4)  # a list is asked about each video
def _read_as_of(path: Path, _stamp: tuple[int, ...] | None, required: Sequence[str]) -> tuple[Row, ...]:
    name = sanitize(path)
    read = _read_json_lines if path.suffix.lower() in JSON_SUFFIXES else _read_parquet
    found = read(path, name)
    header = list(dict.fromkeys(column for _, values in found for column in values))
    if missing := [column for column in required if column not in header]:
        known = sanitize(", ".join(header)[:80]) or "nothing"
        raise OptionsError(f"{name}: no column {missing[0]!r}; it has: {known}.")
    return tuple(Row(line, {column: values.get(column, "") for column in header}) for line, values in found)


def _read_json_lines(path: Path, name: str) -> list[tuple[int, dict[str, str]]]:
    found = []
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            found.append((line, _parse_object(text, f"{name}: line {line}")))
    return found


def _parse_object(text: str, where: str) -> dict[str, str]:
    """The values of one object.

    Raises:
        OptionsError: not an object, or a value is a list or an object.
    """
    try:
        # Numbers stay as they are written: 0.10 would become 0.1, and 1e400 infinite.
        pairs = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise OptionsError(f"{where} is not JSON ({reason}). Write an object per line.") from error
    if not text.lstrip().startswith("{"):
        raise OptionsError(f"{where} is not a JSON object. Write an object per line.")
    names = [clean_cell(name).lower() for name, _ in pairs]
    check_unique(where, names)
    values: dict[str, str] = {}
    for name, (_, value) in zip(names, pairs, strict=True):
        if isinstance(value, list):
            raise OptionsError(
                f"{where}: {sanitize(name)} is a list or an object. Give a text, a number or null."
            )
        values[name] = _to_cell(value)
    return values


def _to_cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else clean_cell(str(value))


def _read_parquet(path: Path, name: str) -> list[tuple[int, dict[str, str]]]:
    try:
        check_plain_file(path, MOST_BYTES)
        with pq.ParquetFile(local_path(path)) as file:
            if file.metadata.num_rows * file.metadata.num_columns > _MOST_CELLS:
                raise OptionsError(f"{name}: more than {_MOST_CELLS:,} cells. Keep the rows that matter.")
            table = file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        reason = sanitize(str(getattr(error, "strerror", None) or error).partition("\n")[0])[:120]
        raise OptionsError(f"{name}: cannot be read as Parquet ({reason}). Check the file.") from error
    names = [clean_cell(column).lower() for column in table.column_names]
    check_unique(name, names)
    columns = {
        column: _to_texts(table.column(number), f"{name}: column {sanitize(column)}")
        for number, column in enumerate(names)
        if column
    }
    return [(row + 1, _row_of(columns, row)) for row in range(len(table))]


def _row_of(columns: Mapping[str, Sequence[str | None]], row: int) -> dict[str, str]:
    return {name: _to_cell(cells[row]) for name, cells in columns.items()}


def _to_texts(column: pa.ChunkedArray, where: str) -> list[str | None]:
    """The values of a column as text; null stays."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise OptionsError(f"{where} holds {kind}. Store texts or numbers.")
    try:
        texts: list[str | None] = column.cast(kind).cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise OptionsError(f"{where}: its values ({kind}) are neither text nor numbers.") from error
    return texts
