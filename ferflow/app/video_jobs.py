"""Videos that were uploaded: a queue, one analysis at a time in a process of its own, and who wants to know of it.

Uploads lie in `OUT/uploads/<job>/<name>`. After a restart, those without results are queued again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from ferflow.app.expected_errors import EXPECTED_ERRORS, describe_error
from ferflow.app.job_process import JOB_FAILED, work
from ferflow.app.picture_pool import PicturePool
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.uploads import identify_uploads, remove_upload
from ferflow.media.inputs import video_id_of
from ferflow.options import AnalyzeOptions
from ferflow.store.atomic_files import atomic_write, make_folder, name_write_errors
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from ferflow.system.child_process import describe_end, start_child
from ferflow.text import sanitize
from ferflow.types import JsonObject

log = logging.getLogger(__name__)

MOST_QUEUED = 100
MOST_KEPT = 1000
"""Jobs that are remembered."""
_MOST_NAME_BYTES = 120
_COPY_BYTES = 1 << 20

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoJob:
    """A video that was uploaded, and how far it is."""

    id: str
    name: str
    path: Path
    state: State = "queued"
    seconds: float = 0.0
    """Of video, analysed so far."""
    of_seconds: float | None = None
    """Of the whole video; None: unknown."""
    video_id: str | None = None
    """Of its tables and its report, once it has some."""
    error: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """As the API answers."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "of_seconds": self.of_seconds,
            "video_id": self.video_id,
            "report": f"/folder/reports/{self.video_id}.html" if self.state == "done" else None,
            "error": self.error,
            "warnings": list(self.warnings),
        }


@dataclass(slots=True)
class _Running:
    """The process of the job that runs."""

    job_id: str
    process: BaseProcess | None = None
    is_ended: bool = False
    """Cancelled, or the application ends: the process is to end as soon as there is one."""
    keeps_upload: bool = False
    """The output folder or this machine was at fault, not the video: the next start tries again."""


@dataclass(slots=True)
class JobQueue:
    """All jobs of the application; used by the event loop alone."""

    out: Path
    options: AnalyzeOptions
    pool: PicturePool
    jobs: dict[str, VideoJob] = field(default_factory=dict)
    _waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _running: _Running | None = None
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Queue what an earlier application has left, and begin to work."""
        for path in await self.pool.run(find_unfinished, self.out):
            self._add(VideoJob(id=path.parent.name, name=sanitize(path.name), path=path))
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End the job that runs; uploads stay, so that the next start queues it again."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._running is not None:
            self._running.is_ended = True
            if self._running.process is not None:
                await asyncio.to_thread(end_process, self._running.process)
                await asyncio.to_thread(clean_up, self.out)

    def is_full(self) -> bool:
        """Whether no more uploads are taken."""
        return sum(job.state in ("queued", "running") for job in self.jobs.values()) >= MOST_QUEUED

    def new_upload(self, name: str) -> VideoJob:
        """A job for a file of this name, which is not queued yet."""
        job_id = secrets.token_hex(8)
        plain = plain_name(name)
        return VideoJob(id=job_id, name=plain, path=OutputFolder(self.out).uploads / job_id / plain)

    async def enqueue(self, job: VideoJob) -> None:
        """Take a job whose file is complete."""
        self._add(job)
        await self._tell()

    async def cancel(self, job_id: str) -> VideoJob:
        """End a job and remove its upload; one that has ended stays as it is.

        Raises:
            RecordsError, OSError: the upload cannot be removed; cancelling it once more tries that again.
        """
        job = self.jobs[job_id]
        if job.state in ("done", "failed"):
            return job
        running = self._running
        if running is not None and running.job_id == job_id:
            running.is_ended = True
            if running.process is not None:
                await self.pool.run(end_process, running.process)
        await self._update(job_id, state="cancelled")
        await self.pool.run(remove_upload, job.path, self.out)
        return self.jobs[job_id]

    async def follow(self, job_id: str) -> AsyncIterator[VideoJob]:
        """A job each time it changes, from now to its end."""
        last = None
        while True:
            job = self.jobs[job_id]
            if job != last:
                last = job
                yield job
            if job.state in ENDED:
                return
            async with self._changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 5)

    def _add(self, job: VideoJob) -> None:
        for old in [job for job in self.jobs.values() if job.state in ENDED][
            : max(0, len(self.jobs) - MOST_KEPT)
        ]:
            del self.jobs[old.id]
        self.jobs[job.id] = job
        self._waiting.put_nowait(job.id)

    async def _work(self) -> None:
        while True:
            job_id = await self._waiting.get()
            if self.jobs[job_id].state == "queued":
                self._running = _Running(job_id)
                try:
                    await self._carry_out(self.jobs[job_id])
                except EXPECTED_ERRORS as error:
                    # No process could be started. The jobs behind this one must not wait for ever.
                    await self._update(job_id, state="failed", error=describe_error(error))
                self._running = None

    async def _carry_out(self, job: VideoJob) -> None:
        await self._update(job.id, state="running")
        loop = asyncio.get_running_loop()

        def on_event(event: JsonObject) -> None:
            asyncio.run_coroutine_threadsafe(self._note(job.id, event), loop).result()

        def on_start(process: BaseProcess) -> None:
            assert self._running is not None
            self._running.process = process
            if self._running.is_ended:
                end_process(process)

        request = Job(inputs=(str(job.path),), out=self.out, options=self.options, workers=0)
        problem = await self.pool.run(run_in_child, request, on_start, on_event)
        if self.jobs[job.id].state == "cancelled":
            await self.pool.run(clean_up, self.out)
        elif self.jobs[job.id].state != "done":  # a process that crashes afterwards takes nothing back
            if self._running is None or not self._running.keeps_upload:
                await self.pool.run(discard_upload, job.path, self.out)
            await self._update(job.id, state="failed", error=self.jobs[job.id].error or problem)

    async def _note(self, job_id: str, event: JsonObject) -> None:
        """Change a job as an event of its run says."""
        job: Any = event  # JSON of our own making
        match event["event"]:
            case "progress":
                await self._update(job_id, seconds=job["seconds"], of_seconds=job["of_seconds"])
            case "log":
                await self._update(job_id, warnings=(*self.jobs[job_id].warnings, sanitize(job["message"])))
            case "ended" if job["status"] == "failed":
                if self._running is not None:
                    self._running.keeps_upload = job["failure"] in ("transient", "disk_full")
                await self._update(job_id, error=sanitize(job["error"] or "it cannot be analysed"))
            case "ended":
                warnings = (*self.jobs[job_id].warnings, *map(sanitize, job["warnings"]))
                await self._update(
                    job_id, video_id=job["video_id"], warnings=warnings, seconds=job["duration_s"]
                )
            case "finished" if self.jobs[job_id].error is None:
                await self._finish(self.jobs[job_id])
            case _ if event["event"] == JOB_FAILED:
                if self._running is not None:
                    self._running.keeps_upload = bool(job.get("keeps_upload"))
                await self._update(job_id, error=sanitize(job["message"]))

    async def _finish(self, job: VideoJob) -> None:
        if job.video_id is not None:
            await self._update(job.id, state="done")
            return
        # A run leaves out what was forgotten in this folder, and warns.
        reason = next(
            (text for text in job.warnings if text.startswith(f"{job.name}: ")), "it was not analysed."
        )
        others = tuple(text for text in job.warnings if text != reason)
        await self._update(job.id, error=reason, warnings=others)

    async def _update(self, job_id: str, **changes: Any) -> None:
        # A job that was cancelled stays so, whatever its process still has to say.
        if self.jobs[job_id].state != "cancelled":
            self.jobs[job_id] = replace(self.jobs[job_id], **changes)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def run_in_child(
    job: Job, on_start: Callable[[BaseProcess], None], on_event: Callable[[JsonObject], None]
) -> str | None:
    """Carry out a job in a process; why that process ended badly, or None."""
    process, connection = start_child(work, job, name="ferflow-job")
    on_start(process)
    with connection:
        _receive(connection, on_event)
    process.join()
    return None if process.exitcode == 0 else f"the process that read it {describe_end(process.exitcode)}"


def _receive(connection: Connection, on_event: Callable[[JsonObject], None]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            on_event(connection.recv())


def end_process(process: BaseProcess) -> None:
    """End a process; half-written files stay for `clean_up`."""
    process.kill()
    process.join()


def clean_up(out: Path) -> None:
    """Remove what a run that was ended has left."""
    folder = OutputFolder(out)
    with contextlib.suppress(*EXPECTED_ERRORS), folder.lock():
        folder.remove_leftovers()


def discard_upload(path: Path, out: Path) -> None:
    """Remove an upload that cannot be analysed, unless it was: its page may have failed, and plays it."""
    try:
        if not OutputFolder(out).video(video_id_of(path)).is_finished:
            remove_upload(path, out)
    except EXPECTED_ERRORS as error:
        log.warning("%s is not removed: %s", sanitize(path), describe_error(error))


def plain_name(name: str) -> str:
    """A name for a file that was uploaded: no path, nothing hidden, of limited length, its suffix kept."""
    base = re.split(r"[/\\]", name)[-1]
    readable = re.sub(r"[^\w .()+,=@-]+", "_", base.encode(errors="ignore").decode()).strip(". ")
    stem, dot, suffix = readable.rpartition(".")
    if not dot:
        stem, suffix = readable, ""
    short = stem.encode()[:_MOST_NAME_BYTES].decode(errors="ignore").strip(". ") or "video"
    return short + (f".{suffix[:10]}" if suffix else "")


def save_upload(file: Any, path: Path, out: Path) -> None:
    """Copy an uploaded file to its place; nothing of it is left there after an error.

    Raises:
        OptionsError: there is no room for it.
        RecordsError: it cannot be written, or the place leads out of the output folder.
    """
    try:
        _copy_upload(file, path, out)
    except EXPECTED_ERRORS:
        with contextlib.suppress(*EXPECTED_ERRORS):
            remove_upload(path, out)
        raise


def _copy_upload(file: Any, path: Path, out: Path) -> None:
    size = file.seek(0, 2)
    file.seek(0)
    with name_write_errors(path):
        make_folder(path.parent, out=out)
        free = shutil.disk_usage(path.parent).free
    if free < 2 * size:
        raise OptionsError("too little space on the disk for this video and its results.")
    # Under its name at the end: the next start queues what has one, also if this one is killed here.
    with atomic_write(path, out=out) as part, part.open("wb") as target:
        shutil.copyfileobj(file, target, _COPY_BYTES)


def find_unfinished(out: Path) -> list[Path]:
    """Uploads without results, or with some that their run could not list any more; the oldest first."""
    folder = OutputFolder(out)
    finished = _list_finished(folder)
    waiting = [path for path, video_id in identify_uploads(folder).items() if video_id not in finished]
    return sorted(waiting, key=lambda path: path.stat().st_mtime)


def _list_finished(folder: OutputFolder) -> set[str]:
    """Ids of the videos with tables that `run.json` lists as done; of all with tables where there is none to read."""
    finished = set(folder.finished_ids())
    try:
        manifest = RunManifest.load(folder.manifest)
    except RecordsError:  # `doctor --repair` rebuilds it
        return finished
    return finished if manifest is None else finished & manifest.done_ids
