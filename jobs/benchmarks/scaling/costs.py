"""What an hour of video costs, and how many CPUs one GPU can serve: in closed form, from measured times of stages."""

from __future__ import annotations

from typing import NamedTuple

from ferflow.jobs.benchmarks.scaling.model import (
    SECONDS_PER_HOUR,
    Assumptions,
    MeasuredScene,
    Scenario,
    Videos,
)


class Cost(NamedTuple):
    """Cost of an hour of video, on average over the videos of a run."""

    cpu_s: float
    read_bytes: float
    written_bytes: float
    money: float
    """Paid for CPUs, also while they wait."""


def cost_of_hour(scenario: Scenario, videos: Videos, *, efficiency: float) -> Cost:
    """Cost of an hour of video.

    Args:
        scenario: kind of the videos, and the price of a CPU.
        videos: those of a run; for their mean length, over which what each video costs is spread.
        efficiency: useful share of the time of all workers, in (0, 1].
    """
    measured, scene, assumed = scenario.measured, scenario.scene, scenario.assumed
    per_hour = 1 / float(videos.hours.mean())
    cpu_s = scene.cpu_s_per_hour + measured.video_cpu_s * per_hour
    return Cost(
        cpu_s=cpu_s,
        read_bytes=scene.read_bytes_per_hour * assumed.read_passes,
        written_bytes=scene.written_bytes_per_frame * scene.frames_per_hour
        + measured.written_bytes_per_video * per_hour,
        money=cpu_s / efficiency / SECONDS_PER_HOUR * assumed.cpu_price,
    )


class Packing(NamedTuple):
    """Faces of several CPUs classified on one GPU; everything else stays on the CPUs."""

    faces_per_cpu_s: float
    """Faces that one CPU decodes, finds and crops per second."""
    cpus_per_gpu: float
    """Number of CPUs that keep the GPU busy."""
    gpu_busy: float
    """Share of the GPU's time with the CPUs of one machine."""
    times_as_fast: float
    """The machine with the GPU, over the machine without."""
    worth: float
    """Price of a GPU for an hour at which it saves as much as it costs, with the CPUs of one machine."""
    worth_full: float
    """The same price with as many CPUs as keep the GPU busy."""


def pack_gpu(scene: MeasuredScene, assumed: Assumptions) -> Packing:
    """How many CPUs one GPU can serve, and what it is worth: in closed form, without waiting in queues."""
    rest_ms = scene.cpu_ms - scene.stages_cpu_ms["classify"]
    faces_per_cpu_s = scene.faces_per_frame / rest_ms * 1e3
    cpus_per_gpu = assumed.gpu_faces_per_s / faces_per_cpu_s
    cpus = assumed.cpus_per_node
    gpu_busy = min(1.0, cpus / cpus_per_gpu)
    # A GPU that is the bottleneck serves as many CPUs as it can; the others of the machine wait.
    times_as_fast = min(cpus, cpus_per_gpu) / cpus * scene.cpu_ms / rest_ms
    return Packing(
        faces_per_cpu_s=faces_per_cpu_s,
        cpus_per_gpu=cpus_per_gpu,
        gpu_busy=gpu_busy,
        times_as_fast=times_as_fast,
        worth=max(0.0, times_as_fast - 1) * cpus * assumed.cpu_price,
        worth_full=(scene.cpu_ms / rest_ms - 1) * cpus_per_gpu * assumed.cpu_price,
    )
