"""The speed of this machine on a video, and where the time goes: what `ferflow bench` measures.

Everything is measured in one run, in rounds: decoding alone, the complete pipeline and, if wanted, other programs
follow each other. Ratios are computed within a round, so that other load on the machine affects both sides. The median
round is reported. CPU time per frame says what the work costs while other programs use the processor.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import av

from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.jobs.benchmarks.rivals import Pace, Rival, open_pipe, start, time_round
from ferflow.jobs.benchmarks.stages import measure_stages
from ferflow.media.video import open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FaceRows, FrameRows
from ferflow.system.cpus import available_cpus

SAMPLED_FPS = 5.0


@dataclass(frozen=True, slots=True)
class RivalPace:
    """Speed of another program; medians over the rounds."""

    fps: float
    full_over: float
    """Frames per second of ferflow divided by those of the program."""
    cpu_ms: float
    """Of processor time per frame."""
    faces_per_frame: float


@dataclass(frozen=True, slots=True)
class Round:
    """Measured directly after one another."""

    decode: Pace
    full: Pace
    sampled: Pace
    """With `--fps 5`; `frames` are the analysed ones."""
    rivals: dict[str, Pace]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """What was measured on one video; rates and ratios are those of the median round."""

    video: str
    codec: str
    width: int
    height: int
    megabits_per_s: float
    n_frames: int
    faces_per_frame: float
    detect: str
    """See `AnalyzeOptions.detect`."""
    rounds: int
    decode_fps: float
    full_fps: float
    full_over_decode: float
    faces_per_s: float
    sampled_over_full: float
    """Speed on the complete video with `--fps 5`, divided by that with every frame."""
    decode_cpu_ms: float
    """Per frame, as all of these."""
    full_cpu_ms: float
    rivals: dict[str, RivalPace]
    stages_cpu_ms: dict[str, float]
    """By stage, on one thread."""
    first_frame_s: float
    """From the start of a fresh process to its first analysed frames."""
    command_s: float
    """`ferflow analyze` of the whole video in a fresh process, report included."""
    peak_mib: float
    """Largest resident size of a process of that command."""
    bytes_per_face: float
    """Of the faces' table on disk, per row."""
    machine: str
    cpus: int
    load: float
    """Load average over the minute before; above `cpus`, other programs competed."""


def bench(
    video: Path, options: AnalyzeOptions | None = None, *, rounds: int = 3, rivals: Sequence[Rival] = ()
) -> BenchReport:
    """Measure one video.

    Args:
        video: a video file with at least one frame.
        options: how it is analysed.
        rounds: how often each is timed.
        rivals: other programs, timed in the same rounds.

    Raises:
        VideoError, ModelError: it cannot be analysed.
        OptionsError: one of the other programs does not start.
    """
    options = options or AnalyzeOptions()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    tools = Tools.load(options)
    time_pipeline(video, options, tools)  # warm-up: loading on first use is not measured
    with ExitStack() as running:
        scripts = {rival.name: running.enter_context(start(rival, video)) for rival in rivals}
        timed = [
            Round(
                time_decoding(video, options),
                time_pipeline(video, options, tools),
                time_pipeline(video, options.updated(fps=SAMPLED_FPS), tools),
                {name: time_round(script) for name, script in scripts.items()},
            )
            for _ in range(rounds)
        ]
    command_s, peak_mib, bytes_per_face = _measure_command(video, options)
    first = timed[0]
    with open_video(video) as opened:
        info = opened.info
    seconds = info.duration_s_from_header or first.full.frames / (info.frame_rate or 25)
    return BenchReport(
        video=video.stem,
        codec=info.codec,
        width=info.width,
        height=info.height,
        megabits_per_s=video.stat().st_size * 8 / seconds / 1e6,
        n_frames=first.full.frames,
        faces_per_frame=first.full.faces / first.full.frames,
        detect=options.detect,
        rounds=rounds,
        decode_fps=median(each.decode.fps for each in timed),
        full_fps=median(each.full.fps for each in timed),
        full_over_decode=median(each.full.fps / each.decode.fps for each in timed),
        faces_per_s=median(each.full.faces / each.full.seconds for each in timed),
        sampled_over_full=median(each.full.seconds / each.sampled.seconds for each in timed),
        decode_cpu_ms=median(each.decode.cpu_ms for each in timed),
        full_cpu_ms=median(each.full.cpu_ms for each in timed),
        rivals={rival.name: _compare_with(rival, timed) for rival in rivals},
        stages_cpu_ms=measure_stages(video, options, tools),
        first_frame_s=_measure_first_frame(video, options),
        command_s=command_s,
        peak_mib=peak_mib,
        bytes_per_face=bytes_per_face,
        machine=f"{platform.system()} {platform.machine()}, {processor()}",
        cpus=available_cpus(),
        load=load,
    )


def measure(
    videos: Sequence[Path | str],
    folder: Path,
    options: AnalyzeOptions,
    *,
    seconds: float = 10.0,
    rounds: int = 3,
    rivals: Sequence[Rival] = (),
) -> Iterator[BenchReport]:
    """Measure several videos, one after the other.

    Args:
        videos: paths of files, or names of scenes that are drawn first; "all" for each of these.
        folder: where drawn clips go.
        options: how they are analysed.
        seconds: length of drawn clips.
        rounds: as of `bench`.
        rivals: as of `bench`.
    """
    named = [name for video in videos for name in (SCENES if video == "all" else [video])]
    for video in named:
        path = video if isinstance(video, Path) else draw_scene(video, seconds, folder)
        yield bench(path, options, rounds=rounds, rivals=rivals)


def time_decoding(video: Path, options: AnalyzeOptions) -> Pace:
    """Time the lower bound: every frame is decoded with as many threads as the pipeline has, and dropped."""
    with _timed() as clock, av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = options.threads or available_cpus()
        frames = sum(1 for _ in container.decode(stream))
    return Pace(frames, 0, *clock)


def time_pipeline(video: Path, options: AnalyzeOptions, tools: Tools) -> Pace:
    """Time the complete pipeline without writing files."""
    frames = faces = 0
    with _timed() as clock:
        for rows in analyze(video, options, tools=tools):
            if isinstance(rows, FrameRows):
                frames += rows.batch.num_rows
            elif isinstance(rows, FaceRows):
                faces += rows.batch.num_rows
    return Pace(frames, faces, *clock)


def draw_scene(name: str, seconds: float, folder: Path) -> Path:
    """Draw one of `clip.SCENES`, or use an existing clip of it.

    Raises:
        OptionsError: no such scene.
    """
    if name not in SCENES:
        raise OptionsError(f"scene must be one of {', '.join(SCENES)}, got {name!r}")
    clip = folder / f"{name}.mp4"
    if not clip.exists():
        draw_clip(clip, SCENES[name], seconds)
    return clip


def processor() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def _compare_with(rival: Rival, timed: Sequence[Round]) -> RivalPace:
    paces = [(each.full, each.rivals[rival.name]) for each in timed]
    return RivalPace(
        fps=median(other.fps for _, other in paces),
        full_over=median(full.fps / other.fps for full, other in paces),
        cpu_ms=median(other.cpu_ms for _, other in paces),
        faces_per_frame=paces[0][1].faces / paces[0][1].frames,
    )


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds and processor seconds of a block, once it has ended."""
    clock: list[float] = []
    started, started_cpu = time.perf_counter(), time.process_time()
    yield clock
    clock += [time.perf_counter() - started, time.process_time() - started_cpu]


def _measure_command(video: Path, options: AnalyzeOptions) -> tuple[float, float, float]:
    """Measure `ferflow analyze`: seconds, peak MiB, and bytes of the faces' table per row."""
    from ferflow.jobs.benchmarks.memory import measure_peak_mib

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        mib = measure_peak_mib(video, Path(folder), "--detect", options.detect)
        seconds = time.perf_counter() - started
        (written,) = OutputFolder(Path(folder)).finished_videos()
        table = written.faces
        n_faces = read_metadata(table).counts.n_faces
        return seconds, mib, table.stat().st_size / max(n_faces, 1)


def _measure_first_frame(video: Path, options: AnalyzeOptions) -> float:
    code = (
        "import sys, ferflow\n"
        "options = ferflow.AnalyzeOptions(detect=sys.argv[2])\n"
        "next(ferflow.analyze(sys.argv[1], options))\n"
        "print(flush=True)"
    )
    command = [sys.executable, "-c", code, str(video), options.detect]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        open_pipe(process.stdout).readline()
        return time.perf_counter() - started
