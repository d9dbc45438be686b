"""CSV files that people make: read as spreadsheets write them, and refused in words that help.

>>> rows = read_csv(Path("people.csv"), required=("video_id", "track_id", "name"))
>>> rows[0].line, rows[0].values["name"]
(2, 'Ada')
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import OptionsError
from ferflow.text import shown

DELIMITERS = (",", ";", "\t")
"""Comma; semicolon, as spreadsheets write it where the comma is in the numbers; tab."""

# Also after what a spreadsheet of another country takes for the end of a cell, whatever stands in quotes.
_FORMULA_START = re.compile(r"^(?=[\t\r\n])|(^|[;\t\r\n])( *)(?=[=+\-@])")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a CSV."""

    line: int
    """Where it ends in the file, from 1; the header is line 1."""
    values: dict[str, str]
    """By column name, in lower case; stripped, in Unicode's composed form (NFC)."""


def read_csv(path: Path, *, required: Sequence[str]) -> list[Row]:
    """Rows of a CSV with a header line; UTF-8 with or without a mark, comma, semicolon or tab apart.

    Empty lines are passed over; further columns are kept.

    Raises:
        OptionsError: unreadable, not UTF-8, without a column that is required, or a line of another length.
    """
    text = _text(path)
    if not text.strip():
        raise OptionsError(f"{path}: empty. Its first line must name the columns: {', '.join(required)}.")
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [_clean(cell).lower() for cell in next(reader)]
        _check_header(path, header, required)
        return [
            Row(reader.line_num, _values(path, reader.line_num, header, cells))
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise OptionsError(f"{path}: line {reader.line_num} is not CSV ({error}).") from error


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table as CSV (UTF-8, comma); numbers unrounded, None and NaN as empty cells.

    Where a spreadsheet would take a text, or the rest of one, for a formula, an apostrophe goes before that (OWASP,
    "CSV Injection").
    """
    from ferflow.store.atomic_files import whole_file

    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_cell(column) for column in columns])
        writer.writerows([[_cell(value) for value in row] for row in rows])
    return path


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OptionsError(
            f"{path}: line {line} is not UTF-8 text. Save it as 'CSV UTF-8' in the spreadsheet."
        ) from error


def _check_header(path: Path, header: list[str], required: Sequence[str]) -> None:
    if missing := [name for name in required if name not in header]:
        found = ", ".join(shown(name) for name in header if name) or "none"
        raise OptionsError(f"{path}: no column {missing[0]!r} (found: {found}). Name it in the first line.")
    if doubled := sorted({name for name in header if name and header.count(name) > 1}):
        raise OptionsError(f"{path}: two columns are called {shown(doubled[0])!r}. Rename one of them.")


def _values(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
        raise OptionsError(
            f"{path}: line {line} has {len(cells)} cells under {len(header)} columns. "
            'Put a text with a comma into quotes: "Lovelace, Ada".'
        )
    cleaned = [_clean(cell) for cell in cells] + [""] * (len(header) - len(cells))
    return {name: cell for name, cell in zip(header, cleaned, strict=False) if name}


def _clean(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.strip())


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return repr(value)
    if not isinstance(value, str):
        return value
    # Outside UTF-8 lie only halves of surrogate pairs, which a file name may hold.
    safe = value.encode("utf-8", "replace").decode("utf-8")
    return _FORMULA_START.sub(r"\1\2'", safe)
