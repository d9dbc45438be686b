"""Copies of one file under several names are named on the terminal and on the overview; each is analysed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ferflow.cli import app
from ferflow.cli.tables_first import find_or_make_tables
from ferflow.jobs import copies
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from tests.conftest import face_frames, write_video

SAID = "have the same content, so one recording counts 2 times. Leave the copies out"


pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture
def talk(tmp_path):
    return write_video(tmp_path / "talk.mp4", face_frames(5, size=(128, 96)))


def noise(seed: int) -> np.ndarray:
    """A picture that compresses badly."""
    return np.random.default_rng(seed).integers(0, 256, (360, 640, 3), np.uint8)


def warned(caplog) -> list[str]:
    return [message for message in caplog.messages if "same content" in message]


def overview(out) -> str:
    return (out / "index.html").read_text()


def test_a_copy_in_the_same_run_is_named_once_before_it_starts_and_on_the_overview(tmp_path, talk, caplog):
    copy = shutil.copy(talk, tmp_path / "talk (1).mp4")
    report = run([talk, copy], tmp_path / "out")
    assert [video.status for video in report.videos] == ["done", "done"]
    (message,) = warned(caplog)
    assert message.startswith(f"talk.mp4 and talk (1).mp4 {SAID}")
    assert f"talk.mp4 and talk (1).mp4 {SAID}" in overview(tmp_path / "out")


def test_a_copy_of_a_video_that_is_analysed_already_is_named(tmp_path, talk, caplog):
    run([talk], tmp_path / "out")
    assert not warned(caplog)
    assert "same content" not in overview(tmp_path / "out")
    run([shutil.copy(talk, tmp_path / "b.mp4")], tmp_path / "out")
    (message,) = warned(caplog)
    assert message.startswith(f"talk.mp4 and b.mp4 {SAID}")
    assert "same content" in overview(tmp_path / "out")


def test_copies_that_were_analysed_before_are_no_matter_of_a_run_of_another_video(tmp_path, talk, caplog):
    run([talk, shutil.copy(talk, tmp_path / "b.mp4")], tmp_path / "out")
    caplog.clear()
    other = write_video(tmp_path / "other.mp4", face_frames(4, size=(128, 96)))
    run([other], tmp_path / "out")
    assert not warned(caplog)
    run([talk], tmp_path / "out")
    assert len(warned(caplog)) == 1
    assert "same content" in overview(tmp_path / "out")


def test_annotating_copies_says_nothing_of_reports(tmp_path, talk, caplog):
    copy = Path(shutil.copy(talk, tmp_path / "b.mp4"))
    with find_or_make_tables([talk, copy], None, AnalyzeOptions(), quiet=True) as tables:
        assert set(tables) == {talk, copy}
    assert caplog.messages == []


def test_three_copies_of_one_name_are_numbered_from_two_on(tmp_path, talk):
    sources = [talk, *(tmp_path / name / "talk.mp4" for name in "ab")]
    for source in sources[1:]:
        source.parent.mkdir()
        shutil.copy(talk, source)
    first, *others = (task.files.video_id for task in plan(sources, tmp_path / "out", AnalyzeOptions()))
    assert others == [f"{first}-2", f"{first}-3"]


def test_results_of_another_file_are_not_taken_although_its_name_and_its_ends_are_equal(tmp_path):
    """Raw recordings may have one header, one size and one end."""
    sources = [tmp_path / name / "raw.mkv" for name in "ab"]
    long = write_video(tmp_path / "long.mkv", [noise(seed) for seed in range(14)])
    content = long.read_bytes()
    assert len(content) > 3 << 20
    middle = len(content) // 2
    for source, changed in zip(
        sources, (content, content[:middle] + b"0" * 64 + content[middle + 64 :]), strict=True
    ):
        source.parent.mkdir()
        source.write_bytes(changed)
    run(sources[:1], tmp_path / "out", pages=False)
    (first,) = plan(sources[:1], tmp_path / "out", AnalyzeOptions())
    (second,) = plan(sources[1:], tmp_path / "out", AnalyzeOptions())
    assert not first.is_pending
    assert second.is_pending
    assert second.files.video_id == f"{first.files.video_id}-2"


def test_copies_of_one_name_are_told_apart_by_their_folders(tmp_path, talk, caplog):
    (tmp_path / "backup").mkdir()
    copy = shutil.copy(talk, tmp_path / "backup" / "talk.mp4")
    run([talk, copy], tmp_path / "out")
    assert str(talk) in warned(caplog)[0]
    assert str(copy) in warned(caplog)[0]


def test_a_renamed_file_is_no_copy(tmp_path, talk, caplog):
    run([talk], tmp_path / "out")
    renamed = talk.rename(tmp_path / "new name.mp4")
    run([renamed], tmp_path / "out")
    assert not warned(caplog)
    assert "same content" not in overview(tmp_path / "out")


def test_other_content_of_the_same_size_is_no_copy(tmp_path, talk, caplog):
    other = tmp_path / "other.mp4"
    # A comment in the container: a byte of `free` or of the encoder's name, which no decoder reads.
    other.write_bytes(talk.read_bytes().replace(b"Lavf", b"Lavg"))
    assert other.stat().st_size == talk.stat().st_size
    run([talk, other], tmp_path / "out")
    assert not warned(caplog)


@pytest.mark.parametrize("columns", ["region", "start"])
def test_two_rows_with_other_regions_or_stretches_are_no_copies(tmp_path, talk, columns, caplog):
    copy = shutil.copy(talk, tmp_path / "b.mp4")
    first, second = ("left", "right") if columns == "region" else ("0", "0.1")
    (tmp_path / "s.csv").write_text(f"video,participant,{columns}\ntalk.mp4,Ada,{first}\nb.mp4,Bo,{second}\n")
    run([talk, copy], tmp_path / "out", sessions=tmp_path / "s.csv")
    assert not warned(caplog)
    assert "same content" not in overview(tmp_path / "out")


def test_files_of_different_sizes_are_not_read(tmp_path, talk, monkeypatch):
    other = write_video(tmp_path / "b.mp4", face_frames(7, size=(128, 96)))
    monkeypatch.setattr(copies, "content_sha256", lambda path: pytest.fail(f"{path} was read"))
    run([talk, other], tmp_path / "out", AnalyzeOptions())


def test_a_dry_run_names_copies_too(tmp_path, talk):
    copy = shutil.copy(talk, tmp_path / "b.mp4")
    done = CliRunner().invoke(
        app, ["analyze", str(talk), str(copy), "-o", str(tmp_path / "out"), "--dry-run"]
    )
    assert f"talk.mp4 and b.mp4 {SAID}" in " ".join(done.output.split())
