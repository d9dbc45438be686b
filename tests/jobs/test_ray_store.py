"""Ray with an output folder in a store: actors on machines without a common disk, on a real S3 server."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ferflow.jobs.benchmarks.compare_outputs import find_differences
from ferflow.jobs.run import run
from tests.conftest import face_frames, write_video
from tests.jobs.test_ray_cluster import LOOPBACK, STAY_HERE, Command, actors, wait_until
from tests.object_server import ObjectServer, needs_object_server, serve_objects

pytest.importorskip("ray", reason="needs ferflow[ray]")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_object_server]

NAMES = {"a": 500, "b": 300, "c": 100}
numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ObjectServer]:
    with serve_objects(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def cluster(server, tmp_path_factory):
    """A head and two nodes with one CPU each, which know the store, each with its own folder for temporary files."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (STAY_HERE | server.environment).items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **LOOPBACK})
        try:
            for number in range(2):
                patch.setenv("TMPDIR", str(tmp_path_factory.mktemp(f"disk{number}")))
                cluster.add_node(num_cpus=1, **LOOPBACK)
            patch.delenv("TMPDIR")
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def stored(server, tmp_path_factory) -> str:
    """Three videos in the store, with a session list that names people and a region."""
    folder = tmp_path_factory.mktemp("videos")
    for step, (name, length) in enumerate(NAMES.items(), 1):
        path = write_video(folder / f"{name}.mp4", face_frames(length, step=step))
        server.put(f"in/{name}.mp4", path.read_bytes())
    return "s3://data/in"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("list") / "sessions.csv"
    path.write_text("video,participant,region\na.mp4,Ada,\nb.mp4,Bob,\nc.mp4,Cy,0,0,100,120\n".replace(
        "0,0,100,120", '"0,0,300,240"'
    ))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def reference(server, stored, sessions, cluster, tmp_path_factory) -> Path:
    """What the local engine makes of them, in a folder."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert run([stored], out, pages=False, sessions=sessions).exit_code == 0
    return out


class StoreCommand(Command):
    """As `Command`, into the store."""

    def __init__(self, cluster, stored: str, key: str, *options: str) -> None:
        super().__init__(cluster, [stored], f"s3://data/{key}", *options)


@pytest.fixture
def analyze(cluster, stored, sessions):
    """Starts the command into a new folder of the store; it ends with the test."""
    started, key = [], f"out{next(numbers)}"

    def start(*options: str) -> StoreCommand:
        started.append(StoreCommand(cluster, stored, key, "--sessions", str(sessions), *options))
        started[-1].key = key
        return started[-1]

    yield start
    for command in started:
        command.kill()


def check_results(
    server, command: StoreCommand, reference: Path, ferflow, tmp_path: Path, *, n_attempts: int = len(NAMES)
) -> None:
    """One result per video, that of the local engine; nothing else in the store or on the disks."""
    fetched = tmp_path / "fetched"
    done = ferflow("fetch", f"s3://data/{command.key}", fetched)
    assert done.code == 0, done.text
    differ = [line for line in find_differences(reference, fetched) if "options.threads" not in line]
    # How often a video was begun is in run.json.
    differs = [] if n_attempts == len(NAMES) else ["differs: run.json (videos)"]
    assert [line for line in differ if not line.startswith("only in")] == differs
    assert {line.rpartition(": ")[2] for line in differ if line.startswith("only in")} == {
        ".fetched.json", ".pages/options.json", "sessions.csv", "shards/1-of-1.json",
    }  # fmt: skip
    keys = [key.removeprefix(f"{command.key}/") for key in server.list(command.key)]
    attempts = Counter(key.split("/")[1] for key in keys if key.startswith("attempts/"))
    commits = [key for key in keys if key.startswith("commits/")]
    assert len(commits) == len(NAMES)
    assert set(attempts) <= {Path(key).stem for key in commits}
    ended = Counter(event["source"] for event in command.seen if event["event"] == "ended")
    assert sorted(ended.values()) == [1] * len(NAMES)
    record = json.loads((fetched / "run.json").read_text())
    assert record["model"]["name"] == "default"
    assert [entry["status"] for entry in record["videos"]] == ["done"] * len(NAMES)
    assert sum(entry["attempts"] for entry in record["videos"]) == n_attempts
    wait_until(lambda: not actors())


def scratch_folders() -> set[Path]:
    root = Path(tempfile.gettempdir())
    return {*root.glob("ferflow-scratch-*"), *root.glob("pytest-of-*/*/*/ferflow-scratch-*")}


def test_results_are_those_of_the_local_engine(server, analyze, reference, ferflow, tmp_path):
    before = scratch_folders()
    command = analyze()
    assert command.end() == 0
    check_results(server, command, reference, ferflow, tmp_path)
    assert scratch_folders() <= before


def test_an_actor_that_is_killed_costs_an_attempt(server, analyze, reference, ferflow, tmp_path):
    command = analyze()
    first = command.wait_for("progress")["source"]
    while command.wait_for("progress")["source"] == first:
        pass
    actors()[0].kill()  # both are at work
    assert command.end() == 0
    check_results(server, command, reference, ferflow, tmp_path, n_attempts=len(NAMES) + 1)
    assert [event["event"] for event in command.seen].count("retrying") == 1


def test_a_command_that_is_killed_is_continued(server, analyze, reference, ferflow, tmp_path):
    first = analyze()
    first.wait_for("ended")
    first.kill()
    wait_until(lambda: not actors())
    second = analyze()
    assert second.end() == 0
    check_results(server, second, reference, ferflow, tmp_path)
    assert "skipped" in {event.get("status") for event in second.seen}


def test_machines_that_cannot_use_the_store_end_the_run(server, cluster, stored, analyze, monkeypatch):
    """The command knows the key of the store, and the machines know one that does not exist."""
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        node = cluster.add_node(num_cpus=1, **LOOPBACK)
    try:
        command = analyze()
        assert command.end() == 5
        (failure,) = [event for event in command.seen if event["event"] == "failed"]
        assert "s3://data" in failure["message"]
    finally:
        cluster.remove_node(node)
        for _ in range(2):
            cluster.add_node(num_cpus=1, **LOOPBACK)
