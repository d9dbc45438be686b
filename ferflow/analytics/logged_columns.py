"""What a program logged, by column: hundreds of thousands of rows of a CSV or JSONL file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.decimal_sign import find_ambiguous
from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.types import Float64Array, Int64Array

LARGEST = 1e100
"""A larger number is no measurement, and sums of such numbers would leave the range of floats."""


_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""What Arrow and Python both read as a finite number."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a column, and where they stand."""

    rows: Int64Array
    """Ascending; those in which something is given."""
    values: Float64Array
    """As many; NaN where what is given is no number, or is infinite or beyond `LARGEST`."""


@dataclass(frozen=True, slots=True)
class LoggedColumns:
    """Contents of a file."""

    file: str
    """Its path, for messages."""
    cells: dict[str, pa.ChunkedArray]
    """Texts or numbers by name of column; null or empty where nothing is given."""
    lines: Int64Array
    """Line in the file at which each row ends, from 1."""
    delimiter: str | None = None
    """What separates the cells of a CSV file, in which a comma may be the decimal sign; None: another format."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, as the file has them, trimmed."""
        return tuple(self.cells)

    def texts(self, name: str) -> pa.ChunkedArray:
        """Texts of a column, trimmed; empty where nothing is given."""
        return pc.utf8_trim_whitespace(pc.fill_null(self.cells[name].cast(pa.string()), ""))

    def numbers(self, name: str) -> Numbers:
        """Numbers of a column."""
        cells = self.cells[name]
        if not pa.types.is_string(cells.type):
            rows = np.flatnonzero(np.asarray(cells.is_valid().to_numpy()))
            return Numbers(rows, _usable(cells.drop_null().cast(pa.float64()).to_numpy()))
        texts = self.texts(name)
        rows = find_given(texts)
        given = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
        values = parse_numbers(given, decimal_comma=self.delimiter is not None)
        if np.isfinite(values).any():  # else a column of texts
            self.check_decimal_signs(name, given, rows)
        return Numbers(rows, values)

    def check_decimal_signs(self, name: str, given: pa.ChunkedArray, rows: Int64Array) -> None:
        """Refuse numbers that can be read in two ways.

        Args:
            name: of the column.
            given: its texts that are not empty.
            rows: their rows.

        Raises:
            OptionsError: naming file, line and number.
        """
        if self.delimiter is None:
            return
        found = find_ambiguous(given, comma_separates=self.delimiter == ",")
        if found is not None:
            raise OptionsError(f"{self.where(int(rows[found.row]))}: {sanitize(name)}: {found.problem}")

    def where(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.file}, line {self.lines[row]}"


def find_given(texts: pa.ChunkedArray) -> Int64Array:
    """Rows of the texts that are not empty."""
    return np.flatnonzero(np.asarray(pc.not_equal(texts, "").to_numpy()))


def parse_numbers(texts: pa.ChunkedArray, *, decimal_comma: bool = False) -> Float64Array:
    """Numbers of texts, float64 (N,); NaN where a text is no number, or one that is infinite or beyond `LARGEST`.

    Args:
        texts: (N,), without spaces around them.
        decimal_comma: whether a comma is a decimal sign, as a point is; otherwise a text with a comma is no number.
    """
    plain = pc.replace_substring(texts, ",", ".") if decimal_comma else texts
    try:
        return _usable(plain.cast(pa.float64()).to_numpy())
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(plain, _NUMBER)
        numbers = pc.if_else(is_number, plain, pa.scalar(None, pa.string())).cast(pa.float64())
        return _usable(numbers.to_numpy())


def is_huge(text: str) -> bool:
    """Whether a text is a number that is infinite or beyond `LARGEST`."""
    try:
        return abs(float(text)) > LARGEST
    except ValueError:
        return False


def check_n_rows(text: str, file: str, most_rows: int) -> None:
    """Refuse a text of more lines than `most_rows`, before they take the memory.

    Raises:
        OptionsError: naming the file.
    """
    if text.count("\n") > most_rows:
        raise OptionsError(f"{file}: more than {most_rows:,} lines. Keep those that matter.")


def _usable(values: Float64Array) -> Float64Array:
    return np.where(np.abs(values) <= LARGEST, values, np.nan)
