"""The tables that several formats have: rows of sessions with names, groups and the time of the stimulus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from ferflow.analytics.tally import column
from ferflow.exchange.session import ExportedPerson, Session

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = dict[str, Cell]
"""Cells of a table, by column."""

SESSIONS = pa.schema([
    ("video_id", pa.string()), ("video", pa.string()), ("stimulus", pa.string()), ("offset_s", pa.float64()),
    ("duration_s", pa.float64()), ("n_people", pa.int64()), ("path", pa.string()),
])  # fmt: skip
PEOPLE = pa.schema([
    ("video_id", pa.string()), ("person_id", pa.int32()), ("person", pa.string()), ("participant", pa.string()),
    ("group", pa.string()),
])  # fmt: skip
EVENTS = pa.schema([
    ("video_id", pa.string()), ("video", pa.string()), ("participant", pa.string()), ("person", pa.string()),
    ("person_id", pa.int32()), ("group", pa.string()), ("stimulus", pa.string()), ("start_s", pa.float64()),
    ("end_s", pa.float64()), ("stimulus_time_s", pa.float64()), ("label", pa.string()), ("kind", pa.string()),
    ("score", pa.float64()),
])  # fmt: skip
MARKER_ROWS = pa.schema([
    ("video_id", pa.string()), ("video", pa.string()), ("time_s", pa.float64()), ("end_s", pa.float64()),
    ("label", pa.string()), ("kind", pa.string()),
])  # fmt: skip


def timeline_rows(session: Session) -> pa.Table:
    """A row per person and bin with names; columns from `state` on as of `person_bins`."""
    bins = session.bins
    who = bins.column("person_id").to_numpy().tolist()
    return _name_rows(session, who, {
        "start_s": bins.column("bin_start_s"),
        "end_s": bins.column("bin_end_s"),
        "stimulus_time_s": _stimulus_time(session, column(bins, "bin_start_s")),
        **{name: bins.column(name) for name in bins.column_names if name not in _BIN_KEYS},
    })  # fmt: skip


def face_rows(session: Session) -> Iterator[pa.Table]:
    """Rows of `face_rows.FaceTable` with names, in blocks."""
    for block in session.faces:
        time_s = column(block, "time_s")
        yield _name_rows(session, block.column("person_id").to_pylist(), {
            "frame_index": block.column("frame_index"),
            "time_s": block.column("time_s"),
            "stimulus_time_s": _stimulus_time(session, time_s),
            **{name: block.column(name) for name in block.column_names if name not in _FACE_KEYS},
        })  # fmt: skip


def session_rows(sessions: Iterable[Session]) -> pa.Table:
    """A row per session."""
    rows: list[Row] = [
        {"video_id": one.video_id, "video": one.video.name, "stimulus": one.stimulus, "offset_s": one.offset_s,
         "duration_s": one.end_s, "n_people": len(one.people), "path": one.metadata.source.path}
        for one in sessions
    ]  # fmt: skip
    return _table(rows, SESSIONS)


def people_rows(sessions: Iterable[Session]) -> pa.Table:
    """A row per session and person."""
    rows: list[Row] = [
        {"video_id": session.video_id, "person_id": one.person_id, "person": one.name,
         "participant": one.participant, "group": one.group}
        for session in sessions
        for one in session.people
    ]  # fmt: skip
    return _table(rows, PEOPLE)


def event_rows(sessions: Iterable[Session]) -> pa.Table:
    """A row per event of a person; see `person_events`."""
    rows: list[Row] = [
        {**_names(session, session.find_person(event.person_id)), "start_s": event.start_s, "end_s": event.end_s,
         "stimulus_time_s": _moment(session, event.start_s), "label": event.label, "kind": event.kind,
         "score": event.score}
        for session in sessions
        for event in session.events
    ]  # fmt: skip
    return _table(rows, EVENTS)


def marker_rows(sessions: Iterable[Session]) -> pa.Table:
    """A row per marker."""
    rows: list[Row] = [
        {"video_id": session.video_id, "video": session.video.name, "time_s": one.time_s, "end_s": one.end_s,
         "label": one.label, "kind": one.kind or None}
        for session in sessions
        for one in session.markers
    ]  # fmt: skip
    return _table(rows, MARKER_ROWS)


def to_text(value: str) -> str:
    """A text that UTF-8 can encode: a file name may contain halves of surrogate pairs."""
    return value.encode("utf-8", "replace").decode("utf-8")


_BIN_KEYS = ("person_id", "bin_start_s", "bin_end_s")
_FACE_KEYS = ("person_id", "frame_index", "time_s")


def _names(session: Session, person: ExportedPerson | None) -> Row:
    return {
        "video_id": session.video_id,
        "video": session.video.name,
        "participant": person.participant if person else None,
        "person": person.name if person else None,
        "person_id": person.person_id if person else None,
        "group": person.group if person else session.video.group,
        "stimulus": session.stimulus,
    }


def _name_rows(
    session: Session, person_ids: Sequence[int | None], columns: dict[str, pa.Array | pa.ChunkedArray]
) -> pa.Table:
    """Columns of names in front of others."""
    names = {one.person_id: _names(session, one) for one in session.people}
    nobody = _names(session, None)
    rows = [names.get(person, nobody) if person is not None else nobody for person in person_ids]
    keys = {name: pa.array([_clean(row[name]) for row in rows], _type_of(name)) for name in nobody}
    return pa.table({**keys, **columns})


def _type_of(name: str) -> pa.DataType:
    return pa.int32() if name == "person_id" else pa.string()


def _stimulus_time(session: Session, time_s: np.ndarray) -> pa.Array:
    """Time of the stimulus; null without one."""
    if session.stimulus is None:
        return pa.nulls(len(time_s), pa.float64())
    return pa.array(np.round(time_s - session.offset_s, 9))


def _moment(session: Session, time_s: float) -> float | None:
    return round(time_s - session.offset_s, 9) if session.stimulus is not None else None


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: _clean(value) for name, value in row.items()} for row in rows], schema=schema
    )


def _clean(value: Cell) -> Cell:
    return to_text(value) if isinstance(value, str) else value
