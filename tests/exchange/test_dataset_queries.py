"""The queries of docs/scaling.md: they run, give what the tables of the folder give, and skip what they do not need."""

from __future__ import annotations

import time
from hashlib import md5
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.folder_videos import FolderVideos
from ferflow.exchange.dataset.compaction import compact
from ferflow.exchange.dataset.state import Dataset
from ferflow.exchange.dataset.tables import TABLES
from ferflow.jobs.benchmarks.reading_at_scale import (
    ONLY_IN_DATASET,
    TABLES_TITLE,
    measure,
    open_dataset,
    open_folder,
    read_queries,
    write_videos,
)
from tests.conftest import some_of

pytest.importorskip("duckdb", reason="needs ferflow[exchange]")

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
QUERIES = {query.title: query.sql for query in read_queries(PAGE)}


def write_all(folder: Path, n_videos: int) -> Path:
    out = folder / "out"
    assert write_videos(out, n_videos) == n_videos
    compact(FolderVideos.open(out, PageOptions()), Dataset(folder / "dataset"), out)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_all(tmp_path_factory.mktemp("queries"), 36)


def ask(connection: object, title: str) -> list[tuple]:
    return connection.execute(QUERIES[title]).fetchall()


def test_the_page_has_the_queries_that_it_promises():
    assert TABLES_TITLE in QUERIES
    assert {
        "Mean engagement of each group",
        "One participant's minutes",
        "Happiest minute of each stimulus",
    } < {*QUERIES}


@pytest.mark.parametrize(
    "title", some_of([title for title in QUERIES if title not in (TABLES_TITLE, *ONLY_IN_DATASET)], 2)
)
def test_a_query_gives_what_the_tables_of_the_folder_give(folder, title):
    found, wanted = (
        ask(open_dataset(folder / "dataset", PAGE), title),
        ask(open_folder(folder / "out"), title),
    )
    assert found
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        for value, expected in zip(one, other, strict=True):
            assert value == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-5))


def test_the_time_of_a_participant_adds_up_to_the_videos(folder):
    states = dict(ask(open_dataset(folder / "dataset", PAGE), "Where a participant's time goes"))
    assert set(states) <= {"readable", "unreadable", "no_face", "left_out", "not_analysed"}
    assert sum(states.values()) == pytest.approx(4 * 150)


def test_the_statement_for_athena_names_each_column_with_a_type_of_hive(folder):
    ((statement,),) = ask(open_dataset(folder / "dataset", PAGE), "Columns for Athena")
    columns = statement.partition("(")[2].partition(") partitioned by")[0].split(", ")
    kinds = dict(one.replace("`", "").split(" ") for one in columns)
    path = next((folder / "dataset" / "timeline").rglob("*.parquet"))
    assert list(kinds) == pq.read_schema(path).names
    assert set(kinds.values()) <= {"string", "int", "bigint", "smallint", "float", "double", "boolean"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_ten_thousand_videos_a_query_reads_what_it_needs(tmp_path):
    started = time.monotonic()
    folder = write_all(tmp_path, 10_000)
    print(f"written in {time.monotonic() - started:.0f} s")
    of_dataset, of_folder = open_dataset(folder / "dataset", PAGE), open_folder(folder / "out")
    for title, sql in QUERIES.items():
        if title != TABLES_TITLE:
            found = measure(of_dataset, sql, tmp_path / "profile.json")
            print(f"{title}: {found}")
            if title not in ONLY_IN_DATASET:
                print(
                    f"  without the data set: {measure(of_folder, sql, tmp_path / 'profile.json', rounds=1)}"
                )
    for name in ("timeline", "faces"):
        n, n_all = count_groups(folder / "dataset" / name, "p0007", TABLES[name].order[0])
        assert n <= 3
        assert n_all >= 16


def count_groups(table: Path, participant: str, column: str) -> tuple[int, int]:
    """Row groups whose statistics allow a participant, in the bucket of the participant; all row groups."""
    n, n_all = 0, 0
    for path in table.rglob("*.parquet"):
        footer = pq.read_metadata(path)
        place = footer.schema.to_arrow_schema().names.index(column)
        n_all += footer.num_row_groups
        for group in range(footer.num_row_groups):
            found = footer.row_group(group).column(place).statistics
            n += found.min <= participant <= found.max and _is_in_bucket(path, participant)
    return n, n_all


def _is_in_bucket(path: Path, participant: str) -> bool:
    return f"b{md5(participant.encode()).hexdigest()}".startswith(path.parent.name.removeprefix("bucket="))
