"""One DuckDB file with all tables, and views for what is asked most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from ferflow.analytics.measures import LEAST_READABLE, MEASURES
from ferflow.errors import RecordsError
from ferflow.exchange.destination import Destination
from ferflow.exchange.libraries import load_library
from ferflow.exchange.plain_text import clean_line
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session
from ferflow.exchange.session_tables import (
    event_rows,
    face_rows,
    marker_rows,
    people_rows,
    session_rows,
    timeline_rows,
)
from ferflow.store.atomic_files import DATABASE_LOG, remove

LIBRARY = "duckdb"
FILE = "ferflow.duckdb"


def write_duckdb(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`ferflow.duckdb` with the tables sessions, people, timeline, faces, events, markers, and the views participants,
    expressions and audience.
    """
    duckdb = load_library(LIBRARY, "--format duckdb")
    with to.write(FILE) as part:
        try:
            with duckdb.connect(str(part)) as database:
                _fill(database, sessions)
        except duckdb.Error as error:  # its own for a full disk, too
            raise RecordsError(
                f"{to.folder / FILE}: cannot be written ({clean_line(str(error))[:300]})."
            ) from error
        finally:
            remove(part.with_name(part.name + DATABASE_LOG), out=to.out, durable=False)


def _fill(database: Any, sessions: Sequence[Session]) -> None:
    for name, table in (
        ("sessions", session_rows(sessions)),
        ("people", people_rows(sessions)),
        ("events", event_rows(sessions)),
        ("markers", marker_rows(sessions)),
    ):
        _insert(database, name, [table])
    _insert(database, "timeline", map(timeline_rows, sessions))
    _insert(database, "faces", chain.from_iterable(map(face_rows, sessions)))
    for statement in _views():
        database.execute(statement)


def _insert(database: Any, name: str, tables: Iterable[pa.Table]) -> None:
    """Add tables to one, whose columns are those of all of them."""
    is_first = True
    for rows in tables:
        database.register("rows_to_add", rows)
        if is_first:
            database.execute(f'create table "{name}" as from rows_to_add limit 0')
            is_first = False
        known = {row[0] for row in database.execute(f'describe "{name}"').fetchall()}
        for column in rows.column_names:
            if column not in known:  # a model with other labels
                quoted = column.replace('"', '""')
                database.execute(f'alter table "{name}" add column "{quoted}" float')
        database.execute(f'insert into "{name}" by name from rows_to_add')
        database.unregister("rows_to_add")


def _views() -> list[str]:
    """Statements of names of ours; weights are those of docs/numbers.md."""
    means = ", ".join(
        f"sum({name} * {weight}) / nullif(sum({weight}) filter ({name} is not null), 0) as {name}"
        for name in MEASURES
        for weight in ("face_s" if name == "attention" else "readable_s",)
    )
    of_everybody = ", ".join(
        f"avg({name}) as {name}"
        if name == "attention"
        else f"avg({name}) filter (readable_s >= {LEAST_READABLE} * seconds - 1e-9) as {name}"
        for name in MEASURES
    )
    return [
        f"""create view participants as select participant, "group", count(distinct video_id) as n_sessions,
        sum(face_s) as face_s, sum(readable_s) as readable_s, {means}
        from timeline group by participant, "group" order by participant""",  # noqa: S608
        """create view expressions as select participant, "group", label, count(*) as n_events,
        sum(end_s - start_s) as seconds from events where kind = 'expression'
        group by participant, "group", label order by participant, seconds desc""",
        f"""create view audience as select video_id, start_s, end_s, count(*) filter (face_s > 0) as n_people,
        {of_everybody} from timeline group by video_id, start_s, end_s order by video_id, start_s""",  # noqa: S608
    ]
