"""The engine for several machines with a Ray that runs in this process: what is asked of it, and what of a dead actor.

`test_engines` compares it with the local engine on the real Ray.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.engines import ray_engine
from ferflow.jobs.job import Job
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Ended, Progressed, Started
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles


class ActorDiedError(Exception):
    pass


class FakeRay(SimpleNamespace):
    """The calls of Ray that the engine uses; tasks run one event at a time, when the engine waits."""

    def __init__(self, *, cpus: int = 2, is_running: bool = False) -> None:
        super().__init__()
        self.exceptions = SimpleNamespace(RayError=ActorDiedError)
        self.cpus, self.is_running, self.calls = cpus, is_running, []
        self.actors: list[object] = []
        self.proxies: list[str | None] = []
        """Of the environment when Ray is started."""
        self.most_busy = 0

    def is_initialized(self) -> bool:
        return self.is_running

    def init(self, **settings: object) -> None:
        self.calls.append(("init", settings))
        self.proxies.append(os.environ.get("https_proxy"))

    def shutdown(self) -> None:
        self.calls.append(("shutdown", {}))

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def remote(self, **settings: object):
        assert settings == {"num_cpus": 1}

        def make(cls):
            def create(job):
                actor = cls(job)
                self.actors.append(actor)
                process = SimpleNamespace(
                    options=lambda **how: SimpleNamespace(
                        remote=lambda task: Stream(how, actor.process(task))
                    )
                )
                return SimpleNamespace(process=process)

            return SimpleNamespace(remote=create)

        return make

    def wait(self, streams: list[Stream], *, num_returns: int):
        assert num_returns == 1
        self.most_busy = max(self.most_busy, len(streams))
        return [streams[-1]], streams[:-1]

    def get(self, reference: object) -> object:
        if isinstance(reference, Exception):
            raise reference
        return reference


class Stream:
    """References of what a task yields; an exception ends it."""

    def __init__(self, how: dict[str, object], events: Iterator[object]) -> None:
        assert how == {"num_returns": "streaming"}
        self.events = events

    def __next__(self) -> object:
        try:
            return next(self.events)
        except ActorDiedError as error:
            return error


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(ray_engine.Tools, "load", lambda options: options)
    return fake


@pytest.fixture
def seen(monkeypatch):
    """What actors are asked for: (task, job); a task named `dies` ends its actor at its first time."""
    asked: list[tuple[VideoTask, Job]] = []

    def process(task, job, tools):
        asked.append((task, job))
        if task.source.stem == "dies" and sum(one.source.stem == "dies" for one, _ in asked) == 1:
            raise ActorDiedError
        yield Progressed(task, 1.0, 2.0)
        yield Ended(task, TaskReport(source=str(task.source), video_id=task.video_id, status="done"))

    monkeypatch.setattr(ray_engine, "process_video", process)
    return asked


def tasks(*names: str) -> list[VideoTask]:
    return [VideoTask(Path(f"{name}.mp4"), VideoFiles(Path("out"), name)) for name in names]


def job(**settings: object) -> Job:
    return Job(inputs=("a.mp4",), out=Path("out"), **settings)


def test_each_video_is_started_progresses_and_ends(ray, seen):
    planned = tasks("a", "b", "c")
    events = list(ray_engine.process_videos(planned, job(), 2))
    for task in planned:
        mine = [event for event in events if event.task == task]
        assert [type(event) for event in mine] == [Started, Progressed, Ended]
        assert mine[-1].report.source == str(
            task.source
        )  # as it was given, though the actor knows the whole path
    assert ray.most_busy == 2
    assert len(events) == 9


def test_actors_get_whole_paths_and_each_its_share_of_the_threads(ray, seen, monkeypatch):
    monkeypatch.setattr("ferflow.jobs.engines.worker_pool.available_cpus", lambda: 8)
    list(ray_engine.process_videos(tasks("a", "b"), job(markers=Path("marks.csv")), 2))
    for task, given in seen:
        assert task.source == Path.cwd() / f"{task.video_id}.mp4"
        assert task.files.out == Path.cwd() / "out"
        assert (given.markers, given.signals) == (Path.cwd() / "marks.csv", None)
        assert given.options.threads == 4


@pytest.mark.parametrize(
    ("n_tasks", "n_workers", "cpus", "n_actors"),
    [(5, 3, 2, 3), (2, 3, 8, 2), (5, 0, 4, 4), (5, 0, 9, 5), (1, 0, 0, 1)],
)
def test_there_is_an_actor_per_worker_asked_for_or_per_cpu_of_the_cluster(
    ray, seen, n_tasks, n_workers, cpus, n_actors
):
    ray.cpus = cpus
    list(ray_engine.process_videos(tasks(*map(str, range(n_tasks))), job(), n_workers))
    assert len(ray.actors) == n_actors
    assert len(seen) == n_tasks


def test_a_dead_actor_costs_its_own_video_and_is_replaced(ray, seen, monkeypatch):
    monkeypatch.setattr(
        ray_engine, "report_dead_worker",
        lambda task, job, why: TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient"),
    )  # fmt: skip
    events = list(ray_engine.process_videos(tasks("a", "dies", "b"), job(), 1))
    ended = {event.task.source.stem: event.report for event in events if isinstance(event, Ended)}
    assert [ended[name].status for name in ("a", "dies", "b")] == ["done", "failed", "done"]
    assert ended["dies"].error == "dies.mp4: its worker died (ActorDiedError)."
    assert ended["dies"].failure == "transient"
    assert len(ray.actors) == 2


def test_a_ray_that_is_running_is_used_and_left_running(ray, seen):
    ray.is_running = True
    list(ray_engine.process_videos(tasks("a"), job(), 1))
    assert ray.calls == []


@pytest.mark.parametrize("cluster", ["", "10.0.0.5:6379"])
def test_a_ray_started_here_is_quiet_and_ends_with_the_run_even_if_it_is_stopped(
    ray, seen, monkeypatch, cluster
):
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    before = dict(os.environ)
    events = ray_engine.process_videos(tasks("a", "b"), job(), 1)
    next(events)
    events.close()
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    address = {} if cluster else {"_node_ip_address": "127.0.0.1"}
    assert ray.calls == [("init", quiet | {"configure_logging": False} | address), ("shutdown", {})]
    assert ray.proxies == [os.environ.get("https_proxy") if cluster else "http://127.0.0.1:9"]
    assert {name: os.environ.get(name) for name in before} == before
    assert (os.environ["RAY_DEDUP_LOGS"], os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"]) == ("1", "0")


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionsError, match=r"pip install 'ferflow\[ray\]'"):
        list(ray_engine.process_videos(tasks("a"), job(), 1))


def test_a_video_whose_actor_died_is_tried_again_after_the_others(
    ray, tmp_path, tools, face_video, monkeypatch
):
    monkeypatch.setattr("ferflow.jobs.processing.RETRY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: tools.classifier.card.sha256)
    monkeypatch.setattr(ray_engine.Tools, "load", lambda options: tools)
    real, tried = ray_engine.process_video, []

    def flaky(task, job, tools):
        tried.append(task.source.name)
        if tried == [face_video.name]:
            raise ActorDiedError
        yield from real(task, job, tools)

    monkeypatch.setattr(ray_engine, "process_video", flaky)
    (video,) = run([face_video], tmp_path / "out", pages=False, engine="ray").videos
    assert (video.status, video.attempts, video.source) == ("done", 2, str(face_video))
    assert len(tried) == 2
