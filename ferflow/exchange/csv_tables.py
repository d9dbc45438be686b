"""Tables as CSV: `timeline.csv` and `faces.csv`, and the timeline with a row per value or per second."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from ferflow.analytics.csv_input import escape_formula
from ferflow.exchange.destination import Destination
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session
from ferflow.exchange.session_tables import face_rows, timeline_rows

_KEYS = ("video_id", "video", "participant", "person", "person_id", "group", "stimulus", "start_s", "end_s",
         "stimulus_time_s", "state")  # fmt: skip
_WRITE = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


def write_tidy(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`timeline.csv`, a row per person and bin, and `faces.csv`, a row per frame and face."""
    _write_all(to, "timeline.csv", [timeline_rows(session) for session in sessions], options)
    # Of each session the first block: the others have the same columns, and need not be in memory.
    names = _join_names(block for session in sessions for block in islice(face_rows(session), 1))
    with to.write("faces.csv") as part:
        _write(part, names, (block for session in sessions for block in face_rows(session)), options)


def write_long(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`timeline_long.csv`, a row per person, bin and measure."""
    _write_all(to, "timeline_long.csv", [_to_long(timeline_rows(session)) for session in sessions], options)


def write_wide(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`timeline_wide.csv`, a row per session and bin, with the columns of each person side by side."""
    _write_all(to, "timeline_wide.csv", [_to_wide(session) for session in sessions], options)


def _to_long(rows: pa.Table) -> pa.Table:
    names = [name for name in rows.column_names if name not in _KEYS]
    parts = [
        rows.select(_KEYS)
        .append_column("measure", pa.array([name] * len(rows), pa.string()))
        .append_column("value", rows.column(name).cast(pa.float64()))
        for name in names
    ]
    return pa.concat_tables(parts)


def _to_wide(session: Session) -> pa.Table:
    rows = timeline_rows(session)
    shared = ("video_id", "video", "stimulus", "start_s", "end_s", "stimulus_time_s")
    n_bins = len(session.audience)
    found = rows.slice(0, n_bins).select(shared)
    for k, person in enumerate(session.people):
        mine = rows.slice(k * n_bins, n_bins)
        for name in rows.column_names:
            if name == "state" or name not in _KEYS:
                found = found.append_column(f"{person.name}: {name}", mine.column(name))
    return found


def _write_all(to: Destination, file: str, tables: Sequence[pa.Table], options: ExportOptions) -> None:
    with to.write(file) as part:
        _write(part, _join_names(tables), tables, options)


def _join_names(tables: Iterable[pa.Table]) -> list[str]:
    """Names of all columns of any of the tables."""
    return list(dict.fromkeys(name for table in tables for name in table.column_names))


def _write(part: Path, names: Sequence[str], tables: Iterable[pa.Table], options: ExportOptions) -> None:
    """Write tables into one file, one after the other."""
    with part.open("wb") as file:
        if options.excel:
            file.write(codecs.BOM_UTF8)
        file.write((",".join(_quote(name) for name in names) + "\n").encode())
        for table in tables:
            arrow_csv.write_csv(_prepare(table, names), file, _WRITE)


def _quote(name: str) -> str:
    safe = escape_formula(name)
    return '"' + safe.replace('"', '""') + '"' if set(safe) & set(',"\r\n') else safe


def _prepare(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Columns in the order of the header; texts that no spreadsheet runs; NaN, like null, is an empty cell."""
    missing = pa.nulls(len(table), pa.string())
    columns = [_clean(table.column(name)) if name in table.column_names else missing for name in names]
    return pa.table(columns, names=[str(k) for k in range(len(names))])


def _clean(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(values.type):
        distinct = values.dictionary_encode().combine_chunks()
        safe = pa.array(
            [escape_formula(text) or None for text in distinct.dictionary.to_pylist()], pa.string()
        )
        return safe.take(distinct.indices)
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return values
