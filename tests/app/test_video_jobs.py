"""The queue of uploaded videos, without a server."""

from __future__ import annotations

import asyncio
import threading

from ferflow.app import video_jobs
from ferflow.app.picture_pool import PicturePool
from ferflow.app.video_jobs import JobQueue, find_unfinished, save_upload
from ferflow.options import AnalyzeOptions


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
        asyncio.run(asyncio.wait_for(begin_and_stop(pool), 60))
    finally:
        pool.close()
    assert processes[0].exitcode == -9
    assert [path.name for path in find_unfinished(out)] == ["talk.mp4"]
