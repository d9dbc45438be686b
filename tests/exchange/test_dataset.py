"""`ferflow compact`: its rows are those of the folder, only what has changed is written, and queries skip the rest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.folder_videos import FolderVideos
from ferflow.errors import RecordsError
from ferflow.exchange.dataset import compaction, parquet_file
from ferflow.exchange.dataset.compaction import Compacted, compact
from ferflow.exchange.dataset.plan import read_plan
from ferflow.exchange.dataset.state import Dataset
from ferflow.exchange.dataset.tables import TABLES, DatasetTable, bucket_of
from ferflow.store import output_folder
from ferflow.store.metadata import read_metadata
from tests.exchange.made_folder import HOSTILE, recompute_one
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

N_VIDEOS = 12
GROUPS = ("calm", "drama")


@pytest.fixture(autouse=True)
def no_flush(monkeypatch) -> None:
    """Nothing here is about power cuts, and each test writes dozens of files."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def write_video(out: Path, k: int, **chosen: object) -> str:
    made = {"seconds": 70.0, "fps": 1.0, "video_id": f"v{k:02d}-{k:08x}", "seed": k} | chosen
    return write_session(out, Made(**made))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Twelve sessions of four participants, and a panel of two of them with somebody who has no name."""
    out = tmp_path_factory.mktemp("dataset") / "out"
    rows = ["video,participant,group,stimulus,offset_s"]
    rows += [
        f"{write_video(out, k)},p{k % 4},{GROUPS[k % 2]},trailer {k % 3},{2.5 * (k % 2)}"
        for k in range(N_VIDEOS)
    ]
    panel = write_video(out, 99, people=3, seconds=30.0)
    write_run(out, [row.partition(",")[0] for row in rows[1:]] + [panel])
    (out / "people.csv").write_text(f"video_id,track_id,name\n{panel},1,p0\n{panel},2,p1\n")
    (out / "sessions.csv").write_text("\n".join([*rows, f"{panel},,calm,,"]) + "\n")
    return out


@pytest.fixture
def small_files(monkeypatch) -> None:
    """Tables that are laid out as if they were large: 16 files, and row groups of a few videos."""
    make_small(monkeypatch)


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatasetTable, "choose_digits", lambda self, n_rows: 1)
    for name, table in TABLES.items():
        monkeypatch.setitem(TABLES, name, replace(table, row_group_rows=64))


@pytest.fixture
def out(finished, tmp_path, small_files) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


@pytest.fixture(scope="module")
def compacted_before(finished, tmp_path_factory) -> Path:
    """Its data set, in small files."""
    place = tmp_path_factory.mktemp("compacted") / "d"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        run(finished, place)
    return place


@pytest.fixture
def dataset(compacted_before, tmp_path) -> Path:
    """A copy for one test, next to `out`."""
    return Path(shutil.copytree(compacted_before, tmp_path / "d"))


def run(out: Path, dataset: Path, **options: object) -> Compacted:
    return compact(FolderVideos.open(out, PageOptions()), Dataset(dataset), out, **options)


def read(dataset: Path, table: str) -> pd.DataFrame:
    files = sorted((dataset / table).glob("*/*.parquet"))
    return pd.concat([pq.ParquetFile(path).read().to_pandas() for path in files], ignore_index=True)


def contents(dataset: Path) -> dict[str, object]:
    """Rows of every file, by name."""
    return {
        path.relative_to(dataset).as_posix(): pq.ParquetFile(path).read()
        for table in TABLES
        for path in sorted((dataset / table).rglob("*"))
        if path.is_file()
    }


def times(dataset: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns for table in TABLES for path in (dataset / table).rglob("*.parquet")
    }


# --- Rows ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_lists(tmp_path_factory, made_folder) -> Path:
    """Of the folder of the exports, with merges, corrections and a hostile name."""
    out = Path(shutil.copytree(made_folder, tmp_path_factory.mktemp("lists") / "out"))
    run(out, out / "dataset")
    return out


def test_the_timeline_has_the_values_that_pandas_works_out_of_the_faces(of_lists):
    expected = recompute_one(of_lists)
    rows = read(of_lists / "dataset", "timeline")
    rows = rows[rows.video_id == "one-00000001"].set_index(["person", "start_s"])
    assert set(rows[rows.face_s > 0].index) == set(expected.index)
    found = rows.loc[expected.index, list(expected.columns)]
    np.testing.assert_allclose(found.to_numpy(float), expected.to_numpy(float), atol=1.1e-3, equal_nan=True)


def test_names_groups_and_states_are_those_of_the_export(of_lists, export):
    exported = pd.read_csv(export("csv") / "timeline.csv").replace({"person": {"'" + HOSTILE: HOSTILE}})
    rows = read(of_lists / "dataset", "timeline")
    keys = ["video_id", "person", "start_s"]
    names = ["video", "group", "stimulus", "person_id", "end_s", "stimulus_time_s", "state", "seconds"]
    found, wanted = (one.sort_values(keys)[keys + names].reset_index(drop=True) for one in (rows, exported))
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, rtol=1e-7)
    # Person 3 has no name that would be the same person's in another video.
    assert set(rows.participant) == {"Ada", "Böb", HOSTILE, "one-00000001/3"}
    assert (rows.minute == 0).all()
    assert rows[rows.person == "Böb"].stimulus_minute.tolist()[:4] == [-1, -1, -1, 0]


def test_faces_and_frames_are_those_on_disk(out, dataset):
    for table, keys in (
        ("faces", ["video_id", "frame_index", "track_id"]),
        ("frames", ["video_id", "frame_index"]),
    ):
        stored = pd.concat([pq.read_table(path).to_pandas() for path in sorted((out / table).iterdir())])
        if table == "faces":
            stored = stored[stored.person_id.notna()]
        found = read(dataset, table)
        names = [name for name in stored.columns if name != "not_face"]
        one, other = (
            frame[names].sort_values(keys).reset_index(drop=True).astype({"video_id": str})
            for frame in (found, stored)
        )
        for name in names:
            wanted, got = (
                # Versions of pandas differ in what stands for a missing text.
                frame[name].astype(object).where(frame[name].notna(), "").astype(str)
                if other[name].dtype == "category"
                else frame[name]
                for frame in (other, one)
            )
            np.testing.assert_array_equal(np.stack(got), np.stack(wanted), err_msg=name)
        assert (found.minute == found.time_s // 60).all()


def test_minutes_are_sums_and_means_of_the_timeline(out, dataset):
    rows = read(dataset, "timeline")
    keys = ["video_id", "person_id", "minute", "stimulus_minute"]
    by_minute = rows.groupby(keys, dropna=False)
    wanted = by_minute[["seconds", "face_s", "readable_s"]].sum()
    for name, weight in (
        ("engagement", "readable_s"),
        ("attention", "face_s"),
        ("shown_happy", "readable_s"),
    ):
        known = rows[name].notna()
        sums = (
            (rows[name] * rows[weight])
            .where(known, 0.0)
            .groupby([rows[key] for key in keys], dropna=False)
            .sum()
        )
        weights = rows[weight].where(known, 0.0).groupby([rows[key] for key in keys], dropna=False).sum()
        wanted[name] = sums / weights
    found = read(dataset, "minutes").set_index(keys)[list(wanted.columns)]
    assert len(found) == len(wanted) > N_VIDEOS
    pd.testing.assert_frame_equal(found.sort_index(), wanted.sort_index(), check_dtype=False, rtol=1e-5)


def test_each_video_has_a_row_with_what_its_footer_says(out, dataset):
    rows = read(dataset, "videos").set_index("video_id")
    assert sorted(rows.index) == sorted(path.stem for path in (out / "faces").iterdir())
    panel = rows.loc[f"v99-{99:08x}"]
    assert pd.isna(panel.participant)
    assert (panel.n_people, panel.n_frames, panel.duration_s) == (3, 30, 30.0)
    assert rows.participant[f"v05-{5:08x}"] == "p1"
    assert rows.analysed_s[f"v05-{5:08x}"] == pytest.approx(70, abs=1.1)


def test_all_files_of_a_table_have_the_columns_of_all_models(out, tmp_path):
    write_video(out, 50, labels=("bored", "sad", "fear", "happy", "neutral"))
    run(out, tmp_path / "d")
    for table in ("timeline", "minutes", "faces"):
        schemas = [pq.read_schema(path) for path in (tmp_path / "d" / table).rglob("*.parquet")]
        assert all(schema.names == schemas[0].names for schema in schemas)
        assert {"prob_bored", "prob_angry"} <= set(schemas[0].names)
        assert not any(pa.types.is_dictionary(field.type) for field in schemas[0])


# --- Files ---------------------------------------------------------------------------------------------


def test_rows_are_sorted_and_in_the_file_that_their_key_says(out, dataset):
    for name, table in TABLES.items():
        files = sorted((dataset / name).rglob("*.parquet"))
        assert len(files) > 1 or name == "minutes"
        for path in files:
            rows = pq.ParquetFile(path).read().to_pandas()
            bucket = path.parent.name.removeprefix("bucket=")
            for key in rows[table.key].unique():
                assert bucket == "b" + hashlib.md5(key.encode()).hexdigest()[: len(bucket) - 1]
            order = list(table.order)
            expected = rows.sort_values(order, kind="stable", na_position="last")
            pd.testing.assert_frame_equal(rows[order], expected[order].reset_index(drop=True))


def overlapping(path: Path, **wanted: object) -> tuple[int, int]:
    """Row groups whose statistics allow these values, and all."""
    footer = pq.read_metadata(path)
    names = footer.schema.to_arrow_schema().names
    n = 0
    for group in range(footer.num_row_groups):
        columns = {name: footer.row_group(group).column(names.index(name)) for name in wanted}
        n += all(
            columns[name].statistics.has_min_max
            and columns[name].statistics.min <= value <= columns[name].statistics.max
            for name, value in wanted.items()
        )
    return n, footer.num_row_groups


def test_statistics_leave_little_to_read_for_a_participant_a_minute_and_a_stimulus(out, dataset):
    for table in ("timeline", "faces"):
        files = list((dataset / table).rglob("*.parquet"))
        every = sum(pq.read_metadata(path).num_row_groups for path in files)
        own = Dataset(dataset).file(table, bucket_of("p1", 1))
        rows = pq.ParquetFile(own).read().to_pandas()
        needed = {k // 64 for k in np.flatnonzero(rows.participant == "p1")}
        n, n_all = overlapping(own, participant="p1")
        assert n == len(needed)
        assert n_all < every
        of_minute, _ = overlapping(own, participant="p1", video_id=f"v01-{1:08x}", minute=1)
        assert 0 < of_minute < n
        for column in ("participant", "minute"):
            place = rows.columns.get_loc(column)
            assert pq.read_metadata(own).row_group(0).column(place).has_column_index


def test_minutes_of_one_stimulus_lie_together(out, tmp_path, monkeypatch):
    monkeypatch.setattr(DatasetTable, "choose_digits", lambda self, n_rows: int(self.name != "minutes"))
    monkeypatch.setitem(TABLES, "minutes", replace(TABLES["minutes"], row_group_rows=4))
    run(out, tmp_path / "d")
    (path,) = (tmp_path / "d" / "minutes").rglob("*.parquet")
    rows = pq.ParquetFile(path).read().to_pandas()
    mine = (rows.stimulus == "trailer 1") & (rows.stimulus_minute == 1)
    n, n_all = overlapping(path, stimulus="trailer 1", stimulus_minute=1)
    assert n == len({k // 4 for k in np.flatnonzero(mine)})
    assert n <= 2 < n_all


@pytest.mark.parametrize("sizes", [[], [5], [3, 9, 4], [64, 64], [200], [0, 1, 0]])
def test_row_groups_have_one_size_whatever_the_blocks(sizes):
    blocks = [pa.table({"x": np.arange(n) + sum(sizes[:k])}) for k, n in enumerate(sizes)]
    found = list(parquet_file._regroup(blocks, 32))
    assert [len(one) for one in found[:-1]] == [32] * (len(found) - 1)
    values = [value for one in found for value in one.column("x").to_pylist()]
    assert values == list(range(sum(sizes)))
    assert all(len(one) for one in found)


def test_a_table_that_has_grown_is_laid_out_again_without_rows_in_two_files(out, tmp_path, monkeypatch):
    monkeypatch.setattr(DatasetTable, "choose_digits", lambda self, n_rows: 0)
    assert run(out, tmp_path / "d").n_buckets["timeline"] == 1
    before = read(tmp_path / "d", "timeline")
    monkeypatch.setattr(DatasetTable, "choose_digits", lambda self, n_rows: int(self.name == "timeline"))
    done = run(out, tmp_path / "d")
    assert done.n_buckets["timeline"] > 1
    assert done.n_removed == 1
    after = read(tmp_path / "d", "timeline")
    keys = ["participant", "video_id", "start_s", "person_id"]
    one, other = (frame.sort_values(keys).reset_index(drop=True) for frame in (before, after))
    pd.testing.assert_frame_equal(one, other)


# --- Again ---------------------------------------------------------------------------------------------


def test_a_second_run_writes_nothing(out, dataset):
    before = times(dataset)
    again = run(out, dataset)
    assert (again.n_written, again.n_kept, len(again.plan.changed)) == (0, len(before), 0)
    assert times(dataset) == before
    assert run(out, dataset, overwrite=True).n_written == len(before)


CHANGES = {
    "a new video": lambda out: write_video(out, 20),
    "a video analysed again": lambda out: write_video(out, 5, seed=77),
    "a video gone": lambda out: [path.unlink() for path in out.glob(f"*/v05-{5:08x}.parquet")],
    "another name": lambda out: (out / "people.csv").write_text(f"video_id,track_id,name\nv99-{99:08x},1,p3\n"),
    "a correction": lambda out: (out / "corrections.csv").write_text(
        f"video_id,action,start,end,person,value,note\nv03-{3:08x},exclude,10,20,,,\n"
    ),
    "another group": lambda out: (out / "sessions.csv").write_text(
        (out / "sessions.csv").read_text().replace(f"v07-{7:08x},p3,drama", f"v07-{7:08x},p3,calm")
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [pytest.param(one, marks=[] if one == "another name" else pytest.mark.slow) for one in CHANGES],
)
def test_after_a_change_only_its_files_are_written_and_the_rest_is_as_before(
    out, dataset, tmp_path, change, monkeypatch
):
    before = times(dataset)
    CHANGES[change](out)
    read_again = []
    real = FolderVideos.read_persons
    monkeypatch.setattr(
        FolderVideos, "read_persons", lambda self, one: read_again.append(one) or real(self, one)
    )
    done = run(out, dataset)
    assert set(read_again) == set(done.plan.changed)
    assert len(done.plan.changed) <= 2
    after = times(dataset)
    kept = [path for path in before if after.get(path) == before[path]]
    assert len(kept) > len(before) / 3
    assert after != before
    run(out, tmp_path / "e")
    assert contents(dataset) == contents(tmp_path / "e")


def test_a_row_added_to_a_list_above_another_changes_nothing_of_the_other(out, dataset):
    head = "video_id,action,start,end,person,value,note\n"
    (out / "corrections.csv").write_text(f"{head}v03-{3:08x},exclude,10,20,,,\n")
    run(out, dataset)
    (out / "corrections.csv").write_text(
        f"{head}v01-{1:08x},exclude,10,20,,,\nv03-{3:08x},exclude,10,20,,,again\n"
    )
    assert run(out, dataset).plan.changed == {f"v01-{1:08x}"}


@pytest.mark.parametrize("after", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2, 12, 25))])
def test_an_interrupted_run_is_continued_by_the_next(out, compacted_before, tmp_path, monkeypatch, after):
    real, n = compaction.write_file, 0

    def interrupt(path: Path, *given: object, **named: object) -> None:
        nonlocal n
        n += 1
        if n > after:
            rows = given[2]
            given = (*given[:2], _cut(rows))
        real(path, *given, **named)

    def _cut(rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
        yield from list(rows)[:1]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "write_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(out, tmp_path / "d")
    assert not json.loads((tmp_path / "d" / "_ferflow" / "dataset.json").read_text())["is_complete"]
    assert len(times(tmp_path / "d")) == after
    assert not [path for path in (tmp_path / "d").rglob("*") if path.suffix == ".tmp"]
    finished = times(tmp_path / "d")
    done = run(out, tmp_path / "d")
    assert done.n_kept == after
    assert {path: when for path, when in times(tmp_path / "d").items() if path in finished} == finished
    assert contents(tmp_path / "d") == contents(compacted_before)
    assert json.loads((tmp_path / "d" / "_ferflow" / "dataset.json").read_text())["is_complete"]


# --- Faults --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table", ["faces", *(pytest.param(name, marks=pytest.mark.slow) for name in ("frames", "timeline"))]
)
def test_a_bad_table_is_named_and_left_out_and_the_rest_is_written(out, tmp_path, ferflow, table):
    assert ferflow("compact", out, "-o", tmp_path / "d").code == 0
    bad = out / table / f"v05-{5:08x}.parquet"
    content = bytearray(bad.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    bad.write_bytes(content)
    done = ferflow("compact", out, "-o", tmp_path / "d")
    assert done.code == 10
    assert f"v05-{5:08x}: left out. " in done.stderr
    assert "13 videos" not in done.stdout
    assert "12 videos: 0 new or changed, 0 gone." in done.stdout
    for name in TABLES:
        found = set(read(tmp_path / "d", name).video_id)
        assert f"v05-{5:08x}" not in found
        assert len(found) == N_VIDEOS


def test_a_table_that_breaks_while_files_are_written_is_left_out_of_all(out, tmp_path, monkeypatch):
    real, calls = FolderVideos.read_persons, []

    def break_later(self: FolderVideos, video_id: str) -> object:
        calls.append(video_id)
        if video_id.startswith("v05") and calls.count(video_id) > 2:
            raise RecordsError("gone bad")
        return real(self, video_id)

    monkeypatch.setattr(FolderVideos, "read_persons", break_later)
    done = run(out, tmp_path / "d")
    assert done.plan.failed == {f"v05-{5:08x}": "gone bad"}
    for name in TABLES:
        assert len(set(read(tmp_path / "d", name).video_id)) == N_VIDEOS


@pytest.mark.parametrize(
    "damage", ["footer", "rows", *(pytest.param(one, marks=pytest.mark.slow) for one in ("plan", "missing"))]
)
def test_damaged_files_of_a_data_set_are_written_again(out, dataset, damage):
    whole = contents(dataset)
    path = Dataset(dataset).file("timeline", bucket_of("p1", 1))
    content = bytearray(path.read_bytes())
    match damage:
        case "footer":
            path.write_bytes(content[:-20])
        case "rows":
            content[50:2000] = bytes(1950)
            path.write_bytes(content)
            write_video(
                out, 1, seed=1
            )  # the same rows, in files of another time: the others' are to be copied
        case "plan":
            Dataset(dataset).plan.write_bytes(b"PAR1")
        case "missing":
            path.unlink()
    run(out, dataset)
    assert contents(dataset) == whole


def test_a_folder_that_is_no_data_set_is_refused(out, tmp_path, ferflow):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (
        tmp_path / "mine",
        tmp_path / "file",
        out,
        out / "faces",
        out / "faces" / "new",
        out / "csv",
    ):
        done = ferflow("compact", out, "-o", place)
        assert done.code == 2, (place, done)
        assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not (out / "faces" / "new").exists()


def test_a_data_set_of_another_folder_is_replaced_only_if_asked(out, made_folder, tmp_path, ferflow):
    assert ferflow("compact", out, "-o", tmp_path / "d").code == 0
    other = Path(shutil.copytree(made_folder, tmp_path / "other"))
    refused = ferflow("compact", other, "-o", tmp_path / "d")
    assert refused.code == 2
    assert "--overwrite" in refused.stderr
    assert ferflow("compact", other, "-o", tmp_path / "d", "--overwrite").code == 0
    assert len(read(tmp_path / "d", "videos")) == 3


def test_files_of_the_user_in_a_data_set_stay(out, dataset):
    place = Dataset(dataset).file("videos", bucket_of(f"v05-{5:08x}", 1)).with_name("mine.txt")
    place.write_text("mine")
    for path in out.glob(f"*/v*-{5:08x}.parquet"):
        path.unlink()
    run(out, dataset)
    assert place.read_text() == "mine"


def test_another_process_that_writes_the_same_data_set_is_refused(out, tmp_path, ferflow):
    with Dataset(tmp_path / "d").lock():
        done = ferflow("compact", out, "-o", tmp_path / "d")
    assert done.code == 5
    assert "another ferflow compact is writing here" in done.stderr


def test_an_empty_folder_makes_an_empty_data_set(tmp_path, ferflow):
    (tmp_path / "out" / "faces").mkdir(parents=True)
    done = ferflow("compact", tmp_path / "out")
    assert done.code == 0
    assert done.stdout.startswith("0 videos: 0 new or changed, 0 gone. Files: 0 written")


# --- Erasure -------------------------------------------------------------------------------------------


def traces(folder: Path, name: str) -> list[str]:
    """Files with a name, in their bytes or in their cells."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                file = pq.ParquetFile(path)
                text += repr(file.read().to_pylist()) + repr(file.metadata.metadata)
            found += [path.name] if name in text else []
    return found


def test_who_is_forgotten_is_in_no_file_and_does_not_come_back(out, dataset, ferflow):
    shutil.copytree(dataset, out / "dataset")
    for place in (out / "dataset", dataset):
        state = json.loads((place / "_ferflow" / "dataset.json").read_text())
        (place / "_ferflow" / "dataset.json").write_text(json.dumps({**state, "out": str(out)}))
        assert traces(place, "p1")
    solo = [f"v{k:02d}-{k:08x}" for k in range(1, N_VIDEOS, 4)]
    assert ferflow("forget", out, "--participant", "p1", "--yes").code == 0
    assert not (out / "dataset").exists()
    for place in (out / "dataset", dataset):
        done = ferflow("compact", out, "-o", place)
        assert done.code == 0
        for name in ("p1", *solo):
            assert traces(place, name) == []
        rows = read(place, "faces")
        assert set(rows[rows.video_id == f"v99-{99:08x}"].participant) == {"p0", f"v99-{99:08x}/3"}
    assert contents(out / "dataset") == contents(dataset)


def test_a_data_set_elsewhere_in_the_folder_is_named_by_forget(out, ferflow):
    assert ferflow("compact", out, "-o", out / "mine").code == 0
    done = ferflow("forget", out, "--participant", "p1", "--yes")
    assert done.code == 10
    assert "mine/timeline/" in done.stderr


def test_only_the_size_and_time_of_tables_are_read_of_what_has_not_changed(out, dataset, monkeypatch):
    videos = FolderVideos.open(out, PageOptions())
    opened = []
    monkeypatch.setattr(pq, "ParquetFile", lambda path, **_: opened.append(path))
    before = {video_id: videos.digest(video_id) for video_id in videos.ids}
    assert opened == []
    os.utime(out / "faces" / f"v05-{5:08x}.parquet")
    assert [one for one in videos.ids if videos.digest(one) != before[one]] == [f"v05-{5:08x}"]


def test_footers_of_videos_that_have_not_changed_are_not_read(out, dataset, monkeypatch):
    known = read_plan(Dataset(dataset).plan).sources()
    read = []
    monkeypatch.setattr(
        output_folder, "read_metadata", lambda path: read.append(path.stem) or read_metadata(path)
    )
    (out / "sessions.csv").write_text("video,participant\nv05-00000005.mp4,Ada\n")
    os.utime(out / "faces" / f"v07-{7:08x}.parquet")
    videos = FolderVideos.open(out, PageOptions(), known)
    assert read == [f"v07-{7:08x}"]
    assert videos.lists.sessions.of(f"v05-{5:08x}").participant == "Ada"
    assert videos.ids == FolderVideos.open(out, PageOptions()).ids
