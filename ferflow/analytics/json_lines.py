"""JSONL files by column: an object per line, with the keys that a CSV has as names of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from ferflow.analytics.csv_input import check_unique, clean_cell, read_text
from ferflow.analytics.logged_columns import LoggedColumns, check_n_rows
from ferflow.errors import OptionsError
from ferflow.text import sanitize

MOST_KEYS = 1000
"""Different keys; more are not names of columns."""

_Record = dict[str, object]
_ROWS_AT_ONCE = 512
"""Objects that exist at once: with 65,536, Python's garbage collector took as long as all else."""


def read_json_columns(path: Path, *, most_bytes: int, most_rows: int) -> LoggedColumns:
    """Read a file with a JSON object per line. Empty lines are left out; null counts as not given.

    Raises:
        OptionsError: unreadable, too large, not UTF-8, a line that is no object, or too many keys; one line says which.
    """
    text, file = read_text(path, most_bytes), sanitize(path)
    check_n_rows(text, file, most_rows)
    columns, lines = dict[str, _Parts](), list[int]()
    records = _records(text, file)
    while some := list(islice(records, _ROWS_AT_ONCE)):
        _add_rows(columns, len(lines), [record for _, record in some])
        lines += [line for line, _ in some]
        if len(columns) > MOST_KEYS:
            raise OptionsError(
                f"{file}: more than {MOST_KEYS} different keys. Give name and value as keys instead."
            )
    names = {key: clean_cell(key) for key in columns}
    check_unique(file, [name.lower() for name in names.values()])
    cells = {names[key]: parts.join(len(lines)) for key, parts in columns.items() if names[key]}
    return LoggedColumns(file, cells, np.array(lines, dtype=np.int64))


@dataclass(slots=True)
class _Parts:
    """A column while the file is read."""

    arrays: list[pa.Array] = field(default_factory=list)
    n_rows: int = 0

    def add(self, array: pa.Array) -> None:
        self.arrays.append(array)
        self.n_rows += len(array)

    def fill_up(self, n_rows: int) -> None:
        """Add rows in which nothing is given."""
        if n_rows > self.n_rows:
            self.add(pa.nulls(n_rows - self.n_rows))

    def join(self, n_rows: int) -> pa.ChunkedArray:
        self.fill_up(n_rows)
        is_text = any(pa.types.is_string(array.type) for array in self.arrays)
        kind = pa.string() if is_text else pa.float64()
        return pa.chunked_array([pa.concat_arrays([array.cast(kind) for array in self.arrays])], kind)


def _add_rows(columns: dict[str, _Parts], n_before: int, records: Sequence[_Record]) -> None:
    for key in dict.fromkeys(chain.from_iterable(records)):
        parts = columns.setdefault(key, _Parts())
        parts.fill_up(n_before)
        parts.add(_array([record.get(key) for record in records]))


def _array(values: Sequence[object]) -> pa.Array:
    """Numbers as float64; where there is anything else, texts."""
    if {*map(type, values)} <= {int, float, type(None)}:
        try:
            return pa.array(values, pa.float64())
        except (pa.ArrowInvalid, OverflowError):  # an integer that is no float64
            pass
    return pa.array(map(_text, values), pa.string())


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _records(text: str, file: str) -> Iterator[tuple[int, _Record]]:
    decoder = msgspec.json.Decoder()
    # Not `splitlines`, which also splits at characters that JSON allows within texts.
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            record = decoder.decode(line)
        except (ValueError, RecursionError):
            record = _decode_leniently(line)
        if not isinstance(record, dict):
            raise OptionsError(
                f"{file}: line {number} is no JSON object. Write one per line, such as "
                '{"time_s": 12.5, "health": 80}.'
            )
        yield number, record


def _decode_leniently(line: str) -> object:
    """Python's own reader knows NaN and Infinity, which many programs write; None for what is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
