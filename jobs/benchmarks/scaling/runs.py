"""Simulated runs, and how much of the time of their workers is lost to what."""

from __future__ import annotations

from dataclasses import dataclass

from ferflow.jobs.benchmarks.scaling.model import (
    Assumptions,
    Cluster,
    Measured,
    Policy,
    Scenario,
    Videos,
    draw_videos,
    make_cluster,
)
from ferflow.jobs.benchmarks.scaling.simulation import Outcome, simulate

_BUSY = 0.9
"""A resource in use for a larger share of the time is what limits a run."""


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """One run, and how it ended."""

    policy: Policy
    cluster: Cluster
    videos: Videos
    outcome: Outcome

    @property
    def n_workers(self) -> int:
        """Workers of one thread each."""
        return len(self.cluster.speeds)

    @property
    def efficiency(self) -> float:
        """Time of a perfect run over the time of all workers, in (0, 1]."""
        return self.videos.useful_s / (self.n_workers * self.outcome.seconds)

    @property
    def busy_s(self) -> float:
        """Seconds in which workers start or analyse."""
        return self.outcome.used_s["starting"] + self.outcome.used_s["useful"]

    @property
    def store_busy(self) -> float:
        """Bytes read, as a share of what the store could have delivered."""
        return self.outcome.read_bytes / (self.outcome.seconds * self.cluster.store_bytes_per_s)

    @property
    def network_busy(self) -> float:
        """Bytes read, as a share of what the networks of the machines could have delivered."""
        machines = self.cluster.n_nodes * self.cluster.node_bytes_per_s
        return self.outcome.read_bytes / (self.outcome.seconds * machines)

    @property
    def limit(self) -> str:
        """What would have to be larger for the run to end sooner."""
        if self.store_busy > _BUSY:
            return "store"
        return "network" if self.network_busy > _BUSY else "CPUs"

    def share(self, *uses: str) -> float:
        """Share of some uses of the time of all workers, see `simulation.USES`."""
        return sum(self.outcome.used_s[use] for use in uses) / (self.n_workers * self.outcome.seconds)

    @property
    def largest_loss(self) -> tuple[str, float]:
        """What most of the time is lost to, and its share."""
        losses = {
            "slower CPUs": self.share("useful") - self.efficiency,
            "storage": self.share("reading"),
            "kills": self.share("killed", "down"),
            "copies": self.share("copies"),
            "bad inputs": self.share("bad"),
            "start and planning": self.share("starting"),
            "waiting for the last": self.share("idle"),
        }
        name = max(losses, key=lambda loss: losses[loss])
        return name, losses[name]


def simulate_run(policy: Policy, n_workers: int, n_videos: int, scenario: Scenario) -> SimulatedRun:
    """Simulate one run."""
    videos, cluster = draw_videos(n_videos, scenario), make_cluster(n_workers, scenario)
    return SimulatedRun(policy, cluster, videos, simulate(videos, cluster, policy, seed=scenario.seed))


def simulate_measured(measured: Measured) -> dict[int, SimulatedRun]:
    """Simulate the measured runs, by number of workers: equal videos on the local disk, and nothing that fails."""
    local = Assumptions(
        bad_share=0.0, kills_per_hour=0.0, slow_share=0.0, rate_sigma=0.0, work_sigma=0.0, length_sigma=0.0,
        median_minutes=measured.run_video_s / 60, node_mb_per_s=1e6, store_mb_per_s=1e6,
    )  # fmt: skip
    scenario = Scenario(measured=measured, scene=measured.run_scene, assumed=local)
    numbers = [run.workers for run in measured.runs]
    return {number: simulate_run("queue", number, measured.run_videos, scenario) for number in numbers}
