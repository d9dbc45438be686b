"""What the simulation of many machines needs to know about this one, measured in two to three minutes.

Scenes are measured stage by stage on one thread. What a command and each video cost besides frames comes from two runs
on very short videos, one and several of them. Runs with 1 and 2 workers are there to be compared with their simulation.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from ferflow.demo_clip import draw_sample
from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.scaling.model import Measured, MeasuredRun, MeasuredScene
from ferflow.jobs.benchmarks.speed import draw_scene, processor
from ferflow.jobs.benchmarks.stages import measure_stages
from ferflow.jobs.benchmarks.workers import Run, copy_clip, measure_run, measure_settings
from ferflow.jobs.plan import plan
from ferflow.media.inputs import discover
from ferflow.media.video import open_video
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.pipeline import Tools
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.system.cpus import available_cpus

STORED = Path(__file__).with_name("measured.json")
"""Figures of the machine on which docs/scaling.md was written."""


class Plan(NamedTuple):
    """What is measured."""

    scenes: Sequence[str]
    scene_s: float
    """Length of each clip."""
    short_s: float
    """Length of the very short videos."""
    n_short: int
    run_s: float
    """Length of the videos of runs."""
    n_run: int
    rounds: int
    n_inputs: int
    """Files of which the planning is measured."""


FULL = Plan(("360p", "720p-camera", "480p-six", "1080p-seven"), 5.0, 0.4, 9, 20.0, 4, 3, 500)
_RUN_SIZE = (640, 360)
_END = TimePoint(seconds=3600.0)
"""Later than that of any clip."""
_PUBLISHED = 9
"""Times that the publishing of a video is measured."""
_LARGER_THAN_BOTH_ENDS = 3 << 20
"""Bytes of a file of which `video_id_of` reads two MiB."""


def measure(planned: Plan = FULL) -> Measured:
    """Measure this machine."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    tools = Tools.load(AnalyzeOptions())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample, short = folder / "sample.mp4", folder / "short.mp4"
        draw_sample(sample, seconds=planned.run_s, size=_RUN_SIZE)
        draw_sample(short, seconds=planned.short_s, size=_RUN_SIZE)
        n_cpus = min(2, available_cpus())
        runs = measure_settings(
            sample,
            planned.n_run,
            [(workers, workers) for workers in range(1, n_cpus + 1)],
            rounds=planned.rounds,
        )
        fixed = _measure_short(short, planned.n_short, folder)
        run_scene = measure_scene(sample, tools, folder, fixed.written_bytes)
        frames_s = planned.short_s * run_scene.frames_per_s * run_scene.cpu_ms / 1e3
        list_s, identify_s = _measure_planning(planned.n_inputs, folder)
        return Measured(
            machine=f"{available_cpus()} CPUs, {processor()}",
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            load=load,
            start_s=fixed.one.cpu_s - fixed.video_s,
            video_cpu_s=max(0.0, fixed.video_s - frames_s),
            publish_s=fixed.publish_s,
            written_bytes_per_video=fixed.written_bytes,
            list_s=list_s,
            identify_s=identify_s,
            scenes=tuple(
                measure_scene(draw_scene(scene, planned.scene_s, folder), tools, folder, fixed.written_bytes)
                for scene in planned.scenes
            ),
            run_scene=run_scene,
            run_videos=planned.n_run,
            run_video_s=planned.run_s,
            runs=tuple(_take_least(workers, measured) for (workers, _), measured in runs.items()),
        )


def _take_least(workers: int, runs: Sequence[Run]) -> MeasuredRun:
    """The least time of several rounds: other load on the machine can only add time."""
    return MeasuredRun(
        workers=workers, wall_s=min(run.wall_s for run in runs), cpu_s=min(run.cpu_s for run in runs)
    )


def measure_scene(clip: Path, tools: Tools, folder: Path, fixed_bytes: float) -> MeasuredScene:
    """Measure one clip: its stages on one thread, and what a run writes about it besides `fixed_bytes`."""
    # All of it: what a clip shows may change.
    stages = measure_stages(clip, AnalyzeOptions(end=_END), tools)
    with open_video(clip) as video:
        frames_per_s = video.info.frame_rate or 25.0
    _, written = _run_copies(clip, 1, folder)
    (files,) = OutputFolder(folder / "out").finished_videos()
    counts = read_metadata(files.faces).counts
    return MeasuredScene(
        name=clip.stem,
        frames_per_s=frames_per_s,
        megabits_per_s=clip.stat().st_size * 8 / (counts.n_decoded / frames_per_s) / 1e6,
        faces_per_frame=counts.n_faces / counts.n_analysed,
        stages_cpu_ms=stages,
        written_bytes_per_frame=max(0.0, written - fixed_bytes) / counts.n_analysed,
    )


class _Short(NamedTuple):
    """Very short videos: what does not depend on the length of videos."""

    one: Run
    several: Run
    n_several: int
    written_bytes: float
    """Of each."""
    publish_s: float
    """Of each."""

    @property
    def video_s(self) -> float:
        """Processor time of each: other programs on the machine do not change it."""
        return (self.several.cpu_s - self.one.cpu_s) / (self.n_several - 1)


def _measure_short(short: Path, n_several: int, folder: Path) -> _Short:
    (one, _), (several, written) = (_run_copies(short, number, folder) for number in (1, n_several))
    return _Short(one, several, n_several, written / n_several, _measure_publishing(folder / "out"))


def _measure_publishing(out: Path) -> float:
    """Median seconds in which files as large as those of one video are flushed to the disk and get their names."""
    (files, *_) = OutputFolder(out).finished_videos()
    contents = [path.read_bytes() for path in (files.frames, files.faces, files.timeline)]
    seconds = []
    for number in range(_PUBLISHED):
        started = time.perf_counter()
        for part, content in enumerate(contents):
            with atomic_write(out / f"published-{number}-{part}") as path:
                path.write_bytes(content)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _run_copies(clip: Path, number: int, folder: Path) -> tuple[Run, float]:
    """Analyse copies of a clip with one worker into the folder's `out`; also the bytes of the tables there."""
    videos, out = folder / "copies", folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    copy_clip(clip, number, videos)
    run = measure_run(videos, out, 1, 1)
    shutil.rmtree(videos)
    return run, float(sum(path.stat().st_size for path in out.rglob("*.parquet")))


def _measure_planning(n_inputs: int, folder: Path) -> tuple[float, float]:
    """Seconds per input of finding it and its size, and of its id."""
    videos, out = folder / "inputs", folder / "none"
    videos.mkdir()
    for number in range(n_inputs):
        with (videos / f"{number}.mp4").open("wb") as file:
            file.truncate(_LARGER_THAN_BOTH_ENDS)
    times = [time.perf_counter()]
    for found in discover([videos], out=out):
        found.path.stat()
    times.append(time.perf_counter())
    plan([videos], out, AnalyzeOptions())
    times.append(time.perf_counter())
    found_s, planned_s = times[1] - times[0], times[2] - times[1]
    return found_s / n_inputs, (planned_s - found_s) / n_inputs


def write_measured(path: Path, measured: Measured) -> None:
    """Write figures as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")


def read_measured(path: Path) -> Measured:
    """Read figures.

    Raises:
        OptionsError: no such file, or it holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Measured)
    except OSError as error:
        raise OptionsError(f"{path}: cannot be read ({error.strerror}). Write it with --measure.") from error
    except msgspec.MsgspecError as error:
        raise OptionsError(f"{path}: not figures of --measure ({error}). Write it with --measure.") from error
