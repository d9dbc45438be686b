"""The engine for several processes or machines: Ray actors that share the output folder.

Needs `pip install 'ferflow[ray]'`. With `RAY_ADDRESS` set, the videos and the output folder must lie under the
same paths on every machine of that cluster; otherwise Ray is started here, with one actor per CPU.
(Not called `ray.py`: that would import itself.)
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from ferflow.errors import OptionsError
from ferflow.jobs.engines.worker_pool import thread_share
from ferflow.jobs.listener import Listener
from ferflow.jobs.video_job import Work
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.system.cpus import available_cpus


def reports(
    tasks: Sequence[VideoTask], work: Work, processes: int, listener: Listener
) -> Generator[tuple[VideoTask, TaskReport], None, None]:
    """Analyse the videos side by side, in the order in which they end; see `Engine`.

    Ray's actors tell nothing until a video has ended, so there is no progress within one.

    Raises:
        OptionsError: Ray is not installed.
    """
    ray = _ray()
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", configure_logging=False)
    try:
        yield from _reports(ray, tasks, work, processes, listener)
    finally:
        if started_here:
            ray.shutdown()


def _reports(
    ray: Any, tasks: Sequence[VideoTask], work: Work, processes: int, listener: Listener
) -> Generator[tuple[VideoTask, TaskReport], None, None]:
    n_actors = max(1, min(len(tasks), processes or int(ray.cluster_resources().get("CPU", 1))))
    threads = thread_share(work.options.threads or available_cpus(), n_actors)
    work = replace(work, options=work.options.updated(threads=threads))
    worker = ray.remote(num_cpus=1)(_Worker)
    idle = [worker.remote(work) for _ in range(n_actors)]
    waiting = list(tasks)
    running: dict[Any, tuple[VideoTask, Any]] = {}
    while waiting or running:
        while waiting and idle:
            task, actor = waiting.pop(0), idle.pop()
            listener.started(task)
            running[actor.run.remote(_absolute(task))] = (task, actor)
        (done,), _ = ray.wait(list(running))
        task, actor = running.pop(done)
        try:
            yield task, replace(ray.get(done), source=str(task.source))
            idle.append(actor)
        except ray.exceptions.RayError as error:
            yield task, work.after_death(task, f"its worker died ({type(error).__name__}).")
            idle.append(worker.remote(work))


def _absolute(task: VideoTask) -> VideoTask:
    """Workers stand in another folder than the user."""
    if task.paths is None:
        return task
    paths = replace(task.paths, out=task.paths.out.absolute())
    return replace(task, source=task.source.absolute(), paths=paths)


class _Worker:
    """One process: models are loaded once, then video after video."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tools = work.tools()

    def run(self, task: VideoTask) -> TaskReport:
        return self._work.do(task, self._tools)


def _ray() -> Any:
    # Ray says on stderr what it thinks of the machine; none of it is about the user's videos.
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise OptionsError("engine ray is not installed. Run: pip install 'ferflow[ray]'") from error
    return ray
