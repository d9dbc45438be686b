"""The Ray that a run uses: one that exists, or one that is started on this machine only; and what it offers.

(Not called `ray.py`: that would import itself.)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ferflow.errors import OptionsError
from ferflow.jobs.job import Job, check_cluster_address
from ferflow.system.memory import WORKER_BYTES
from ferflow.system.runtime import has_cuda

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

_SECONDS_TO_CONNECT = 10.0


@contextmanager
def connect(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected; what was started or joined for it is left afterwards.

    Args:
        address: of a cluster; None: as `RAY_ADDRESS` says, else Ray is started here.

    Raises:
        OptionsError: Ray is not installed, or there is no cluster at the address.
    """
    address = address or _address_of_environment()
    with _environment({} if address else _STAY_HERE):
        ray = _import_ray()
        connected_here = not ray.is_initialized()
        if connected_here:
            _initialize(ray, address)
    try:
        yield ray
    finally:
        if connected_here:
            ray.shutdown()


def _address_of_environment() -> str | None:
    address = os.environ.get("RAY_ADDRESS")
    if not address or address == "local":  # Ray's word for one that is started here
        return None
    check_cluster_address(address)
    return address


def _initialize(ray: Any, address: str | None) -> None:
    where = {"address": address} if address else {"_node_ip_address": _LOOPBACK}
    try:
        if address:
            _check_listens(address)
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            configure_logging=False,
            **where,
        )
    except (OSError, RuntimeError, ValueError) as error:
        if not address:
            raise
        why = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise OptionsError(
            f"no Ray cluster could be joined at {address} ({why[:200]}). Give HOST:PORT of its head, on a machine on "
            "which ray start was run."
        ) from error


def _check_listens(address: str) -> None:
    """Find out now what Ray finds out after minutes; raises OSError if nothing listens there."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()


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


@dataclass(frozen=True, slots=True)
class Placement:
    """How many actors there are, and what each needs of its machine."""

    n_actors: int
    threads: int
    """Of each, at least one; Ray keeps as many CPUs for it."""
    memory: int
    """Of each, in bytes."""
    n_gpus: int
    """GPUs that are used, by one more actor each, see `ray_gpu`."""

    @classmethod
    def of(cls, ray: Any, job: Job, *, n_videos: int, n_workers: int) -> Placement:
        """Choose it for a cluster.

        Args:
            ray: the module, connected.
            job: the request.
            n_videos: to analyse.
            n_workers: actors that are asked for; 0: one per CPU.

        Raises:
            OptionsError: a GPU is asked for, and the cluster has none.
        """
        total = ray.cluster_resources()
        cpus = job.options.threads or max(1, int(total.get("CPU", 1)))
        gpus = int(total.get("GPU", 0)) if _uses_gpu(job, total) else 0
        n_actors = max(1, min(n_videos, n_workers or cpus))
        largest = _largest_machine(ray)
        return cls(
            n_actors=n_actors,
            # An actor that asks for more than any machine has would never be started.
            threads=max(1, min(cpus // n_actors, int(largest.get("CPU", 1)))),
            memory=min(WORKER_BYTES, int(largest.get("memory", WORKER_BYTES))),
            n_gpus=min(gpus, n_actors),
        )

    def __str__(self) -> str:
        """What an actor needs."""
        return f"{self.threads} free CPUs and {self.memory / (1 << 30):.1f} GiB of memory"

    def options(self) -> dict[str, Any]:
        """As Ray wants them. An actor that dies is replaced by the run, which knows what it was doing."""
        return {
            "num_cpus": self.threads, "num_gpus": 0, "memory": self.memory,
            "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0,
        }  # fmt: skip


def _uses_gpu(job: Job, total: Mapping[str, float]) -> bool:
    has_gpu, device = total.get("GPU", 0) >= 1, job.options.device
    if device == "gpu" and not has_gpu:
        raise OptionsError("device gpu: no machine of the Ray cluster has a GPU. Use device auto or cpu.")
    # Only a cluster with GPUs needs the answer, which takes the time to load ONNX Runtime.
    return has_gpu and (device == "gpu" or (device == "auto" and has_cuda()))


def _largest_machine(ray: Any) -> dict[str, float]:
    """Per resource, what the machine has that has most of it."""
    largest: dict[str, float] = {}
    for node in ray.nodes():
        if node["Alive"]:
            for name, amount in node["Resources"].items():
                largest[name] = max(amount, largest.get(name, 0.0))
    return largest


def is_node_alive(ray: Any, node_id: str) -> bool:
    """Whether a machine is still a part of the cluster."""
    return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == node_id)
