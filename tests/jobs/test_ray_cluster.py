"""The engine for several machines on a real Ray cluster, all in processes of this machine: a head and two nodes.

What may happen to a cluster happens: an actor dies or hangs, a machine is lost, the command is killed. Each time the
tables are those of the local engine, and each video has one result.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from tests.command import restore_signals
from tests.conftest import face_frames, write_video

pytest.importorskip("ray", reason="needs ferflow[ray]")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOOPBACK = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
STAY_HERE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray takes another address than loopback for its own
    "RAY_USAGE_STATS_ENABLED": "0",
    "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1,localhost",
}  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs and two nodes with one each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in STAY_HERE.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **LOOPBACK})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, **LOOPBACK)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    """Four videos; the largest ones take a few seconds each."""
    folder = tmp_path_factory.mktemp("videos")
    return [
        write_video(folder / f"{name}.mp4", face_frames(count, step=step))
        for step, (name, count) in enumerate({"a": 700, "b": 500, "c": 300, "d": 100}.items(), 1)
    ]


@pytest.fixture(scope="module")
def reference(videos, tmp_path_factory) -> Path:
    """What the local engine writes."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert run(videos, out, pages=False).exit_code == 0
    return out


class Command:
    """`ferflow analyze --engine ray` in a process; iterating gives its events."""

    def __init__(self, cluster, videos: list[Path], out: Path, *options: str) -> None:
        self.out = out
        self.seen: list[dict] = []
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "ferflow", "analyze", *map(str, videos), "-o", str(out), "--no-report",
                "--engine", "ray", "--address", cluster.address, "--progress", "json", *options,
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=restore_signals,
        )  # fmt: skip

    def events(self) -> Iterator[dict]:
        for line in self._process.stderr:
            if line.startswith("{"):
                self.seen.append(json.loads(line))
                yield self.seen[-1]
            else:  # Ray's
                print(line, end="")

    def wait_for(self, kind: str) -> dict:
        """The next event of this kind."""
        return next(event for event in self.events() if event["event"] == kind)

    def kill(self) -> None:
        self._process.kill()
        self._process.stderr.close()
        self._process.wait()

    def end(self) -> int:
        """Exit code."""
        for _ in self.events():
            pass
        return self._process.wait()


@pytest.fixture
def analyze(cluster, videos, tmp_path):
    """Starts the command; it ends with the test."""
    started = []

    def start(*options: str) -> Command:
        started.append(Command(cluster, videos, tmp_path / "out", *options))
        return started[-1]

    yield start
    for command in started:
        command.kill()


def actors(node=None, name: str = "ray::VideoActo") -> list[psutil.Process]:
    """Processes of actors, of all nodes or of one; the system cuts their names."""
    raylets = None if node is None else {info.process.pid for info in node.all_processes["raylet"]}
    return [
        process
        for process in psutil.process_iter(["name", "ppid"])
        if (process.info["name"] or "").startswith(name)
        and (raylets is None or process.info["ppid"] in raylets)
    ]


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def check_results(command: Command, reference: Path, *, same_options: bool = True) -> None:
    """One result per video, that of the local engine, and nothing else."""
    out = command.out
    for table in ("frames", "faces", "timeline"):
        names = sorted(path.name for path in (reference / table).iterdir())
        assert sorted(path.name for path in (out / table).iterdir()) == names
        for name in names:
            mine, wanted = out / table / name, reference / table / name
            assert pq.read_table(mine) == pq.read_table(wanted)
            if table != "timeline" and same_options:
                assert footer(mine) == footer(wanted)
    assert OutputFolder(out).find_leftovers() == []
    ended = Counter(event["source"] for event in command.seen if event["event"] == "ended")
    assert set(ended.values()) == {1}
    entries = json.loads((out / "run.json").read_text())["videos"]
    assert [entry["status"] in ("done", "skipped") for entry in entries] == [True] * 4


def footer(table: Path) -> VideoMetadata:
    """Metadata without what depends on how a run was carried out."""
    metadata = read_metadata(table)
    return replace(metadata, options=replace(metadata.options, threads=None))


def test_segments_of_long_videos_are_spread_over_the_cluster(cluster, videos, tmp_path):
    full = AnalyzeOptions(detect="full")
    assert run(videos, tmp_path / "local", full, pages=False).exit_code == 0
    command = Command(cluster, videos, tmp_path / "ray", "--detect", "full", "--segment", "0.15")
    try:
        assert command.end() == 0
    finally:
        command.kill()
    for kind in ("frames", "faces"):
        for path in (tmp_path / "local" / kind).iterdir():
            assert pq.read_table(path).equals(pq.read_table(tmp_path / "ray" / kind / path.name))


def test_tables_are_those_of_the_local_engine_and_both_nodes_work(cluster, analyze, reference):
    command = analyze()
    n_busy = 0
    for event in command.events():
        if event["event"] == "progress":
            n_busy = max(n_busy, sum(bool(actors(node)) for node in cluster.worker_nodes))
    assert command.end() == 0
    check_results(command, reference)
    assert n_busy == 2
    wait_until(lambda: not actors())


def test_one_worker_is_one_actor(analyze, reference):
    command = analyze("--workers", "1")
    counts = {len(actors()) for event in command.events() if event["event"] == "progress"}
    assert command.end() == 0
    check_results(command, reference)
    assert counts == {1}


def test_an_actor_that_is_killed_costs_an_attempt_of_its_video(analyze, reference):
    command = analyze()
    command.wait_for("progress")
    actors()[0].kill()
    assert command.end() == 0
    check_results(command, reference)
    assert [event["event"] for event in command.seen].count("retrying") == 1
    entries = json.loads((command.out / "run.json").read_text())["videos"]
    assert sorted(entry["attempts"] for entry in entries) == [1, 1, 1, 2]


def test_videos_of_a_lost_node_are_analysed_by_the_other(cluster, analyze, reference):
    command = analyze()
    command.wait_for("progress")
    node = next(node for node in cluster.worker_nodes if actors(node))
    cluster.remove_node(node, allow_graceful=False)
    try:
        assert command.end() == 0
        check_results(command, reference)
    finally:
        cluster.add_node(num_cpus=1, **LOOPBACK)


def test_a_command_that_is_killed_goes_on_when_it_is_started_again(analyze, reference):
    first = analyze()
    first.wait_for("ended")
    first.kill()
    wait_until(lambda: not actors())  # they end with the command
    before = {path.name: path.stat().st_mtime_ns for path in (first.out / "faces").glob("*.parquet")}
    assert 1 <= len(before) < 4
    second = analyze()
    assert second.end() == 0
    check_results(second, reference)
    skipped = [event for event in second.seen if event["event"] == "ended" and event["status"] == "skipped"]
    assert len(skipped) == len(before)
    after = {path.name: path.stat().st_mtime_ns for path in (first.out / "faces").glob("*.parquet")}
    assert before.items() <= after.items()


def test_a_video_whose_actor_hangs_is_finished_by_another(analyze, reference):
    command = analyze()
    command.wait_for("progress")
    hanging = actors()[0]
    os.kill(hanging.pid, signal.SIGSTOP)
    try:
        assert command.end() == 0
    finally:
        if hanging.is_running():
            os.kill(hanging.pid, signal.SIGCONT)
    check_results(command, reference)
    assert "retrying" not in {event["event"] for event in command.seen}
    wait_until(lambda: not actors())


GPU_STAND_IN = """
import os, sys
if any(word.endswith("default_worker.py") for word in sys.orig_argv):
    from ferflow.models import classifier

    class OnCpu(classifier.OnnxClassifier):
        def answer(self, images):
            with open(os.environ["FERFLOW_TEST_CALLS"], "a") as file:
                file.write(f"{os.getpid()} {len(images)}\\n")
            return super().answer(images)

    classifier._make_gpu_classifier = lambda card, backend: OnCpu(card, threads=1)
"""
"""For the processes of a node without a GPU that says it has one: the network of the CPU, which notes its calls."""


@pytest.fixture
def gpu_calls(cluster, tmp_path, monkeypatch):
    """A third node, with a GPU, as far as Ray knows; gives the calls of its networks: process and number of crops."""
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "sitecustomize.py").write_text(GPU_STAND_IN)
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"), prepend=os.pathsep)
    monkeypatch.setenv("FERFLOW_TEST_CALLS", str(calls))
    node = cluster.add_node(num_cpus=0, num_gpus=1, **LOOPBACK)
    try:
        yield lambda: [tuple(map(int, line.split())) for line in calls.read_text().splitlines()]
    finally:
        cluster.remove_node(node)


def count_faces(out: Path) -> int:
    return sum(pq.read_metadata(table).num_rows for table in (out / "faces").iterdir())


def test_a_gpu_classifies_the_crops_of_all_videos(analyze, reference, gpu_calls):
    command = analyze("--device", "gpu")
    n_gpu_actors = {
        len(actors(name="ray::GpuActor")) for event in command.events() if event["event"] == "progress"
    }
    assert command.end() == 0
    check_results(command, reference, same_options=False)
    assert n_gpu_actors == {1}
    assert len({process for process, _ in gpu_calls()}) == 1
    n_crops, n_faces = sum(n_crops for _, n_crops in gpu_calls()), count_faces(command.out)
    assert n_faces / 2 < n_crops <= n_faces  # equal ones once
    wait_until(lambda: not actors(name="ray::GpuActor"))


def test_a_gpu_whose_process_is_killed_is_used_again(analyze, reference, gpu_calls):
    command = analyze("--device", "gpu")
    wait_until(gpu_calls)
    actors(name="ray::GpuActor")[0].kill()
    assert command.end() == 0
    check_results(command, reference, same_options=False)
    assert len({process for process, _ in gpu_calls()}) == 2


def test_no_cluster_at_the_address_is_one_line(videos, tmp_path, ferflow):
    done = ferflow(
        "analyze", videos[0], "-o", tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:1"
    )
    assert done.code == 2
    assert "no Ray cluster could be joined at 127.0.0.1:1 (" in done.stderr
