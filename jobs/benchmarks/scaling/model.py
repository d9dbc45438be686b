"""What a simulated run consists of: assumptions, the videos, the machines, and what this machine was measured to take.

Measured figures come from a file that `measure` writes. Everything else is one of `Assumptions`, each with its
meaning; they can be set on the command line and are printed with the tables.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from ferflow.errors import OptionsError
from ferflow.types import BoolArray, Float64Array, Int64Array

Policy = Literal["shards", "machines", "queue", "copies"]
"""How videos get to workers.

`shards`: each worker has its own part of the inputs, as with `ferflow analyze --shard I/N --workers 1`. Parts are
chosen by size before the run (the largest input first, each to the part that is smallest so far). `machines`: each
machine has such a part, and its workers share it. `queue`: one queue for all, the largest first, as with
`--engine ray`. `copies`: the same, and a worker that finds it empty analyses a video that is in progress once more if
it expects to end sooner; the first result counts. (Ray's engine does that only where a worker hangs or has less than
half of the others' speed.)
"""

SECONDS_PER_HOUR = 3600.0


class MeasuredScene(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of video on one thread of the measured machine."""

    name: str
    frames_per_s: float
    """Of the video."""
    megabits_per_s: float
    faces_per_frame: float
    stages_cpu_ms: dict[str, float]
    """Processor time per frame by stage, see `stages.STAGES`."""
    written_bytes_per_frame: float
    """Tables of frames, faces and timeline; pages are not written."""

    @property
    def frames_per_hour(self) -> float:
        """Of the video."""
        return self.frames_per_s * SECONDS_PER_HOUR

    @property
    def cpu_ms(self) -> float:
        """Processor time per frame, all stages."""
        return sum(self.stages_cpu_ms.values())

    @property
    def cpu_s_per_hour(self) -> float:
        """Processor time per hour of video."""
        return self.cpu_ms / 1e3 * self.frames_per_hour

    @property
    def read_bytes_per_hour(self) -> float:
        """Size of an hour of video."""
        return self.megabits_per_s * 1e6 / 8 * SECONDS_PER_HOUR


class MeasuredRun(msgspec.Struct, frozen=True, kw_only=True):
    """`ferflow analyze` with some workers of one thread each, on as many CPUs; the least of several rounds."""

    workers: int
    wall_s: float
    cpu_s: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on one machine."""

    machine: str
    date: str
    load: float
    """Load of the machine before; if it is above the number of CPUs, other programs have slowed the measurement."""
    start_s: float
    """Processor time from the start of a command to its first video: libraries, models."""
    video_cpu_s: float
    """Per video besides its frames: opening, which way is up, timeline."""
    publish_s: float
    """Per video: its tables are flushed to the disk and get their names."""
    written_bytes_per_video: float
    """Besides those per frame."""
    list_s: float
    """Per input: finding it in a folder, and its size."""
    identify_s: float
    """Per input: its id, by its first and last MiB."""
    scenes: tuple[MeasuredScene, ...]
    run_scene: MeasuredScene
    """Of the videos of `runs`."""
    run_videos: int
    run_video_s: float
    """Length of each."""
    runs: tuple[MeasuredRun, ...]

    @property
    def full_node_factor(self) -> float:
        """CPU time of videos with all CPUs busy, over that with one busy: they share memory and caches."""
        all_busy, one_busy = (run.cpu_s - run.workers * self.start_s for run in (self.runs[-1], self.runs[0]))
        return max(1.0, all_busy / one_busy)

    def scene(self, name: str) -> MeasuredScene:
        """A scene by its name.

        Raises:
            OptionsError: it was not measured.
        """
        found = {scene.name: scene for scene in self.scenes}
        if name not in found:
            raise OptionsError(f"--scene must be one of {', '.join(found)}, got {name!r}.")
        return found[name]


def _assume(value: float, meaning: str) -> float:
    return field(default=value, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What was not measured. Rates, sizes and times are positive, shares lie in [0, 1)."""

    median_minutes: float = _assume(8.0, "median length of a video, minutes; lengths are lognormal")
    length_sigma: float = _assume(1.2, "standard deviation of the logarithm of the length")
    longest_hours: float = _assume(12.0, "longest video, hours; longer ones are cut to it")
    rate_sigma: float = _assume(0.4, "the same of the bytes per hour of video, with a mean of 1")
    work_sigma: float = _assume(
        0.3, "the same of the CPU time per hour of video (faces, noise), with a mean of 1"
    )
    bad_share: float = _assume(0.005, "share of inputs that cannot be analysed; each is opened and fails")
    read_passes: float = _assume(
        1.0,
        "times that a video is read from the store: 1 where the page cache keeps it after its sha256, else 2",
    )
    cpus_per_node: float = _assume(8.0, "CPUs, and workers of one thread, of a machine")
    node_mb_per_s: float = _assume(1000.0, "bandwidth of a machine's network, MB/s")
    store_mb_per_s: float = _assume(4000.0, "bandwidth of the store of videos, all machines together, MB/s")
    kills_per_hour: float = _assume(0.02, "how often a worker is killed, per hour (pre-emption)")
    replace_s: float = _assume(120.0, "until another worker takes its place, seconds")
    slow_share: float = _assume(0.01, "share of workers that are slow")
    slow_speed: float = _assume(0.5, "their speed, where the others have 1")
    cpu_price: float = _assume(0.04, "price of a CPU for an hour; an example, in any currency")
    gpu_faces_per_s: float = _assume(
        20000.0,
        "faces that a GPU classifies per second; NOT measured: take it from `ferflow.jobs.benchmarks.gpu`",
    )

    def updated(self, settings: Iterable[str]) -> Assumptions:
        """With other values, from texts such as `kills_per_hour=0.1`.

        Raises:
            OptionsError: no such name, or not a number that is possible.
        """
        values = dict(_parse_setting(text) for text in settings)
        return dataclasses.replace(self, **values)

    def rows(self) -> Iterator[tuple[str, float, str]]:
        """Name, value and meaning of each."""
        for each in dataclasses.fields(self):
            yield each.name, getattr(self, each.name), each.metadata["meaning"]


_SHARES = {"bad_share", "slow_share"}
_MAY_BE_0 = {
    *_SHARES,
    "length_sigma",
    "rate_sigma",
    "work_sigma",
    "read_passes",
    "kills_per_hour",
    "replace_s",
}


def _parse_setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    known = [each.name for each in dataclasses.fields(Assumptions)]
    if name not in known:
        raise OptionsError(f"--set takes NAME=VALUE with a name of {', '.join(known)}, got {text!r}.")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    lowest_is_possible = number > 0 or (number == 0 and name in _MAY_BE_0)
    if not lowest_is_possible or not number < (1 if name in _SHARES else float("inf")):
        wanted = "at least 0 and below 1" if name in _SHARES else "a positive number"
        raise OptionsError(f"--set {name} must be {wanted}, got {value!r}.")
    return name, number


@dataclass(frozen=True, slots=True)
class Videos:
    """The inputs of a run; arrays of one length (n,)."""

    hours: Float64Array
    """Lengths."""
    read_bytes: Float64Array
    cpu_s: Float64Array
    """On a worker of speed 1."""
    is_bad: BoolArray
    """Cannot be analysed."""

    def __len__(self) -> int:
        return len(self.hours)

    @property
    def useful_s(self) -> float:
        """CPU time of all that can be analysed, on workers of speed 1: what a perfect run would take."""
        return float(self.cpu_s[~self.is_bad].sum())

    def largest_first(self) -> Int64Array:
        """Indices by size, which is what a run knows before it opens a file."""
        return np.argsort(-self.read_bytes, kind="stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated, apart from the number of videos and workers."""

    measured: Measured
    scene: MeasuredScene
    """Kind of the videos: CPU time and bytes per hour, on average."""
    assumed: Assumptions
    seed: int = 0
    """Of all random numbers; each kind of them has a stream of its own."""


def draw_videos(n: int, scenario: Scenario) -> Videos:
    """Draw lengths, bit rates and contents of n videos at random."""
    random = np.random.default_rng([scenario.seed, 0])
    scene, assumed = scenario.scene, scenario.assumed
    hours = np.exp(random.normal(np.log(assumed.median_minutes / 60), assumed.length_sigma, n))
    hours = np.minimum(hours, assumed.longest_hours)
    is_bad = random.random(n) < assumed.bad_share
    cpu_s = hours * scene.cpu_s_per_hour * _spread(random, assumed.work_sigma, n)
    read_bytes = hours * scene.read_bytes_per_hour * _spread(random, assumed.rate_sigma, n)
    return Videos(
        hours=hours,
        read_bytes=read_bytes * assumed.read_passes,
        cpu_s=scenario.measured.video_cpu_s + np.where(is_bad, 0.0, cpu_s),
        is_bad=is_bad,
    )


def _spread(random: np.random.Generator, sigma: float, n: int) -> Float64Array:
    """Lognormal factors with a mean of 1."""
    return np.exp(random.normal(-(sigma**2) / 2, sigma, n))


def split_by_size(sizes: Float64Array, order: Int64Array, n: int) -> list[list[int]]:
    """Parts of nearly equal size: each item in turn goes to the part that is smallest so far (LPT).

    Args:
        sizes: of the items, (m,).
        order: indices of the items, the largest first, (m,).
        n: number of parts.

    Returns:
        Indices of each part, in the given order.
    """
    parts: list[list[int]] = [[] for _ in range(n)]
    loads = [(0.0, number) for number in range(n)]
    for index, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        load, number = loads[0]
        parts[number].append(index)
        heapq.heapreplace(loads, (load + size, number))
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Machines and their workers, of one thread each."""

    speeds: tuple[float, ...]
    """Speed of each worker; 1 is a CPU of the measured machine while its other CPUs are idle."""
    workers_per_node: int
    node_bytes_per_s: float
    store_bytes_per_s: float
    start_s: float
    """Time until a worker has loaded its models."""
    publish_s: float
    """Per video, after it is analysed."""
    list_s: float
    """Per input; every part lists all inputs, a queue lists them once."""
    identify_s: float
    """Per input; a part identifies its own."""
    kills_per_hour: float = 0.0
    replace_s: float = 0.0

    @property
    def n_nodes(self) -> int:
        """Machines."""
        return -(-len(self.speeds) // self.workers_per_node)


def make_cluster(n_workers: int, scenario: Scenario) -> Cluster:
    """Workers on as few machines as hold them; which of them are slow is drawn at random."""
    measured, assumed = scenario.measured, scenario.assumed
    per_node = int(assumed.cpus_per_node)
    shared = 1 / measured.full_node_factor if min(n_workers, per_node) > 1 else 1.0
    is_slow = np.random.default_rng([scenario.seed, 1]).random(n_workers) < assumed.slow_share
    return Cluster(
        speeds=tuple(np.where(is_slow, shared * assumed.slow_speed, shared).tolist()),
        workers_per_node=per_node,
        node_bytes_per_s=assumed.node_mb_per_s * 1e6,
        store_bytes_per_s=assumed.store_mb_per_s * 1e6,
        start_s=measured.start_s,
        publish_s=measured.publish_s,
        list_s=measured.list_s,
        identify_s=measured.identify_s,
        kills_per_hour=assumed.kills_per_hour,
        replace_s=assumed.replace_s,
    )
