"""The whole job on real clips; skipped, saying so, where FERFLOW_TEST_DATA is unset."""

from __future__ import annotations

import av
import pandas as pd
import pytest

import ferflow
from ferflow.dashboards import write_session_report

SUFFIXES = {".mp4", ".mov", ".mkv", ".gif"}


def rows_of(analysed_clips, name: str, table: str) -> pd.DataFrame:
    _, out, report = analysed_clips
    (video,) = [video for video in report.videos if video.source.endswith(name)]
    return pd.read_parquet(out / table / f"{video.video_id}.parquet")


def test_every_clip_is_done(analysed_clips):
    folder, _, report = analysed_clips
    assert {video.status for video in report.videos} == {"done"}
    assert len(report.videos) == sum(path.suffix in SUFFIXES for path in folder.iterdir())
    assert report.exit_code == 0


def test_frames_and_times_are_those_of_an_independent_reader(analysed_clips):
    folder, _, _ = analysed_clips
    for path in (path for path in folder.iterdir() if path.suffix in SUFFIXES):
        with av.open(str(path)) as container:
            stamps = [(frame.pts, frame.time_base) for frame in container.decode(video=0)]
        frames = rows_of(analysed_clips, path.name, "frames")
        assert frames["pts"].tolist() == [pts for pts, _ in stamps]
        expected = [float((pts - stamps[0][0]) * base) for pts, base in stamps]
        assert frames["time_s"].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_clip_without_a_face_is_finished_and_its_page_says_so(analysed_clips):
    _, out, report = analysed_clips
    assert len(rows_of(analysed_clips, "pyfeat_no_face.mp4", "faces")) == 0
    (video,) = [video for video in report.videos if video.source.endswith("pyfeat_no_face.mp4")]
    page = write_session_report(out, video.video_id).read_text(encoding="utf-8")
    assert "No face" in page


def test_the_single_face_is_there_in_every_frame_neutral_first_and_happy_at_the_end(analysed_clips):
    frames = rows_of(analysed_clips, "pyfeat_single_face.mp4", "frames")
    faces = rows_of(analysed_clips, "pyfeat_single_face.mp4", "faces")
    assert (frames["n_faces"] == 1).all()
    assert set(faces["track_id"]) == {1}
    bins = rows_of(analysed_clips, "pyfeat_single_face.mp4", "timeline").query("person_id == 1")
    probs = bins[[column for column in bins if column.startswith("prob_")]]
    labels = probs.idxmax(axis=1).str.removeprefix("prob_").tolist()
    assert labels[0] == "neutral"
    assert labels[-1] == "happy"


def test_a_face_that_leaves_leaves_rows_behind(analysed_clips):
    frames = rows_of(analysed_clips, "pyfeat_face_noface.mov", "frames")
    seen = frames.loc[frames["n_faces"] > 0, "time_s"]
    assert len(frames) == 169
    assert seen.max() < 0.5 * frames["time_s"].max()


def test_all_tables_load_as_one(analysed_clips):
    _, out, report = analysed_clips
    assert len(ferflow.load_faces(out)) == sum(video.n_faces for video in report.videos)
    assert len(ferflow.load_frames(out)) == sum(video.n_frames for video in report.videos)
