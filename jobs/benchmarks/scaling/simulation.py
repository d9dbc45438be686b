"""A run on many machines as a discrete-event simulation (SimPy): workers start, read, analyse, are killed and replaced.

A worker reads a video completely, then analyses it. (So does `ferflow analyze`, which computes the sha256 of a source
before its first frame.) A worker that is killed loses the video in progress, which is analysed again from its
start. A result is visible only when it is complete, and each video has exactly one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from ferflow.jobs.benchmarks.scaling.model import Cluster, Policy, Videos, split_by_size
from ferflow.jobs.benchmarks.scaling.store import SharedStore, Transfer
from ferflow.types import Int64Array

Events = Generator[simpy.Event, Any, None]

USES = ("useful", "reading", "killed", "copies", "bad", "starting", "down", "idle")
"""What the time of workers is used for. `useful`: analysing what becomes the result; `killed`, `copies` and `bad`:
analysing without a result, because the worker is killed, another copy ends first, or the input is bad; `reading`: the
store, also waiting for it; `starting`: loading models and planning; `down`: until a killed worker is replaced; `idle`:
without a video."""

_COMPUTING = "computing"
"""State of a worker; whether it is useful is known in the end."""
_KILLED, _SUPERSEDED = "killed", "copies"
"""Why a worker is interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    seconds: float
    """From the first start to the last result."""
    used_s: dict[str, float]
    """Time of all workers by use, see `USES`; together number of workers times `seconds`."""
    n_results: Int64Array
    """Results, or reports of a bad input, that became visible of each video, (n,)."""
    n_killed: int
    n_retries: int
    """Attempts after a kill."""
    n_copies: int
    read_bytes: float
    """Size of the videos that were read completely."""

    @property
    def lost_share(self) -> float:
        """Share of the analysis time that gave no result."""
        lost = sum(self.used_s[use] for use in ("killed", "copies", "bad"))
        return lost / (lost + self.used_s["useful"])


def simulate(videos: Videos, cluster: Cluster, policy: Policy, *, seed: int) -> Outcome:
    """Simulate a run until each video has its result.

    Args:
        videos: at least one.
        cluster: at least one worker.
        policy: how videos get to workers.
        seed: of the times at which workers are killed.
    """
    return _Simulation(videos, cluster, policy, seed).run()


@dataclass(slots=True, eq=False)
class _Queue:
    """Videos of one worker, of the workers of a machine, or of all."""

    videos: deque[int]
    planning_s: float
    """Time from the start of a run until the first video can be taken."""
    idle: list[simpy.Event] = field(default_factory=list)
    """Workers that wait for a video."""

    def wake_one(self) -> None:
        """Let one of the waiting workers look again."""
        if self.idle:
            self.idle.pop().succeed()


@dataclass(slots=True, eq=False)
class _Worker:
    node: int
    speed: float
    queue: _Queue
    process: simpy.Process | None = None
    state: str = "starting"
    since_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Attempt:
    """One worker's analysis of one video, in progress."""

    worker: _Worker
    ends_at_s: float = float("inf")
    """Known once it is read: workers report their progress."""


class _Simulation:
    """State of one run."""

    def __init__(self, videos: Videos, cluster: Cluster, policy: Policy, seed: int) -> None:
        self._videos, self._cluster, self._policy = videos, cluster, policy
        self._cpu_s: list[float] = videos.cpu_s.tolist()
        self._read_bytes: list[float] = videos.read_bytes.tolist()
        self._random = np.random.default_rng([seed, 2])
        self._env = simpy.Environment()
        self._store = SharedStore(
            self._env,
            store_bytes_per_s=cluster.store_bytes_per_s,
            node_bytes_per_s=cluster.node_bytes_per_s,
            n_nodes=cluster.n_nodes,
        )
        self._workers = self._make_workers()
        self._running: dict[int, list[_Attempt]] = {}
        self._all_done = self._env.event()
        self._n_open = len(videos)
        self._used_s = dict.fromkeys(USES, 0.0)
        self._n_results = np.zeros(len(videos), np.int64)
        self._n_killed = self._n_retries = self._n_copies = 0
        self._bytes = 0.0

    def run(self) -> Outcome:
        """Simulate it."""
        for worker in self._workers:
            worker.process = self._env.process(self._live(worker))
            if self._cluster.kills_per_hour:
                self._env.process(self._kill_now_and_then(worker))
        self._env.run(until=self._all_done)
        for worker in self._workers:
            self._switch(worker, "idle")
        return Outcome(
            seconds=self._env.now,
            used_s=self._used_s,
            n_results=self._n_results,
            n_killed=self._n_killed,
            n_retries=self._n_retries,
            n_copies=self._n_copies,
            read_bytes=self._bytes,
        )

    def _make_workers(self) -> list[_Worker]:
        cluster = self._cluster
        nodes = [number // cluster.workers_per_node for number in range(len(cluster.speeds))]
        if self._policy == "shards":
            queues = self._split(len(nodes))
        elif self._policy == "machines":
            parts = self._split(cluster.n_nodes)
            queues = [parts[node] for node in nodes]
        else:
            queues = [self._split(1)[0]] * len(nodes)
        return [_Worker(*each) for each in zip(nodes, cluster.speeds, queues, strict=True)]

    def _split(self, n: int) -> list[_Queue]:
        """Each part is planned by itself: all inputs are listed, its own are identified."""
        videos, cluster = self._videos, self._cluster
        listing_s = cluster.list_s * len(videos)
        parts = split_by_size(videos.read_bytes, videos.largest_first(), n)
        return [_Queue(deque(part), listing_s + cluster.identify_s * len(part)) for part in parts]

    def _switch(self, worker: _Worker, state: str, counts_as: str | None = None) -> None:
        """Count the time in the state that ends, and begin another."""
        now_s = self._env.now
        self._used_s[counts_as or worker.state] += now_s - worker.since_s
        worker.state, worker.since_s = state, now_s

    def _live(self, worker: _Worker) -> Events:
        """A worker and those that replace it."""
        while True:
            try:
                yield from self._start(worker)
                yield from self._serve(worker)
                return
            except simpy.Interrupt:
                self._n_killed += 1
                self._switch(worker, "down")
                yield self._env.timeout(self._cluster.replace_s)
                self._switch(worker, "starting")

    def _start(self, worker: _Worker) -> Events:
        """Load models while the queue is planned; a shard of one worker is planned again when that is replaced."""
        planned_at_s = worker.queue.planning_s + (self._env.now if self._policy == "shards" else 0.0)
        start_s = self._cluster.start_s
        yield self._env.timeout(max(start_s, planned_at_s - self._env.now))

    def _serve(self, worker: _Worker) -> Events:
        """Analyse video after video; a shard ends with its last one, other workers with the run."""
        while True:
            video = self._next_video(worker)
            if video is not None:
                yield from self._attempt(worker, video)
                continue
            self._switch(worker, "idle")
            if self._policy == "shards":
                return
            yield from self._wait_for_work(worker.queue)

    def _next_video(self, worker: _Worker) -> int | None:
        if worker.queue.videos:
            return worker.queue.videos.popleft()
        return self._choose_copy(worker) if self._policy == "copies" else None

    def _choose_copy(self, worker: _Worker) -> int | None:
        """The video that ends last, if its only worker needs longer for the rest than this one for all of it."""
        now_s, gains = self._env.now, []
        for video, attempts in self._running.items():
            if len(attempts) == 1 and attempts[0].ends_at_s < float("inf"):
                copy_s = self._read_bytes[video] / self._cluster.node_bytes_per_s
                copy_s += self._analysis_s(worker, video)
                if now_s + copy_s < attempts[0].ends_at_s:
                    gains.append((attempts[0].ends_at_s, video))
        if not gains:
            return None
        self._n_copies += 1
        return max(gains)[1]

    def _wait_for_work(self, queue: _Queue) -> Events:
        event = self._env.event()
        queue.idle.append(event)
        try:
            yield event
        except simpy.Interrupt:
            if event in queue.idle:
                queue.idle.remove(event)
            else:
                queue.wake_one()  # it was woken for a video at the time of its death
            raise

    def _attempt(self, worker: _Worker, video: int) -> Events:
        attempt = _Attempt(worker)
        self._running.setdefault(video, []).append(attempt)
        transfer: Transfer | None = None
        try:
            self._switch(worker, "reading")
            transfer = self._store.read(worker.node, self._read_bytes[video])
            yield transfer.done
            self._bytes += self._read_bytes[video]
            self._switch(worker, _COMPUTING)
            seconds = self._analysis_s(worker, video)
            attempt.ends_at_s = self._env.now + seconds
            if self._policy == "copies":
                worker.queue.wake_one()
            yield self._env.timeout(seconds)
        except simpy.Interrupt as interrupt:
            if transfer is not None:
                self._store.cancel(transfer)
            self._lose(attempt, video, str(interrupt.cause))
            if interrupt.cause == _KILLED:
                raise
        else:
            self._publish(attempt, video)

    def _analysis_s(self, worker: _Worker, video: int) -> float:
        return self._cpu_s[video] / worker.speed + self._cluster.publish_s

    def _lose(self, attempt: _Attempt, video: int, cause: str) -> None:
        """Drop the work of an attempt; after a kill the video is queued again unless another worker has it."""
        worker = attempt.worker
        self._switch(worker, "idle", counts_as=cause if worker.state == _COMPUTING else None)
        others = self._running.get(video, [])
        if attempt in others:
            others.remove(attempt)
        if cause == _KILLED and not others:
            self._running.pop(video, None)
            self._n_retries += 1
            worker.queue.videos.appendleft(video)
            worker.queue.wake_one()

    def _publish(self, attempt: _Attempt, video: int) -> None:
        """The first result of a video counts, and ends other attempts."""
        counts_as = "bad" if self._videos.is_bad[video] else "useful"
        self._switch(attempt.worker, "idle", counts_as=counts_as)
        self._n_results[video] += 1
        for other in self._running.pop(video):
            if other is not attempt and other.worker.process is not None:
                other.worker.process.interrupt(_SUPERSEDED)
        self._n_open -= 1
        if self._n_open == 0:
            self._all_done.succeed()

    def _kill_now_and_then(self, worker: _Worker) -> Events:
        """Kill a worker at random times while it runs; one that has finished its shard is not needed any more."""
        for pause_s in self._pauses():
            yield self._env.timeout(pause_s)
            if worker.process is None or not worker.process.is_alive:
                return
            if worker.state != "down":
                worker.process.interrupt(_KILLED)

    def _pauses(self) -> Iterator[float]:
        mean_s = 3600.0 / self._cluster.kills_per_hour
        while True:
            yield float(self._random.exponential(mean_s))
