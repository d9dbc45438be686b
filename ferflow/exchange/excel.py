"""An Excel workbook: sessions, people, timeline, events and markers, a sheet each, with typed cells and no formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ferflow.exchange.destination import Destination
from ferflow.exchange.libraries import load_library
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session
from ferflow.exchange.session_tables import event_rows, marker_rows, people_rows, session_rows, timeline_rows

LIBRARY = "openpyxl"
FILE = "ferflow.xlsx"
MOST_ROWS = 1_048_576
"""Of a sheet, the header included; what is more continues on a further sheet."""
LONGEST_TEXT = 32_767

_NOT_IN_CELLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Sheets:
    """A workbook in progress."""

    book: Any
    cell_type: Any
    """Class of a cell with a type of its own."""


def write_xlsx(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`ferflow.xlsx`."""
    openpyxl = load_library(LIBRARY, "--format xlsx")
    book = openpyxl.Workbook(write_only=True)
    sheets = _Sheets(book, load_library("openpyxl.cell", "--format xlsx").WriteOnlyCell)
    timelines = [timeline_rows(session) for session in sessions]
    for name, tables in (
        ("sessions", [session_rows(sessions)]),
        ("people", [people_rows(sessions)]),
        ("timeline", timelines),
        ("events", [event_rows(sessions)]),
        ("markers", [marker_rows(sessions)]),
    ):
        _write_sheets(sheets, name, tables)
    with to.write(FILE) as part:
        book.save(str(part))


def _write_sheets(sheets: _Sheets, name: str, tables: Sequence[pa.Table]) -> None:
    names = list(dict.fromkeys(column for table in tables for column in table.column_names))
    sheet, number, row = _start_sheet(sheets, name, names), 1, 1
    for cells in _rows(tables, names):
        if row == MOST_ROWS:
            number += 1
            sheet, row = _start_sheet(sheets, f"{name} {number}", names), 1
        sheet.append([_to_cell(sheets, sheet, value) for value in cells])
        row += 1


def _start_sheet(sheets: _Sheets, name: str, names: Sequence[str]) -> Any:
    sheet = sheets.book.create_sheet(name)
    sheet.freeze_panes = "A2"
    sheet.append([_to_cell(sheets, sheet, text) for text in names])
    return sheet


def _rows(tables: Iterable[pa.Table], names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for table in tables:
        columns = [
            table.column(name).to_pylist() if name in table.column_names else [None] * len(table)
            for name in names
        ]
        yield from zip(*columns, strict=True)


def _to_cell(sheets: _Sheets, sheet: Any, value: object) -> object:
    if isinstance(value, float) and value != value:
        return None
    if not isinstance(value, str):
        return value
    cell = sheets.cell_type(sheet, _NOT_IN_CELLS.sub("\ufffd", value)[:LONGEST_TEXT])
    # openpyxl takes a text that begins with = for a formula.
    cell.data_type = "s"
    return cell
