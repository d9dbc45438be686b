"""What the next run does: only the rest, nothing mixed, and again what may pass."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import ferflow
from ferflow.errors import RecordsError, VideoError
from ferflow.jobs import processing
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Progressed, Started
from ferflow.media.fingerprint import fingerprint, has_changed
from ferflow.options import AnalyzeOptions
from ferflow.store.atomic_files import temporary_path
from ferflow.store.failure_kinds import failure_of
from ferflow.store.metadata import read_metadata
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, numbered_image, write_video
from tests.jobs.observed import observed_run

FOLDER_OF_SCHEMA_1 = Path(__file__).parents[1] / "store" / "folder_of_schema_1"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch, stand_in):
    """Files alone matter: the classifier has no weights, and nothing waits between attempts."""
    monkeypatch.setattr(processing, "RETRY_AFTER_SECONDS", 0.0)


@pytest.fixture
def two(tmp_path):
    """Two short videos."""
    return [
        write_video(tmp_path / f"{name}.mp4", face_frames(n, size=(128, 96)))
        for name, n in (("a", 5), ("b", 7))
    ]


def statuses(report) -> list[str]:
    return [video.status for video in report.videos]


def run_file(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def test_a_source_that_was_exchanged_is_not_mixed_in_and_costs_nobody_else(tmp_path, two):
    a, _ = two
    out = tmp_path / "out"
    first = run(two, out, pages=False)
    write_video(a, face_frames(9, size=(128, 96)))
    second = run(two, out, pages=False)
    assert statuses(second) == ["failed", "skipped"]
    assert second.exit_code == 10
    assert "has changed since it was analysed" in second.videos[0].error
    assert first.videos[0].video_id in second.videos[0].error
    assert "--overwrite" in second.videos[0].error
    assert len(ferflow.load_frames(out)) == 5 + 7
    reported = {(entry["video_id"], entry["status"]) for entry in run_file(out)["videos"]}
    assert (first.videos[0].video_id, "done") in reported  # the old results are there, and said to be


def test_overwriting_replaces_the_results_of_the_old_content_under_its_old_id(tmp_path, two):
    a, _ = two
    out = tmp_path / "out"
    old = run(two, out).videos[0].video_id
    write_video(a, face_frames(9, size=(128, 96)))
    report = run([a], out, overwrite=True)
    assert statuses(report) == ["done"]
    assert report.videos[0].video_id != old
    assert sorted(ferflow.load_frames(out).groupby("video_id").size()) == [7, 9]
    assert not [path for path in out.rglob("*") if path.name.startswith(old)]
    assert old not in {entry["video_id"] for entry in run_file(out)["videos"]}
    assert statuses(run(two, out)) == ["skipped", "skipped"]


def test_an_edit_in_the_middle_that_keeps_size_and_ends_is_found(tmp_path):
    """The id looks at the first and last MiB only."""
    video = tmp_path / "long.avi"
    images = [numbered_image(i % 50, (320, 240)) for i in range(20)]
    write_video(video, images, codec="rawvideo", pix_fmt="yuv420p")
    assert video.stat().st_size > 2 << 20
    out = tmp_path / "out"
    done = run([video], out, pages=False)
    assert statuses(done) == ["done"]
    content = bytearray(video.read_bytes())
    content[len(content) // 2] ^= 0xFF
    video.write_bytes(content)
    os.utime(video, (1, 1))
    report = run([video], out, pages=False)
    assert report.videos[0].video_id == done.videos[0].video_id
    assert "has changed" in report.videos[0].error
    assert statuses(run([video], out, pages=False, overwrite=True)) == ["done"]


def test_a_copy_with_other_times_is_the_same_source(tmp_path, two):
    a, _ = two
    out = tmp_path / "out"
    run([a], out, pages=False)
    os.utime(a, (1, 1))
    assert statuses(run([a], out, pages=False)) == ["skipped"]


def test_a_moved_file_makes_room_for_another_of_its_name(tmp_path, two):
    a, _ = two
    out = tmp_path / "out"
    run([a], out, pages=False)
    (tmp_path / "archive").mkdir()
    moved = tmp_path / "archive" / "a.mp4"
    shutil.move(a, moved)
    write_video(a, face_frames(9, size=(128, 96)))
    assert statuses(run([moved, a], out, pages=False)) == ["skipped", "done"]


def test_a_renamed_file_is_recognised_by_its_content_and_counted_once(tmp_path, two, caplog):
    a, b = two
    out = tmp_path / "out"
    done = run(two, out)
    renamed = a.rename(tmp_path / "ada.mp4")
    for inputs in ([renamed, b], [renamed]):
        again = run(inputs, out)
        assert statuses(again) == ["skipped"] * len(inputs)
        assert again.videos[0].video_id == done.videos[0].video_id
    assert "ada.mp4: has the content of a.mp4, which is no longer there" in caplog.text
    assert len(ferflow.load_frames(out)) == 5 + 7
    files = VideoFiles(out, done.videos[0].video_id)
    assert {read_metadata(path).source.name for path in (files.frames, files.faces, files.timeline)} == {
        "ada.mp4"
    }
    assert "ada.mp4" in files.report.read_text()
    assert [Path(entry["source"]).name for entry in run_file(out)["videos"]] == ["ada.mp4", "b.mp4"]
    assert statuses(run([renamed], out, overwrite=True)) == ["done"]
    assert len(ferflow.load_frames(out)) == 5 + 7


def test_a_renamed_folder_of_images_is_recognised(tmp_path):
    images = tmp_path / "shots"
    images.mkdir()
    for number, image in enumerate(face_frames(3, size=(128, 96))):
        Image.fromarray(image).save(images / f"{number}.png")
    out = tmp_path / "out"
    run([images], out, pages=False)
    assert statuses(run([images.rename(tmp_path / "ada")], out, pages=False)) == ["skipped"]


def test_a_copy_of_another_name_counts_for_itself(tmp_path, two):
    a, _ = two
    out = tmp_path / "out"
    run([a], out, pages=False)
    copy = Path(shutil.copy(a, tmp_path / "copy.mp4"))
    assert statuses(run([copy], out, pages=False)) == ["done"]


def test_raw_files_that_share_name_size_and_both_ends_are_two_videos(tmp_path):
    """Which of them an id belongs to, the sha256 decides; no advice to overwrite."""
    images = [numbered_image(i % 50, (320, 240)) for i in range(20)]
    cameras = [tmp_path / name / "long.avi" for name in ("left", "right")]
    for camera in cameras:
        camera.parent.mkdir()
    left, right = cameras
    write_video(left, images, codec="rawvideo", pix_fmt="yuv420p")
    content = bytearray(left.read_bytes())
    content[len(content) // 2] ^= 0xFF
    right.write_bytes(content)
    out = tmp_path / "out"
    for inputs, ends in ((left, ["done"]), (right, ["done"]), (left, ["skipped"]), (right, ["skipped"])):
        assert statuses(run([inputs], out, pages=False)) == ends
    both = run(cameras, out, pages=False)
    assert statuses(both) == ["skipped", "skipped"]
    assert both.videos[1].video_id == f"{both.videos[0].video_id}-2"
    assert len(ferflow.load_frames(out)) == 40


def test_other_options_are_named_with_both_values(tmp_path, two):
    out = tmp_path / "out"
    run(two, out, AnalyzeOptions(every=2, region=("left",)), pages=False)
    with pytest.raises(RecordsError) as error:
        plan(two, out, AnalyzeOptions(fps=5.0, stitch="off", threads=1))
    message = str(error.value)
    for one in (
        "every: 2, now 1", "fps: not given, now 5.0", "stitch: colour, now off", "region: left, now not given"
    ):  # fmt: skip
        assert one in message
    assert "threads" not in message  # no effect on results
    assert "\n" not in message


def test_a_folder_of_schema_1_is_resumed(tmp_path, monkeypatch):
    """Its footers name the stride of detection otherwise than options do today."""
    out, video = tmp_path / "out", tmp_path / "nobody.mp4"
    shutil.copytree(FOLDER_OF_SCHEMA_1, out)
    shutil.copy(out / "nobody.source.mp4", video)
    model = read_metadata(VideoFiles(out, "nobody-a1ab9533").faces).model.sha256
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: model)
    assert [task.is_finished for task in plan([video], out, AnalyzeOptions(detect="full"))] == [True]
    with pytest.raises(RecordsError, match=r"other options.*detect: full, now auto"):
        plan([video], out, AnalyzeOptions())


def test_the_fingerprint_covers_every_byte_and_every_image(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"x" * 5000)
    remembered = fingerprint(file)
    assert not has_changed(file, remembered)
    file.write_bytes(b"x" * 2500 + b"y" + b"x" * 2499)
    os.utime(file, (1, 1))
    assert has_changed(file, remembered)
    shots = tmp_path / "shots"
    shots.mkdir()
    for number in (1, 2):
        (shots / f"{number}.png").write_bytes(b"png")
    remembered = fingerprint(shots)
    (shots / "2.png").write_bytes(b"pnG")
    os.utime(shots / "2.png", (1, 1))
    assert has_changed(shots, remembered)


def test_a_file_that_is_still_being_written_fails(tmp_path, two):
    a, _ = two

    def write(event):
        if isinstance(event, Progressed) and event.task.source == a:
            with a.open("ab") as file:
                file.write(b"more")

    report = observed_run(write, two, tmp_path / "out", pages=False)
    assert statuses(report) == ["failed", "done"]
    assert "changed while it was analysed" in report.videos[0].error


def test_leftovers_of_a_run_that_was_killed_go_and_what_is_not_ours_stays(tmp_path, two):
    a, b = two
    out = tmp_path / "out"
    run(two, out)
    whole = {path for path in out.rglob("*") if path.is_file()}
    other = VideoFiles(out, "gone-0123abcd")
    temporary_path(other.faces).write_bytes(b"half")
    (out / ".run.json.99999999.tmp").write_text("{")
    ours = next((out / "frames").glob("*.parquet"))
    lone = read_metadata(ours).video_id
    VideoFiles(out, lone).faces.unlink()  # frames without faces: as a kill between the two leaves them
    theirs = [out / "notes.txt", out / "frames" / "mine.parquet", out / ".keep.tmp"]
    for path in theirs:
        path.write_text("mine")
    keeper = a if lone.startswith("b-") else b
    run([keeper], out)
    assert all(path.read_text() == "mine" for path in theirs)
    left = {path for path in out.rglob("*") if path.is_file()} - set(theirs)
    assert left == {path for path in whole if not path.name.startswith(lone)}


def test_what_may_pass_is_tried_again_after_all_others(tmp_path, two, monkeypatch):
    order, real = [], ferflow.jobs.video_job.open_video

    def flaky(path, *reading, **options):
        order.append(path.name)
        if path.name == "a.mp4" and order.count("a.mp4") == 1:
            raise VideoError("a.mp4: cannot be opened (Input/output error).") from OSError(errno.EIO, "EIO")
        return real(path, *reading, **options)

    monkeypatch.setattr("ferflow.jobs.video_job.open_video", flaky)
    report = run(two, tmp_path / "out", pages=False)
    assert statuses(report) == ["done", "done"]
    assert order == ["a.mp4", "b.mp4", "a.mp4"]
    assert [video.attempts for video in report.videos] == [2, 1]


@pytest.mark.parametrize("retries", [0, 3])
def test_it_is_tried_as_often_as_was_said_and_then_fails(tmp_path, two, monkeypatch, retries):
    tried = []

    def broken(path, *reading, **options):
        tried.append(path)
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("ferflow.jobs.video_job.open_video", broken)
    report = run(two[:1], tmp_path / "out", pages=False, retries=retries)
    assert len(tried) == retries + 1
    assert (report.videos[0].status, report.videos[0].failure) == ("failed", "transient")
    assert report.videos[0].attempts == retries + 1


def test_what_is_wrong_with_the_file_is_not_tried_again(tmp_path, monkeypatch):
    (tmp_path / "notes.mp4").write_text("Dear diary")
    tried = []

    def see(event):
        if isinstance(event, Started):
            tried.append(event.task)

    report = observed_run(see, [tmp_path / "notes.mp4"], tmp_path / "out", retries=5, pages=False)
    assert (len(tried), report.videos[0].failure) == (1, "input")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (VideoError("no video stream"), "input"), (MemoryError(), "transient"), (KeyError("x"), "unexpected"),
        (OSError(errno.ENOSPC, "full"), "disk_full"), (OSError(errno.EDQUOT, "quota"), "disk_full"),
        (OSError(errno.EIO, "hiccup"), "transient"), (PermissionError(errno.EACCES, "no"), "unexpected"),
    ],
)  # fmt: skip
def test_the_kind_of_a_failure_decides(error, kind):
    assert failure_of(error) == kind


def test_fail_fast_begins_nothing_after_a_failure_and_says_so(tmp_path, two):
    (tmp_path / "notes.mp4").write_text("Dear diary")
    out = tmp_path / "out"
    inputs = [two[0], tmp_path / "notes.mp4", two[1]]
    report = run(inputs, out, pages=False, fail_fast=True)
    assert statuses(report) == ["done", "failed", "not_started"]
    assert report.exit_code == 10
    assert "stopped at the first failure" in report.videos[2].error
    assert [entry["status"] for entry in run_file(out)["videos"]] == ["done", "failed", "not_started"]
    assert statuses(run([two[0], two[1]], out, pages=False)) == ["skipped", "done"]
    assert {entry["status"] for entry in run_file(out)["videos"] if entry["source"] == str(two[1])} == {
        "done"
    }


def test_a_run_that_stopped_before_its_other_inputs_is_incomplete_and_not_a_failure_of_all(tmp_path, two):
    """An input that cannot be analysed at all is found before any video is started."""
    missing = tmp_path / "missing.mp4"
    stopped = run([two[0], missing], tmp_path / "out", pages=False, fail_fast=True)
    assert (statuses(stopped), stopped.exit_code) == (["not_started", "failed"], 10)
    alone = run([missing], tmp_path / "out", pages=False, fail_fast=True)
    assert (statuses(alone), alone.exit_code) == (["failed"], 3)


@pytest.mark.parametrize(("workers", "retries"), [(-1, 1), (1, -1)])
def test_numbers_that_make_no_sense_are_refused(tmp_path, two, workers, retries):
    with pytest.raises(ferflow.errors.OptionsError):
        run(two, tmp_path / "out", workers=workers, retries=retries)


def test_a_part_of_the_folder_that_leads_elsewhere_is_refused(tmp_path, two):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "frames").symlink_to(elsewhere)
    with pytest.raises(RecordsError, match="leads out of"):
        run(two, out)
    assert list(elsewhere.iterdir()) == []


def test_the_lock_of_a_run_that_is_gone_holds_nobody_up_and_a_held_one_names_its_holder(tmp_path, two):
    out = tmp_path / "out"
    run(two[:1], out, pages=False)
    assert (out / ".ferflow.lock").exists()
    refused = []

    def run_again(event):
        if isinstance(event, Started):
            with pytest.raises(RecordsError, match=f"process {os.getpid()} on ") as error:
                run(two, out, pages=False)
            refused.append(error)

    observed_run(run_again, two, out, pages=False)
    assert refused


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few hundred KiB, and how to fill it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root to mount a small file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def filled(disk: Path) -> Path:
    """Write a file until nothing more fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def test_a_full_disk_stops_the_run_keeps_what_is_finished_and_the_next_run_goes_on(tmp_path, two, small_disk):
    a, b = two
    out = small_disk / "out"
    run([a], out, AnalyzeOptions(), pages=False)
    before = {path: path.read_bytes() for path in out.rglob("*.parquet")}
    filler = filled(small_disk)
    with pytest.raises(RecordsError, match="space") as reported:
        run([a, b], out, pages=False)
    assert "\n" not in str(reported.value)
    assert {path: path.read_bytes() for path in out.rglob("*.parquet")} == before
    assert not list(out.rglob("*.tmp"))
    filler.unlink()
    report = run([a, b], out, pages=False)
    assert statuses(report) == ["skipped", "done"]
    assert len(ferflow.load_frames(out)) == 5 + 7


def test_a_disk_that_fills_up_in_the_middle_of_a_video_says_so(tmp_path, two, small_disk):
    a, b = two
    out = small_disk / "out"

    def fill(event):
        if isinstance(event, Progressed) and event.task.source == b and not (small_disk / "filler").exists():
            filled(small_disk)

    with pytest.raises(RecordsError, match="no space left") as reported:
        observed_run(fill, [a, b], out, pages=False)
    assert "Finished videos are kept" in str(reported.value)
    assert len(list((out / "faces").glob("*.parquet"))) == 1
    assert not list(out.rglob("*.tmp"))
    (small_disk / "filler").unlink()
    assert statuses(run([a, b], out, pages=False)) == ["skipped", "done"]
