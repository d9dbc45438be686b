from __future__ import annotations

import json
import os
import re
from fractions import Fraction

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
import pytest

import ferflow
from ferflow.analytics.timeline import timeline_schema
from ferflow.errors import RecordsError
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Planned, Progressed
from ferflow.media.inputs import discover, video_id_of
from ferflow.options import AnalyzeOptions
from ferflow.store.atomic_files import temporary_path
from ferflow.store.metadata import read_metadata
from ferflow.store.schemas import FRAMES, faces_schema
from tests.conftest import LABELS, face_frames, numbered_image, write_audio, write_video
from tests.jobs.observed import observed_run

pytestmark = pytest.mark.usefixtures("stand_in")


def entry(out, name):
    videos = json.loads((out / "run.json").read_text())["videos"]
    (found,) = [video for video in videos if video["source"].endswith(name)]
    return found


def test_a_run_leaves_what_the_contract_says(tmp_path, face_video):
    out = tmp_path / "out"
    report = run([face_video], out)
    (video,) = report.videos
    assert report.exit_code == 0
    assert (video.status, video.n_frames, video.n_faces, video.n_people) == ("done", 30, 30, 1)
    name = video.video_id
    made = sorted(
        p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file() and not p.name.startswith(".")
    )
    notes = [f".pages/{page}.json" for page in ("index.html", "index.content", f"{name}.html", "options")]
    assert made == sorted(
        [f"{t}/{name}.parquet" for t in ("faces", "frames", "timeline")]
        + ["assets/plotly.min.js", "index.html", f"reports/{name}.html", "run.json", *notes]
    )
    for table, schema in (
        ("frames", FRAMES),
        ("faces", faces_schema(LABELS)),
        ("timeline", timeline_schema(LABELS)),
    ):
        assert pq.read_schema(out / table / f"{name}.parquet").remove_metadata() == schema
    metadata = read_metadata(out / "faces" / f"{name}.parquet")
    assert metadata.labels == LABELS
    assert metadata.source.width == 320
    assert metadata.source.time_base > 0


def test_a_run_is_complete_where_faces_are_interpolated(tmp_path, face_video):
    out = tmp_path / "out"
    report = run([face_video], out, AnalyzeOptions(detect="every:3"))
    assert [(video.status, video.failure, video.n_faces) for video in report.videos] == [("done", None, 30)]
    assert {page.stem for page in (out / "reports").glob("*.html")} == {report.videos[0].video_id}
    # Only where the detector ran is there a score.
    assert pd.read_parquet(out / "faces")["score"].notna().sum() == 10


def test_tables_open_in_pandas_duckdb_and_polars(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    pattern = str(out / "faces" / "*.parquet")
    assert len(pd.read_parquet(out / "faces")) == 30
    assert duckdb.sql(f"select count(*), min(track_id) from '{pattern}'").limit(1).fetchall() == [(30, 1)]
    assert polars.read_parquet(pattern)["label"].len() == 30
    assert len(ferflow.load_faces(out)) == len(ferflow.load_frames(out)) == 30
    assert set(ferflow.load_timeline(out)["video_id"]) == {ferflow.load_faces(out)["video_id"][0]}


def test_rows_lie_in_few_row_groups(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, AnalyzeOptions(batch_size=1), pages=False)
    (path,) = (out / "faces").iterdir()
    assert pq.ParquetFile(path).num_row_groups == 1


def test_bad_inputs_are_named_and_cost_nobody_else_anything(tmp_path, face_video):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "notes.mp4").write_text("Dear diary")
    (inputs / "empty.mov").touch()
    write_audio(inputs / "song.mp4")
    (inputs / "good.mp4").write_bytes(face_video.read_bytes())
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    out = tmp_path / "out"
    report = run([inputs, nothing, tmp_path / "missing.mp4", "*.nope"], out)
    assert report.exit_code == 10
    assert {video.source.rsplit("/", 1)[-1]: video.status for video in report.videos} == {
        "empty.mov": "failed", "good.mp4": "done", "notes.mp4": "failed", "song.mp4": "failed",
        "nothing": "failed", "missing.mp4": "failed", "*.nope": "failed",
    }  # fmt: skip
    for name, why in (
        ("notes.mp4", "not a video"), ("empty.mov", "empty (0 bytes)"), ("song.mp4", "no video stream"),
        ("nothing", "no videos"), ("missing.mp4", "no such file"), ("*.nope", "matches no file"),
    ):  # fmt: skip
        reported = entry(out, name)
        assert why in reported["error"]
        assert "\n" not in reported["error"]
    assert len(list((out / "faces").iterdir())) == 1


def test_nothing_but_failures_has_an_exit_code_of_its_own(tmp_path):
    assert run([tmp_path / "missing.mp4"], tmp_path / "out").exit_code == 3


def test_a_truncated_file_keeps_what_was_read_and_says_so(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", face_frames(250, step=0))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out"
    report = run([cut], out, pages=False)
    (video,) = report.videos
    assert report.exit_code == 10
    assert video.status == "done_with_gaps"
    assert "truncated" in entry(out, "cut.mkv")["warnings"][0]
    assert 10 < len(ferflow.load_frames(out)) < 250


def test_a_second_run_ends_as_the_first_did(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", face_frames(250, step=0))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    out = tmp_path / "out"
    assert [run([cut], out, pages=False).exit_code for _ in range(2)] == [10, 10]
    assert entry(out, "cut.mkv")["status"] == "done_with_gaps"


def test_what_an_interrupted_run_did_not_write_down_the_next_one_does(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    written = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(written | {"videos": []}))
    run([face_video], out, pages=False)
    assert entry(out, "face.mp4")["status"] == "done"
    assert json.loads((out / "run.json").read_text())["model"]["name"] == "mean"


def test_records_that_make_no_timeline_fail_alone_and_again(tmp_path, face_video):
    other = write_video(tmp_path / "other.mp4", face_frames(6))
    out = tmp_path / "out"
    absurd = AnalyzeOptions(bin_seconds=1e-6)
    for status in ("done", "skipped"):
        report = run([face_video, other], out, absurd, pages=False)
        assert [video.status for video in report.videos] == ["failed", status]
        assert "--bin" in report.videos[0].error


def test_readers_of_whole_folders_do_not_see_half_written_files(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    temporary_path(out / "faces" / "other-0123abcd.parquet").write_bytes(b"half")
    assert len(pd.read_parquet(out / "faces")) == 30
    assert polars.read_parquet(out / "faces" / "*.parquet").height == 30


def test_a_second_run_does_only_the_rest(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out)
    (faces,) = (out / "faces").iterdir()
    before = faces.stat().st_mtime_ns
    other = write_video(tmp_path / "other.mp4", face_frames(6))
    report = run([face_video, other], out)
    assert [video.status for video in report.videos] == ["skipped", "done"]
    assert faces.stat().st_mtime_ns == before
    assert entry(out, "face.mp4")["status"] == "done"
    assert entry(out, "face.mp4")["n_faces"] == 30


def test_other_options_are_never_mixed_in_silence(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    with pytest.raises(RecordsError, match="--overwrite"):
        run([face_video], out, AnalyzeOptions(every=2), pages=False)
    assert len(ferflow.load_frames(out)) == 30
    run([face_video], out, AnalyzeOptions(every=2), overwrite=True, pages=False)
    assert len(ferflow.load_frames(out)) == 15


def test_other_options_for_another_video_are_not_mixed_in_either(tmp_path, face_video):
    out = tmp_path / "out"
    other = write_video(tmp_path / "other.mp4", face_frames(6))
    run([face_video], out, pages=False)
    for overwrite in (False, True):
        with pytest.raises(RecordsError, match="other options"):
            run([other], out, AnalyzeOptions(every=2), overwrite=overwrite, pages=False)
    assert len(ferflow.load_frames(out)) == 30


def test_a_page_never_outlives_the_data_it_shows(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out)
    (page,) = (out / "reports").iterdir()
    before = page.read_bytes()
    run([face_video], out, AnalyzeOptions(every=5), overwrite=True, pages=False)
    assert not page.exists()
    run([face_video], out, AnalyzeOptions(every=5))
    assert page.read_bytes() != before


def test_another_model_is_never_mixed_in_silence(tmp_path, face_video, monkeypatch):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: "1" * 64)
    with pytest.raises(RecordsError, match="model"):
        run([face_video], out, pages=False)


def test_another_bin_makes_the_timeline_again_without_analysis(tmp_path, face_video):
    out = tmp_path / "out"
    run([face_video], out, pages=False)
    report = run([face_video], out, AnalyzeOptions(bin_seconds=0.2), pages=False)
    assert report.videos[0].status == "skipped"
    timeline = ferflow.load_timeline(out)
    assert (timeline["bin_end_s"] - timeline["bin_start_s"]).max() == pytest.approx(0.2)


def test_another_bin_reaches_the_videos_that_are_not_named_too(tmp_path, face_video):
    other = write_video(tmp_path / "other.mp4", face_frames(12))
    out = tmp_path / "out"
    run([face_video, other], out)
    run([other], out, AnalyzeOptions(bin_seconds=0.2))
    assert (ferflow.load_timeline(out).eval("bin_end_s - bin_start_s") < 0.21).all()
    assert len(list((out / "reports").iterdir())) == 2


def test_an_unforeseen_error_in_one_video_spares_the_others(tmp_path, face_video, monkeypatch, tools):
    bad = write_video(tmp_path / "bad.mp4", [numbered_image(i) for i in range(3)])
    real = tools.detector.detect

    def detect(frames, score=None):
        if frames[0].planes.width == 64:
            raise RuntimeError("bug")
        return real(frames, score)

    monkeypatch.setattr("ferflow.pipeline.make_detector", lambda options: tools.detector)
    monkeypatch.setattr(tools.detector, "detect", detect)
    out = tmp_path / "out"
    report = run([bad, face_video], out, pages=False)
    assert [video.status for video in report.videos] == ["failed", "done"]
    assert "RuntimeError: bug" in entry(out, "bad.mp4")["error"]
    assert not list(out.rglob("*.tmp"))


def test_an_interruption_leaves_no_half_written_file_and_keeps_the_finished_one(
    tmp_path, face_video, monkeypatch
):
    second = write_video(tmp_path / "second.mp4", face_frames(40))
    out = tmp_path / "out"

    def interrupt(event):
        if isinstance(event, Progressed) and event.of_seconds > 1.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observed_run(interrupt, [face_video, second], out, AnalyzeOptions(batch_size=2))
    assert [p.suffix for p in (out / "faces").iterdir()] == [".parquet"]
    assert not list(out.rglob("*.tmp"))
    assert json.loads((out / "run.json").read_text())["finished"] is None
    assert [video.status for video in run([face_video, second], out).videos] == ["skipped", "done"]


def test_two_runs_never_write_into_one_folder_at_once(tmp_path, face_video):
    out = tmp_path / "out"

    refused = []

    def run_again(event):
        if isinstance(event, Planned):
            with pytest.raises(RecordsError, match="another ferflow"):
                run([face_video], out)
            refused.append(True)

    assert observed_run(run_again, [face_video], out, pages=False).exit_code == 0
    assert refused


def test_hostile_names_stay_inside_the_output_folder(tmp_path):
    video = write_video(tmp_path.with_suffix(".mp4"), face_frames(3)).read_bytes()
    inputs = tmp_path / "in"
    inputs.mkdir()
    names = [
        "<script>alert(1)</script>.mp4",
        "..mp4",
        "a\nb.mp4",
        "-rf.mp4",
        "ü 🎬.mp4",
        "x" * 240 + ".mp4",
        "file:%d.mp4",
        "\u202egnp.mp4",
    ]
    names = [name.replace("/", "_") for name in names]
    for name in names:
        (inputs / name).write_bytes(video)
    out = tmp_path / "out"
    report = run([inputs / name for name in names], out)
    assert {video.status for video in report.videos} == {"done"}
    assert len({video.video_id for video in report.videos}) == len(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    assert {path.name for path in out.iterdir()} == {
        ".ferflow.lock", ".pages", "assets", "faces", "frames", "index.html", "reports", "run.json", "timeline",
    }  # fmt: skip
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in out.rglob("*"))


def test_folders_are_searched_all_the_way_down_and_the_output_is_not(tmp_path):
    for name in (
        "a.mp4",
        "deep/er/b.MOV",
        ".hidden.mp4",
        ".git/c.mp4",
        "notes.txt",
        "out/d.mp4",
        "shots/1.png",
        "shots/2.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = discover([tmp_path], out=tmp_path / "out")
    assert [item.path.relative_to(tmp_path).as_posix() for item in found] == [
        "a.mp4",
        "deep/er/b.MOV",
        "shots",
    ]


def test_a_poster_beside_videos_is_no_video(tmp_path):
    for name in ("a.mp4", "cover.png"):
        (tmp_path / name).touch()
    assert [item.path.name for item in discover([tmp_path], out=tmp_path / "out")] == ["a.mp4"]


def test_one_file_under_two_names_is_analysed_once(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.mp4").touch()
    again = tmp_path / "one" / ".." / "one" / "a.mp4"
    assert len(discover([tmp_path / "one" / "a.mp4", again], out=tmp_path / "out")) == 1


def test_globs_are_expanded_and_nothing_is_done_twice(tmp_path):
    for name in ("a.mp4", "b.mp4", "c.mov"):
        (tmp_path / name).touch()
    found = discover([str(tmp_path / "*.mp4"), tmp_path / "b.mp4", tmp_path], out=tmp_path / "out")
    assert [item.path.name for item in found] == ["a.mp4", "b.mp4", "c.mov"]


def test_a_moved_video_keeps_its_id_and_a_changed_one_does_not(tmp_path, face_video):
    here, there = tmp_path / "talk.mp4", tmp_path / "elsewhere" / "talk.mp4"
    there.parent.mkdir()
    for path in (here, there):
        path.write_bytes(face_video.read_bytes())
    assert video_id_of(here) == video_id_of(there)
    assert video_id_of(here).startswith("talk-")
    there.write_bytes(face_video.read_bytes() + b"x")
    assert video_id_of(here) != video_id_of(there)


def test_two_copies_in_one_run_have_files_of_their_own(tmp_path, face_video):
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "talk.mp4").write_bytes(face_video.read_bytes())
    report = run([tmp_path / "in"], tmp_path / "out", pages=False)
    first, second = (video.video_id for video in report.videos)
    assert second == f"{first}-2"


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path, face_video):
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError, match="cannot be written"):
        run([face_video], tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_fails_alone(tmp_path, face_video):
    locked = tmp_path / "locked.mp4"
    locked.write_bytes(face_video.read_bytes())
    locked.chmod(0)
    report = run([locked, face_video], tmp_path / "out", pages=False)
    assert [video.status for video in report.videos] == ["failed", "done"]


def test_a_range_without_frames_is_an_error_and_not_an_empty_table(tmp_path, face_video):
    from ferflow.options import TimePoint

    report = run([face_video], tmp_path / "out", AnalyzeOptions(start=TimePoint(99.0)), pages=False)
    assert "--start" in report.videos[0].error


def test_numbered_images_and_gifs_are_videos_too(tmp_path):
    import cv2

    shots = tmp_path / "in" / "shots"
    shots.mkdir(parents=True)
    for number, image in enumerate(face_frames(6)):
        cv2.imwrite(str(shots / f"{number}.png"), np.ascontiguousarray(image[..., ::-1]))
    write_video(tmp_path / "in" / "a.gif", face_frames(6), pts=range(0, 24, 4), time_base=Fraction(1, 100),
                codec="gif", pix_fmt="rgb8")  # fmt: skip
    report = run([tmp_path / "in"], tmp_path / "out", AnalyzeOptions(sequence_fps=10.0))
    assert {video.source.rsplit("/", 1)[-1]: (video.n_frames, video.n_people) for video in report.videos} == {
        "a.gif": (6, 1),
        "shots": (6, 1),
    }


def test_choosing_a_model_that_is_poor_in_video_is_said_before_the_work(tmp_path, face_video, caplog):
    run([face_video], tmp_path / "out", options=AnalyzeOptions(model="fer2013"))
    (message,) = [record.message for record in caplog.records if "fer2013" in record.message]
    assert "In video it shows expressions on many faces at rest" in message
