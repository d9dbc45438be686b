"""The engine for several machines with a Ray that runs in this process: what is asked of it, and what of dead actors.

`test_ray_cluster` has the real one.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ferflow.errors import ModelError, OptionsError, RecordsError
from ferflow.jobs.engines import ray_actor, ray_cluster, ray_engine, ray_gpu, stragglers
from ferflow.jobs.engines.ray_actor import ActorSettings, Loaded, NotLoaded, VideoActor
from ferflow.jobs.engines.ray_gpu import GpuActor
from ferflow.jobs.engines.stragglers import Pace, find_straggler
from ferflow.jobs.job import Job
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Ended, Progressed, Started
from ferflow.jobs.video_job import Analyzed, process_in_steps
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles
from ferflow.system.memory import WORKER_BYTES

CARD = resolve("default")


class RayError(Exception):
    pass


class ActorDiedError(RayError):
    pass


class FakeRay(SimpleNamespace):
    """The calls of Ray that the engine uses; actors run one message at a time, when the engine waits."""

    def __init__(self, *, cpus: int = 2, is_running: bool = False) -> None:
        super().__init__()
        self.exceptions = SimpleNamespace(RayError=RayError)
        self.resources = {"CPU": float(cpus)}
        self.machines = {"one": {"CPU": 64.0, "memory": float(1 << 40)}}
        """Those of the cluster; an actor takes the first with room."""
        self.is_running, self.calls = is_running, []
        self.asked: list[dict[str, object]] = []
        """Options of the actors."""
        self.actors: list[FakeActor] = []
        self.proxies: list[str | None] = []
        """Of the environment when Ray is started."""
        self.gpus: list[object] = []
        """What loading the network on each gives: a card, an error, or None, never."""
        self.gpu_actors: list[FakeGpuActor] = []
        self.most_busy = self.clock = 0
        self.room = 1000
        """Actors that can be started."""
        self.current: FakeActor | None = None
        """The actor that is at work."""

    def is_initialized(self) -> bool:
        return self.is_running

    def init(self, **settings: object) -> None:
        self.calls.append(("init", settings))
        self.proxies.append(os.environ.get("https_proxy"))

    def shutdown(self) -> None:
        self.calls.append(("shutdown", {}))

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def nodes(self) -> list[dict[str, object]]:
        return [
            {"NodeID": name, "Alive": name in self.machines, "Resources": self.machines.get(name, {})}
            for name in ("one", "two")
        ]

    def remote(self, **settings: object):
        self.asked.append(settings)

        def make(cls):
            def create(*given):
                if cls is GpuActor:
                    self.gpu_actors.append(FakeGpuActor(self.gpus[len(self.gpu_actors)]))
                    return self.gpu_actors[-1]
                (given,) = given
                self.actors.append(FakeActor(self, cls(given), is_started=len(self.actors) < self.room))
                return self.actors[-1]

            return SimpleNamespace(remote=create)

        return make

    def wait(self, streams: list[Stream], *, num_returns: int, timeout: float):
        self.clock += 1
        self.most_busy = max(self.most_busy, sum(stream.name != "load" for stream in streams))
        ready = [stream for stream in reversed(streams) if stream.is_ready][:num_returns]
        return ready, [stream for stream in streams if stream not in ready]

    def get(self, reference: object) -> object:
        if isinstance(reference, Loading):
            if isinstance(reference.result, RayError):
                raise reference.result
            return reference.result
        if isinstance(reference, Exception):
            raise reference
        return reference

    def kill(self, actor: FakeActor) -> None:
        if actor.is_dead:
            raise RayError("no such actor")
        actor.is_dead = True


class FakeActor:
    def __init__(self, ray: FakeRay, real: VideoActor, *, is_started: bool) -> None:
        self.ray = ray
        self.is_started, self.is_dead, self.is_hanging = is_started, False, False
        for name in ("load", "analyze", "publish"):
            setattr(self, name, SimpleNamespace(options=self._caller(name, getattr(real, name))))

    def _caller(self, name, method):
        def options(**how):
            assert how == {"num_returns": "streaming", "_generator_backpressure_num_objects": 64}
            return SimpleNamespace(remote=lambda *arguments: Stream(self, name, method(*arguments)))

        return options


class FakeGpuActor:
    """Only its loading is looked at."""

    def __init__(self, result: object) -> None:
        self.is_dead = False
        self.load = SimpleNamespace(remote=lambda: Loading(result))


class Loading:
    """Reference to what loading gives."""

    name = "load"

    def __init__(self, result: object) -> None:
        self.result, self.is_ready = result, result is not None


class Stream:
    """References of what an actor yields; an exception ends it."""

    def __init__(self, actor: FakeActor, name: str, messages: Iterator[object]) -> None:
        self.actor, self.name, self._messages = actor, name, messages

    @property
    def is_ready(self) -> bool:
        return self.actor.is_started and not self.actor.is_hanging

    def __next__(self) -> object:
        if self.actor.is_dead:
            return ActorDiedError("it was killed")
        self.actor.ray.current = self.actor
        try:
            return next(self._messages)
        except ActorDiedError as error:
            self.actor.is_dead = True
            return error


@pytest.fixture
def ray(monkeypatch):
    fake = FakeRay()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(ray_actor.Tools, "load", lambda options, classifier: options)
    monkeypatch.setattr(ray_actor, "_check_machine", lambda settings: None)
    monkeypatch.setattr(ray_actor, "_this_node", lambda: "one")
    monkeypatch.setattr(ray_actor, "limit_threads", lambda threads: None)
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
        yield Analyzed(task)
        yield ended(task)

    monkeypatch.setattr(ray_actor, "process_in_steps", process)
    return asked


@pytest.fixture(autouse=True)
def not_finished(monkeypatch):
    """A video whose worker died is not finished; `planned` ones have no model to compare with."""
    monkeypatch.setattr(
        ray_engine, "report_death",
        lambda task, job, why: TaskReport.failed(task, f"{task.source.name}: {why}", failure="transient"),
    )  # fmt: skip


def ended(task: VideoTask) -> Ended:
    return Ended(task, TaskReport(source=str(task.source), video_id=task.video_id, status="done"))


def tasks(*names: str) -> list[VideoTask]:
    return [VideoTask(Path(f"{name}.mp4"), VideoFiles(Path("out"), name)) for name in names]


def job(**settings: object) -> Job:
    return Job(inputs=("a.mp4",), out=Path("out"), engine="ray", **settings)


def endings(events: list[object]) -> dict[str, TaskReport]:
    reports = [event for event in events if isinstance(event, Ended)]
    by_name = {event.task.source.stem: event.report for event in reports}
    assert len(by_name) == len(reports)
    return by_name


def test_each_video_is_started_progresses_and_ends(ray, seen, monkeypatch):
    monkeypatch.setattr(ray_engine, "SECONDS_BETWEEN_PROGRESS", 0.0)
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


def test_actors_get_whole_paths_and_each_its_share_of_the_threads(ray, seen):
    ray.resources = {"CPU": 8.0}
    list(ray_engine.process_videos(tasks("a", "b"), job(markers=Path("marks.csv")), 2))
    for task, given in seen:
        assert task.source == Path.cwd() / f"{task.video_id}.mp4"
        assert task.files.out == given.out == Path.cwd() / "out"
        assert (given.markers, given.signals) == (Path.cwd() / "marks.csv", None)
        assert given.options.threads == 4


def test_no_two_actors_write_the_same_incomplete_file(ray, seen):
    list(ray_engine.process_videos([*tasks("dies"), *tasks("a")], job(), 2))
    list(ray_engine.process_videos(tasks("dies"), job(), 2))
    parts = [task.files.unfinished(task.files.faces) for task, _ in seen]
    assert len(set(parts)) == len(parts) == 3


@pytest.mark.parametrize(
    ("n_tasks", "n_workers", "cpus", "n_actors"),
    [(5, 3, 2, 3), (2, 3, 8, 2), (5, 1, 4, 1), (5, 0, 4, 4), (5, 0, 9, 5), (1, 0, 0, 1)],
)
def test_there_is_an_actor_per_worker_asked_for_or_per_cpu_of_the_cluster(
    ray, seen, n_tasks, n_workers, cpus, n_actors
):
    ray.resources = {"CPU": float(cpus)}
    list(ray_engine.process_videos(tasks(*map(str, range(n_tasks))), job(), n_workers))
    assert len(ray.actors) == n_actors
    assert len(seen) == n_tasks


@pytest.mark.parametrize(
    ("resources", "machines", "options", "n_workers", "wanted"),
    [
        ({"CPU": 8}, [{"CPU": 4}, {"CPU": 4}], {}, 2, (4, 0)),
        ({"CPU": 8}, [{"CPU": 6}, {"CPU": 2}], {}, 1, (6, 0)),  # no machine has eight
        ({"CPU": 8}, [{"CPU": 8}], {"threads": 2}, 2, (1, 0)),
        ({"CPU": 8, "GPU": 2}, [{"CPU": 4}, {"CPU": 4}], {"device": "gpu"}, 0, (1, 2)),
        ({"CPU": 8, "GPU": 2}, [{"CPU": 4}, {"CPU": 4}], {"device": "gpu"}, 4, (2, 2)),
        ({"CPU": 8, "GPU": 2}, [{"CPU": 4}, {"CPU": 4}], {"device": "gpu"}, 1, (4, 1)),
        ({"CPU": 8, "GPU": 2}, [{"CPU": 4}, {"CPU": 4}], {"device": "cpu"}, 4, (2, 0)),
    ],
)
def test_what_an_actor_needs_of_its_machine_is_declared(
    ray, seen, resources, machines, options, n_workers, wanted
):
    ray.resources, ray.gpus = resources, [CARD, CARD]
    ray.machines = dict(zip(("one", "two"), machines, strict=False))
    asked = job(options=AnalyzeOptions(**options))
    list(ray_engine.process_videos(tasks(*"abcdefgh"), asked, n_workers))
    threads, n_gpus = wanted
    assert ray.asked[-1] == {
        "num_cpus": threads, "num_gpus": 0, "memory": WORKER_BYTES,
        "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0,
    }  # fmt: skip
    assert len(ray.gpu_actors) == n_gpus
    if n_gpus:
        assert (ray.asked[0]["num_cpus"], ray.asked[0]["num_gpus"]) == (0, 1)
        assert ray.asked[0]["max_concurrency"] > threads * len(ray.actors)


def test_machines_with_little_memory_are_used_all_the_same(ray, seen):
    ray.machines = {"one": {"CPU": 2.0, "memory": 1000.0}}
    list(ray_engine.process_videos(tasks("a"), job(), 1))
    assert ray.asked[0]["memory"] == 1000


@pytest.mark.parametrize(("has_cuda", "gpus"), [(True, 1), (False, 0)])
def test_gpus_of_the_cluster_are_used_by_default_if_this_runtime_can(ray, seen, monkeypatch, has_cuda, gpus):
    monkeypatch.setattr(ray_cluster, "has_cuda", lambda: has_cuda)
    ray.resources, ray.gpus = {"CPU": 8.0, "GPU": 1.0}, [CARD]
    list(ray_engine.process_videos(tasks("a"), job(), 0))
    assert len(ray.gpu_actors) == gpus


def test_actors_share_the_gpus_equally_and_these_are_given_back(ray, seen, monkeypatch):
    given = []
    monkeypatch.setattr(
        ray_actor.Tools, "load", lambda options, classifier: given.append(classifier) or options
    )
    ray.resources, ray.gpus = {"CPU": 4.0, "GPU": 2.0}, [CARD, CARD]
    list(ray_engine.process_videos(tasks(*"abcd"), job(options=AnalyzeOptions(device="gpu")), 4))
    first, second = ray.gpu_actors
    assert Counter(id(classifier.actor) for classifier in given) == {id(first): 2, id(second): 2}
    assert all(classifier.card is CARD for classifier in given)
    assert first.is_dead
    assert second.is_dead


def test_a_gpu_that_cannot_be_used_is_left_out(ray, seen, monkeypatch, caplog):
    given = []
    monkeypatch.setattr(
        ray_actor.Tools, "load", lambda options, classifier: given.append(classifier) or options
    )
    ray.resources, ray.gpus = {"CPU": 2.0, "GPU": 2.0}, [ModelError("no CUDA here"), CARD]
    list(ray_engine.process_videos(tasks("a", "b"), job(options=AnalyzeOptions(device="gpu")), 2))
    assert [classifier.actor for classifier in given] == [ray.gpu_actors[1]] * 2
    assert [record.message for record in caplog.records] == ["1 of 2 GPUs not used (no CUDA here)"]


@pytest.mark.parametrize("result", [ModelError("no CUDA here"), RayError("died"), None])
def test_without_a_gpu_that_can_be_used_auto_classifies_on_the_cpus(ray, seen, monkeypatch, caplog, result):
    given = []
    monkeypatch.setattr(ray_cluster, "has_cuda", lambda: True)
    monkeypatch.setattr(ray_gpu, "SECONDS_TO_START", 0.0)
    monkeypatch.setattr(
        ray_actor.Tools, "load", lambda options, classifier: given.append(classifier) or options
    )
    ray.resources, ray.gpus = {"CPU": 2.0, "GPU": 1.0}, [result]
    events = list(ray_engine.process_videos(tasks("a"), job(), 0))
    assert endings(events)["a"].status == "done"
    assert given == [None]
    assert "1 of 1 GPUs not used" in caplog.text
    assert "classifying on the CPUs" in caplog.text
    assert ray.gpu_actors[0].is_dead


def test_a_gpu_that_was_asked_for_and_cannot_be_used_ends_the_run(ray, seen):
    ray.resources, ray.gpus = {"CPU": 2.0, "GPU": 1.0}, [ModelError("no CUDA here")]
    with pytest.raises(ModelError, match="no CUDA here"):
        list(ray_engine.process_videos(tasks("a"), job(options=AnalyzeOptions(device="gpu")), 0))
    assert ray.gpu_actors[0].is_dead
    assert not ray.actors


class RayTaskError(RayError):
    cause = ModelError("its answer to a face is not finite")

    def __str__(self) -> str:
        return "ray::GpuActor.answer() ... traceback of the other process"


@pytest.mark.parametrize(
    ("raised", "message", "is_lost"),
    [
        (ActorDiedError(), "the worker with the GPU was lost", True),
        (RayTaskError(), "its answer to a face is not finite", False),
    ],
)
def test_a_gpu_that_does_not_answer_is_lost_and_one_that_refuses_is_not(
    monkeypatch, raised, message, is_lost
):
    def get(reference, timeout):
        raise raised

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=get, exceptions=exceptions))
    actor = SimpleNamespace(answer=SimpleNamespace(remote=lambda images: None))
    classifier = ray_gpu.RemoteClassifier(CARD, "auto", actor)
    with pytest.raises(ModelError) as caught:
        classifier.answer(np.zeros((1, 48, 48, 1), np.uint8))
    assert str(caught.value).startswith(message)
    assert "traceback" not in str(caught.value)
    assert classifier.is_lost == is_lost


@pytest.fixture
def losing_gpus(ray, monkeypatch):
    """Videos fail with the classifiers of these GPUs, which are lost then; gives the set of their numbers."""
    lost: set[int] = set()

    def process(task, job, tools):
        classifier = tools.classifier
        if classifier is not None and ray.gpu_actors.index(classifier.actor) in lost:
            classifier.is_lost = True
            yield Ended(task, TaskReport.failed(task, "lost", failure="input"))
            return
        yield ended(task)

    monkeypatch.setattr(ray_actor, "process_in_steps", process)
    monkeypatch.setattr(
        ray_actor.Tools, "load", lambda options, classifier: SimpleNamespace(classifier=classifier)
    )
    return lost


def test_videos_of_a_lost_gpu_are_analysed_with_the_others(ray, losing_gpus, caplog):
    losing_gpus.add(0)
    ray.resources, ray.gpus = {"CPU": 4.0, "GPU": 2.0}, [CARD, CARD]
    asked = job(options=AnalyzeOptions(device="gpu"))
    events = list(ray_engine.process_videos(tasks(*"abcdefgh"), asked, 4))
    assert Counter(report.status for report in endings(events).values()) == {"done": 8}
    assert [record.message for record in caplog.records] == ["A GPU was lost; 1 are left."]


@pytest.mark.parametrize("device", ["gpu", "auto"])
def test_without_any_gpu_left_auto_goes_on_with_the_cpus(ray, losing_gpus, monkeypatch, device):
    losing_gpus.add(0)
    monkeypatch.setattr(ray_cluster, "has_cuda", lambda: True)
    ray.resources, ray.gpus = {"CPU": 2.0, "GPU": 1.0}, [CARD]
    asked = job(options=AnalyzeOptions(device=device))
    if device == "gpu":
        with pytest.raises(ModelError, match="no GPU is left"):
            list(ray_engine.process_videos(tasks("a", "b"), asked, 2))
    else:
        events = list(ray_engine.process_videos(tasks("a", "b", "c"), asked, 2))
        assert Counter(report.status for report in endings(events).values()) == {"done": 3}
    assert all(actor.is_dead for actor in ray.gpu_actors)


def test_a_gpu_that_no_machine_has_is_refused(ray, seen):
    with pytest.raises(OptionsError, match="device gpu: no machine of the Ray cluster has a GPU"):
        list(ray_engine.process_videos(tasks("a"), job(options=AnalyzeOptions(device="gpu")), 0))
    assert ray.calls[-1] == ("shutdown", {})


def test_actors_that_find_no_room_hold_nothing_up(ray, seen, monkeypatch, caplog):
    ray.room = 1
    monkeypatch.setattr(ray_engine, "SECONDS_BEFORE_WARNING", 0.0)
    events = list(ray_engine.process_videos(tasks("a", "b", "c"), job(), 3))
    assert {report.status for report in endings(events).values()} == {"done"}
    assert ray.most_busy == 1
    assert not caplog.records


def test_a_cluster_without_any_room_is_said_once(ray, seen, monkeypatch, caplog):
    ray.room = 0
    monkeypatch.setattr(ray_engine, "SECONDS_BEFORE_WARNING", 0.0)
    wait = ray.wait

    def wait_and_make_room(*arguments, **settings):
        if ray.clock == 3:
            ray.actors[0].is_started = True
        return wait(*arguments, **settings)

    ray.wait = wait_and_make_room
    events = list(ray_engine.process_videos(tasks("a", "b"), job(), 2))
    assert len(endings(events)) == 2
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "No Ray actor has started yet: the run waits for machines with 1 free CPUs and"
    )


def test_a_dead_actor_costs_its_own_video_and_is_replaced(ray, seen):
    events = list(ray_engine.process_videos(tasks("a", "dies", "b"), job(), 1))
    reports = endings(events)
    assert [reports[name].status for name in ("a", "dies", "b")] == ["done", "failed", "done"]
    assert reports["dies"].error == "dies.mp4: its worker died (ActorDiedError)."
    assert reports["dies"].failure == "transient"
    assert len(ray.actors) == 2


@pytest.mark.parametrize(("retries", "status"), [(1, "done"), (0, "failed")])
def test_the_video_of_a_lost_machine_is_started_again_at_once(ray, seen, monkeypatch, retries, status):
    process = ray_actor.process_in_steps

    def lose_machine(task, job, tools):
        if task.source.stem == "dies":
            ray.machines.pop("one", None)
            monkeypatch.setattr(ray_actor, "_this_node", lambda: "two")
            ray.machines["two"] = {"CPU": 2.0}
        yield from process(task, job, tools)

    monkeypatch.setattr(ray_actor, "process_in_steps", lose_machine)
    events = list(ray_engine.process_videos(tasks("dies", "b"), job(retries=retries), 1))
    assert endings(events)["dies"].status == status
    assert [event.task.source.stem for event in events if isinstance(event, Started)].count("dies") == 1


def test_what_a_dead_actor_left_half_written_is_removed(ray, seen, tmp_path, monkeypatch):
    left = []

    def write_and_die(task, job, tools):
        part = task.files.unfinished(task.files.faces)
        part.parent.mkdir(parents=True)
        part.write_bytes(b"half")
        left.append(part)
        yield Progressed(task, 1.0, 2.0)
        raise ActorDiedError

    monkeypatch.setattr(ray_actor, "process_in_steps", write_and_die)
    task = VideoTask(tmp_path / "a.mp4", VideoFiles(tmp_path, "a"))
    events = list(ray_engine.process_videos([task], job().updated(out=tmp_path), 1))
    assert endings(events)["a"].status == "failed"
    assert [part.exists() for part in left] == [False]


def test_an_actor_that_cannot_load_its_models_ends_the_run(ray, seen, monkeypatch):
    def fail(options, classifier):
        raise ModelError("its weights are altered.")

    monkeypatch.setattr(ray_actor.Tools, "load", fail)
    monkeypatch.setattr(ray_actor.platform, "node", lambda: "host7")
    with pytest.raises(ModelError, match=r"^host7: its weights are altered\.$"):
        list(ray_engine.process_videos(tasks("a"), job(), 1))
    assert all(actor.is_dead for actor in ray.actors)


def test_actors_that_die_while_they_load_are_not_replaced_forever(ray, seen, monkeypatch):
    def fail(options, classifier):
        raise ActorDiedError("Traceback:\n  No module named 'ferflow'")

    monkeypatch.setattr(ray_actor.Tools, "load", fail)
    with pytest.raises(ModelError, match=r"no Ray actor could be started \(.*: No module named 'ferflow'\)"):
        list(ray_engine.process_videos(tasks("a", "b", "c"), job(), 2))
    assert len(ray.actors) == ray_engine.MOST_FAILED_STARTS + 2


def test_an_actor_with_another_ferflow_or_another_folder_takes_no_part(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_actor.Tools, "load", lambda options, classifier: options)
    monkeypatch.setattr(ray_actor, "_this_node", lambda: "one")
    given = ActorSettings(job().updated(out=tmp_path), 0.0)
    assert isinstance(load(replace(given, version="9.9")).error, ModelError)
    elsewhere = load(given)
    assert isinstance(elsewhere, NotLoaded)
    assert isinstance(elsewhere.error, RecordsError)
    assert "must be on a disk that all machines share" in str(elsewhere.error)
    with OutputFolder(tmp_path).lock():
        assert load(given) == Loaded("one")


def load(settings: ActorSettings) -> object:
    (message,) = VideoActor(settings).load()
    return message


@pytest.fixture
def two_at_once(ray, monkeypatch):
    """Two actors; the first that analyses `slow` hangs, or does what `hanging` says, as `find_straggler` notices."""
    asked: list[VideoTask] = []
    case = SimpleNamespace(asked=asked, first_then=lambda task: iter(()), slow_actor=None)

    def process(task, job, tools):
        asked.append(task)
        is_first = sum(one.source.stem == "slow" for one in asked) == 1
        if task.source.stem == "slow" and is_first:
            case.slow_actor = ray.current
            yield Progressed(task, 5.0, 100.0)
            case.slow_actor.is_hanging = True
            yield Progressed(task, 6.0, 100.0)
            yield from case.first_then(task)
        elif task.source.stem == "slow":
            yield Progressed(task, 1.0, 100.0)
            yield Progressed(task, 9.0, 100.0)
        yield Analyzed(task)
        yield ended(task)

    monkeypatch.setattr(ray_engine, "SECONDS_BETWEEN_PROGRESS", 0.0)
    monkeypatch.setattr(ray_actor, "process_in_steps", process)
    monkeypatch.setattr(
        ray_engine, "find_straggler",
        lambda paces, speeds, now: 0 if len(paces) == 1 and case.slow_actor.is_hanging else None,
    )  # fmt: skip
    return case


def names(asked: list[VideoTask]) -> list[str]:
    return [task.source.stem for task in asked]


def test_a_slow_video_is_analysed_by_an_idle_actor_too_and_the_first_result_counts(ray, two_at_once):
    events = list(ray_engine.process_videos(tasks("slow", "b"), job(), 2))
    assert names(two_at_once.asked).count("slow") == 2
    assert endings(events)["slow"].status == "done"
    assert two_at_once.slow_actor.is_dead
    moved = [event.seconds for event in events if isinstance(event, Progressed)]
    assert moved == [5.0, 6.0, 9.0]  # never backwards
    assert [event.task.source.stem for event in events if isinstance(event, Started)] == ["slow", "b"]


def test_of_two_actors_with_a_result_only_one_publishes_it(ray, two_at_once, monkeypatch):
    published = []

    def wake_up(task):
        yield Analyzed(task)
        published.append("first")

    two_at_once.first_then = wake_up
    second = ray_actor.process_in_steps

    def process(task, job, tools):
        for message in second(task, job, tools):
            if (
                isinstance(message, Analyzed)
                and two_at_once.slow_actor
                and two_at_once.slow_actor.is_hanging
                and task.source.stem == "slow"
            ):
                two_at_once.slow_actor.is_hanging = False  # it has a result at the same time
                yield message
                yield from (Progressed(task, 10.0 + number, 100.0) for number in range(5))
            else:
                yield message

    monkeypatch.setattr(ray_actor, "process_in_steps", process)
    events = list(ray_engine.process_videos(tasks("slow", "b"), job(), 2))
    assert endings(events)["slow"].status == "done"
    assert published == []


def test_a_video_that_is_being_published_is_not_analysed_again(ray, monkeypatch):
    asked, publishing = [], []

    def process(task, job, tools):
        asked.append(task)
        yield Analyzed(task)
        publishing.append(task)
        # Of the second one, nothing: its actor is idle while the first is still published.
        n_messages = 5 if task.source.stem == "a" else 0
        yield from (Progressed(task, 1.0 + number, 100.0) for number in range(n_messages))
        yield ended(task)

    monkeypatch.setattr(ray_actor, "process_in_steps", process)
    monkeypatch.setattr(
        ray_engine, "find_straggler", lambda paces, speeds, now: 0 if paces and publishing else None
    )
    assert len(endings(list(ray_engine.process_videos(tasks("a", "b"), job(), 2)))) == 2
    assert len(asked) == 2


def test_a_second_actor_that_dies_or_fails_costs_nothing(ray, two_at_once, monkeypatch):
    process = ray_actor.process_in_steps

    def fail(task, job, tools):
        if names(two_at_once.asked).count("slow") == 1 and task.source.stem == "slow":
            two_at_once.asked.append(task)
            two_at_once.slow_actor.is_hanging = False
            yield Ended(task, TaskReport.failed(task, "no such share", failure="transient"))
            return
        yield from process(task, job, tools)

    monkeypatch.setattr(ray_actor, "process_in_steps", fail)
    events = list(ray_engine.process_videos(tasks("slow", "b"), job(), 2))
    assert endings(events)["slow"].status == "done"


def test_no_second_actor_waits_for_the_lock_of_a_shard(ray, two_at_once, monkeypatch):
    wait = ray.wait

    def wake_up(*arguments, **settings):
        if ray.clock > 50:
            two_at_once.slow_actor.is_hanging = False
        return wait(*arguments, **settings)

    ray.wait = wake_up
    events = list(ray_engine.process_videos(tasks("slow", "b"), job().updated(shard="1/2"), 2))
    assert endings(events)["slow"].status == "done"
    assert names(two_at_once.asked).count("slow") == 1


@pytest.mark.parametrize(
    ("paces", "finished", "wanted"),
    [
        ([Pace(0, 10, 100)], [], None),  # nothing to compare with
        ([Pace(0, 300, 1000)], [10.0], 0),  # 3 a second, 233 s to go; another needs 100 s for all
        ([Pace(0, 300, 310)], [10.0], None),  # near its end
        ([Pace(0, 600, 10_000)], [10.0], None),  # not that slow
        ([Pace(0, 0, None)], [10.0], 0),  # it hangs
        ([Pace(95, 0, 100)], [10.0], None),  # it has just started
        ([Pace(0, 100, 900), Pace(50, 10, 900), Pace(60, 400, 900)], [10.0, 10.0], 0),  # runs longest
        ([Pace(0, 50, 900), Pace(0, 1000, 9000), Pace(0, 1000, 9000)], [], 0),  # by those in progress
    ],
)  # fmt: skip
def test_a_straggler_takes_twice_as_long_as_others_and_another_would_be_sooner(paces, finished, wanted):
    assert stragglers.SECONDS_BEFORE_COPY == 20.0
    assert find_straggler(paces, finished, 100.0) == wanted


def test_a_ray_that_is_running_is_used_and_left_running(ray, seen):
    ray.is_running = True
    list(ray_engine.process_videos(tasks("a"), job(), 1))
    assert ray.calls == []
    assert all(actor.is_dead for actor in ray.actors)


@pytest.mark.parametrize(
    ("environment", "address"), [("", None), ("local", None), ("auto", None), ("", "auto"), ("local", "auto")]
)
def test_a_ray_started_here_is_quiet_and_ends_with_the_run_even_if_it_is_stopped(
    ray, seen, monkeypatch, environment, address
):
    monkeypatch.setenv("RAY_ADDRESS", environment)
    before = dict(os.environ)
    events = ray_engine.process_videos(tasks("a", "b"), job().updated(address=address), 1)
    next(events)
    events.close()
    joins = "auto" in (environment, address)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    where = {"address": "auto"} if joins else {"_node_ip_address": "127.0.0.1"}
    assert ray.calls == [("init", quiet | {"configure_logging": False} | where), ("shutdown", {})]
    assert ray.proxies == [os.environ.get("https_proxy") if joins else "http://127.0.0.1:9"]
    assert {name: os.environ.get(name) for name in before} == before
    assert (os.environ["RAY_DEDUP_LOGS"], os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"]) == ("1", "0")
    assert all(actor.is_dead for actor in ray.actors)


def test_an_address_where_nothing_listens_is_refused_at_once(ray, seen):
    with pytest.raises(OptionsError, match=r"no Ray cluster could be joined at 127\.0\.0\.1:1 \(.*refused"):
        list(ray_engine.process_videos(tasks("a"), job(address="127.0.0.1:1"), 1))
    assert ray.calls == []


def test_an_address_of_ray_client_is_refused(ray, seen, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(OptionsError, match="give HOST:PORT of the head"):
        list(ray_engine.process_videos(tasks("a"), job(), 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "local", "address": "auto"}, "needs engine ray"),
        ({"engine": "ray", "address": "ray://head:10001"}, "give HOST:PORT of the head"),
        ({"engine": "ray", "address": "head"}, "give HOST:PORT of the head"),
        ({"engine": "ray", "workers": 0}, "workers 0 is this process"),
    ],
)
def test_a_job_with_a_wrong_address_or_without_workers_is_refused(settings, message):
    with pytest.raises(OptionsError, match=message):
        Job(inputs=("a.mp4",), out=Path("out"), **settings)


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.5:6379", "[fd00::1]:6379"])
def test_a_job_file_names_the_address(tmp_path, address):
    path = tmp_path / "job.toml"
    path.write_text(f'inputs = "a.mp4"\nout = "out"\nengine = "ray"\naddress = "{address}"\n')
    assert Job.from_toml(path).address == address


def test_the_command_takes_the_address(ferflow, face_video, tmp_path):
    done = ferflow("analyze", face_video, "-o", tmp_path / "out", "--address", "auto")
    assert done.code == 2
    assert "needs engine ray" in done.stderr


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionsError, match=r"pip install 'ferflow\[ray\]'"):
        list(ray_engine.process_videos(tasks("a"), job(), 1))


def test_a_video_whose_actor_died_is_tried_again_after_the_others(
    ray, tmp_path, tools, face_video, monkeypatch
):
    monkeypatch.setattr("ferflow.jobs.processing.RETRY_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: tools.classifier.card.sha256)
    monkeypatch.setattr(ray_actor.Tools, "load", lambda options, classifier=None: tools)
    real, tried = ray_actor.process_in_steps, []

    def flaky(task, job, tools):
        tried.append(task.source.name)
        if tried == [face_video.name]:
            raise ActorDiedError
        yield from real(task, job, tools)

    monkeypatch.setattr(ray_actor, "process_in_steps", flaky)
    (video,) = run([face_video], tmp_path / "out", pages=False, engine="ray").videos
    assert (video.status, video.attempts, video.source) == ("done", 2, str(face_video))
    assert len(tried) == 2
    assert OutputFolder(tmp_path / "out").find_leftovers() == []


def test_two_analyses_of_one_video_at_once_give_one_whole_result(tmp_path, tools, face_video):
    out = tmp_path / "out"
    request = job(pages=False).updated(out=out)
    copies = [VideoTask(face_video, VideoFiles(out, "a", part=part)) for part in ("r1", "r2")]
    first, second = (process_in_steps(task, request, tools) for task in copies)
    for steps in (first, second):
        assert any(isinstance(message, Analyzed) for message in steps_until_analyzed(steps))
    assert OutputFolder(out).finished_ids() == []
    assert (
        len(OutputFolder(out).find_leftovers()) == 6
    )  # frames, faces and what faces are gathered in, of both
    (*_, last) = first
    assert (last.report.status, OutputFolder(out).finished_ids()) == ("done", ["a"])
    tables = {path: path.read_bytes() for path in out.rglob("a.parquet")}
    second.close()
    assert {path: path.read_bytes() for path in out.rglob("a.parquet")} == tables
    assert len(tables) == 3
    assert OutputFolder(out).find_leftovers() == []


def steps_until_analyzed(steps: Iterator[object]) -> Iterator[object]:
    for message in steps:
        yield message
        if isinstance(message, Analyzed):
            return
