r"""A user's CSV whose rows can be changed one by one; everything else in it stays byte for byte.

Comments, columns that ferflow does not know, the delimiter, the encoding and the ends of lines are the user's.

>>> text = EditableCsv.parse(b"a;b\n1;2\n# mine\n").append({"b": "x; y"}).encode()
>>> text
b'a;b\n1;2\n# mine\n;"x; y"\n'
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ferflow.analytics.csv_input import Row, clean_cell, escape_formula, find_dialect, parse_csv
from ferflow.errors import OptionsError


@dataclass(frozen=True, slots=True)
class EditableCsv:
    """A file as its records, each with its text and the end of its last line."""

    records: tuple[str, ...]
    """Those before the header, the header, and all others, empty lines too."""
    delimiter: str
    n_before: int
    """Records before the header."""
    encoding: str = "utf-8"

    @classmethod
    def parse(cls, content: bytes, columns: Sequence[str] = ()) -> Self:
        """Take a file apart.

        Args:
            content: of the file; it must be one that `csv_input.read_csv` reads.
            columns: of the header that an empty file gets.

        Raises:
            OptionsError: it is not text, or not CSV.
        """
        try:
            encoding = _find_encoding(content)
            text = content.decode(encoding)
            if not text.strip():
                return cls((f"{','.join(columns)}\n",), ",", 0, encoding)
            dialect = find_dialect(text)
            return cls(tuple(_split(text, dialect.delimiter)), dialect.delimiter, dialect.n_before, encoding)
        except (UnicodeDecodeError, csv.Error) as error:
            raise OptionsError(f"the list is not CSV ({error}). Correct it in an editor.") from error

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.records)

    def encode(self) -> bytes:
        """The file's content."""
        return self.text.encode(self.encoding)

    def rows(self, name: str, required: Sequence[str], numbers: Sequence[str]) -> list[Row]:
        """See `csv_input.parse_csv`, which raises OptionsError."""
        return parse_csv(self.text, name, required=required, numbers=numbers)

    def with_columns(self, names: Iterable[str]) -> Self:
        """With these columns in the header; rows may be shorter than it."""
        header = self._cells(self.n_before)
        known = self._header
        missing = [name for name in names if name not in known]
        return self._replace(self.n_before, [*header, *missing]) if missing else self

    def append(self, cells: Mapping[str, str]) -> Self:
        """With one more row at the end."""
        records = list(self.records)
        if not records[-1].endswith(("\n", "\r")):
            records[-1] += self._end_of_line
        written = self._write([cells.get(name, "") for name in self._header])
        return replace(self, records=(*records, written))

    def change(self, line: int, cells: Mapping[str, str]) -> Self:
        """With other cells in the row that ends on a line; its other cells stay.

        Raises:
            OptionsError: there is no such row.
        """
        place = self._find(line)
        old = self._cells(place)
        old += [""] * (len(self._header) - len(old))
        names = [*self._header, *[""] * (len(old) - len(self._header))]
        return self._replace(place, [cells.get(name, cell) for name, cell in zip(names, old, strict=True)])

    def remove(self, lines: Iterable[int]) -> Self:
        """Without the rows that end on these lines.

        Raises:
            OptionsError: there is no such row.
        """
        places = {self._find(line) for line in lines}
        return replace(self, records=tuple(text for k, text in enumerate(self.records) if k not in places))

    @property
    def _header(self) -> list[str]:
        return [clean_cell(cell).lower() for cell in self._cells(self.n_before)]

    @property
    def _end_of_line(self) -> str:
        first = self.records[0]
        return "\r\n" if first.endswith("\r\n") else "\n"

    def _cells(self, place: int) -> list[str]:
        return next(csv.reader(io.StringIO(self.records[place], newline=""), delimiter=self.delimiter), [])

    def _replace(self, place: int, cells: Sequence[str]) -> Self:
        return replace(self, records=(*self.records[:place], self._write(cells), *self.records[place + 1 :]))

    def _write(self, cells: Sequence[str]) -> str:
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=self.delimiter, lineterminator=self._end_of_line).writerow(cells)
        return written.getvalue()

    def _find(self, line: int) -> int:
        """Place of the record that ends on a line, counted from 1; the header is none."""
        at = 0
        for place, record in enumerate(self.records):
            at += len(io.StringIO(record, newline=None).readlines())
            if at == line and place > self.n_before:
                return place
        raise OptionsError(f"line {line} of the list is no row. Read the list again.")


def clean_text(text: str) -> str:
    """A cell as it is written: on one line, and nothing that a spreadsheet would run."""
    return escape_formula(" ".join(text.split()))


def _find_encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"


def _split(text: str, delimiter: str) -> Iterator[str]:
    """The text of each record, which may span several lines."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    done = 0
    for _ in reader:
        yield "".join(lines[done : reader.line_num])
        done = reader.line_num
