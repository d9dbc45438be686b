"""The engine for several machines: Ray actors that share the output folder.

Needs `pip install 'ferflow[ray]'`. With `RAY_ADDRESS` set, the videos and the output folder must have the
same paths on every machine of that cluster; otherwise Ray is started here, with one actor per CPU.
(Not called `ray.py`: that would import itself.)
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from msgspec import structs

from ferflow.errors import OptionsError
from ferflow.jobs.engines.worker_pool import largest_first, with_thread_share
from ferflow.jobs.finished_video import report_dead_worker
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed, Started, VideoEvent
from ferflow.jobs.video_job import process_video
from ferflow.pipeline import Tools
from ferflow.store.run_manifest import VideoTask

# Ray, started here, stays here. Without these it finds its own address by connecting a socket to a public one, its
# services listen on that address, and it asks the metadata services of clouds where it runs, also with its reports
# to its makers switched off. These requests go through the proxy of the environment: one that does not exist.
_LOOPBACK = "127.0.0.1"
_STAY_HERE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: Ray's switch for "this machine only"
    "RAY_USAGE_STATS_ENABLED": "0",
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"), f"http://{_LOOPBACK}:9"),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), f"{_LOOPBACK},localhost"),
}


_PATHS = ("manifest", "markers", "speech", "signals", "sessions", "corrections", "logo")
"""Fields of a job that are files of the user's."""


def process_videos(tasks: Sequence[VideoTask], job: Job, n_workers: int) -> Generator[VideoEvent, None, None]:
    """Analyse the videos in parallel; see `Engine`.

    Raises:
        OptionsError: Ray is not installed.
    """
    joins_cluster = bool(os.environ.get("RAY_ADDRESS"))
    with _environment({} if joins_cluster else _STAY_HERE):
        ray = _import_ray()
        started_here = not ray.is_initialized()
        if started_here:
            address = {} if joins_cluster else {"_node_ip_address": _LOOPBACK}
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                configure_logging=False,
                **address,
            )
    try:
        yield from _process(ray, tasks, job, n_workers)
    finally:
        if started_here:
            ray.shutdown()


def _process(
    ray: Any, tasks: Sequence[VideoTask], job: Job, n_workers: int
) -> Generator[VideoEvent, None, None]:
    # 0 workers: this machine would have one, which says nothing about a cluster.
    n_actors = max(1, min(len(tasks), n_workers or int(ray.cluster_resources().get("CPU", 1))))
    # Actors run in another folder than the user's.
    given = {name: path.absolute() for name in _PATHS if (path := getattr(job, name)) is not None}
    job = with_thread_share(job.updated(**given), n_actors)
    actor_class = ray.remote(num_cpus=1)(_Actor)
    idle = [actor_class.remote(job) for _ in range(n_actors)]
    waiting = largest_first(tasks)
    running: dict[Any, tuple[VideoTask, Any]] = {}
    """Task and actor of each video in progress, by its stream of events."""
    while waiting or running:
        while waiting and idle:
            task, actor = waiting.pop(0), idle.pop()
            yield Started(task)
            stream = actor.process.options(num_returns="streaming").remote(_with_absolute_paths(task))
            running[stream] = (task, actor)
        (stream,), _ = ray.wait(list(running), num_returns=1)
        task, actor = running[stream]
        try:
            event = _with_task(task, ray.get(next(stream)))
        except ray.exceptions.RayError as error:
            why = f"its worker died ({type(error).__name__})."
            event, actor = Ended(task, report_dead_worker(task, job, why)), actor_class.remote(job)
        yield event
        if isinstance(event, Ended):
            del running[stream]
            idle.append(actor)


def _with_task(task: VideoTask, event: Progressed | Ended) -> Progressed | Ended:
    """An actor's event, about the task as it was planned."""
    if isinstance(event, Ended):
        return Ended(task, structs.replace(event.report, source=str(task.source)))
    return replace(event, task=task)


def _with_absolute_paths(task: VideoTask) -> VideoTask:
    """Actors run in another folder than the user's."""
    if task.files is None:
        return task
    files = replace(task.files, out=task.files.out.absolute())
    return replace(task, source=task.source.absolute(), files=files)


class _Actor:
    """One process: models are loaded once, then video after video."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tools = Tools.load(job.options)

    def process(self, task: VideoTask) -> Generator[Progressed | Ended, None, None]:
        yield from process_video(task, self._job, self._tools)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started inside, then restore the previous ones."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _import_ray() -> Any:
    # Ray comments on the machine on stderr; none of it is about the user's videos.
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise OptionsError("engine ray is not installed. Run: pip install 'ferflow[ray]'") from error
    return ray
