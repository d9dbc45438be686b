"""A full or failing disk, or too little memory, fails one request of the application, with a reason, and no other."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from ferflow.app import folder_files, pages, video_jobs
from ferflow.app.application import make_app
from ferflow.app.picture_pool import PicturePool
from ferflow.app.settings import AppSettings
from ferflow.app.video_jobs import JobQueue, VideoJob, find_unfinished
from ferflow.jobs.run import run
from ferflow.media.inputs import video_id_of
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from tests.app.conftest import Edited, make_edited

ERRORS = [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 507, "o space left"),
    (OSError(errno.EIO, os.strerror(errno.EIO)), 503, "Input/output error"),
    (OSError(errno.EACCES, os.strerror(errno.EACCES)), 500, "Permission denied"),
    (MemoryError(), 503, "too little memory"),
]


def raise_it(error: BaseException) -> Callable[..., None]:
    def function(*_: object, **__: object) -> None:
        raise error

    return function


@pytest.mark.parametrize(("error", "status", "words"), ERRORS)
def test_an_upload_that_cannot_be_stored_is_refused_with_the_reason_and_leaves_nothing(
    api, clip, monkeypatch, error, status, words
):
    jobs = api.app.app.state.jobs
    before = set(OutputFolder(jobs.out).uploads.glob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(video_jobs.shutil, "copyfileobj", raise_it(error))
        answer = api.post("/api/jobs", files={"video": ("talk.mp4", clip.read_bytes())})
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert set(OutputFolder(jobs.out).uploads.glob("*")) == before
    assert api.get("/api/jobs").status_code == 200


@pytest.fixture(scope="module")
def editing(tmp_path_factory) -> Iterator[tuple[TestClient, Edited]]:
    """An application, and a video with people in its folder."""
    folder = tmp_path_factory.mktemp("editing")
    edited = make_edited(folder / "out", folder / "trio.mp4")
    settings = AppSettings(out=edited.out, port=80)
    with TestClient(make_app(settings), base_url="http://127.0.0.1:80") as client:
        yield client, edited


@pytest.mark.parametrize(("error", "status", "words"), ERRORS)
def test_an_edit_that_cannot_be_saved_is_refused_with_the_reason_and_the_list_stays(
    editing, monkeypatch, error, status, words
):
    api, edited = editing
    people = edited.out / "people.csv"
    before = people.read_bytes() if people.exists() else None
    change = {"edit": "name", "persons": [1], "name": "Ada"}
    version = api.get(f"/api/videos/{edited.video_id}/edit").json()["version"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", raise_it(error))
        answer = api.post(f"/api/videos/{edited.video_id}/edits", json={**change, "version": version})
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert (people.read_bytes() if people.exists() else None) == before
    assert api.get(f"/api/videos/{edited.video_id}/edit").json()["version"] == version


@pytest.mark.parametrize(("error", "status", "words"), ERRORS)
def test_a_page_that_cannot_be_read_is_an_answer_and_no_traceback(
    api, tmp_path, monkeypatch, error, status, words
):
    out = api.app.app.state.jobs.out
    page = out / "reports" / "unread-0123abcd.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<html></html>")
    with monkeypatch.context() as patch:
        patch.setattr(folder_files, "read_plain_file", raise_it(error))
        answer = api.get("/folder/reports/unread-0123abcd.html")
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)
    assert api.get("/folder/reports/unread-0123abcd.html").status_code == 200
    page.unlink()


def test_a_file_that_fails_after_the_answer_has_begun_ends_the_answer_with_a_line(api, monkeypatch, caplog):
    class Failing(Response):
        def __init__(self, path: Path) -> None:
            super().__init__(str(path))

        async def __call__(self, scope, receive, send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(pages, "FileResponse", Failing)
    # The client of the tests takes it for complete; a server closes the connection.
    api.get("/static/swagger/swagger-ui.css")
    assert [record.getMessage() for record in caplog.records if record.name.startswith("ferflow")] == [
        "/static/swagger/swagger-ui.css: the answer is incomplete: cannot be read or written (Input/output error). "
        "Check the disk and its permissions, and try again."
    ]


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_pages_that_cannot_be_written_after_an_edit_are_said_and_do_not_hinder_the_end(
    tmp_path, monkeypatch, error
):
    edited = make_edited(tmp_path / "out", tmp_path / "trio.mp4")
    monkeypatch.setattr(OutputFolder, "is_locked", raise_it(error))
    settings = AppSettings(out=edited.out, port=80)
    with TestClient(make_app(settings), base_url="http://127.0.0.1:80") as client:
        shown = client.get(f"/api/videos/{edited.video_id}/edit").json()
        change = {"edit": "name", "persons": [1], "name": "Ada", "version": shown["version"]}
        status = client.post(f"/api/videos/{edited.video_id}/edits", json=change).json()
        while status["pages"] == "updating":
            status = client.get(f"/api/videos/{edited.video_id}/edit/status").json()
    assert status["pages"] == "failed"
    assert "try again" in status["problem"]


def carry_out(out: Path, *works: Callable[..., str | None]) -> list[VideoJob]:
    """How jobs end whose processes do this, and an application's queue after them; each upload is a file of text."""

    async def follow(pool: PicturePool) -> list[VideoJob]:
        jobs = JobQueue(out, AnalyzeOptions(), pool)
        await jobs.start()
        queued = [jobs.new_upload(f"{number}.mp4") for number in range(len(works))]
        for job in queued:
            job.path.parent.mkdir(parents=True)
            job.path.write_text(job.name)
            await jobs.enqueue(job)
        ends = [[one async for one in jobs.follow(job.id)][-1] for job in queued]
        await jobs.stop()
        return ends

    left = list(works)

    def run_in_child(job: object, on_start: object, on_event: Callable[[dict], None]) -> str | None:
        return left.pop(0)(on_event)

    pool = PicturePool(AnalyzeOptions(), out.parent)
    try:
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
            patch.setattr(video_jobs, "run_in_child", run_in_child)
            return thread.submit(asyncio.run, asyncio.wait_for(follow(pool), 60)).result()
    finally:
        pool.close()


def end_as(*events: dict, problem: str | None = None) -> Callable[..., str | None]:
    def work(on_event: Callable[[dict], None]) -> str | None:
        for event in events:
            on_event(event)
        return problem

    return work


def ended(failure: str) -> dict:
    return {"event": "ended", "status": "failed", "failure": failure, "error": "no"}


def test_an_upload_stays_for_the_next_start_unless_the_video_is_at_fault(tmp_path):
    out = tmp_path / "out"
    finished = {"event": "finished"}
    jobs = carry_out(
        out,
        end_as(ended("input"), finished),
        end_as(ended("transient"), finished),
        end_as(ended("disk_full"), {"event": "failed", "message": "full", "keeps_upload": True}),
        end_as(problem="the process that read it crashed"),
    )
    assert [job.state for job in jobs] == ["failed"] * 4
    assert sorted(path.name for path in find_unfinished(out)) == ["1.mp4", "2.mp4"]


def test_a_process_that_cannot_be_started_fails_its_job_alone(tmp_path):
    jobs = carry_out(
        tmp_path / "out",
        raise_it(OSError(errno.EAGAIN, "Resource temporarily unavailable")),
        end_as(ended("input")),
    )
    assert [job.state for job in jobs] == ["failed", "failed"]
    assert "Resource temporarily unavailable" in jobs[0].error
    assert jobs[1].error == "no"


def test_a_process_that_crashes_after_its_job_is_done_takes_nothing_back(tmp_path):
    done = {"event": "ended", "status": "done", "video_id": "0-0123abcd", "warnings": [], "duration_s": 1.0}
    (job,) = carry_out(tmp_path / "out", end_as(done, {"event": "finished"}, problem="it crashed"))
    assert (job.state, job.error) == ("done", None)
    assert job.path.exists()


def test_a_finished_upload_that_no_run_lists_is_queued_again(tmp_path, clip):
    out = tmp_path / "out"
    (upload := out / "uploads" / "0123456789abcdef" / "talk.mp4").parent.mkdir(parents=True)
    shutil.copy(clip, upload)
    run([upload], out, pages=False, workers=0)
    assert find_unfinished(out) == []
    folder = OutputFolder(out)
    manifest = RunManifest.load(folder.manifest)
    manifest.videos = []
    manifest.save(folder.manifest)
    assert find_unfinished(out) == [upload]
    # Its tables are there, so that it is kept whatever becomes of the second run.
    video_jobs.discard_upload(upload, out)
    assert upload.exists()
    folder.video(video_id_of(upload)).remove()
    video_jobs.discard_upload(upload, out)
    assert not upload.exists()


def test_what_hinders_the_start_is_one_line_and_its_exit_code(tmp_path):
    (out := tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / ".app.lock").touch()
    (out / "uploads").symlink_to(tmp_path / "elsewhere")
    command = [sys.executable, "-m", "ferflow", "app", str(out), "--port", "0", "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    notice, reason = done.stderr.splitlines()
    assert notice.startswith("ferflow: Ctrl+C ends it")
    assert reason.startswith(f"ferflow: {out / 'uploads'}")
