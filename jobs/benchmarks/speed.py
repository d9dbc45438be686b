"""How fast this machine analyses a video, and where the time goes: the work of `ferflow bench`.

Everything is measured in one run, in rounds: decoding alone, the whole pipeline and, if asked for, the
straightforward script follow each other, and ratios are taken within a round, so that whatever else the machine
does weighs on all of them. The median round is reported. CPU time per frame tells what the work costs when other
programs hold the processor.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO

import av

from ferflow.errors import FerflowError, OptionsError
from ferflow.faces.crops import FaceCrops, crop_frames
from ferflow.faces.shot_detector import ShotCutDetector
from ferflow.faces.track_interpolation import FrameSample, TrackedFrame
from ferflow.faces.tracker import Tracker
from ferflow.faces.yunet import decimation_factor, padded_planes
from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.jobs.video_job import describe_analysis
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze, face_rows, frame_rows
from ferflow.store.metadata import FrameCounts, read_metadata
from ferflow.store.records import FrameRows, RecordPaths, RecordsWriter
from ferflow.system.cpus import available_cpus

STAGES = ("decode", "planes", "detect", "cuts", "track", "crop", "classify", "write")
_STAGE_FRAMES = 150
_SAMPLED_FPS = 5.0
_RIVAL_FRAMES = 60
"""They take a tenth of a second and more for each of them."""


@dataclass(frozen=True, slots=True)
class Pace:
    """One go through some frames."""

    frames: int
    faces: int
    seconds: float
    cpu_seconds: float
    """Of this process, all threads."""

    @property
    def fps(self) -> float:
        """Frames a second, by the clock."""
        return self.frames / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time per frame."""
        return self.cpu_seconds / self.frames * 1e3


@dataclass(frozen=True, slots=True)
class Rival:
    """Another program to be compared with; it talks as `bench_fer` does."""

    name: str
    command: tuple[str, ...]
    """The video and a number of frames are added."""
    remedy: str
    """What to do where it does not start."""


def haar_script() -> Rival:
    """The straightforward script of the papers."""
    command = (sys.executable, "-m", "ferflow.jobs.benchmarks.haar")
    return Rival("the papers' script", command, "--vs-haar needs TensorFlow: pip install 'ferflow[train]'")


def fer_package(python: Path) -> Rival:
    """The `fer` package, in the environment of that interpreter."""
    script = Path(__file__).with_name("fer_package.py")
    return Rival("fer", (str(python), str(script)), f"--vs-fer needs a Python with fer; {script} says how")


@dataclass(frozen=True, slots=True)
class RivalPace:
    """How another program did; medians over the rounds."""

    fps: float
    full_over: float
    """How many times as fast ferflow is, by the clock."""
    cpu_ms: float
    """Of processor time per frame."""
    faces_per_frame: float


@dataclass(frozen=True, slots=True)
class Round:
    """Measured right after one another."""

    decode: Pace
    full: Pace
    sampled: Pace
    """With `--fps 5`; `frames` are those looked at."""
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
    rounds: int
    decode_fps: float
    full_fps: float
    full_over_decode: float
    faces_per_s: float
    sampled_over_full: float
    """How many times as fast the whole video is done with `--fps 5` as with every frame."""
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
    """Largest resident size of that process."""
    bytes_per_face: float
    """Of the faces' table on disk, per row."""
    machine: str
    cpus: int
    load: float
    """Processes that wanted to run, on average over the minute before; above `cpus`, others were at work too."""


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
        OptionsError: one of the rivals does not start.
    """
    options = options or AnalyzeOptions()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    tools = Tools.load(options)
    full_pace(video, options, tools)  # what is loaded on first use is not what is measured
    with ExitStack() as running:
        scripts = {rival.name: running.enter_context(_running(rival, video)) for rival in rivals}
        timed = [
            Round(
                decode_pace(video, options),
                full_pace(video, options, tools),
                full_pace(video, options.updated(fps=_SAMPLED_FPS), tools),
                {name: _answer(script) for name, script in scripts.items()},
            )
            for _ in range(rounds)
        ]
    command_s, peak_mib, bytes_per_face = _whole_command(video)
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
        rounds=rounds,
        decode_fps=median(each.decode.fps for each in timed),
        full_fps=median(each.full.fps for each in timed),
        full_over_decode=median(each.full.fps / each.decode.fps for each in timed),
        faces_per_s=median(each.full.faces / each.full.seconds for each in timed),
        sampled_over_full=median(each.full.seconds / each.sampled.seconds for each in timed),
        decode_cpu_ms=median(each.decode.cpu_ms for each in timed),
        full_cpu_ms=median(each.full.cpu_ms for each in timed),
        rivals={rival.name: _against(rival, timed) for rival in rivals},
        stages_cpu_ms=stages_cpu_ms(video, options, tools),
        first_frame_s=_first_frame_s(video),
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
        path = video if isinstance(video, Path) else scene_clip(video, seconds, folder)
        yield bench(path, options, rounds=rounds, rivals=rivals)


def decode_pace(video: Path, options: AnalyzeOptions) -> Pace:
    """The floor: every frame decoded by as many threads as the pipeline has, and let go."""
    with _timed() as clock, av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = options.threads or available_cpus()
        frames = sum(1 for _ in container.decode(stream))
    return Pace(frames, 0, *clock)


def full_pace(video: Path, options: AnalyzeOptions, tools: Tools) -> Pace:
    """Everything but the writing of files."""
    frames = faces = 0
    with _timed() as clock:
        for rows in analyze(video, options, tools=tools):
            if isinstance(rows, FrameRows):
                frames += rows.batch.num_rows
            else:
                faces += rows.batch.num_rows
    return Pace(frames, faces, *clock)


def stages_cpu_ms(video: Path, options: AnalyzeOptions, tools: Tools) -> dict[str, float]:
    """Milliseconds of processor time per frame by stage: the pipeline's own steps, one after the other."""
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder, open_video(video, threads=1) as opened:
        labels = tools.classifier.card.labels
        writer = RecordsWriter(RecordPaths(Path(folder), "bench"), labels)
        frames = opened.frames(Selection.of(options))
        cuts, tracker, waiting = ShotCutDetector(), Tracker(), FaceCrops.empty(tools.crop_shape)
        n_frames = 0
        with writer:
            while n_frames < _STAGE_FRAMES:
                with _spending(spent, "decode"):
                    frame = next(frames, None)
                if frame is None:
                    break
                n_frames += 1
                with _spending(spent, "planes"):
                    padded_planes(frame, decimation_factor(options, frame))
                with _spending(spent, "detect"):
                    (found,) = tools.detector.detect([frame])
                with _spending(spent, "cuts"):
                    seen = FrameSample(frame, cuts.update(frame.planes.y), frame.planes.luma_mean())
                with _spending(spent, "track"):
                    ids = tracker.update(found, frame.time_s, is_cut=seen.is_cut)
                with _spending(spent, "crop"):
                    waiting += crop_frames([frame], [found], [ids], tools.crop_shape)
                with _spending(spent, "write"):
                    writer.write(frame_rows("bench", [TrackedFrame(seen, found, ids)]))
                if len(waiting) >= options.batch_size:
                    _classified(waiting, writer, tools, spent)
                    waiting = FaceCrops.empty(tools.crop_shape)
            _classified(waiting, writer, tools, spent)
            with _spending(spent, "write"):
                counts = FrameCounts(
                    n_decoded=n_frames, n_analysed=n_frames, n_failed=0, n_faces=0, n_people=0, n_cuts=0
                )
                writer.finish(describe_analysis(opened, "bench", options, tools, counts))
    spent["detect"] -= spent["planes"]  # the detector prepares them itself
    return {stage: spent[stage] / max(n_frames, 1) * 1e3 for stage in STAGES}


def _classified(faces: FaceCrops, writer: RecordsWriter, tools: Tools, spent: dict[str, float]) -> None:
    with _spending(spent, "classify"):
        probs = tools.classifier(faces.images)
    with _spending(spent, "write"):
        writer.write(face_rows("bench", faces, probs, tools.classifier.card.labels))


def scene_clip(name: str, seconds: float, folder: Path) -> Path:
    """Draw one of `bench_clip.SCENES`, or take the one that lies there.

    Raises:
        OptionsError: no such scene.
    """
    if name not in SCENES:
        raise OptionsError(f"scene must be one of {', '.join(SCENES)}, got {name!r}")
    clip = folder / f"{name}.mp4"
    if not clip.exists():
        draw_clip(clip, SCENES[name], seconds)
    return clip


def as_table(reports: Sequence[BenchReport]) -> str:
    """Markdown: a column per video."""
    machine = reports[0]
    rows = {
        "video": [f"{r.video} ({r.width}x{r.height}, {r.codec})" for r in reports],
        "Mbit/s · frames · faces per frame": [
            f"{r.megabits_per_s:.1f} · {r.n_frames} · {r.faces_per_frame:.1f}" for r in reports
        ],
        "decoding alone, frames/s": [f"{r.decode_fps:.0f}" for r in reports],
        "ferflow, frames/s": [f"{r.full_fps:.0f}" for r in reports],
        "ferflow, faces/s": [f"{r.faces_per_s:.0f}" for r in reports],
        "**ferflow / decoding**": [f"**{r.full_over_decode:.2f}**" for r in reports],
        **_rival_rows(reports),
        f"`--fps {_SAMPLED_FPS:g}`, times as fast as every frame": [
            f"{r.sampled_over_full:.1f}" for r in reports
        ],
        f"CPU ms per frame: {' · '.join(['decoding', 'ferflow', *machine.rivals])}": [
            " · ".join(
                [
                    f"{r.decode_cpu_ms:.2f}",
                    f"{r.full_cpu_ms:.2f}",
                    *(f"{rival.cpu_ms:.0f}" for rival in r.rivals.values()),
                ]
            )
            for r in reports
        ],
        **{
            f"CPU ms per frame on one thread: {stage}": [f"{r.stages_cpu_ms[stage]:.2f}" for r in reports]
            for stage in STAGES
        },
        "start to first analysed frames, s": [f"{r.first_frame_s:.2f}" for r in reports],
        "`ferflow analyze` with report, s": [f"{r.command_s:.1f}" for r in reports],
        "peak memory, MiB": [f"{r.peak_mib:.0f}" for r in reports],
        "bytes on disk per face row": [f"{r.bytes_per_face:.0f}" for r in reports],
        "load of the machine before": [f"{r.load:.1f}" for r in reports],
    }
    lines = [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    lines.insert(1, "|---|" + "---|" * len(reports))
    return f"{machine.cpus} CPUs, {machine.machine}; median of {machine.rounds} rounds.\n\n" + "\n".join(
        lines
    )


def as_json(reports: Sequence[BenchReport]) -> str:
    """A list of objects, fields as of `BenchReport`."""
    return json.dumps([asdict(report) for report in reports], indent=1)


def processor() -> str:
    """What the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def _rival_rows(reports: Sequence[BenchReport]) -> dict[str, list[str]]:
    rows = {}
    for name in reports[0].rivals:
        found = [report.rivals[name] for report in reports]
        rows[f"{name}, frames/s · faces per frame"] = [
            f"{rival.fps:.1f} · {rival.faces_per_frame:.1f}" for rival in found
        ]
        rows[f"**ferflow / {name}**"] = [f"**{rival.full_over:.0f}**" for rival in found]
    return rows


def _against(rival: Rival, timed: Sequence[Round]) -> RivalPace:
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


@contextmanager
def _spending(spent: dict[str, float], stage: str) -> Iterator[None]:
    started = time.thread_time()
    yield
    spent[stage] += time.thread_time() - started


@contextmanager
def _running(rival: Rival, video: Path) -> Iterator[subprocess.Popen[str]]:
    """Start it, and wait until it is ready."""
    command = [*rival.command, str(video), str(_RIVAL_FRAMES)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if _pipe(process.stdout).readline().strip() != "ready":
            problem = (_pipe(process.stderr).read().strip().splitlines() or ["it ended"])[-1]
            raise OptionsError(f"{rival.remedy} ({problem})")
        yield process
        _pipe(process.stdin).close()


def _answer(script: subprocess.Popen[str]) -> Pace:
    _pipe(script.stdin).write("\n")
    _pipe(script.stdin).flush()
    return Pace(**json.loads(_pipe(script.stdout).readline()))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise FerflowError("no pipe to the script")
    return pipe


def _whole_command(video: Path) -> tuple[float, float, float]:
    """Seconds, peak MiB, and bytes of the faces' table per row of `ferflow analyze`."""
    from ferflow.jobs.benchmarks.memory import peak_mib

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        mib = peak_mib(video, Path(folder))
        seconds = time.perf_counter() - started
        (table,) = (Path(folder) / "faces").glob("*.parquet")
        n_faces = read_metadata(table).counts.n_faces
        return seconds, mib, table.stat().st_size / max(n_faces, 1)


def _first_frame_s(video: Path) -> float:
    code = "import sys, ferflow\nnext(ferflow.analyze(sys.argv[1]))"
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code + "\nprint(flush=True)", str(video)], stdout=subprocess.PIPE, text=True
    ) as process:
        _pipe(process.stdout).readline()
        return time.perf_counter() - started
