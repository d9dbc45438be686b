"""CSV files: reading those that people write, and writing tables that spreadsheets open.

One reader serves lists of people, lists of sessions and markers: UTF-8, or UTF-16 with a byte order mark; comma,
semicolon or tab as delimiter, whichever the header line has most of, or another one after a first line `sep=|`; names
of columns in any case and order. Empty lines are skipped.

>>> rows = read_csv(Path("people.csv"), required=("video_id", "track_id", "name"))
>>> rows[0].line, rows[0].values["name"]
(2, 'Ada')
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from ferflow.analytics.decimal_sign import find_ambiguous
from ferflow.errors import OptionsError
from ferflow.plain_file import TooLargeError, read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.text import sanitize

DELIMITERS = (",", ";", "\t")
"""Spreadsheets write semicolons in countries where the comma is the decimal sign."""

_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
"""Written for spreadsheets, which do not show it."""
_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none"})
_DIGITS = re.compile(r"[-+]?\d+", re.ASCII)

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


def read_csv(
    path: Path, *, required: Sequence[str], numbers: Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> list[Row]:
    """Read the rows of a CSV file with a header line.

    Args:
        path: the file.
        required: columns that must be there, in lower case.
        numbers: columns of numbers and times, whose decimal sign must be clear.
        most_bytes: size of the file at most.

    Raises:
        OptionsError: the file is unreadable, too large or not UTF-8; or as `parse_csv`.
    """
    try:
        stat = path.stat()
    except OSError:
        stamp = None
    else:
        stamp = stat.st_ino, stat.st_size, stat.st_mtime_ns
    return list(_read_csv_as_of(path, stamp, tuple(required), tuple(numbers), most_bytes))


# A list of sessions is asked about each video: parsing two thousand rows takes longer than drawing some pages.
@lru_cache(maxsize=4)
def _read_csv_as_of(
    path: Path,
    _stamp: tuple[int, ...] | None,
    required: Sequence[str],
    numbers: Sequence[str],
    most_bytes: int,
) -> tuple[Row, ...]:
    text = read_text(path, most_bytes)
    return tuple(parse_csv(text, sanitize(path), required=required, numbers=numbers))


def parse_csv(text: str, name: str, *, required: Sequence[str], numbers: Sequence[str] = ()) -> list[Row]:
    """Parse the text of a CSV file with a header line.

    Args:
        text: contents of the file.
        name: of the file, for messages.
        required: columns that must be there, in lower case.
        numbers: see `read_csv`.

    Raises:
        OptionsError: a required column is missing, two columns have one name, a row has more cells than the header, or
            a number can be read in two ways.
    """
    if not text.strip():
        raise OptionsError(f"{name}: empty. {_naming(required)}.")
    dialect = find_dialect(text)
    # Not strict, the csv module would read everything after an unclosed quote as one cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter, strict=True)
    try:
        for _ in range(dialect.n_before):
            next(reader)
        header = [clean_cell(cell).lower() for cell in next(reader, [])]
        _check_header(name, header, required)
        rows = [
            Row(reader.line_num, _values(f"{name}: line {reader.line_num}", header, cells, dialect.delimiter))
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise OptionsError(
            f"{name}: line {reader.line_num} is not CSV ({error}). Save the file as comma-separated text."
        ) from error
    _check_decimal_signs(name, rows, [one for one in numbers if one in header], dialect)
    return rows


def _check_decimal_signs(name: str, rows: Sequence[Row], columns: Sequence[str], dialect: Dialect) -> None:
    cells = [row.values[column] for row in rows for column in columns]
    found = find_ambiguous(pa.array(cells, pa.string()), comma_separates=dialect.delimiter == ",")
    if found is not None:
        row, column = divmod(found.row, len(columns))
        raise OptionsError(f"{name}: line {rows[row].line}: {columns[column]}: {found.problem}")


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        OptionsError: the file is unreadable, not a regular file, larger than `most_bytes`, or neither UTF-8 nor UTF-16.
    """
    try:
        content = read_plain_file(path, most_bytes)
        return decode_text(content)
    except TooLargeError as error:
        raise OptionsError(f"{sanitize(path)}: {error.strerror}. Keep the rows that matter.") from error
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OptionsError(
            f"{sanitize(path)}: line {line} is not UTF-8 text. Save it as 'CSV UTF-8' in the spreadsheet."
        ) from error


def decode_text(content: bytes) -> str:
    """A text without a byte order mark.

    Raises:
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16.
    """
    # UTF-16 is what spreadsheets call "Unicode text".
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str
    n_before: int = 0
    """Lines before the header."""


def find_dialect(text: str) -> Dialect:
    """How a file is written: the delimiter is what a first line `sep=;` says, else what the header line has most of."""
    first = text.partition("\n")[0]
    if stated := _SEPARATOR_LINE.fullmatch(first):
        return Dialect(stated[1], 1)
    # From the header alone: cells of later rows may contain commas, and names of columns hardly do.
    return Dialect(max(DELIMITERS, key=first.count))


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value: it is empty, or what R, pandas, BIDS or Excel write in its place."""
    return cell.casefold() in _MISSING


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


def has_decimal_comma(cells: Sequence[str]) -> bool:
    """Whether the cells of a row between commas may be halves of numbers with decimal commas."""
    return any(_DIGITS.fullmatch(a.strip()) and b.strip().isdigit() for a, b in pairwise(cells))


def pad_cells(where: str, n_columns: int, cells: Sequence[str]) -> list[str]:
    """The cells of a row, as many as there are columns: spreadsheets leave out empty cells at the end of a row.

    Raises:
        OptionsError: there are more cells than columns, and not only empty ones.
    """
    if len(cells) > n_columns and any(cell.strip() for cell in cells[n_columns:]):
        remedy = (
            "Numbers with decimal commas need semicolons between the columns, or quotes."
            if has_decimal_comma(cells)
            else 'Put a text with a comma into quotes: "Lovelace, Ada".'
        )
        raise OptionsError(f"{where} has {len(cells)} cells under {n_columns} columns. {remedy}")
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


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, out: Path | None
) -> Path:
    """Write a table as CSV (UTF-8, comma); numbers unrounded, None and NaN as empty cells.

    An apostrophe is put before a text, or a part of one, that a spreadsheet would run as a formula (OWASP, "CSV
    Injection").

    Args:
        path: the file.
        columns: their names.
        rows: of cells, as many as there are columns.
        out: the output folder that the file is in; None: the user has named it.

    Raises:
        RecordsError: it cannot be written.
    """
    with atomic_write(path, out=out) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_cell(column) for column in columns])
        writer.writerows([_cell(value) for value in row] for row in rows)
    return path


def _naming(required: Sequence[str]) -> str:
    return f"The first line must name the columns {', '.join(required)}"


def _check_header(name: str, header: list[str], required: Sequence[str]) -> None:
    if missing := [column for column in required if column not in header]:
        found = sanitize(", ".join(header)[:80]) or "nothing"
        raise OptionsError(f"{name}: no column {missing[0]!r}. {_naming(required)}; it has: {found}.")
    check_unique(name, header)


def _values(where: str, header: list[str], cells: list[str], delimiter: str) -> dict[str, str]:
    # With an empty cell at its end, such a row has a cell too many, of which `pad_cells` would think nothing.
    if delimiter == "," and len(cells) > len(header) and has_decimal_comma(cells):
        raise OptionsError(
            f"{where} has {len(cells)} cells under {len(header)} columns. Numbers with decimal commas need semicolons "
            "between the columns, or quotes."
        )
    padded = pad_cells(where, len(header), cells)
    return {name: clean_cell(cell) for name, cell in zip(header, padded, strict=True) if name}


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        # The csv module writes floats with all their digits.
        return value
    return escape_formula(value)


@lru_cache(maxsize=1024)  # columns of text repeat their values
def escape_formula(value: str) -> str:
    """A text that no spreadsheet runs: with an apostrophe before what it would run."""
    # A file name may contain halves of surrogate pairs, which UTF-8 cannot encode.
    safe = value.encode("utf-8", "replace").decode("utf-8")
    return _FORMULA_START.sub(r"\1\2'", safe)
