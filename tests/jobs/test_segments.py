"""A video that is analysed in segments has the tables of one that is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferflow.errors import OptionsError, RecordsError, VideoError
from ferflow.jobs.job import Job
from ferflow.jobs.run import run, run_events
from ferflow.jobs.run_events import Ended, Progressed, Started
from ferflow.jobs.segments import work
from ferflow.jobs.segments.board import Board
from ferflow.jobs.segments.plan import count_segments
from ferflow.jobs.segments.steps import Inexact, JoinTask, SegmentTask, Split, WholeTask, report_step
from ferflow.media.parts import Part
from ferflow.options import AnalyzeOptions
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.segment_files import SEGMENTS, SegmentFiles
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, portrait, some_slow, write_video

FULL = AnalyzeOptions(detect="full", threads=1)
MINUTES = 0.05


def people_crossing(count: int, *, size: tuple[int, int] = (320, 144)) -> list[np.ndarray]:
    """Two faces that cross; with a held picture, a cut and a black stretch where a segment begins, at each quarter."""
    import cv2

    width, height = size
    face = cv2.resize(portrait()[0:260, 90:350], (100, 100), interpolation=cv2.INTER_AREA)
    other = np.ascontiguousarray(face[:, ::-1, ::-1])
    images: list[np.ndarray] = []
    for number in range(count):
        image = np.empty((height, width, 3), np.uint8)
        is_first_shot = number < count // 2
        image[:] = (40, 60, 40) if is_first_shot else (250, 240, 230)
        (image[:, width // 2 :] if is_first_shot else image[height // 2 :])[:] = (200, 190, 210)
        x = abs((number * 7) % 400 - 200)
        image[4:104, x : x + 100] = other
        image[40:140, 205 - x : 305 - x] = face
        if number - count // 4 in (-1, 0, 1):
            image = images[-1]
        if number - count * 3 // 4 in (-2, -1, 0):
            image = np.zeros_like(image)
        images.append(image)
    return images


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Path:
    """Twelve seconds at five frames a second; each is a key frame, so that held pictures are equal at joints, too."""
    images = people_crossing(61)
    path, pts = tmp_path_factory.mktemp("long") / "long.mkv", list(range(0, 200 * len(images), 200))
    return write_video(path, images, pts=pts, codec="mjpeg", pix_fmt="yuvj420p")


def tables(out: Path) -> dict[str, pa.Table]:
    """All tables of an output folder by their path."""
    return {
        path.relative_to(out).as_posix(): pq.read_table(path)
        for kind in ("frames", "faces", "timeline")
        for path in sorted((out / kind).glob("*.parquet"))
    }


def footers(out: Path) -> dict[str, dict[str, object]]:
    """What they say of their videos."""
    found = {}
    for path in sorted((out / "faces").glob("*.parquet")):
        footer = json.loads(pq.read_metadata(path).metadata[b"ferflow"])
        del footer["options"]["threads"]
        found[path.name] = footer
    return found


KINDS = ("frames", "faces")


@pytest.fixture
def whole(stand_in, tmp_path_factory):
    """Makes the output folder of a video that is analysed in one go, once: `whole(video, options)`."""

    def make(video: Path, options: AnalyzeOptions) -> Path:
        key = video, options.digest(), options.detect
        if key not in _WHOLE:
            _WHOLE[key] = tmp_path_factory.mktemp("whole")
            run([video], _WHOLE[key], options, pages=False, workers=0)
        return _WHOLE[key]

    return make


_WHOLE: dict[tuple[object, ...], Path] = {}


def assert_same(one: Path, other: Path) -> None:
    """Both folders hold the same tables."""
    first, second = tables(one), tables(other)
    assert first.keys() == second.keys()
    assert first
    for name, table in first.items():
        assert table.equals(second[name]), name
    assert footers(one) == footers(other)


@pytest.mark.parametrize(
    "more",
    some_slow({}, {"fps": 2.5, "start": "2.1"}, slow=[{"region": "0,0,320,144"}]),
)
def test_tables_are_those_of_an_analysis_in_one_go(whole, tmp_path, long_video, more):
    options = FULL.updated(**more)
    report = run([long_video], tmp_path / "segments", options, pages=False, workers=0, segment=MINUTES)
    assert report.exit_code == 0
    assert_same(whole(long_video, options), tmp_path / "segments")
    assert not (tmp_path / "segments" / SEGMENTS).exists()


def test_the_clip_has_what_is_hard_at_joints(long_video, whole):
    (footer,) = footers(whole(long_video, FULL)).values()
    assert footer["counts"]["n_repeated"] == 5
    found = tables(whole(long_video, FULL))
    frames, faces = (next(table for name, table in found.items() if name.startswith(kind)) for kind in KINDS)
    assert frames["is_cut"].to_pylist()[30]
    assert frames["luma_mean"].to_pylist()[45] < 1
    assert set(faces["track_id"].to_pylist()) >= {1, 2, 3}


def test_with_auto_frames_are_the_same_and_so_are_the_people(whole, tmp_path, long_video):
    import motmetrics

    auto = AnalyzeOptions(threads=1)
    run([long_video], tmp_path, auto, pages=False, workers=0, segment=MINUTES)
    one_go, parts = tables(whole(long_video, auto)), tables(tmp_path)
    for name, table in one_go.items():
        if name.startswith("frames"):
            assert table.drop(["n_faces"]).equals(parts[name].drop(["n_faces"]))
    accumulator = motmetrics.MOTAccumulator()
    for index in range(61):
        rows = [faces_of(found, index) for found in (one_go, parts)]
        distance = 1 - overlap(rows[0][1], rows[1][1])
        distance[distance > 0.5] = np.nan
        accumulator.update(rows[0][0], rows[1][0], distance, frameid=index)
    (idf1,) = motmetrics.metrics.create().compute(accumulator, metrics=["idf1"])["idf1"]
    assert idf1 >= 0.99


def faces_of(all_tables: dict[str, pa.Table], index: int) -> tuple[list[int], np.ndarray]:
    """Track ids and boxes (x1, y1, x2, y2) of a frame."""
    table = next(table for name, table in all_tables.items() if name.startswith("faces"))
    rows = table.filter(pa.compute.equal(table["frame_index"], index)).to_pydict()
    return rows["track_id"], np.array([rows[name] for name in ("x1", "y1", "x2", "y2")], float).T.reshape(
        -1, 4
    )


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes."""
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    return shared / (areas[0][:, None] + areas[1] - shared)


@pytest.fixture
def observed(monkeypatch) -> list[int]:
    """Numbers of the segments that are observed; a negative number in it kills the run at that one."""
    numbers: list[int] = []
    write = work._write_segment

    def note(task, *rest):
        if -task.number in numbers:
            raise KeyboardInterrupt
        numbers.append(task.number)
        yield from write(task, *rest)

    monkeypatch.setattr(work, "_write_segment", note)
    return numbers


def interrupt(video: Path, out: Path, observed: list[int], options: AnalyzeOptions = FULL) -> None:
    """A run that is ended at its third segment."""
    observed.append(-2)
    with pytest.raises(KeyboardInterrupt):
        run([video], out, options, pages=False, workers=0, segment=MINUTES)
    observed.clear()


def test_an_interrupted_run_goes_on_with_the_segments_that_are_left(whole, tmp_path, long_video, observed):
    path, out = tmp_path / "a.mkv", tmp_path / "out"
    path.write_bytes(long_video.read_bytes())
    interrupt(path, out, observed)
    assert len(list((out / SEGMENTS).glob("*/*.json"))) == 3  # the plan and two segments
    os.utime(path)  # the content is the same
    run([path], out, FULL, pages=False, workers=0, segment=MINUTES)
    assert observed == [2, 3]
    assert_same(whole(path, FULL), out)


OF_ONE_SEGMENT = ("broken state", "lost table", "cut table", "exchanged table")


@pytest.mark.parametrize(
    "change",
    some_slow(
        "options",
        "exchanged table",
        slow=["length", "broken state", "broken plan", "lost table", "cut table"],
    ),
)
def test_segments_of_another_analysis_are_not_used(whole, tmp_path, long_video, observed, change):
    out, options, minutes = tmp_path / "out", FULL, MINUTES
    interrupt(long_video, out, observed)
    (folder,) = (out / SEGMENTS).iterdir()
    if change == "options":
        options = FULL.updated(min_face=40)
    elif change == "length":
        minutes = 0.06
    elif change == "broken state":
        (folder / "0001.json").write_bytes(b'{"basis": 3')
    elif change == "lost table":
        (folder / "0001.faces.parquet").unlink()
    elif change == "cut table":
        os.truncate(folder / "0001.faces.parquet", 300)
    elif change == "exchanged table":
        (folder / "0001.frames.parquet").write_bytes((folder / "0000.frames.parquet").read_bytes())
    else:
        (folder / "plan.json").write_bytes(b"[]")
    report = run([long_video], out, options, pages=False, workers=0, segment=minutes)
    assert report.exit_code == 0
    assert observed == ([1, 2, 3] if change in OF_ONE_SEGMENT else list(range(len(observed))))
    assert len(observed) >= 3
    assert_same(whole(long_video, options), out)


def test_a_folder_among_the_files_of_segments_costs_nothing_and_stays(whole, tmp_path, long_video, observed):
    interrupt(long_video, tmp_path, observed)
    (folder,) = (tmp_path / SEGMENTS).iterdir()
    (folder / "mine").mkdir()
    (folder / "plan.json").write_text("{}")
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES)
    assert report.exit_code == 0
    assert observed == [0, 1, 2, 3]
    assert_same(whole(long_video, FULL), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_where_segments_cannot_be_kept_the_video_is_analysed_in_one_go_and_that_is_said(
    whole, tmp_path, long_video, observed, caplog
):
    (tmp_path / SEGMENTS).write_text("of somebody else")
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES)
    assert report.exit_code == 0
    assert observed == []
    assert f"{SEGMENTS}: not a folder. Remove it, or use another -o." in caplog.text
    assert_same(whole(long_video, FULL), tmp_path)
    assert (tmp_path / SEGMENTS).read_text() == "of somebody else"


def test_an_unexpected_error_while_a_video_is_split_costs_no_results(
    whole, tmp_path, long_video, observed, monkeypatch, caplog
):
    def fail(*_):
        raise ValueError("unexpected bytes")

    monkeypatch.setattr(work, "split_video", fail)
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES)
    assert report.exit_code == 0
    assert observed == []
    assert "long.mkv: analysed in one segment, since it could not be split" in caplog.text
    assert_same(whole(long_video, FULL), tmp_path)


def test_segments_that_cannot_be_removed_cost_no_results(whole, tmp_path, long_video, monkeypatch, caplog):
    def refuse(self):
        raise RecordsError(f"{self.folder}: cannot be written (Permission denied). Check its permissions.")

    monkeypatch.setattr(SegmentFiles, "remove", refuse)
    run([long_video], tmp_path / "no plan", FULL, pages=False, workers=0, segment=100)
    assert "pictures of faces may be left" in caplog.text
    assert_same(whole(long_video, FULL), tmp_path / "no plan")


def test_no_segments_are_left_once_the_video_is_analysed_without(whole, tmp_path, long_video, observed):
    interrupt(long_video, tmp_path, observed)
    assert run([long_video], tmp_path, FULL, pages=False, workers=0).exit_code == 0
    assert not (tmp_path / SEGMENTS).exists()
    assert_same(whole(long_video, FULL), tmp_path)


def test_a_damaged_video_is_analysed_in_one_go(whole, tmp_path, long_video, caplog):
    data, path = bytearray(long_video.read_bytes()), tmp_path / "damaged.mkv"
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    report = run([path], tmp_path / "segments", FULL, pages=False, workers=0, segment=MINUTES)
    assert report.videos[0].has_gaps
    assert "one segment" in caplog.text
    assert_same(whole(path, FULL), tmp_path / "segments")
    assert not (tmp_path / "segments" / SEGMENTS).exists()


def test_a_file_that_ends_too_early_is_still_split(whole, tmp_path, observed):
    images = people_crossing(60)
    path = write_video(tmp_path / "a.mkv", images, pts=list(range(0, 12_000, 200)), gop=5)
    path.write_bytes(path.read_bytes()[:-2_000])
    run([path], tmp_path / "segments", FULL, pages=False, workers=0, segment=MINUTES)
    assert len(observed) > 2
    assert_same(whole(path, FULL), tmp_path / "segments")


def test_a_long_video_with_one_key_frame_is_not_split_and_that_is_said(whole, tmp_path, caplog):
    images = face_frames(31, size=(96, 72))
    path = write_video(tmp_path / "a.mp4", images, pts=list(range(0, 400 * len(images), 400)), gop=500)
    run([path], tmp_path / "out", FULL, pages=False, workers=0, segment=MINUTES)
    assert "a.mp4: analysed in one segment, since it has no key frame" in caplog.text
    assert_same(whole(path, FULL), tmp_path / "out")


@pytest.mark.parametrize(("minutes", "is_said"), [(MINUTES, True), (1.0, False)])
def test_that_a_video_cannot_be_split_is_said_where_it_would_be(stand_in, tmp_path, caplog, minutes, is_said):
    images = face_frames(4, size=(96, 72))
    path = write_video(tmp_path / "a.mkv", images, pts=[0, 2000, 4000, 6000], codec="ffv1")
    report = run([path], tmp_path / "out", FULL, pages=False, workers=0, segment=minutes)
    assert report.exit_code == 0
    assert ("decoding cannot start in the middle of ffv1" in caplog.text) == is_said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_with_people_who_cross_at_joints(whole, tmp_path, observed):
    images = people_crossing(3001)
    path = write_video(tmp_path / "a.mp4", images, pts=list(range(0, 200 * len(images), 200)), gop=50)
    run([path], tmp_path / "out", FULL, pages=False, workers=0, segment=1)
    assert observed == list(range(10))
    assert_same(whole(path, FULL), tmp_path / "out")


@pytest.mark.parametrize("segment", some_slow(0.2, slow=[1.0]))
def test_a_video_that_is_hardly_longer_than_a_segment_is_not_split(
    stand_in, tmp_path, long_video, observed, segment
):
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=segment)
    assert report.exit_code == 0
    assert observed == []


@pytest.mark.parametrize("kind", some_slow("not a video", slow=["images", "no face"]))
def test_what_is_no_long_video_ends_as_without_segments(stand_in, tmp_path, kind):
    path = tmp_path / "in.mp4"
    if kind == "not a video":
        path.write_bytes(b"no video")
    elif kind == "images":
        import cv2

        path = tmp_path / "images"
        path.mkdir()
        for number, image in enumerate(face_frames(3)):
            cv2.imwrite(str(path / f"{number}.png"), image)
    else:
        images = [np.full((48, 64, 3), 3 * number, np.uint8) for number in range(60)]
        write_video(path, images, pts=list(range(0, 12_000, 200)), gop=5)
    reports = [
        run([path], tmp_path / name, FULL, pages=False, workers=0, segment=segment)
        for name, segment in (("whole", None), ("segments", MINUTES))
    ]
    assert reports[0].exit_code == reports[1].exit_code
    assert reports[0].videos[0].error == reports[1].videos[0].error
    if kind != "not a video":
        assert_same(tmp_path / "whole", tmp_path / "segments")


def test_options_that_follow_tracks_are_refused(ferflow, tmp_path, long_video):
    for more, word in (
        (("--detect", "every:2"), "detect every:N"),
        (("--stitch", "face"), "stitch face"),
        (("--segment", "0"), "at least 0.05"),
        (("--segment", "nan"), "at least 0.05"),
        (("--segment", "-3"), "at least 0.05"),
    ):
        result = ferflow("analyze", long_video, "-o", tmp_path / "out", "--segment", "5", *more)
        assert result.code == OptionsError.exit_code
        assert word in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_segment_that_fails_fails_the_video_by_its_name(stand_in, tmp_path, long_video, monkeypatch):
    def fail(task, *rest):
        if task.number == 1:
            raise VideoError("long.mkv: changed while it was analysed.")
        yield from write(task, *rest)

    write = work._write_segment
    monkeypatch.setattr(work, "_write_segment", fail)
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES)
    (entry,) = report.videos
    assert (entry.status, entry.failure, entry.attempts) == ("failed", "input", 1)
    assert entry.error == "long.mkv: changed while it was analysed."
    monkeypatch.setattr(work, "_write_segment", write)
    assert run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES).exit_code == 0


def test_a_transient_failure_costs_one_segment(stand_in, tmp_path, long_video, monkeypatch, observed):
    write, n_failed = work._write_segment, []

    def fail_once(task, *rest):
        if task.number == 1 and not n_failed:
            n_failed.append(1)
            raise MemoryError
        yield from write(task, *rest)

    monkeypatch.setattr(work, "_write_segment", fail_once)
    monkeypatch.setattr("ferflow.jobs.processing.RETRY_AFTER_SECONDS", 0.0)
    report = run([long_video], tmp_path, FULL, pages=False, workers=0, segment=MINUTES)
    assert report.exit_code == 0
    assert report.videos[0].attempts == 2
    assert observed == [0, 2, 3, 1]


def test_a_source_that_changes_meanwhile_is_refused(stand_in, tmp_path, long_video, monkeypatch):
    path = tmp_path / "a.mkv"
    path.write_bytes(long_video.read_bytes())
    write = work._write_segment

    def touch(task, *rest):
        if task.number == 2:
            os.utime(path, (1, 1))
        yield from write(task, *rest)

    monkeypatch.setattr(work, "_write_segment", touch)
    report = run([path], tmp_path / "out", FULL, pages=False, workers=0, segment=MINUTES)
    assert "changed while it was analysed" in report.videos[0].error
    assert not list((tmp_path / "out").glob("faces/*"))


def test_a_shard_analyses_in_segments(whole, tmp_path, long_video):
    job = Job(
        inputs=(str(long_video),), out=tmp_path / "out", options=FULL, pages=False, workers=0, segment=MINUTES
    ).updated(shard="1/1")
    assert list(run_events(job))[-1].report.exit_code == 0
    assert_same(whole(long_video, FULL), tmp_path / "out")


def test_what_is_left_of_an_interrupted_run_is_known_and_can_be_forgotten(
    stand_in, tmp_path, long_video, observed, ferflow
):
    out = tmp_path / "out"
    interrupt(long_video, out, observed)
    (folder,) = (out / SEGMENTS).iterdir()
    assert folder.name in ferflow("doctor", out).text
    result = ferflow("forget", out, "--video", "long.mkv", "--yes")
    assert result.code == 0, result.text
    assert not folder.exists()
    again = ferflow("analyze", long_video, "-o", out, "--detect", "full", "--segment", MINUTES, "--no-report")
    assert "forgotten" in again.text


def test_the_notice_says_that_pictures_of_faces_are_stored(stand_in, ferflow, tmp_path, long_video):
    result = ferflow(
        "analyze", long_video, "-o", tmp_path, "--segment", 5, "--no-report", "--workers", 0, "--fps", 1
    )
    assert "Small pictures of faces are stored until a video is finished" in " ".join(result.stderr.split())
    assert "No face image is kept" not in result.stderr


def test_leftovers_of_finished_videos_are_removed(stand_in, tmp_path, long_video):
    run([long_video], tmp_path, FULL, pages=False, workers=0)
    (finished,) = (tmp_path / "faces").iterdir()
    files = SegmentFiles(tmp_path, finished.stem)
    files.folder.mkdir(parents=True)
    files.plan.write_text("{}")
    files.folder.joinpath(".0000.faces.parquet.ab.tmp").write_text("")
    run([long_video], tmp_path, FULL, pages=False, workers=0)
    assert not [path for path in files.folder.parent.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.isolated
def test_a_worker_that_is_killed_costs_one_segment_and_both_workers_are_used(tmp_path, long_video):
    command = [
        sys.executable, "-m", "ferflow", "analyze", str(long_video), "-o", str(tmp_path / "out"), "--detect", "full",
        "--segment", str(MINUTES), "--no-report", "--workers", "2", "--threads", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        begun = tmp_path / "out" / SEGMENTS
        while not list(begun.glob("*/.0*.tmp")):
            assert process.poll() is None
            time.sleep(0.005)
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if child.cpu_times().user > 0.3
        ]
        workers[0].send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    run([long_video], tmp_path / "whole", FULL, pages=False, workers=0)
    assert_same(tmp_path / "whole", tmp_path / "out")


@pytest.mark.parametrize(
    ("seconds", "minutes", "n_workers", "count"),
    [
        (600, 5, 2, 2), (900, 5, 2, 4), (61, 1, 1, 1), (61, 1, 8, 1), (70, 1, 1, 2), (3600, 5, 2, 12), (3600, 5, 7, 14),
        (720, 5, 16, 9), (0, 5, 2, 1), (3650, 1, 4, 61),
    ],
)  # fmt: skip
def test_how_many_segments_there_are(seconds, minutes, n_workers, count):
    found = count_segments(seconds, minutes, n_workers)
    assert found == count
    assert found == 1 or seconds / found <= 1.1 * minutes * 60


def video_task(name: str, n_bytes: int, folder: Path) -> VideoTask:
    path = folder / f"{name}.mp4"
    path.write_bytes(bytes(n_bytes))
    return VideoTask(path, VideoFiles(folder, name))


def part(number: int, n: int = 3) -> Part:
    return Part(
        number=number, start_pts=None, end_pts=None, first_pts=0, n_frames=1, digest="", start_s=10.0 * number,
        end_s=10.0 * (number + 1),
    )  # fmt: skip


def split(task: VideoTask, n: int = 3, *, left: tuple[int, ...] | None = None) -> Split:
    pending = tuple(range(n)) if left is None else left
    return Split.of(task, seconds=1.0, parts=tuple(map(part, range(n))), pending=pending, of_seconds=30.0)


def start(board: Board) -> VideoTask:
    task = board.first
    list(board.start())
    return task


def done(task: VideoTask) -> Ended:
    return Ended(task, report_step(task, seconds=2.0))


def test_segments_come_in_between_other_videos_by_size(tmp_path):
    tasks = [
        video_task("long", 900, tmp_path),
        video_task("middle", 500, tmp_path),
        video_task("short", 200, tmp_path),
    ]
    board = Board(tasks, by_size=True)
    assert [type(event) for event in board.start()] == [Started]
    assert list(board.follow(split(tasks[0]))) == []
    order = []
    while board:
        order.append(start(board))
        if isinstance(order[-1], SegmentTask):
            list(board.follow(done(order[-1])))
    names = [f"{task.source.stem}{task.number if isinstance(task, SegmentTask) else ''}" for task in order]
    assert names == ["middle", "long0", "long1", "long2", "long", "short"]
    assert isinstance(order[4], JoinTask)


def test_progress_adds_up_and_a_video_ends_once(tmp_path):
    (task,) = tasks = [video_task("a", 10, tmp_path)]
    board = Board(tasks)
    assert list(board.start()) == [Started(task)]
    events = list(board.follow(split(task, left=(1, 2))))
    first, second = start(board), start(board)
    events += board.follow(Progressed(first, 4.0, 10.0))
    events += board.follow(Progressed(second, 5.0, 10.0))
    events += board.follow(done(second))
    events += board.follow(done(first))
    join = start(board)
    assert events == [Progressed(task, seconds, 30.0) for seconds in (10.0, 14.0, 19.0)]
    (end,) = board.follow(Ended(join, TaskReport(source="a", status="done", n_frames=7, seconds=0.5)))
    assert (end.task, end.report.n_frames, end.report.seconds) == (task, 7, 1.0 + 2 * 2.0 + 0.5)
    assert not board


@pytest.mark.parametrize("failure", ["input", "transient"])
def test_after_a_failure_what_is_in_progress_ends_and_what_can_help_is_done(tmp_path, failure):
    (task,) = tasks = [video_task("a", 10, tmp_path)]
    board = Board(tasks)
    start(board)
    list(board.follow(split(task)))
    first, second = start(board), start(board)
    failed = Ended(first, TaskReport.failed(first, "a.mp4: why", failure=failure))
    assert list(board.follow(failed)) == []
    assert bool(board) == (failure == "transient")
    events = list(board.follow(done(second)))
    if failure == "transient":
        assert events == []
        events = list(board.follow(done(start(board))))
    assert [(event.task, event.report.error) for event in events] == [(task, "a.mp4: why")]
    assert not board


def test_a_segment_that_cannot_be_exact_leads_to_the_whole_video(tmp_path):
    (task,) = tasks = [video_task("a", 10, tmp_path)]
    board = Board(tasks)
    start(board)
    list(board.follow(split(task)))
    first, second = start(board), start(board)
    assert list(board.follow(Inexact(first, report_step(first, seconds=1.0)))) == []
    assert not board
    assert list(board.follow(done(second))) == []
    whole = start(board)
    assert isinstance(whole, WholeTask)
    (end,) = board.follow(done(whole))
    assert end.task == task
