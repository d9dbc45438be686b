"""How fast the queries of docs/scaling.md are on the data set of `ferflow compact`, and on the output folder itself.

    python -m ferflow.jobs.benchmarks.reading_at_scale FOLDER [--videos 10000] [--for-seconds 600]

Writes an output folder of synthetic videos through ferflow's own writers into FOLDER/out, compacts it into
FOLDER/dataset, and runs each query of the page on both in DuckDB. Printed per query: seconds (the least of three), and
the bytes and row groups that DuckDB says it read. Writing goes on where an earlier call stopped. Run it in a checkout:
the records come from `tests/made_records.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.folder_videos import FolderVideos
from ferflow.exchange.dataset.compaction import compact
from ferflow.exchange.dataset.plan import read_plan
from ferflow.exchange.dataset.state import Dataset
from ferflow.exchange.libraries import load_library
from ferflow.jobs.benchmarks.made_records import import_made_records
from ferflow.store.output_folder import OutputFolder
from ferflow.types import JsonValue

PAGE = Path("docs/scaling.md")
TABLES_TITLE = "Tables"
"""The first block: views of the tables."""
N_STIMULI, N_GROUPS, VIDEOS_EACH = 5, 3, 4
_N_KINDS = 20
"""Different sessions; each video is one of them under another id."""
_SECONDS = 150.0
_AWAY = ((60.0, 100.0),)


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the page."""

    title: str
    sql: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What a query took."""

    seconds: float
    n_bytes: int
    """Read from files."""
    n_groups: int
    """Row groups that were read."""
    n_all_groups: int
    """Row groups of the files that were opened."""


def read_queries(page: Path) -> list[Query]:
    """The blocks of SQL of a page that DuckDB can run, with the headings above them, in order."""
    found = re.findall(
        r"^#### (.+?)$(?:(?!^#).)*?^```sql\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    )
    return [Query(title, sql) for title, sql in found]


def write_videos(out: Path, n_videos: int, *, until: float = float("inf")) -> int:
    """Write synthetic videos of 150 s, two frames a second, one person each, and a session list.

    Args:
        out: the output folder; videos that are there stay.
        n_videos: how many there are to be.
        until: time of `time.monotonic` after which no more is begun.

    Returns:
        How many there are.
    """
    records = import_made_records()
    made = [
        records.Made(seconds=_SECONDS, fps=2, seed=k, away=_AWAY if k % 5 == 0 else ())
        for k in range(_N_KINDS)
    ]
    tables = [records.made_tables(one) for one in made]
    names = [f"v{k:06d}-{k:08x}" for k in range(n_videos)]
    out.mkdir(parents=True, exist_ok=True)
    rows = "".join(
        f"{name},p{k // VIDEOS_EACH:04d},g{k // VIDEOS_EACH % N_GROUPS},trailer {k % N_STIMULI},{k % 3 * 2.5}\n"
        for k, name in enumerate(names)
    )
    (out / "sessions.csv").write_text("video,participant,group,stimulus,offset_s\n" + rows)
    done = set(OutputFolder(out).finished_ids())
    with _unflushed():
        for k, name in enumerate(names):
            if time.monotonic() > until:
                break
            if name not in done:
                own = tuple(_rename(table, name) for table in tables[k % _N_KINDS])
                records.write_session(out, replace(made[k % _N_KINDS], video_id=name), tables=own)
    return len(OutputFolder(out).finished_ids())


@contextmanager
def _unflushed() -> Iterator[None]:
    """Synthetic videos need not survive a power cut, and waiting for the disk takes most of the time."""
    with patch.object(os, "fsync", lambda _descriptor: None):
        yield


def _rename(table: pa.Table, video_id: str) -> pa.Table:
    return table.set_column(0, table.schema.field(0), pa.repeat(video_id, len(table)))


def open_dataset(dataset: Path, page: Path = PAGE) -> Any:
    """A DuckDB connection with the views of the page."""
    connection = load_library("duckdb", "this benchmark").connect()
    for query in read_queries(page):
        if query.title == TABLES_TITLE:
            connection.execute(query.sql.replace("DATASET", str(dataset)))
    return connection


def open_folder(out: Path) -> Any:
    """A DuckDB connection with views of the same names and columns, of the files of an output folder."""
    connection = load_library("duckdb", "this benchmark").connect()
    measures = connection.execute(f"describe from read_parquet('{out}/timeline/*.parquet')").fetchall()
    names = [row[0] for row in measures]
    means = [name for name in names[names.index("presence") :] if name not in ("n_people", "n_readable")]
    weights = {"attention": "face_s", "presence": "seconds"}
    sums = ", ".join(
        f"sum({name} * {weight}) / nullif(sum({weight}) filter ({name} is not null), 0) as {name}"
        for name in means
        for weight in (weights.get(name, "readable_s"),)
    )
    keys = """s.participant, s."group", s.stimulus, 'b' as bucket"""
    sessions = f"read_csv('{out}/sessions.csv', header = true, all_varchar = true) s"
    for statement in (
        f"""create view timeline as select t.*, {keys}, bin_start_s as start_s, bin_end_s as end_s,
        floor(bin_start_s / 60)::int as minute, floor((bin_start_s - s.offset_s::double) / 60)::int as stimulus_minute
        from read_parquet('{out}/timeline/*.parquet') t join {sessions} on s.video = t.video_id
        where person_id is not null""",
        f"""create view minutes as select video_id, participant, "group", stimulus, person_id, minute, stimulus_minute,
        sum(seconds) as seconds, sum(face_s) as face_s, sum(readable_s) as readable_s, {sums}
        from timeline group by 1, 2, 3, 4, 5, 6, 7""",
        f"""create view faces as select f.*, {keys}, floor(time_s / 60)::int as minute
        from read_parquet('{out}/faces/*.parquet') f join {sessions} on s.video = f.video_id
        where person_id is not null""",
        f"""create view videos as select video_id, sum(seconds) as analysed_s, sum(presence * seconds) as face_s
        from read_parquet('{out}/timeline/*.parquet') where person_id is null group by video_id""",
    ):
        connection.execute(statement)
    return connection


ONLY_IN_DATASET = ("Where a participant's time goes", "Columns for Athena")
"""Queries of columns that the output folder does not have."""


def measure(connection: Any, sql: str, profile: Path, *, rounds: int = 3) -> Measured:
    """Run a query a few times; of the first run the bytes and row groups, of all runs the least time.

    Args:
        connection: see `open_dataset`.
        sql: one statement.
        profile: file for what DuckDB says of it.
        rounds: times that it is run.
    """
    connection.execute("pragma enable_profiling = 'json'")
    connection.execute(f"pragma profiling_output = '{profile}'")
    connection.execute("pragma profiling_mode = 'detailed'")
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        connection.execute(sql).fetchall()
        times.append(time.perf_counter() - started)
    connection.execute("pragma disable_profiling")
    said = json.loads(profile.read_text())
    scans = list(_find_scans(said))
    return Measured(
        seconds=min(times),
        n_bytes=int(said.get("io", {}).get("total_bytes_read", 0)),
        n_groups=sum(int(str(one.get("row_groups_scanned", 0))) for one in scans),
        n_all_groups=sum(int(str(one.get("total_row_groups_to_scan", 0))) for one in scans),
    )


def _find_scans(node: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    """The operators that read files, at every depth."""
    if isinstance(node, Mapping):
        if node.get("type") == "TABLE_SCAN":
            yield node
        for value in node.values():
            yield from _find_scans(value)
    elif isinstance(node, list):
        for value in node:
            yield from _find_scans(value)


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=10_000, help="how many there are to be")
    parser.add_argument(
        "--for-seconds", type=float, default=600.0, help="time for writing them, in this call"
    )
    asked = parser.parse_args()
    folder: Path = asked.folder.resolve()
    out, dataset = folder / "out", Dataset(folder / "dataset")
    started = time.perf_counter()
    n_videos = write_videos(out, asked.videos, until=time.monotonic() + asked.for_seconds)
    print(f"{n_videos} videos written, {time.perf_counter() - started:.0f} s in this call", flush=True)
    if n_videos < asked.videos:
        raise SystemExit("Not all: run it again.")
    for what in ("compacted", "compacted again", "one video changed"):
        if what == "one video changed":
            os.utime(OutputFolder(out).finished_videos()[n_videos // 2].faces)
        started, busy = time.perf_counter(), time.process_time()
        videos = FolderVideos.open(out, PageOptions(), read_plan(dataset.plan).sources())
        done = compact(videos, dataset, out)
        took, busy = time.perf_counter() - started, time.process_time() - busy
        print(
            f"{what}: {took:.0f} s, {busy:.0f} s of CPU, {done.n_written} files written, {done.n_kept} unchanged",
            flush=True,
        )
    _print_sizes(out, dataset.path)
    profile = folder / "profile.json"
    print(
        "| query | data set: s | MB | row groups | output folder: s | MB | row groups |\n|---|---|---|---|---|---|---|"
    )
    of_dataset, of_folder = open_dataset(dataset.path), open_folder(out)
    for query in read_queries(PAGE):
        if query.title != TABLES_TITLE:
            cells = _to_cells(measure(of_dataset, query.sql, profile))
            has_raw = query.title not in ONLY_IN_DATASET
            raw = _to_cells(measure(of_folder, query.sql, profile)) if has_raw else ["", "", ""]
            print("| " + " | ".join([query.title, *cells, *raw]) + " |", flush=True)


def _to_cells(one: Measured) -> list[str]:
    return [f"{one.seconds:.3f}", f"{one.n_bytes / 1e6:.1f}", f"{one.n_groups} of {one.n_all_groups}"]


def _print_sizes(out: Path, dataset: Path) -> None:
    for table in ("videos", "timeline", "minutes", "faces", "frames"):
        for place in (out, dataset):
            sizes = [path.stat().st_size for path in (place / table).rglob("*.parquet")]
            if sizes:
                print(f"{place.name}/{table}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
