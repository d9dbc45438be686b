"""`ferflow predict`: photographs in, a table, lines of JSON or annotated pictures out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import ferflow as package
from tests.conftest import portrait

LABELS = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}


class NoChild:
    """Stands in for the child that keeps the networks, which takes a second to start."""

    def __init__(self, make, *, seconds_per_call) -> None:
        self._made = make()

    def call(self, function, *args):
        return function(self._made, *args)

    def close(self) -> None:
        """Nothing was started."""


@pytest.fixture(autouse=True)
def _pictures_are_read_in_this_process(request, monkeypatch) -> None:
    if "isolated" not in request.keywords:
        monkeypatch.setattr("ferflow.system.resident_child.ResidentChild", NoChild)


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "ada.jpg"
    cv2.imwrite(str(path), cv2.resize(portrait(), (1024, 1024))[..., ::-1])
    return path


def lines(shown: str) -> list[dict]:
    return [json.loads(line) for line in shown.splitlines() if line.startswith("{")]


def test_a_table_ranks_the_probabilities_of_each_face(ferflow, photo):
    done = ferflow("predict", photo)
    assert done.code == 0
    title, face = done.text.splitlines()
    assert title == f"{photo}: 1 face"
    shown = face.split()
    places = {label: shown.index(label) for label in LABELS}
    assert min(places, key=places.get) == "happy"


def test_json_is_a_line_per_picture_with_what_python_gives(ferflow, photo, tmp_path):
    cv2.imwrite(str(empty := tmp_path / "nobody.png"), np.full((300, 300), 90, np.uint8))
    done = ferflow("predict", photo, empty, "--json")
    with_face, without = lines(done.text)
    assert with_face == {
        "image": str(photo),
        "faces": [face.to_json() for face in package.predict(photo)],
        "model": "default",
    }
    assert (without["image"], without["faces"]) == (str(empty), [])


def test_numbered_photographs_in_a_folder_are_pictures_and_no_video(ferflow, photo, tmp_path):
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("10.jpg", "2.jpg", "below/portrait.jpg", ".hidden/3.jpg"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "notes.txt").write_text("no picture")
    done = ferflow("predict", folder, "--json")
    assert [Path(line["image"]).name for line in lines(done.text)] == ["2.jpg", "10.jpg", "portrait.jpg"]
    assert all("track_id" not in line["faces"][0] for line in lines(done.text))


def test_a_picture_comes_from_stdin(ferflow, photo, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(photo.read_bytes())))
    done = ferflow("predict", "-", "--json")
    (line,) = lines(done.text)
    assert line["image"] == "-"
    assert line["faces"][0]["label"] == "happy"


@pytest.mark.isolated
def test_a_bad_picture_is_one_line_and_the_others_go_on(ferflow, photo, tmp_path):
    (bad := tmp_path / "bad.jpg").write_bytes(b"no picture")
    done = ferflow("predict", bad, photo)
    assert done.code == 10
    (line,) = [line for line in done.text.splitlines() if "bad.jpg" in line]
    assert line.startswith("ferflow: bad.jpg: not a video or picture")
    assert "1 face" in done.text
    alone = ferflow("predict", bad, "--json")
    assert alone.code == 3
    assert lines(alone.text)[0].keys() == {"image", "error"}


def test_a_folder_without_pictures_says_so(ferflow, tmp_path):
    done = ferflow("predict", tmp_path)
    assert done.code == 3
    assert "no pictures in this folder or below" in done.text


def test_annotated_pictures_show_box_and_bar_and_keep_their_size(ferflow, photo, tmp_path):
    done = ferflow("predict", photo, "--annotate", tmp_path / "annotated")
    assert done.code == 0
    (written,) = (tmp_path / "annotated").iterdir()
    assert written.name.startswith("ada-")
    before, after = cv2.imread(str(photo)).astype(int), cv2.imread(str(written)).astype(int)
    assert before.shape == after.shape
    (face,) = package.predict(photo)
    x1, y1, x2, y2 = (round(value) for value in face.xyxy)
    orange = np.array([0x00, 0x9F, 0xE6])  # of "happy" on the pages, BGR
    assert np.abs(after[(y1 + y2) // 2, x1] - orange).max() < 40
    assert np.abs(after[y2 + 12, x2 - 60] - orange).max() < 40
    far = np.abs(before - after).max(axis=2)
    far[max(y1 - 80, 0) : y2 + 40, x1 - 20 : x2 + 20] = 0
    assert np.median(far) < 8
    # Reading the folder again leaves out what was annotated there.
    again = ferflow("predict", tmp_path, "--annotate", tmp_path / "annotated", "--json")
    assert [line["image"] for line in lines(again.text)] == [str(photo)]


def test_annotated_copies_are_not_mixed_with_the_pictures(ferflow, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for given, folder in ((tmp_path, Path()), (Path(), tmp_path)):
        done = ferflow("predict", given, "--annotate", folder)
        assert done.code == 2
        assert "Give another folder" in done.text
    assert sorted(tmp_path.rglob("*")) == before
    # A folder below may be used again, however it is named.
    for folder in (Path("drawn"), tmp_path / "drawn"):
        done = ferflow("predict", ".", "--annotate", folder)
        assert done.code == 0
        assert "1 annotated picture:" in done.text


def test_stdin_is_one_picture(ferflow):
    done = ferflow("predict", "-", "-")
    assert done.code == 2
    assert "stdin holds one picture" in done.text


def run_without_reader(*arguments: object) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdout is not read any more."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ferflow", *map(str, arguments)]
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("options", [[], pytest.param(["--json"], marks=pytest.mark.slow)])
def test_a_reader_who_has_seen_enough_ends_it_quietly(photo, options):
    # The second picture would be named on stderr.
    assert run_without_reader("predict", photo, "missing.jpg", *options) == (0, "")


def test_copies_are_made_whether_or_not_somebody_reads_the_table(photo, tmp_path):
    (other := tmp_path / "other.jpg").write_bytes(photo.read_bytes())
    assert run_without_reader("predict", photo, other, "--annotate", tmp_path / "made") == (0, "")
    assert len(list((tmp_path / "made").glob("*.jpg"))) == 2


@pytest.mark.parametrize("arguments", [["models"], ["--version"]])
def test_other_commands_end_quietly_without_a_reader(arguments):
    assert run_without_reader(*arguments) == (0, "")
