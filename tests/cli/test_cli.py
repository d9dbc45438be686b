from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.cli.common import format_notice
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, write_video
from tests.made_records import Made, write_session

ROOT = Path(__file__).parents[2]


def test_help_names_every_option_with_its_meaning(ferflow):
    reported = ferflow("analyze", "--help").stdout
    for option in (
        "--out", "--every", "--fps", "--start", "--end", "--min-face", "--detector", "--score", "--model",
        "--batch-size", "--device", "--backend", "--participants", "--bin", "--no-report", "--overwrite",
        "--dry-run", "--verbose", "--quiet", "--detect", "--sequence-fps", "--threads", "--engine",
        "--workers", "--retries", "--fail-fast", "--progress", "--log-file", "--rest",
        "--watch", "--watch-every", "--watch-until-idle",
    ):  # fmt: skip
        assert re.search(rf"{option}\b.*\w{{3,}}", reported), option


def test_the_version_is_printed(ferflow):
    import ferflow as package

    assert ferflow("--version").stdout.strip() == f"ferflow {package.__version__}"


def test_analyze_without_tensorflow_leaves_tables_and_a_page(tmp_path, face_video):
    """A fresh process in which TensorFlow cannot be imported."""
    blocked = "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
    argv = ["ferflow", "analyze", str(face_video), "-o", "out"]
    code = f"{blocked}sys.argv = {argv!r}\nfrom ferflow.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Report: out/index.html" in done.stdout
    assert re.search(r"^done +1 +30 +30 +00:01\.2", done.stdout, re.MULTILINE)
    assert "GDPR" in done.stderr
    assert "%|" not in done.stderr  # no bar where there is no terminal
    assert len(list((tmp_path / "out" / "reports").iterdir())) == 1


def on_terminal(*arguments: object, rows: int = 40, columns: int = 100) -> tuple[str, int]:
    """Run the command with a terminal of its own; returns what it shows, and the exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-m", "ferflow", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    return shown.decode(errors="replace"), process.wait(60)


def test_a_terminal_shows_a_bar_for_the_video_and_one_for_all(tmp_path, face_video):
    other = write_video(tmp_path / "other.mp4", face_frames(12))
    (tmp_path / "notes.mp4").write_text("Dear diary")
    shown, code = on_terminal(
        "analyze", face_video, other, tmp_path / "notes.mp4", "-o", tmp_path / "out", "--no-report"
    )
    assert "Traceback" not in shown
    assert code == 10
    assert re.search(r"face\.mp4: +\d+%\|", shown)
    assert re.search(r"videos: +100%\|.*3/3", shown)
    assert "2 done, 1 failed." in shown


@pytest.mark.slow
def test_the_bar_of_a_training_moves_within_an_epoch(tmp_path):
    pytest.importorskip("keras", reason="needs ferflow[train]")
    rng = np.random.default_rng(0)
    images, usage = (
        rng.integers(0, 256, (48, 48, 48), np.uint8),
        np.array(["Training"] * 32 + ["PublicTest"] * 16),
    )
    np.savez(tmp_path / "faces.npz", images=images, labels=np.arange(48) % 7, usage=usage)
    how = ("--recipe", "resnet-tiny", "--epochs", "1", "--batch-size", "16")
    shown, code = on_terminal("train", tmp_path / "faces.npz", "-o", tmp_path / "run", *how)
    assert code == 0, shown
    assert re.search(r"epochs: +50%\|.* 0\.50/1 ", shown)
    assert re.search(r"epochs: +100%\|.* 1\.00/1 ", shown)


def test_the_second_run_says_skipped_and_keeps_quiet_about_the_law(tmp_path, face_video, ferflow):
    ferflow("analyze", face_video, "-o", tmp_path / "out", "--no-report")
    again = ferflow("analyze", face_video, "-o", tmp_path / "out", "--no-report")
    assert again.code == 0
    assert "skipped" in again.stdout
    assert again.stderr == ""


def test_failures_are_one_line_each_and_the_exit_code_tells(tmp_path, face_video, ferflow):
    (tmp_path / "notes.mp4").write_text("Dear diary")
    done = ferflow(
        "analyze", tmp_path / "notes.mp4", tmp_path / "gone.mp4", face_video, "-o", tmp_path / "out", "-q"
    )
    assert done.code == 10
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "gone.mp4: no such file" in lines[0]  # known before any work
    assert "notes.mp4: not a video" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "reported", "code"),
    [
        (["--every", "0"], "every must be at least 1", 2),
        (["--fps", "5", "--every", "2"], "one of them", 2),
        (["--start", "soon"], "timecode", 2),
        (["--start", "5", "--end", "3"], "must lie after", 2),
        (["-o", ""], "empty name", 2),
        ([""], "empty name", 2),
        (["--model", "nonsense"], "'nonsense' is not a model", 4),
        (["--detector", "mtcnn"], "mtcnn", 2),
        (["--detect", "some"], "detect must be auto, full or every:N", 2),
        (["--hwaccel", "kuda"], "hwaccel must be one of none, auto, cuda, vaapi, videotoolbox", 2),
        (["--backend", "onnx", "--device", "gpu"], "no CUDA", 2),
        (["--workers", "-1"], "workers", 2),
        (["--retries", "-1"], "retries", 2),
        (["--progress", "xml"], "xml", 2),
        (["--log-file", "/nowhere/at/all.log"], "cannot be written", 2),
        (["--rest", "0:10"], "give start and end, such as 0:00-0:10", 2),
        (["--rest", "none", "--rest", "0:00-0:10"], "rest 'none': give start and end", 2),
    ],
)
def test_wrong_options_are_refused_before_any_work(tmp_path, face_video, arguments, reported, code, ferflow):
    done = ferflow("analyze", face_video, "-o", tmp_path / "out", *arguments)
    assert done.code == code
    assert reported in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "faces").exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, face_video, ferflow):
    done = ferflow("analyze", face_video, tmp_path / "gone.mp4", "-o", tmp_path / "out", "--dry-run")
    assert re.search(r"^analyse +\S*face\.mp4", done.stdout, re.MULTILINE)
    assert re.search(r"^cannot .*gone\.mp4: no such file", done.stdout, re.MULTILINE)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_names_every_input_with_its_path(tmp_path, face_video, ferflow):
    (tmp_path / "notes.mp4").write_text("Dear diary")
    (tmp_path / "empty.mp4").touch()
    inputs = [face_video, tmp_path / "notes.mp4", tmp_path / "empty.mp4", tmp_path / "gone.mp4"]
    lines = ferflow("analyze", *inputs, "-o", tmp_path / "out", "--dry-run").stdout.splitlines()
    plan, total = lines[: len(inputs)], lines[len(inputs)]
    for path, line in zip(inputs, plan, strict=True):
        assert line[9:].startswith(str(path))
        assert line.count(path.name) == 1
    assert re.fullmatch(r"\d of 4 inputs would be analysed\.", total)


def test_when_every_input_fails_no_folder_is_named_that_does_not_exist(tmp_path, ferflow):
    notes = tmp_path / "notes.mp4"
    notes.write_text("Dear diary")
    done = ferflow("analyze", notes, "-o", tmp_path / "out")
    assert done.code == 3
    for line in done.stdout.splitlines():
        if line.startswith(("Data: ", "Report: ")):
            assert all(Path(text).exists() for text in line.split()[1:])
    assert f"Data: {tmp_path / 'out' / 'run.json'}\n" in done.stdout


def test_mistyped_inputs_alone_are_refused_before_anything_is_made(tmp_path, ferflow):
    gone = tmp_path / "gone.mp4"
    done = ferflow("analyze", gone, tmp_path / "*.nope", "-o", tmp_path / "out")
    assert done.code == 3
    assert f"failed: {gone}: no such file" in done.stderr
    assert "Data: " not in done.stdout
    assert not (tmp_path / "out").exists()


def test_a_folder_whose_name_begins_like_an_address_is_a_folder(tmp_path, face_video, monkeypatch, ferflow):
    monkeypatch.chdir(tmp_path)
    for out in ("file:a", "s3:a", "hdfs:a"):  # Arrow takes a relative path of this form for an address
        done = ferflow("analyze", face_video, "-o", out, "--end", "2f", "--workers", "0", "--no-report")
        assert done.code == 0, done.text
        for command in (["compact", out], ["compact", out], ["doctor", out]):
            assert ferflow(*command).code == 0, command
    assert (tmp_path / "s3:a" / "dataset" / "faces").is_dir()


def test_addresses_are_refused_before_anything_is_made(tmp_path, face_video, monkeypatch, ferflow):
    monkeypatch.chdir(tmp_path)
    for out in ("ftp://host/out", "https://host/out"):
        done = ferflow("analyze", face_video, "-o", out)
        assert done.code == 2
        assert f"{out} is an address that ferflow does not use" in done.stderr
    for command in (["compact", "out"], ["export", "out", "--format", "csv"], ["clips", "out"]):
        done = ferflow(*command, "-o", "s3://bucket/out")
        assert (done.code, "is an address" in done.stderr) == (2, True), done.text
    done = ferflow("analyze", "https://host/a.mp4?id=1", "-o", "out")
    assert done.code == 3
    assert "https://host/a.mp4: an address that ferflow does not read" in done.stderr
    assert list(tmp_path.iterdir()) == [path for path in tmp_path.iterdir() if path == face_video]


def test_the_notice_says_whether_faces_are_stored():
    assert "No face image is kept" in format_notice(clips=False)
    assert "they show faces" in format_notice(clips=True)
    assert "No face image" not in format_notice(clips=True)
    assert "Pictures of people are stored" in format_notice(clips=False, thumbnails=True)
    assert "No face image" not in format_notice(clips=False, thumbnails=True)
    assert "this machine only" in format_notice(clips=False)
    assert "this machine" not in format_notice(clips=False, engine="ray")


def test_clips_and_thumbnails_are_said_wherever_they_are_asked_for(tmp_path, face_video, ferflow):
    out = tmp_path / "out"
    assert "No face image is kept" in ferflow("analyze", face_video, "-o", out).stderr
    (page,) = (out / "reports").glob("*.html")
    pages = [page, out / "index.html"]
    nothing = "It stores no image of a face"
    assert all(nothing in path.read_text() for path in pages)
    said = ferflow("people", out, "--thumbnails")
    assert "thumbnails show faces" in said.stderr
    assert all("faces are stored in the folder <code>thumbnails" in path.read_text() for path in pages)
    assert not any(nothing in path.read_text() for path in pages)
    ferflow("people", out, "--forget")
    assert all(nothing in path.read_text() for path in pages)
    clip = VideoFiles(out, page.stem).clips / "0-1.mp4"
    assert (
        "Clips around the peaks are stored; they show faces" in ferflow("report", out, "--embed-clips").stderr
    )
    clip.parent.mkdir(exist_ok=True)
    clip.write_bytes(face_video.read_bytes())
    assert "they show faces" not in ferflow("report", out, "--embed-clips").stderr  # said once
    clip.write_bytes(face_video.read_bytes())
    ferflow("report", out)
    assert all("Clips around the peaks, which show faces" in path.read_text() for path in pages)
    assert not any(nothing in path.read_text() for path in pages)


def test_one_model_as_json_comes_without_the_recipes(ferflow):
    every, one = (json.loads(ferflow("models", *names, "--json").stdout) for names in ([], ["fer2013"]))
    assert list(every) == ["models", "recipes"]
    assert list(one) == ["models"]
    assert one["models"] == [card for card in every["models"] if card["name"] == "fer2013"]


def test_a_title_and_a_logo_are_given_with_the_analysis(tmp_path, face_video, ferflow):
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    out = tmp_path / "out"
    assert ferflow("analyze", face_video, "-o", out, "--title", "Study 7", "--logo", logo).code == 0
    for page in (out / "index.html", *(out / "reports").glob("*.html")):
        assert "Study 7" in page.read_text()
        assert "data:image/svg+xml" in page.read_text()


def test_people_says_which_tracks_cannot_be_one_person(tmp_path, ferflow):
    write_session(tmp_path, Made(seconds=20, people=2, video_id="a"))
    (tmp_path / "people.csv").write_text("video_id,track_id,name\na,1,Ada\na,2,Ada\n")
    said = ferflow("people", tmp_path).stderr
    assert "people.csv: a: tracks 1 and 2 are all Ada, but in view at the same time" in said
    assert said.splitlines() == [
        line for line in ferflow("report", tmp_path).stderr.splitlines() if "people.csv" in line
    ]


def test_a_job_file_is_run_and_the_command_line_has_the_last_word(tmp_path, face_video, ferflow):
    job = tmp_path / "job.toml"
    job.write_text(
        f'inputs = ["{face_video}"]\nout = "elsewhere"\nevery = 3\ndetect = "full"\npages = false\n'
    )
    planned = ferflow("run", job, "-o", tmp_path / "out", "--dry-run")
    assert re.search(r"^analyse +\S*face\.mp4", planned.stdout, re.MULTILINE), planned.stderr
    done = ferflow("run", job, "-o", tmp_path / "out")
    assert done.code == 0, done.stderr
    options = json.loads((tmp_path / "out" / "run.json").read_text())["options"]
    assert (options["every"], options["detect"]) == (3, "full")
    assert not (tmp_path / "out" / "index.html").exists()


def test_stretches_at_rest_are_given_remembered_and_forgotten_on_the_command_line(tmp_path, ferflow):
    video, out = write_video(tmp_path / "long.mp4", face_frames(75, step=1)), tmp_path / "out"

    def rest_of(*arguments: object) -> list[tuple[float, float, str]]:
        done = ferflow(*arguments)
        assert done.code == 0, done.stderr
        (table,) = (out / "markers").iterdir()
        rows = pd.read_parquet(table)
        assert set(rows.kind) <= {"rest"}
        return list(zip(rows.time_s, rows.end_s, rows.label, strict=True))

    analyze = ("analyze", video, "-o", out)
    assert rest_of(*analyze, "--rest", "0:00-0:02.5") == [(0.0, 2.5, "rest")]
    (page,) = (out / "reports").glob("*.html")
    assert "Calibrated by a stretch at rest: long." in page.read_text(encoding="utf-8")
    assert rest_of(*analyze) == [(0.0, 2.5, "rest")]
    both = ("--rest", "Ada=0:00-0:02", "--rest", "0:01-0:03")
    assert rest_of("report", out, *both) == [(0.0, 2.0, "Ada"), (1.0, 3.0, "rest")]
    assert rest_of("report", out) == [(0.0, 2.0, "Ada"), (1.0, 3.0, "rest")]
    assert rest_of("report", out, "--rest", "none") == []
    assert "Calibrated" not in page.read_text(encoding="utf-8")
    assert rest_of(*analyze, "--rest", "0:00-0:02.5") == [(0.0, 2.5, "rest")]
    assert rest_of(*analyze, "--rest", "none") == []


def test_a_job_file_with_a_mistake_is_one_line_and_exit_code_2(tmp_path, ferflow):
    job = tmp_path / "job.toml"
    job.write_text('inputs = "a.mp4"\nout = "out"\nevry = 3\n')
    for argument in (job, tmp_path / "gone.toml"):
        done = ferflow("run", argument, cwd=tmp_path)
        assert done.code == 2
        assert len(done.stderr.splitlines()) == 1
        assert argument.name in done.stderr


def test_the_demo_ends_with_a_page_that_exists(tmp_path, ferflow):
    done = ferflow("demo", "-o", tmp_path / "demo", "--seconds", "3")
    assert done.code == 0, done.stderr
    page = re.search(r"^Report: (.+)$", done.stdout, re.MULTILINE)[1]
    assert Path(page).is_file()


def test_every_command_is_documented(ferflow):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^  (\w+)  ", ferflow("--help").stdout.split("Commands:")[1], re.MULTILINE)
    assert "analyze" in listed
    for command in listed:
        assert f"ferflow {command}" in readme
