"""Recordings that keep arriving are analysed when they are complete, each once, in ordinary runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Finished, Planned, Waiting, WatchEvent
from ferflow.jobs.watch import Watch, watch_events
from ferflow.store.output_folder import OutputFolder
from ferflow.system.open_files import find_open_for_writing
from tests.command import restore_signals
from tests.conftest import face_frames, write_video
from tests.jobs.test_run_events import events_of

pytestmark = pytest.mark.usefixtures("stand_in")

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which files are open")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> bytes:
    """A file whose index is at its end, as most recorders write them: only the complete file can be read."""
    return write_video(tmp_path_factory.mktemp("recording") / "video.mp4", face_frames(20)).read_bytes()


@pytest.fixture
def folder(tmp_path) -> Path:
    (path := tmp_path / "recordings").mkdir()
    return path


def watch(folder: Path, *steps: Callable[[], object], **fields: object) -> list[WatchEvent]:
    """All events, where these things happen one by one between the looks; it ends after them."""
    remaining = list(steps)

    def wait(seconds: float) -> bool:
        assert seconds == 60.0
        if not remaining:
            return True
        remaining.pop(0)()
        return False

    job = Job(inputs=(str(folder),), out=folder.parent / "out", pages=False, workers=0, **fields)
    return list(watch_events(job, Watch(every_s=60.0), wait=wait))


def nothing() -> None:
    """Time goes by."""


def age(path: Path, seconds: float = 3600.0) -> Path:
    """Let a file be last changed so long ago."""
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def endings(events: list[WatchEvent]) -> list[tuple[str, str]]:
    return [(event.task.source.name, event.report.status) for event in events if isinstance(event, Ended)]


def test_files_are_analysed_as_they_arrive_and_each_once(folder, recording):
    age_of = age(folder / "old.mp4") if (folder / "old.mp4").write_bytes(recording) else None
    assert age_of is not None
    events = watch(
        folder, nothing, lambda: (folder / "new.mp4").write_bytes(recording[:-1] + b"x"), nothing, nothing
    )
    assert endings(events) == [("old.mp4", "done"), ("new.mp4", "done")]
    assert [len(event.tasks) for event in events if isinstance(event, Planned)] == [1, 1]
    assert [event.n_incomplete for event in events if isinstance(event, Waiting)] == [0, 1, 0]
    *_, last = events
    assert isinstance(last, Finished)
    assert [video.status for video in last.report.videos] == ["done", "done"]
    assert last.report.exit_code == 0


def test_a_file_that_grows_is_left_alone_until_it_is_complete(folder, recording):
    """It grows between four looks, and is complete at the fifth."""
    path = folder / "growing.mp4"

    def grow() -> Iterator[Callable[[], object]]:
        for number in range(4):
            quarter = recording[number * len(recording) // 4 : (number + 1) * len(recording) // 4]
            yield lambda quarter=quarter: path.open("ab").write(quarter)

    events = watch(folder, *grow(), nothing)
    assert endings(events) == [("growing.mp4", "done")]


def test_a_file_that_was_changed_just_before_the_start_waits_for_the_second_look(folder, recording):
    (folder / "fresh.mp4").write_bytes(recording)
    assert endings(watch(folder)) == []
    assert endings(watch(folder, nothing)) == [("fresh.mp4", "done")]


def test_half_a_recording_fails_and_is_analysed_once_it_is_complete(folder, recording):
    path = folder / "paused.mp4"
    path.write_bytes(recording[: len(recording) // 2])
    events = watch(folder, nothing, nothing, lambda: path.write_bytes(recording), nothing, nothing)
    assert endings(events) == [("paused.mp4", "failed"), ("paused.mp4", "done")]
    *_, last = events
    assert isinstance(last, Finished)
    assert ([video.status for video in last.report.videos], last.report.exit_code) == (["done"], 0)


@needs_proc
def test_a_file_that_is_open_for_writing_is_left_alone_though_it_does_not_change(folder, recording):
    path = age(Path(folder / "open.mp4")) if (folder / "open.mp4").write_bytes(recording) else folder
    writer, reader = path.open("ab"), path.open("rb")
    with reader:
        assert endings(watch(folder, nothing, nothing, writer.close)) == [("open.mp4", "done")]


@needs_proc
def test_only_files_that_are_open_for_writing_are_found(tmp_path):
    read, written, closed = (tmp_path / name for name in ("read", "written", "closed"))
    for path in (read, written, closed):
        path.write_bytes(b"1")
    (link := tmp_path / "link").symlink_to(written)
    with read.open("rb"), written.open("r+b"):
        assert find_open_for_writing([read, written, closed, link]) == {written, link}
    assert find_open_for_writing([read, written]) == set()


def test_the_folder_is_locked_during_rounds_only_and_tried_again_while_another_run_has_it(
    folder, recording, caplog
):
    out = OutputFolder(folder.parent / "out")
    age(folder / "a.mp4") if (folder / "a.mp4").write_bytes(recording) else None
    locked = []
    other = out.lock()

    def lock() -> None:
        locked.append(out.is_locked())
        (folder / "b.mp4").write_bytes(recording + b"b")
        other.__enter__()

    events = watch(folder, lock, nothing, lambda: other.__exit__(None, None, None))
    assert locked == [False]
    assert endings(events) == [("a.mp4", "done"), ("b.mp4", "done")]
    assert "is writing here" in caplog.text
    assert "It is tried again." in caplog.text


def test_what_an_earlier_run_finished_is_skipped(folder, recording):
    (folder / "a.mp4").write_bytes(recording)
    watch(folder, nothing)
    assert endings(watch(folder, nothing)) == [("a.mp4", "skipped")]


def test_the_first_failure_ends_it_where_that_is_wanted(folder, recording):
    (folder / "a.mp4").write_text("Dear diary")
    (folder / "b.mp4").write_bytes(recording)
    events = watch(folder, nothing, lambda: pytest.fail("goes on"), fail_fast=True)
    assert endings(events) == [("a.mp4", "failed"), ("b.mp4", "not_started")]


def test_an_empty_folder_is_waited_for_and_a_mistyped_one_refused(folder, recording, caplog):
    assert [type(event) for event in watch(folder, nothing)] == [Waiting, Finished]
    assert caplog.text.count("no videos in this folder") == 1
    with pytest.raises(OptionsError, match=r"gone: no such file or folder\. --watch needs it"):
        watch(folder / "gone")
    with pytest.raises(OptionsError, match="no such file or folder"):
        list(
            watch_events(
                Job(inputs=("s3://bucket/videos",), out=folder / "out"), Watch(), wait=lambda _: True
            )
        )


def test_it_ends_when_nothing_has_changed_for_long(folder, recording):
    (folder / "a.mp4").write_bytes(recording)
    job = Job(inputs=(str(folder),), out=folder.parent / "out", pages=False, workers=0)
    looks = Counter[str]()
    (*_, last) = watch_events(
        job, Watch(every_s=60.0, until_idle_s=0.0), wait=lambda _: looks.update(["look"]) or False
    )
    assert isinstance(last, Finished)
    assert looks["look"] == 2  # one until the file is complete, and one after its round


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--watch-every", "5"], "--watch-every and --watch-until-idle need --watch"),
        (["--watch-until-idle", "5"], "--watch-every and --watch-until-idle need --watch"),
        (["--watch", "--dry-run"], "--watch and --dry-run cannot be combined"),
        (["--watch", "--watch-every", "0"], "watch-every"),
        (["--watch", "--watch-every", "1e30"], "watch-every"),
    ],
)
def test_options_without_effect_are_refused(folder, options, message, ferflow):
    done = ferflow("analyze", folder, "-o", folder.parent / "out", *options)
    assert done.code == 2
    assert message in done.stderr


def start(folder: Path, *options: object) -> subprocess.Popen[str]:
    command = [
        "analyze",
        folder,
        "-o",
        folder.parent / "out",
        "--watch",
        "--watch-every",
        "0.3",
        "--no-report",
        *options,
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "ferflow", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, preexec_fn=restore_signals,
    )  # fmt: skip


@pytest.mark.isolated
def test_a_recorder_writes_slowly_and_a_signal_ends_the_wait_without_an_error(folder, recording):
    process = start(folder, "--progress", "json")
    assert process.stderr is not None
    lines = [process.stderr.readline()]  # it waits
    with (folder / "slow.mp4").open("wb", buffering=0) as recorder:
        for begin in range(0, len(recording), len(recording) // 12):
            recorder.write(recording[begin : begin + len(recording) // 12])
            time.sleep(0.05)
        recorder.seek(0)
        time.sleep(0.7)  # nothing changes, but it is open
    while '"ended"' not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1]
    while '"waiting"' not in lines[-1]:
        lines.append(process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=20)
    events = events_of("".join(lines) + rest)
    assert process.returncode == 0
    (ended,) = [event for event in events if event["event"] == "ended"]
    assert (Path(ended["source"]).name, ended["status"]) == ("slow.mp4", "done")
    assert (events[-1]["event"], events[-1]["exit_code"], events[-1]["counts"]) == (
        "finished",
        0,
        {"done": 1},
    )
    assert [event["event"] for event in events].count("finished") == 1


@pytest.mark.isolated
def test_people_see_that_it_waits_and_the_summary_at_the_end(folder, recording):
    (folder / "notes.mp4").write_text("Dear diary")
    process = start(folder, "--watch-until-idle", "0.01")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "waiting for new videos, with a look every 0.3 s" in err
    assert err.count("failed: ") == 1
    assert "1 failed." in out
