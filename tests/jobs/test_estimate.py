"""What a dry run says of time and disk: measured, without a trace in the output folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ferflow.errors import ChildDiedError
from ferflow.jobs import estimate as module
from ferflow.jobs.estimate import estimate_run, find_earlier_rates
from ferflow.jobs.job import Job
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.jobs.trial import Trial, select_seconds
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest, TaskReport
from ferflow.version import __version__
from tests.conftest import face_frames, write_video
from tests.jobs.test_run_events import events_of
from tests.made_records import Made, write_session


def estimate_of(inputs: list[Path], out: Path, **fields: object) -> module.Estimate | None:
    job = Job(inputs=tuple(map(str, inputs)), out=out, **fields)
    return estimate_run(plan(job.inputs, job.out, job.options, overwrite=job.overwrite), job)


def write_earlier(out: Path, works: dict[str, float], *, seconds: float = 60.0, **metadata: object) -> None:
    """Results of earlier runs: videos of so many seconds, by name and seconds of work."""
    manifest = RunManifest(options=AnalyzeOptions(), started="2026-01-01T00:00:00+00:00")
    for name, work_s in works.items():
        facts = {"ferflow_version": __version__, "options_digest": AnalyzeOptions().digest(), **metadata}
        write_session(out, Made(seconds=seconds, video_id=name), **facts)
        manifest.videos.append(
            TaskReport(source=name, video_id=name, status="done", duration_s=seconds, seconds=work_s)
        )
    manifest.save(OutputFolder(out).manifest)


def table_bytes(out: Path) -> int:
    return sum(path.stat().st_size for folder in OutputFolder(out).tables for path in folder.glob("*"))


def test_a_trial_knows_what_the_tables_will_take(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 20, (180, 320, 1)).astype(np.uint8) for _ in range(150))
    frames = [
        image + grain for image, grain in zip(face_frames(150, size=(320, 180), step=1), noise, strict=True)
    ]
    video, out = write_video(tmp_path / "video.mp4", frames), tmp_path / "out"
    monkeypatch.setattr(module, "_TRIAL_SECONDS", 0.01)  # the first two batches
    found = estimate_of([video], out)
    assert found is not None
    assert not out.exists()
    assert (found.n_videos, found.n_headers, found.n_unreadable, found.basis) == (1, 1, 0, "trial")
    assert found.video_hours == pytest.approx(6 / 3600, rel=0.01)
    assert found.hours is not None
    assert 0 < found.hours < 1
    run([video], out, pages=False)
    frames_and_faces = sum(
        path.stat().st_size for name in OutputFolder(out).tables[:2] for path in name.iterdir()
    )
    assert found.table_bytes == pytest.approx(frames_and_faces, rel=0.5)


def test_earlier_results_with_these_options_say_it_without_a_trial(tmp_path, monkeypatch):
    """Three videos of a minute took 90 s; three further ones have the same length."""
    out = tmp_path / "out"
    write_earlier(out, {"a": 20.0, "b": 30.0, "c": 40.0})
    videos = [tmp_path / f"{number}.mp4" for number in range(3)]
    for video in videos:
        video.write_text(video.name)
    monkeypatch.setattr(Trial, "measure", lambda *_args, **_kwargs: pytest.fail("tried"))
    monkeypatch.setattr(Trial, "read_length", lambda _self, _path: 60.0)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    job = Job(inputs=tuple(map(str, videos)), out=out, workers=0)
    found = estimate_run(plan(job.inputs, tmp_path / "other", job.options), job)
    assert found is not None
    assert (found.basis, found.n_measured) == ("earlier_results", 3)
    assert found.video_hours == pytest.approx(3 / 60)
    assert found.hours == pytest.approx(90 / 3600)
    # As many videos of the same length take as much again.
    assert found.table_bytes == pytest.approx(table_bytes(out), abs=3)
    assert found.table_bytes_per_hour == pytest.approx(table_bytes(out) * 20, rel=0.001)
    assert found.page_bytes is None
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_pages_of_earlier_runs_say_what_pages_take(tmp_path):
    out = tmp_path / "out"
    write_earlier(out, {"a": 20.0, "b": 40.0})
    (out / "reports").mkdir()
    (out / "reports" / "a.html").write_bytes(b"." * 1000)
    (out / "reports" / "b.html").write_bytes(b"." * 1600)
    rates = find_earlier_rates(OutputFolder(out), Job(inputs=("x",), out=out))
    assert rates is not None
    assert (rates.video_page_bytes, rates.second_page_bytes) == (1000, 600 / 120)
    without = find_earlier_rates(OutputFolder(out), Job(inputs=("x",), out=out, pages=False))
    assert without is not None
    assert without.video_page_bytes is None


@pytest.mark.parametrize(
    ("job", "metadata", "works"),
    [
        ({}, {}, {"a": 29.0}),  # too short to say anything
        ({"options": AnalyzeOptions(fps=5)}, {}, {"a": 60.0}),
        ({"options": AnalyzeOptions(threads=2)}, {}, {"a": 60.0}),
        ({"options": AnalyzeOptions(detect="full")}, {}, {"a": 60.0}),
        ({}, {"ferflow_version": "0.0.9"}, {"a": 60.0}),
    ],
    ids=["short", "fps", "threads", "detect", "version"],
)
def test_earlier_results_of_another_kind_say_nothing(tmp_path, job, metadata, works):
    write_earlier(tmp_path, works, **metadata)
    assert find_earlier_rates(OutputFolder(tmp_path), Job(inputs=("x",), out=tmp_path, **job)) is None


def test_nothing_pending_needs_no_estimate(tmp_path, face_video, ferflow):
    out = tmp_path / "out"
    ferflow("analyze", face_video, "-o", out, "--no-report")
    assert estimate_of([face_video], out) is None
    assert estimate_of([tmp_path / "gone.mp4"], tmp_path / "none") is None
    said = ferflow("analyze", face_video, "-o", out, "--dry-run").stdout
    assert said.splitlines()[1:] == ["0 of 1 input would be analysed."]


def test_what_cannot_be_opened_is_counted_and_nothing_is_made_up(tmp_path, ferflow):
    (tmp_path / "notes.mp4").write_text("Dear diary")
    said = ferflow("analyze", tmp_path / "notes.mp4", "-o", tmp_path / "out", "--dry-run")
    assert said.stdout.splitlines()[-2:] == [
        "1 video cannot be opened and would fail.",
        "No estimate: no header says how long a video is.",
    ]
    assert not (tmp_path / "out").exists()


def test_a_video_that_crashes_the_child_costs_only_itself(tmp_path, face_video, monkeypatch):
    bad = write_video(tmp_path / "bad.mp4", face_frames(3))
    read = Trial.read_length

    def crash(self: Trial, path: Path) -> float | None:
        if path == bad:
            raise ChildDiedError("the process that read it crashed")
        return read(self, path)

    monkeypatch.setattr(Trial, "read_length", crash)
    found = estimate_of([face_video, bad], tmp_path / "out")
    assert found is not None
    assert (found.n_videos, found.n_unreadable) == (1, 1)
    assert found.video_hours == pytest.approx(1.2 / 3600, rel=0.05)


def test_lengths_that_are_not_read_in_time_follow_from_the_sizes(tmp_path, monkeypatch):
    for number, size in enumerate((1000, 3000, 6000)):
        (tmp_path / f"{number}.mp4").write_bytes(bytes([number]) * size)
    monkeypatch.setattr(Trial, "read_length", lambda _self, path: path.stat().st_size / 100)
    monkeypatch.setattr(Trial, "measure", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(module, "_HEADER_SECONDS", -1.0)
    found = estimate_of([tmp_path], tmp_path / "out")
    assert found is not None
    assert (found.n_headers, found.n_videos) == (1, 3)
    assert found.video_hours == pytest.approx(100 / 3600)
    assert found.hours is None


def test_programs_read_the_estimate_as_an_event(tmp_path, face_video, ferflow):
    done = ferflow("analyze", face_video, "-o", tmp_path / "out", "--dry-run", "--progress", "json")
    planned, estimated = events_of(done.stderr)
    assert (planned["event"], planned["n_pending"]) == ("planned", 1)
    assert (estimated["event"], estimated["n_videos"], estimated["basis"]) == ("estimated", 1, "trial")
    assert re.search(r"^analyse .*face\.mp4", done.stdout, re.MULTILINE)
    assert "Estimate" not in done.stdout
    wrong = ferflow("analyze", face_video, "-o", tmp_path, "--model", "no", "--dry-run", "--progress", "json")
    (failed,) = events_of(wrong.stderr)
    assert (failed["event"], failed["exit_code"], wrong.code) == ("failed", 4, 4)


@pytest.mark.isolated
def test_the_command_itself_reads_no_video(tmp_path, face_video):
    """Neither decoders nor runtimes are loaded in its process."""
    code = (
        "import sys\nfrom ferflow.cli import main\n"
        f"sys.argv = ['ferflow', 'analyze', {str(face_video)!r}, '-o', {str(tmp_path / 'out')!r}, '--dry-run']\n"
        "try:\n    main()\nfinally:\n"
        "    print(*sorted({'av', 'cv2', 'onnxruntime'} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Estimate: 1 second of video, \d+ seconds? for 1 worker\.$", done.stdout, re.MULTILINE)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (AnalyzeOptions(), 100.0),
        (AnalyzeOptions(start=TimePoint(10.0)), 90.0),
        (AnalyzeOptions(end=TimePoint(30.0)), 30.0),
        (AnalyzeOptions(start=TimePoint(10.0), end=TimePoint(300.0)), 90.0),
        (AnalyzeOptions(start=TimePoint(frame_index=500), end=TimePoint(frame_index=1000)), 10.0),
        (AnalyzeOptions(start=TimePoint(200.0)), 0.0),
    ],
)
def test_only_what_is_selected_counts(options, wanted):
    assert select_seconds(100.0, options, 50.0) == wanted


@pytest.mark.parametrize(
    ("work", "workers", "last"),
    [([5, 4, 3, 2, 1], 1, 15), ([5, 4, 3, 2, 1], 2, 8), ([9, 1, 1], 3, 9), ([], 2, 0)],
)
def test_videos_are_shared_out_as_workers_take_them(work, workers, last):
    """Two workers: 5, 2 and 1 after one another, 4 and 3 in the other."""
    assert module._last_end_s(work, workers) == last
