"""CSV files: reading those that people write, and writing tables that spreadsheets open.

One reader serves lists of people, lists of sessions and markers: UTF-8 with or without a byte order mark; comma,
semicolon or tab as delimiter, whichever the header line has most of; names of columns in any case and order. Empty
lines are skipped.

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
from ferflow.store.atomic_files import atomic_write
from ferflow.text import sanitize

DELIMITERS = (",", ";", "\t")
"""Spreadsheets write semicolons in countries where the comma is the decimal sign."""

MOST_BYTES = 64 * 2**20
"""A list of a million rows; a larger file is no list that a person wrote, and must not fill the memory."""

# Cells that start with = + - @, a tab or a line break may be run as formulas (OWASP). So may what follows a semicolon,
# tab or line break within a cell, even within quotes: a spreadsheet that expects another delimiter splits it there.
_FORMULA_START = re.compile(r"^(?=[\t\r\n])|(^|[;\t\r\n])( *)(?=[=+\-@])")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a CSV."""

    line: int
    """Number of its last line in the file, from 1; the header is line 1."""
    values: dict[str, str]
    """By column name, in lower case; stripped, in Unicode's composed form (NFC)."""


def read_csv(path: Path, *, required: Sequence[str], most_bytes: int = MOST_BYTES) -> list[Row]:
    """Read the rows of a CSV file with a header line.

    Args:
        path: the file.
        required: columns that must be there, in lower case.
        most_bytes: size of the file at most.

    Raises:
        OptionsError: the file is unreadable, too large or not UTF-8; or as `parse_csv`.
    """
    return parse_csv(read_text(path, most_bytes), sanitize(path), required=required)


def parse_csv(text: str, name: str, *, required: Sequence[str]) -> list[Row]:
    """Parse the text of a CSV file with a header line.

    Args:
        text: contents of the file.
        name: of the file, for messages.
        required: columns that must be there, in lower case.

    Raises:
        OptionsError: a required column is missing, two columns have one name, or a row has more cells than the header.
    """
    if not text.strip():
        raise OptionsError(f"{name}: empty. {_naming(required)}.")
    delimiter = find_delimiter(text)
    # Not strict, the csv module would read everything after an unclosed quote as one cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [clean_cell(cell).lower() for cell in next(reader)]
        _check_header(name, header, required)
        return [
            Row(reader.line_num, _values(f"{name}: line {reader.line_num}", header, cells))
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise OptionsError(
            f"{name}: line {reader.line_num} is not CSV ({error}). Save the file as comma-separated text."
        ) from error


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        OptionsError: the file is unreadable, larger than `most_bytes`, or not UTF-8.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise OptionsError(
                f"{sanitize(path)}: larger than {most_bytes >> 20} MiB. Keep the rows that matter."
            )
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OptionsError(
            f"{sanitize(path)}: line {line} is not UTF-8 text. Save it as 'CSV UTF-8' in the spreadsheet."
        ) from error


def find_delimiter(text: str) -> str:
    """The delimiter that the header line has most of."""
    # From the header alone: cells of later rows may contain commas, and names of columns hardly do.
    return max(DELIMITERS, key=text.partition("\n")[0].count)


def clean_cell(cell: str) -> str:
    """A cell without spaces around it, in Unicode's composed form (NFC)."""
    # Composed: macOS decomposes the accents of file names, so that a copied name would equal no typed one.
    return unicodedata.normalize("NFC", cell.strip())


def check_unique(name: str, header: Sequence[str]) -> None:
    """Refuse two columns of one name; columns without a name do not count.

    Raises:
        OptionsError: naming the file and the column.
    """
    if doubled := sorted({column for column in header if column and header.count(column) > 1}):
        raise OptionsError(
            f"{name}: two columns are called {sanitize(doubled[0])!r}. Name the columns once each."
        )


def pad_cells(where: str, n_columns: int, cells: Sequence[str]) -> list[str]:
    """The cells of a row, as many as there are columns: spreadsheets leave out empty cells at the end of a row.

    Raises:
        OptionsError: there are more cells than columns, and not only empty ones.
    """
    if len(cells) > n_columns and any(cell.strip() for cell in cells[n_columns:]):
        raise OptionsError(
            f"{where} has {len(cells)} cells under {n_columns} columns. "
            'Put a text with a comma into quotes: "Lovelace, Ada".'
        )
    return [*cells[:n_columns], *[""] * (n_columns - len(cells))]


def count_rows(name: str, found: Sequence[str], one: str, several: str) -> list[str]:
    """A warning that counts rows without effect; empty if there are none.

    Args:
        name: of the file.
        found: what each of the rows is about.
        one: predicate of one row, such as "names no video".
        several: the same of several rows.
    """
    if not found:
        return []
    rows = f"1 row {one}" if len(found) == 1 else f"{len(found)} rows {several}"
    return [f"{name}: {rows} (first: {sanitize(found[0])})."]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table as CSV (UTF-8, comma); numbers unrounded, None and NaN as empty cells.

    An apostrophe is put before a text, or a part of one, that a spreadsheet would run as a formula (OWASP, "CSV
    Injection").
    """
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_cell(column) for column in columns])
        writer.writerows([[_cell(value) for value in row] for row in rows])
    return path


def _naming(required: Sequence[str]) -> str:
    return f"The first line must name the columns {', '.join(required)}"


def _check_header(name: str, header: list[str], required: Sequence[str]) -> None:
    if missing := [column for column in required if column not in header]:
        found = sanitize(", ".join(header)[:80]) or "nothing"
        raise OptionsError(f"{name}: no column {missing[0]!r}. {_naming(required)}; it has: {found}.")
    check_unique(name, header)


def _values(where: str, header: list[str], cells: list[str]) -> dict[str, str]:
    padded = pad_cells(where, len(header), cells)
    return {name: clean_cell(cell) for name, cell in zip(header, padded, strict=True) if name}


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        # The csv module writes floats with all their digits.
        return value
    # A file name may contain halves of surrogate pairs, which UTF-8 cannot encode.
    safe = value.encode("utf-8", "replace").decode("utf-8")
    return _FORMULA_START.sub(r"\1\2'", safe)
