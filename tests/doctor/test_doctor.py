"""`ferflow doctor`: what is wrong is found and said, with what to do; what is right is not called wrong."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ferflow.doctor import machine_check
from ferflow.doctor.machine_check import Finding, examine_machine, run_check
from ferflow.doctor.output_check import examine_folder, repair
from ferflow.errors import ModelError, RecordsError
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.atomic_files import temporary_path
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from ferflow.system import memory
from ferflow.system.cgroup import ControlGroups
from tests.conftest import face_frames, write_video


@pytest.fixture
def out(tmp_path, stand_in) -> Path:
    """A folder with two finished videos and one failure."""
    videos = [
        write_video(tmp_path / f"{name}.mp4", face_frames(4 + n, size=(128, 96)))
        for n, name in enumerate("ab")
    ]
    (tmp_path / "notes.mp4").write_text("Dear diary")
    run([*videos, tmp_path / "notes.mp4"], tmp_path / "out", pages=False)
    return tmp_path / "out"


def problems(findings) -> list[Finding]:
    return [finding for finding in findings if finding.level == "problem"]


def test_this_machine_is_fit_and_the_self_test_shows_it(ferflow):
    done = ferflow("doctor")
    assert done.code == 0, done.stdout + done.stderr
    assert "PROBLEM" not in done.stdout
    assert re.search(r"self-test: 60 frames, \d+ faces, tables and page in [\d.]+ s", done.stdout)
    for word in (
        "Python 3",
        "onnxruntime",
        "CPUs",
        "GiB of memory",
        "GPU",
        "FFmpeg",
        "model default",
        "yunet",
    ):
        assert word in done.stdout


def test_each_finding_says_what_to_do(monkeypatch):
    """A machine that lacks everything."""
    monkeypatch.setattr(machine_check, "available_memory", lambda: 100 << 20)
    monkeypatch.setattr(machine_check, "cpu_features", lambda: {"sse2"})
    monkeypatch.setattr(machine_check, "_DECODERS", ("h264", "no_such_codec"))
    monkeypatch.setattr(machine_check.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("ferflow.faces.yunet.SHA256", "0" * 64)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy>=99", "no-such-package>=1"])
    monkeypatch.setattr(machine_check, "_self_test", lambda: iter(()))
    found = list(examine_machine())
    reported = {finding.what: finding.remedy for finding in found if finding.level != "fine"}
    for part, remedy in (
        ("100 MiB", "Close"), ("no AVX2", "another machine"), ("no_such_codec", "pip install"),
        ("is not 000000000000", "Do as it says"), ("is not >=99", "pip install 'numpy>=99'"),
        ("no-such-package is not installed", "pip install 'no-such-package>=1'"),
    ):  # fmt: skip
        if part == "100 MiB":
            part = "0.1 GiB of memory free"
        (what,) = [what for what in reported if part in what]
        assert remedy in reported[what]
    assert len(problems(found)) == 5


VERSION = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Fri Jan 10\nGCC version:  12.3.0\n"
"""As the driver writes it."""


@pytest.mark.parametrize(
    ("driver", "cuda", "installed", "level", "reported"),
    [
        (None, False, True, "fine", "no GPU; everything runs on the CPU"),
        (VERSION, True, False, "fine", "570.86.15  Fri Jan 10; ONNX Runtime classifies on it"),
        (VERSION, False, True, "fine", "classifies on it"),
        (VERSION, False, False, "note", "not used without onnxruntime-gpu or TensorFlow"),
    ],
    ids=["none", "onnxruntime", "tensorflow", "unused"],
)
def test_what_becomes_of_a_gpu_is_said_and_having_none_is_no_problem(
    tmp_path, monkeypatch, driver, cuda, installed, level, reported
):
    (tmp_path / "version").write_text(driver or "")
    monkeypatch.setattr(machine_check, "Path", lambda path: tmp_path / "version")
    monkeypatch.setattr(machine_check, "has_nvidia_driver", lambda: driver is not None)
    monkeypatch.setattr(machine_check, "has_cuda", lambda: cuda)
    monkeypatch.setattr(machine_check, "_is_installed", lambda name: installed)
    monkeypatch.setattr(machine_check.importlib.metadata, "version", lambda name: "2.18")
    (found,) = machine_check._gpu()
    assert (found.level, bool(found.remedy)) == (level, level == "note")
    assert reported in found.what
    assert "\n" not in found.what


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch):
    def broken():
        yield Finding("fine", "so far")
        raise RuntimeError("a library is broken")

    def altered():
        raise ModelError("default.onnx: altered")
        yield

    assert [finding.level for finding in run_check(broken)] == ["fine", "problem"]
    (finding,) = run_check(altered)
    assert "default.onnx: altered" in finding.what


def test_memory_is_that_of_the_container(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("0::/\n")
    monkeypatch.setattr(memory, "ControlGroups", lambda: ControlGroups(tmp_path, tmp_path / "mine"))
    free = memory.available_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() > free // 2
    (tmp_path / "memory.max").write_text(f"{100 << 20}\n")
    (tmp_path / "memory.current").write_text(f"{90 << 20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {20 << 20}\n")
    assert memory.available_memory() == 30 << 20


def test_a_whole_folder_is_called_whole(out):
    found = list(examine_folder(out))
    assert not problems(found)
    assert any("2 videos with complete tables" in finding.what for finding in found)
    assert any("1 input failed" in finding.what for finding in found)
    assert repair(out) == []


def test_exported_files_that_are_older_than_what_they_were_made_from_are_named(out):
    (table := out / "export" / "timeline.csv").parent.mkdir()
    table.write_text("a table")

    def find() -> list[str]:
        return [one.what for one in examine_folder(out) if "exported file" in one.what]

    assert find() == []
    (out / "people.csv").write_text("video_id,track_id,name\n")
    os.utime(table, (1.6e9, 1.6e9))
    (found,) = find()
    assert found.endswith(
        "1 exported file from before the last change of the tables or lists: export/timeline.csv"
    )
    assert not problems(examine_folder(out))


def test_a_data_set_that_is_older_than_what_it_was_made_from_is_named(out, ferflow):
    def find() -> list[str]:
        return [one.what for one in examine_folder(out) if one.what.startswith("dataset")]

    assert find() == []
    assert ferflow("compact", out).code == 0
    assert find() == []
    os.utime(out / "dataset" / "_ferflow" / "dataset.json", (1.6e9, 1.6e9))
    assert find() == ["dataset: from before the last change of the tables or lists"]
    assert ferflow("compact", out).code == 0
    assert find() == []


def run_file(out: Path) -> dict:
    run = json.loads((out / "run.json").read_text())
    for entry in run["videos"]:
        for name in ("seconds", "source"):  # a footer knows the absolute path, and nobody how long it took
            del entry[name]
    return {name: run[name] for name in ("options", "model", "detector", "videos", "schema_version")}


@pytest.mark.parametrize("damage", ["missing", "half", "no object", "not fitting"])
def test_run_json_is_made_again_from_the_tables(out, damage, tmp_path):
    path = out / "run.json"
    before, text = run_file(out), path.read_text()
    if damage == "missing":
        path.unlink()
    elif damage == "not fitting":
        run = json.loads(text)
        run["videos"] = [dict(run["videos"][0], video_id="gone-0123abcd"), run["videos"][2]]
        path.write_text(json.dumps(run))
    else:
        path.write_text({"half": text[: len(text) // 2], "no object": "[]"}[damage])
    (problem,) = problems(examine_folder(out))
    assert "--repair" in problem.remedy
    done = repair(out)
    assert any("rebuilt from the tables of 2 videos" in line for line in done)
    assert not problems(examine_folder(out))
    after = run_file(out)
    finished = {name: value for name, value in before.items() if name != "videos"}
    assert {name: value for name, value in after.items() if name != "videos"} == finished
    assert [entry for entry in after["videos"] if entry["status"] == "done"] == before["videos"][:2]
    kept_failure = damage == "not fitting"  # a file that can be read still knows who failed
    assert [entry["status"] for entry in after["videos"][2:]] == ["failed"] * kept_failure
    assert (out / "run.json.broken").exists() == (damage in ("half", "no object"))
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    assert all(task.is_finished for task in plan(videos, out, AnalyzeOptions()))


def test_leftovers_are_told_and_removed(out):
    part = temporary_path(VideoFiles(out, "gone-0123abcd").frames)
    part.write_bytes(b"half")
    assert any("1 file of an interrupted run" in finding.what for finding in examine_folder(out))
    assert part.exists()
    assert repair(out) == ["removed 1 file of an interrupted run"]
    assert not part.exists()


def test_a_table_that_lost_its_end_or_its_rows_is_found(out):
    faces = sorted((out / "faces").iterdir())
    faces[0].write_bytes(faces[0].read_bytes()[:-100])
    frames = VideoFiles(out, faces[1].stem).frames
    footer = pq.read_metadata(frames).metadata
    pq.write_table(pq.read_table(frames).slice(0, 2).replace_schema_metadata(footer), frames)
    reported = [finding.what for finding in problems(examine_folder(out))]
    assert any("not a table written by ferflow" in what for what in reported)
    assert any("2 rows, its footer says 5" in what for what in reported), reported
    assert all(finding.remedy for finding in problems(examine_folder(out)))


def test_mixed_results_are_found(out, tmp_path, stand_in):
    write_video(tmp_path / "c.mp4", face_frames(6, size=(128, 96)))
    run([tmp_path / "c.mp4"], tmp_path / "other", AnalyzeOptions(every=2), pages=False)
    for room in ("frames", "faces", "timeline"):
        for path in (tmp_path / "other" / room).iterdir():
            path.rename(out / room / path.name)
    assert any("2 different sets of options" in finding.what for finding in problems(examine_folder(out)))


def test_a_run_under_way_is_not_disturbed(out):
    with OutputFolder(out).lock():
        assert any("in progress" in finding.what for finding in examine_folder(out))
        with pytest.raises(RecordsError, match="another ferflow"):
            repair(out)


def test_temporary_files_of_a_run_in_progress_are_not_leftovers(out):
    temporary_path(VideoFiles(out, "next-0123abcd").frames).write_bytes(b"half")
    with OutputFolder(out).lock():
        assert not any("interrupted" in finding.what for finding in examine_folder(out))


def test_a_folder_that_is_no_output_folder_is_refused_and_not_changed(tmp_path, ferflow):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for command in (["doctor", tmp_path / "mine"], ["doctor", tmp_path / "mine", "--repair"]):
        done = ferflow(*command)
        assert done.code == RecordsError.exit_code
        assert "not an output folder of ferflow" in done.stdout + done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    with pytest.raises(RecordsError, match="no such folder"):
        repair(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_finished_video_that_an_interrupted_run_has_not_listed_yet_is_no_problem(out):
    run = json.loads((out / "run.json").read_text())
    missing = run["videos"].pop(1)["video_id"]
    (out / "run.json").write_text(json.dumps({**run, "finished": None}))
    found = list(examine_folder(out))
    assert not problems(found)
    assert any(missing in finding.what and "same command" in finding.remedy for finding in found)


def test_the_command_tells_by_its_exit_code(out, ferflow):
    assert ferflow("doctor", out).code == 0
    (out / "run.json").write_text("{")
    broken = ferflow("doctor", out)
    assert broken.code == 5
    assert re.search(r"PROBLEM .*run\.json cannot be read\n +-> ferflow doctor .* --repair", broken.stdout)
    mended = ferflow("doctor", out, "--repair")
    assert mended.code == 0
    assert "rebuilt from the tables of 2 videos" in mended.stdout
    assert ferflow("doctor", out / "nowhere").code == 5
    assert ferflow("doctor", "--repair").code == 2
