"""A folder that an earlier ferflow left (schema 1) stays readable everywhere, and can be continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import ferflow
from ferflow.analytics.timeline import timeline_schema
from ferflow.doctor.output_check import examine_folder, repair
from ferflow.errors import RecordsError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import read_metadata
from ferflow.store.records import Blocks, read_table
from ferflow.store.run_manifest import RunManifest
from ferflow.store.schemas import FRAMES, faces_schema
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.conftest import LABELS, face_frames, write_video

NO_FACE, TWO_FACES = "nobody-a1ab9533", "two_faces-57615afc"
PRIOR_OF_DEFAULT = 0.20516
"""Of neutral, of the shipped model of that name: what the folder says of its model has no such number."""
NEW_OF_FACES = ["person_id", "region", "not_face", "unreadable"]


@pytest.fixture
def command(ferflow):
    """The command: `ferflow` is the package here."""
    return ferflow


@pytest.fixture
def out(tmp_path) -> Path:
    return Path(shutil.copytree(Path(__file__).parent / "folder_of_schema_1", tmp_path / "out"))


def stored(out: Path, table: str, video_id: str) -> pd.DataFrame:
    return pd.read_parquet(out / table / f"{video_id}.parquet")


def test_values_are_those_of_the_files_and_new_columns_are_null(out):
    faces = ferflow.load_faces(out)
    assert faces.columns.tolist() == faces_schema(LABELS).names
    assert_frame_equal(faces.drop(columns=NEW_OF_FACES), stored(out, "faces", TWO_FACES))
    assert faces[NEW_OF_FACES].isna().all(axis=None)
    frames = ferflow.load_frames(out)
    assert frames.columns.tolist() == FRAMES.names
    together = pd.concat(
        [stored(out, "frames", NO_FACE), stored(out, "frames", TWO_FACES)], ignore_index=True
    )
    assert_frame_equal(frames.drop(columns=["width", "height"]), together)
    assert frames[["width", "height"]].isna().all(axis=None)


def test_the_timeline_names_persons_by_their_tracks(out):
    together = pd.concat(
        [stored(out, "timeline", NO_FACE), stored(out, "timeline", TWO_FACES)], ignore_index=True
    )
    assert_frame_equal(ferflow.load_timeline(out), together.rename(columns={"track_id": "person_id"}))


def test_columns_can_be_chosen_also_new_ones_alone(out):
    faces = ferflow.load_faces(out, ["region", "x1"])
    assert faces.columns.tolist() == ["region", "x1"]
    assert faces.x1.tolist() == stored(out, "faces", TWO_FACES).x1.tolist()
    paths = VideoFiles(out, TWO_FACES)
    assert read_table(paths.frames, ["width"]).column("width").to_pylist() == [None] * 60
    blocks = Blocks(paths.faces, ["person_id"])
    assert [value for block in blocks for value in block.column("person_id").to_pylist()] == [None] * 120


def test_a_column_that_no_schema_has_is_refused(out):
    with pytest.raises(RecordsError, match="has no column 'x3'"):
        ferflow.load_faces(out, ["x3"])


def test_the_report_and_the_list_of_people_are_made(out, command):
    assert command("report", out).code == 0
    page = (out / "reports" / f"{TWO_FACES}.html").read_text(encoding="utf-8")
    assert "two faces.mp4" in page
    assert "missing.mp4" in (out / "index.html").read_text(encoding="utf-8")
    listed = command("people", out).stdout
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]
    assert "two faces.mp4" in listed


def test_the_doctor_finds_it_complete_and_can_rebuild_its_manifest(out):
    assert [finding.what for finding in examine_folder(out) if finding.level == "problem"] == []
    (out / "run.json").unlink()
    repair(out)
    assert {entry["video_id"] for entry in json.loads((out / "run.json").read_text())["videos"]} == {
        NO_FACE,
        TWO_FACES,
    }


def test_its_manifest_says_failures_and_inputs_not_started_in_the_words_of_today(out):
    content = json.loads((out / "run.json").read_text())
    entries = [
        ("failed", "x", "passing"), ("failed", "x", "unforeseen"), ("skipped", "x", None), ("skipped", None, None),
    ]  # fmt: skip
    content["videos"] = [
        {"source": f"{k}.mp4", "status": status, "error": error, "failure": failure}
        for k, (status, error, failure) in enumerate(entries)
    ]
    (out / "run.json").write_text(json.dumps(content))
    assert [(entry.status, entry.failure) for entry in RunManifest.load(out / "run.json").videos] == [
        ("failed", "transient"), ("failed", "unexpected"), ("not_started", None), ("skipped", None),
    ]  # fmt: skip


def test_it_is_continued_with_a_new_video_beside_the_finished_one(out, tmp_path, monkeypatch, command):
    model = read_metadata(VideoFiles(out, NO_FACE).faces).model.sha256
    # The shipped model may be another one since: here the schema counts.
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: model)
    source = shutil.copy(out / "nobody.source.mp4", tmp_path / "nobody.mp4")
    new = write_video(tmp_path / "new.mp4", face_frames(9))
    report = run([source, new], out, AnalyzeOptions(detect="full"), pages=False)
    assert [video.status for video in report.videos] == ["skipped", "done"]
    added = report.videos[1].video_id
    # The tables of the moved video are written again, with its new path.
    versions = [read_metadata(VideoFiles(out, name).faces).schema_version for name in (TWO_FACES, added)]
    assert versions == [1, 2]
    assert read_metadata(VideoFiles(out, NO_FACE).faces).source.path == str(source)
    frames, faces = ferflow.load_frames(out), ferflow.load_faces(out)
    assert frames[frames.video_id == added][["width", "height"]].drop_duplicates().values.tolist() == [
        [320, 240]
    ]
    assert faces.groupby("video_id").size().to_dict() == {TWO_FACES: 120, added: 9}
    timeline = ferflow.load_timeline(out)
    assert set(timeline[timeline.video_id == added].person_id.dropna()) == {1}
    assert command("report", out).code == 0


def files_of(out: Path, *tables: str) -> dict[Path, tuple[int, bytes]]:
    """Time of change and bytes of every table."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for table in tables
        for path in (out / table).iterdir()
    }


def test_a_report_writes_the_timelines_again_from_records_that_stay_as_they_are(out, command):
    before, records = stored(out, "timeline", TWO_FACES), files_of(out, "frames", "faces")
    assert command("report", out).code == 0
    assert files_of(out, "frames", "faces") == records
    after, faces = stored(out, "timeline", TWO_FACES), stored(out, "faces", TWO_FACES)
    assert after.columns.tolist() == timeline_schema(LABELS).names
    # The third is in view for less than a second.
    seen = faces.groupby("track_id").size() * 0.04
    assert seen.index[seen >= 1].tolist() == [1, 2] == sorted(after.person_id.dropna().unique())
    mine = after[after.person_id.notna()].astype({"person_id": int}).reset_index(drop=True)
    old = before[before.track_id.isin([1, 2])].astype({"track_id": int}).reset_index(drop=True)
    old = old.rename(columns={"track_id": "person_id"})
    # Every face is readable.
    same = [
        "bin_start_s",
        "bin_end_s",
        "person_id",
        "n_faces",
        "attention",
        *(f"prob_{label}" for label in LABELS),
    ]
    assert_frame_equal(mine[same], old[same])
    ms = every_millisecond(faces[faces.track_id < 3], 40, prior=PRIOR_OF_DEFAULT)
    ms["bin_start_s"] = ms["at"] // 1000 * 1.0
    columns = ["expressiveness", "engagement", "valence", *(f"shown_{label}" for label in LABELS)]
    wanted = ms.groupby(["bin_start_s", "person"])[columns].mean().reset_index()
    assert_frame_equal(mine[columns], wanted[columns], check_dtype=False, atol=1e-5)
    audience, numbers = after[after.person_id.isna()], [*columns, "attention", "reacting"]
    assert_frame_equal(
        audience.set_index("bin_start_s")[numbers],
        mine.groupby("bin_start_s")[numbers].mean(),
        check_dtype=False,
    )


def records_of_others(out: Path) -> dict[Path, tuple[int, bytes]]:
    """Records of the videos that were not moved."""
    return {path: found for path, found in files_of(out, "frames", "faces").items() if path.stem != NO_FACE}


def test_a_continued_folder_has_timelines_of_one_kind_and_counts_of_today(out, tmp_path, monkeypatch):
    model = read_metadata(VideoFiles(out, NO_FACE).faces).model.sha256
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: model)
    source, records = shutil.copy(out / "nobody.source.mp4", tmp_path / "nobody.mp4"), records_of_others(out)
    run([source], out, AnalyzeOptions(detect="full"), pages=False)
    assert records_of_others(out) == records
    for video_id in (NO_FACE, TWO_FACES):
        assert stored(out, "timeline", video_id).columns.tolist() == timeline_schema(LABELS).names
    videos = json.loads((out / "run.json").read_text())["videos"]
    assert {video["video_id"]: video["n_people"] for video in videos if video["video_id"]} == {
        NO_FACE: 0,
        TWO_FACES: 2,
    }


def test_a_video_whose_timeline_cannot_be_made_again_costs_the_others_nothing(out, command):
    frames = VideoFiles(out, TWO_FACES).frames
    frames.write_bytes(b"")
    done = command("report", out, "--csv")
    assert done.code == 10
    assert f"{TWO_FACES}.parquet" in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "reports" / f"{NO_FACE}.html").exists()
    assert "its tables cannot be read" in (out / "index.html").read_text(encoding="utf-8")
    assert (out / "csv" / "videos.csv").exists()


def test_people_are_listed_and_nothing_is_written(out, command):
    before = files_of(out, "timeline")
    listed = command("people", out).stdout.splitlines()
    rows = [line.split() for line in listed if line.startswith("  ") and "track" not in line]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    # The third is seen too briefly for a label.
    assert [row[-3:] for row in rows[:2]] == [["happy", "Person", "1"], ["happy", "Person", "2"]]
    assert rows[2][-2:] == ["(seen", "briefly)"]
    assert files_of(out, "timeline") == before


def test_a_missing_timeline_gets_the_bins_of_the_last_run(out, command):
    manifest = json.loads((out / "run.json").read_text())
    manifest["options"]["bin_seconds"] = 0.5
    (out / "run.json").write_text(json.dumps(manifest))
    (out / "timeline" / f"{TWO_FACES}.parquet").unlink()
    assert command("report", out).code == 0
    table = stored(out, "timeline", TWO_FACES)
    assert (table.bin_end_s - table.bin_start_s).unique().tolist() == [0.5]
