"""What ferflow has made is never analysed, and what an interrupted command left is found and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ferflow.media.inputs import discover
from ferflow.store.output_folder import OutputFolder, is_output_folder
from tests.conftest import write_video
from tests.hostile.outputs import copy_output
from tests.render.test_people_pictures import two_people


@pytest.fixture
def sessions(tmp_path, whole_output) -> Path:
    """A folder of inputs, with an output folder that has clips and pictures of persons."""
    out = copy_output(whole_output, tmp_path / "sessions")
    (video,) = OutputFolder(out).finished_videos()
    shutil.copy(video.thumbnails / "7.jpg", video.thumbnails / "8.jpg")  # two of them make a sequence
    (out.parent / "talk.markers.csv").unlink()
    (out / "figures" / "a-1.png").touch()
    (out / "figures" / "a-2.png").touch()
    return tmp_path / "sessions"


def names(found) -> list[str]:
    return [item.problem or item.path.name for item in found]


WAYS = {
    "folder": lambda here: [here],
    "pattern": lambda here: [f"{here}/**/*.mp4"],
    "pattern of folders": lambda here: [f"{here}/*"],
    "pattern with dots": lambda here: [f"{here}/out/../**/*.mp4"],
    "dots": lambda here: [here / "out" / ".."],
    "files of a shell": lambda here: sorted(here.rglob("*.mp4")),
    "linked folder": lambda here: [link(here)],
    "pattern in a linked folder": lambda here: [f"{link(here)}/**/*.mp4"],
    "the output folder, too": lambda here: [here, here / "out"],
    "its clips, too": lambda here: [here / "talk.mp4", here / "out" / "reports", *here.rglob("*.clips")],
    "twice": lambda here: [here, f"{here}/**/*.mp4"],
}


def link(here: Path) -> Path:
    (here.parent / "link").symlink_to(here)
    return here.parent / "link"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("out", ["out", "second"])
def test_clips_and_pictures_are_never_planned(sessions, caplog, way, out):
    found = names(discover(WAYS[way](sessions), out=sessions / out))
    expected = ["talk.mp4"]
    if way == "the output folder, too":
        assert "no videos in this folder" in found.pop()
    assert found == expected
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "skipped: what ferflow makes is no input" in line] == lines
    assert len(lines) == (out == "second")


def test_a_linked_working_folder_changes_nothing(sessions):
    (sessions.parent / "link").symlink_to(sessions)
    code = "from ferflow.media.inputs import discover; print([str(i.path) for i in discover(['.'], out=__import__('pathlib').Path('x'))])"  # noqa: E501
    link = sessions.parent / "link"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=link,
        env=os.environ | {"PWD": str(link)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['talk.mp4']"


def test_an_output_folder_may_be_the_folder_of_the_videos(tmp_path, whole_output, monkeypatch):
    here = copy_output(whole_output, tmp_path / "sessions")
    shutil.move(here.parent / "talk.mp4", here / "talk.mp4")
    (here / "day").mkdir()
    shutil.copy(here / "talk.mp4", here / "day" / "other.mp4")
    monkeypatch.chdir(here)
    assert names(discover(["."], out=Path())) == ["talk.mp4", "other.mp4"]
    assert names(discover(["**/*.mp4"], out=Path())) == ["other.mp4", "talk.mp4"]


def test_clips_alone_are_refused_in_one_line(sessions, ferflow):
    (clip,) = list(sessions.rglob("000000500.mp4"))
    ended = ferflow("analyze", clip, "-o", sessions / "second")
    assert ended.code == 3
    assert "made by ferflow" in ended.text
    assert not (sessions / "second").exists()


def test_a_link_to_a_clip_is_a_clip(sessions):
    (clip,) = list(sessions.rglob("000000500.mp4"))
    (sessions / "mine.mp4").symlink_to(clip)
    assert names(discover([sessions], out=sessions / "second")) == ["talk.mp4"]


@pytest.mark.parametrize("made", [("run.json",), ("faces/a",), ("faces/a", "frames/a", "reports/a.mp4")])
def test_folders_that_others_named_alike_are_inputs(tmp_path, made):
    for name in (*made, "reports/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert not is_output_folder(tmp_path)
    assert "b.mp4" in names(discover([tmp_path], out=tmp_path / "out"))


def test_a_second_run_over_the_folder_plans_nothing_new(sessions, ferflow):
    write_video(sessions / "new.mp4", two_people(12))
    ended = ferflow("analyze", f"{sessions}/**/*.mp4", "-o", sessions / "out", "--dry-run", "--min-face", 24)
    assert ended.code == 0, ended
    assert "1 of 2 inputs would be analysed" in ended.text


LEFT = (
    "reports/ID.clips/.000001500.mp4.1234.tmp", ".run.json.1234.tmp", ".pages/.index.html.json.1234.tmp",
    "thumbnails/ID/.1.jpg.1234.tmp", "csv/.curves.csv.1234.tmp", "figures/.a.png.1234.tmp",
    "assets/.plotly.min.js.1.tmp", "frames/.x-0123abcd.parquet.tmp", "markers/.ID.parquet.tmp",
    "reports/.ID.html.1234.tmp", "reports/.ID.pdf.1234.tmp", "reports/gone-0123abcd.clips/000001500.mp4",
    "thumbnails/gone-0123abcd/1.jpg",
)  # fmt: skip
"""Files that show faces, or halves of files, as a kill leaves them."""


@pytest.mark.parametrize(
    "command",
    [
        ("doctor", "--repair"),
        ("report",),
        pytest.param(("people", "--thumbnails"), marks=pytest.mark.slow),
        pytest.param(("analyze",), marks=pytest.mark.slow),
    ],
)
def test_what_an_interrupted_command_left_is_found_at_every_depth_and_removed(
    tmp_path, whole_output, ferflow, command
):
    out = copy_output(whole_output, tmp_path / "it")
    (video,) = OutputFolder(out).finished_ids()
    left = [out / name.replace("ID", video) for name in LEFT]
    mine = [out / ".notes.tmp", out / "notes" / ".a.b.tmp", out / "reports" / f"{video}.clips" / "mine.txt"]
    for path in (*left, *mine):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"a face")
    assert f"{len(left)} files of an interrupted run" in ferflow("doctor", out).text
    assert all(path.exists() for path in left)
    first = (
        (out.parent / "talk.mp4", "-o", out, "--min-face", 24)
        if command == ("analyze",)
        else (out, *command[1:])
    )
    ended = ferflow(command[0], *first)
    assert ended.code == 0, ended
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in mine)
    assert "interrupted" not in ferflow("doctor", out).text
