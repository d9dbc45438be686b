"""A GPU against the CPU of the same machine: whether its answers agree, and how fast it is. Takes under five minutes.

    python -m ferflow.jobs.benchmarks.gpu [--device auto|cpu|gpu] [--quick]

First it says what a GPU needs, what is missing, and what each column of the table runs on. The first rows compare the
answers with those of the float32 networks on the CPU, about the drawn sample and the faces in it. An answer outside of
its stated bound ends the command with exit code 1, after the table.

The other rows are speeds. Detection includes reducing the frame, and takes one frame per call, as the pipeline does.
The CPU's calls use one thread each; the pipeline makes several at once. "Decoders" are `--threads` of one process on
one video, for decoding, detection and classification: `ferflow analyze VIDEO --device gpu --threads N`, without tables.
Worker processes are not measured: each loads its own networks on the GPU, so that ferflow uses one unless asked.

Each cell has a budget of time, and so has the whole run; a cell that ran out of it says so. A call is never
interrupted, so a GPU for which kernels must be compiled first may take longer. Without a GPU, or with `--device cpu`,
its cells say "no GPU". `--device gpu` fails without one. `--quick` tries everything; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from ferflow.demo_clip import draw_sample
from ferflow.errors import FerflowError
from ferflow.faces.yunet import decimation_factor, make_planes_input
from ferflow.jobs.benchmarks.clip import SCENES, Scene, draw_clip
from ferflow.jobs.benchmarks.drawn_room import Room
from ferflow.jobs.benchmarks.gpu_answers import ask, compare, crop_all
from ferflow.jobs.benchmarks.gpu_columns import ON_CPU, Column, describe_setup, load_columns, load_reference
from ferflow.jobs.benchmarks.memory import write_repeated
from ferflow.jobs.benchmarks.speed import processor
from ferflow.media.video import Frame, Selection, open_video
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FaceRows, FrameRows
from ferflow.system.cpus import available_cpus
from ferflow.types import UInt8Array

OUT_OF_TIME = "out of time"
_LEAST_CALLS = 3
_CLIP_SECONDS = 0.5
_LABEL_WIDTH, _CELL_WIDTH = 44, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and for how long."""

    sample_seconds: float
    """Length of the clip on which answers are compared."""
    sizes: dict[str, Scene]
    """Pictures in which faces are detected."""
    batches: tuple[int, ...]
    decoders: tuple[int, ...]
    scene: Scene
    """Of the video that the pipeline analyses."""
    video_s: float
    """Length of this video, of which as much is analysed as the budget allows."""
    calls: int
    """Most calls for a cell of detection or classification."""
    call_s: float
    """Budget of such a cell."""
    pipeline_s: float
    """Budget of a cell of the pipeline."""
    total_s: float
    """Budget of the command."""


FULL = Plan(
    sample_seconds=8.0,
    sizes={"360p": SCENES["360p"], "720p": SCENES["720p"], "1080p": SCENES["1080p-seven"]},
    batches=(1, 8, 32, 128, 512),
    decoders=(1, 4, 16),
    scene=SCENES["480p-six"],  # of all scenes the one in which the networks take the largest share
    video_s=240.0,
    calls=100,
    call_s=3.0,
    pipeline_s=6.0,
    total_s=280.0,
)
_TINY = Scene(Room(320, 180, 4, 50), 0.5)
QUICK = Plan(
    sample_seconds=0.5, sizes={"180p": _TINY}, batches=(1, 8), decoders=(1, 2), scene=_TINY,
    video_s=1.0, calls=3, call_s=20.0, pipeline_s=20.0, total_s=120.0,
)  # fmt: skip


class Row(NamedTuple):
    """Of speeds."""

    label: str
    budget_s: float
    """Of each cell."""
    measure: Callable[[Tools, float], str]
    """Measures one column until a time on the clock of `perf_counter`."""


def list_speeds(plan: Plan, crops: UInt8Array, folder: Path) -> Iterator[Row]:
    """The rows of speeds, in order; a clip is drawn when its row comes."""
    for name, scene in plan.sizes.items():
        frames = read_frames(_draw(folder / f"{name}.mp4", scene))
        planes, _ = make_planes_input(frames[0], decimation_factor(ON_CPU, frames[0]))
        label = f"detection, {name} ({planes.shape[3]}x{planes.shape[2]}), ms/frame"
        yield Row(label, plan.call_s, partial(time_detection, frames, plan.calls))
    for size in plan.batches:
        images = np.resize(crops, (size, *crops.shape[1:]))
        yield Row(
            f"classification, {size} a call, faces/s",
            plan.call_s,
            partial(time_classification, images, plan.calls),
        )
    video = folder / "pipeline.mp4"
    write_repeated(_draw(folder / "scene.mp4", plan.scene), video, plan.video_s)
    for decoders in plan.decoders:
        label = f"pipeline, decoders: {decoders}, frames/s"
        yield Row(label, plan.pipeline_s, partial(time_pipeline, video, decoders))


def time_detection(frames: list[Frame], calls: int, tools: Tools, end: float) -> str:
    """Milliseconds per frame."""
    turn = itertools.cycle(frames)
    return _convert(
        _time_calls(lambda: tools.detector.detect([next(turn)]), calls, end), lambda each: each * 1000
    )


def time_classification(images: UInt8Array, calls: int, tools: Tools, end: float) -> str:
    """Faces per second, in calls of all images."""
    return _convert(
        _time_calls(lambda: tools.classifier(images), calls, end), lambda each: len(images) / each
    )


def _time_calls(call: Callable[[], object], calls: int, end: float) -> list[float]:
    """Seconds of each call; the first one is not counted, since it allocates memory and chooses kernels."""
    seconds: list[float] = []
    if time.perf_counter() < end:
        call()
    while len(seconds) < calls and (began := time.perf_counter()) < end:
        call()
        seconds.append(time.perf_counter() - began)
    return seconds


def _convert(seconds: list[float], convert: Callable[[float], float]) -> str:
    """A cell from the seconds of calls: their median, converted, and whether there were too few."""
    if not seconds:
        return OUT_OF_TIME
    rate = f"{convert(median(seconds)):.4g}"
    return rate if len(seconds) >= _LEAST_CALLS else f"{rate}, {OUT_OF_TIME}"


def time_pipeline(video: Path, decoders: int, tools: Tools, end: float) -> str:
    """Frames per second, counted from the first classified faces, when all networks have started."""
    rows = analyze(video, ON_CPU.updated(threads=decoders), tools=tools)
    began, n_frames, now = 0.0, 0, time.perf_counter()
    with closing(rows):
        while now < end and (part := next(rows, None)) is not None:
            now = time.perf_counter()
            if isinstance(part, FaceRows):
                began = began or now
            elif isinstance(part, FrameRows) and began:
                n_frames += part.batch.num_rows
    return f"{n_frames / (now - began):.4g}" if n_frames else OUT_OF_TIME


def read_frames(video: Path) -> list[Frame]:
    """All frames of a short video."""
    with open_video(video) as opened:
        return list(opened.frames(Selection()))


def _draw(clip: Path, scene: Scene) -> Path:
    draw_clip(clip, scene, _CLIP_SECONDS)
    return clip


def print_table(plan: Plan, columns: list[Column], folder: Path, end: float) -> list[str]:
    """Print the table, row by row; returns what is wrong with the answers, a line each."""
    draw_sample(folder / "sample.mp4", seconds=plan.sample_seconds, size=(640, 360))
    reference, frames = load_reference(), read_frames(folder / "sample.mp4")
    crops = crop_all(frames, reference)
    right = ask(reference, frames, crops)
    found = [
        compare(right, ask(each.tools, frames, crops), each.bounds) if each.tools else [] for each in columns
    ]
    unused = "not used" if any(each.tools for each in columns[1:]) else "no GPU"
    print(f"Answers: about {len(frames)} drawn frames and {len(crops)} faces in them.\n")
    _print_row("", [each.name for each in columns])
    print(f"|{'---|' * (1 + len(columns))}")
    for number, difference in enumerate(compare(right, right, columns[0].bounds)):
        _print_row(difference.what, [str(each[number]) if each else unused for each in found])
    for row in list_speeds(plan, crops, folder):
        _print_row(row.label, [_measure(row, each.tools, end) if each.tools else unused for each in columns])
    return [
        f"{column.name}: {each.what}: {each}"
        for column, differences in zip(columns, found, strict=True)
        for each in differences
        if each.is_wrong
    ]


def _measure(row: Row, tools: Tools, end: float) -> str:
    return row.measure(tools, min(time.perf_counter() + row.budget_s, end))


def _print_row(label: str, cells: Sequence[str]) -> None:
    padded = [label.ljust(_LABEL_WIDTH), *(cell.ljust(_CELL_WIDTH) for cell in cells)]
    print(f"| {' | '.join(padded)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what a GPU needs, and the table."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("--quick", action="store_true", help="try everything, within seconds")
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else FULL
    load = f"load before {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print("\n".join([f"{available_cpus()} CPUs, {processor()}, {load}", *describe_setup()]))
    with tempfile.TemporaryDirectory() as folder:
        columns = load_columns(given.device, Path(folder))
        for column in columns:
            print(f"{column.name}: {'runs on ' if column.tools else 'not used: '}{column.note}", flush=True)
        if given.device == "gpu" and not any(column.tools for column in columns[1:]):
            raise SystemExit("No GPU can be used here; the lines above say what is missing.")
        try:
            wrong = print_table(plan, columns, Path(folder), began + plan.total_s)
        except FerflowError as error:
            raise SystemExit(str(error)) from error
    if wrong:
        raise SystemExit("Wrong answers:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
