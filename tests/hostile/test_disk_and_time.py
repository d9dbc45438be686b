"""Full disks, sources that vanish, folders that may only be read: a line and its exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ferflow.jobs.progress import JsonLines
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Ended
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import TaskReport, VideoTask
from tests.conftest import write_video
from tests.hostile.outputs import copy_output, snapshot
from tests.render.test_people_pictures import two_people

FULL = {
    "report": lambda out: ("report", out, "--title", "Another"),
    "csv": lambda out: ("report", out, "--csv"),
    "rest": lambda out: ("report", out, "--rest", "0:00-0:01"),
    "people": lambda out: ("people", out, "--csv", out.parent / "names.csv"),
    "thumbnails": lambda out: ("people", out, "--thumbnails"),
    "clips": lambda out: ("report", out, "--embed-clips"),
    "explain": lambda out: (
        "explain",
        out.parent / "talk.mp4",
        "-o",
        out.parent / "page.html",
        "--at",
        "0.5",
        "-q",
    ),
}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(name, marks=[] if name in ("csv", "people", "clips", "explain") else pytest.mark.slow)
        for name in FULL
    ],
)
def test_a_full_disk_is_one_line_and_exit_code_5(tmp_path, whole_output, command):
    """Files may have 64 bytes: EFBIG at each larger one, in child processes, too."""
    out = copy_output(whole_output, tmp_path / "it")
    for page in (out / ".pages").iterdir():
        page.unlink()
    for clip in out.rglob("*.clips/*"):
        clip.unlink()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\\n"
        "from ferflow.cli import main; main()"
    ).replace("\\n", "\n")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, FULL[command](out))],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if "show faces" not in line]
    assert done.returncode == 5, done
    assert "cannot be written" in lines[-1] or "no space left" in lines[-1], done
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    assert not [path for path in out.parent.rglob("*") if path.name.endswith(".tmp")]


def test_a_source_that_is_removed_while_it_is_analysed_says_so(tmp_path, tools, monkeypatch):
    monkeypatch.setattr("ferflow.pipeline.make_classifier", lambda options: tools.classifier)
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: tools.classifier.card.sha256)
    video = write_video(tmp_path / "talk.mp4", two_people(8))
    from ferflow.jobs import video_job

    analyze = video_job.analyze_video

    def then_remove(*arguments):
        yield from analyze(*arguments)
        video.unlink()

    monkeypatch.setattr(video_job, "analyze_video", then_remove)
    (report,) = run([video], tmp_path / "out", AnalyzeOptions(min_face=24), workers=0).videos
    assert (report.status, report.failure) == ("failed", "input")
    assert report.error == "talk.mp4: was removed while it was analysed. Put it back, then run again."


def test_numbers_that_json_does_not_have_are_null(tmp_path):
    text = io.StringIO()
    report = TaskReport(source="a.mp4", status="done", duration_s=float("nan"), seconds=float("inf"))
    JsonLines(text).show(Ended(VideoTask(Path("a.mp4"), None), report))
    line = json.loads(text.getvalue(), parse_constant=lambda name: pytest.fail(name))
    assert (line["duration_s"], line["seconds"], line["status"]) == (None, None, "done")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user to be refused"
)
def test_doctor_looks_at_a_folder_that_may_only_be_read(whole_output):
    """As a user who owns nothing of it."""
    whole_output.parent.chmod(0o755)
    before = snapshot(whole_output)
    code = (
        "import os, sys; from ferflow.doctor.output_check import examine_folder; from pathlib import Path\n"
        "from ferflow.store.output_folder import OutputFolder\n"
        "import ferflow.store.run_manifest, ferflow.jobs.lists, ferflow.dashboards, pyarrow.parquet\n"
        "pyarrow.array(['a'])  # imports pandas, which the other user may not read\n"
        "'a'.encode('utf-8-sig')  # a module too\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "assert not os.access(sys.argv[1], os.W_OK)\n"
        "for found in examine_folder(Path(sys.argv[1])): print(found.level, found.what)"
    )
    command = [sys.executable, "-c", code, str(whole_output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 video with complete tables" in done.stdout
    assert "in progress" not in done.stdout
    assert snapshot(whole_output) == before
    with OutputFolder(whole_output).lock():
        assert "in progress" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_log_file_on_a_full_disk_costs_one_line(tmp_path):
    (broken := tmp_path / "broken.mp4").write_text("no video")
    ended = subprocess.run(
        [sys.executable, "-m", "ferflow", "analyze", broken, "-o", tmp_path / "out", "--log-file", "/dev/full"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.count("log file /dev/full: incomplete") == 1
    assert "Traceback" not in ended.stderr
    assert "Logging error" not in ended.stderr
