"""The queue of uploaded videos, without a server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from ferflow.app import job_process, video_jobs
from ferflow.app.picture_pool import PicturePool
from ferflow.app.video_jobs import JobQueue, find_unfinished, save_upload
from ferflow.jobs.job import Job
from ferflow.options import AnalyzeOptions
from ferflow.store.atomic_files import atomic_write
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video


def test_a_job_whose_process_is_just_starting_is_ended_with_the_application(tmp_path, clip, monkeypatch):
    starting, may_start, processes = threading.Event(), threading.Event(), []
    start_child = video_jobs.start_child

    def start_late(*args, **kwargs):
        starting.set()
        assert may_start.wait(20)
        process, connection = start_child(*args, **kwargs)
        processes.append(process)
        return process, connection

    monkeypatch.setattr(video_jobs, "start_child", start_late)
    out = tmp_path / "out"

    async def begin_and_stop(pool: PicturePool) -> None:
        jobs = JobQueue(out, AnalyzeOptions(), pool)
        await jobs.start()
        job = jobs.new_upload("talk.mp4")
        with clip.open("rb") as file:
            save_upload(file, job.path, out)
        await jobs.enqueue(job)
        assert await asyncio.to_thread(starting.wait, 20)
        await jobs.stop()
        may_start.set()
        # The loop goes on, as it does while other children end: the job must not go on with it.
        while not processes or processes[0].is_alive():
            await asyncio.sleep(0.01)

    pool = PicturePool(AnalyzeOptions(), tmp_path)
    try:
        # In a thread of its own: Playwright, in other tests, keeps a loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, asyncio.wait_for(begin_and_stop(pool), 60)).result()
    finally:
        pool.close()
    assert processes[0].exitcode == -9
    assert [path.name for path in find_unfinished(out)] == ["talk.mp4"]


def test_an_upload_that_was_cut_off_is_no_video_and_is_removed(tmp_path, clip):
    out = tmp_path / "out"
    pid = os.fork()
    if not pid:  # killed before the end of the copy

        class Killer(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell():
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().read(size)

        save_upload(Killer(bytes(3 << 20)), out / "uploads" / "0123" / "talk.mp4", out)
    os.waitpid(pid, 0)
    (part,) = (out / "uploads" / "0123").iterdir()
    assert part.stat().st_size
    assert find_unfinished(out) == []
    folder = OutputFolder(out)
    with folder.lock():
        assert folder.remove_leftovers() == [part]


def test_what_the_application_is_writing_is_no_leftover(tmp_path):
    folder = OutputFolder(tmp_path)
    written = (
        "uploads/0123/.talk.mp4",
        "coding/.MK.csv",
        ".people.csv",
        ".corrections.csv",
        ".talk.markers.csv",
    )
    for name in written:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.{os.getpid()}.tmp").write_bytes(b"half")
    assert folder.find_leftovers() == []
    left = [tmp_path / f"{name}.4194305.tmp" for name in written]  # above all numbers of processes
    for path in left:
        path.write_bytes(b"half")
    assert folder.find_leftovers() == sorted(left)


def test_a_list_is_replaced_although_a_run_removes_leftovers_meanwhile(tmp_path):
    folder = OutputFolder(tmp_path)
    with atomic_write(folder.people_list, out=tmp_path) as part:
        part.write_text("video_id,track_id,name\n")
        with folder.lock():
            assert folder.remove_leftovers() == []
    assert folder.people_list.read_text() == "video_id,track_id,name\n"


def test_a_job_has_only_the_warnings_about_its_own_video(tmp_path, clip, caplog):
    out = tmp_path / "out"
    for name in ("first.mp4", "its copy.mp4"):
        place = out / "uploads" / name / name
        place.parent.mkdir(parents=True)
        shutil.copy(clip, place)
    (out / "people.csv").write_text("video_id,track_id,name\nnot-there,1,Ada\n")
    other = write_video(tmp_path / "other.mp4", face_frames(3))

    def warnings_of(path: Path) -> list[str]:
        said: list[str] = []
        receiver, sender = Pipe(duplex=False)
        reading = threading.Thread(target=lambda: said.extend(list_warnings(receiver)))
        reading.start()
        with sender:
            job_process.work(sender, Job(inputs=(str(path),), out=out, workers=0))
        reading.join()
        handlers = logging.getLogger("ferflow").handlers
        handlers.remove(next(one for one in handlers if type(one).__module__ == job_process.__name__))
        return said

    said = {path.name: warnings_of(path) for path in sorted((out / "uploads").glob("*/*.mp4"))}
    assert said["first.mp4"] == []
    (copies,) = said["its copy.mp4"]
    assert "first.mp4 and its copy.mp4 have the same content" in copies
    caplog.clear()
    assert warnings_of(other) == []
    # The list is reported to the user who runs the command.
    assert any("people.csv" in message for message in caplog.messages)


def list_warnings(connection: Connection) -> Iterator[str]:
    """What a job says besides how it goes on."""
    with contextlib.suppress(EOFError):
        while True:
            event = connection.recv()
            if event["event"] == "log":
                yield event["message"]
            elif event["event"] == "ended":
                assert event["status"] == "done", event
                yield from event["warnings"]
