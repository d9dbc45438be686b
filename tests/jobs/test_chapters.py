"""Chapters of the analysed videos, as OBS writes them, are markers on request."""

from __future__ import annotations

import json
import subprocess

import pytest
from typer.testing import CliRunner

from ferflow.analytics.markers import load_markers
from ferflow.cli import app
from ferflow.jobs.run import run
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video
from tests.render.sources import needs_ffmpeg

pytestmark = [needs_ffmpeg, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def games(tmp_path):
    """Recordings in a folder: two with chapters, of which one has a file of markers, and one without."""
    plain = write_video(tmp_path / "plain.mp4", face_frames(10, size=(128, 96)))
    (tmp_path / "meta.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=100\ntitle=Menu\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=100\nEND=400\ntitle=Boss\n"
    )
    (folder := tmp_path / "games").mkdir()
    for name in ("one.mkv", "two.mp4"):
        command = ["ffmpeg", "-v", "error", "-i", plain, "-i", tmp_path / "meta.txt", "-map_metadata", "1"]
        subprocess.run([*command, "-codec", "copy", folder / name], check=True)
    (folder / "two.markers.csv").write_text("time_s,label\n0.2,clap\n")
    write_video(folder / "none.mp4", face_frames(8, size=(128, 96)))
    return folder


def stored(out) -> dict[str, list[tuple[float, float | None, str]]]:
    found = {}
    for files in OutputFolder(out).finished_videos():
        rows = load_markers(files).to_pylist()
        found[files.video_id[:-9]] = [(row["time_s"], row["end_s"], row["label"]) for row in rows]
    return found


def as_ffprobe_reads(path) -> list[tuple[float, float, str]]:
    command = ["ffprobe", "-v", "error", "-show_chapters", "-of", "json", path]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [
        (float(one["start_time"]), float(one["end_time"]), one["tags"]["title"]) for one in shown["chapters"]
    ]


def test_chapters_are_read_on_request_and_stay(games, tmp_path):
    out = tmp_path / "out"
    report = run([games], out)
    assert {video.status for video in report.videos} == {"done"}
    before = {"none": [], "one": [], "two": [(0.2, None, "clap")]}
    assert stored(out) == before
    done = CliRunner().invoke(app, ["report", str(out), "--chapters"])
    assert done.exit_code == 0, done.output
    chapters = as_ffprobe_reads(games / "one.mkv")
    assert [label for _, _, label in chapters] == ["Menu", "Boss"]
    assert stored(out) == {**before, "one": chapters}
    run([games], out)
    assert stored(out) == {**before, "one": chapters}
    run([games], tmp_path / "other", chapters=True, pages=False)
    assert stored(tmp_path / "other") == {**before, "one": chapters}
