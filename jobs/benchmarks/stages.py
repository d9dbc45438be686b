"""Processor time by stage of the pipeline, as it runs: one video, on one thread.

The pipeline of `analyze` itself is run, without its threads, while the functions of its stages are replaced by timed
ones. So the product has no clocks in it, and each stage is measured as often as the pipeline calls it and on what the
pipeline gives it: a detector that runs on some frames, or searches parts of them, costs what it costs there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import ParamSpec, TypeVar

from ferflow import pipeline
from ferflow.faces.detector import KeyFrameDetector
from ferflow.faces.people import People
from ferflow.jobs.video_job import describe_analysis
from ferflow.media.planes import Planes
from ferflow.media.video import Reading, Video, open_video
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.metadata import FrameCounts
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FrameRows, RecordsWriter

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

STAGES = ("decode", "planes", "detect", "cuts", "track", "crop", "classify", "write", "other")
"""`planes` is the decimation of planes for the detector, which is not in `detect`; `track` also finds out who is who;
`other` is what is in no other stage."""
_MOST_FRAMES = 150


class StageClock:
    """Processor time of this thread by stage. A stage that is entered within another one interrupts it."""

    def __init__(self, timer: Callable[[], float] = time.thread_time) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._timer, self._open, self._since_s = timer, ["other"], timer()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block for a stage."""
        self.count()
        self._open.append(name)
        try:
            yield
        finally:
            self.count()
            self._open.pop()

    def count(self) -> None:
        """Add the time since the last call to the stage that is open now."""
        now_s = self._timer()
        self.seconds[self._open[-1]] += now_s - self._since_s
        self._since_s = now_s

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """A function whose calls count for a stage."""

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.stage(name):
                return function(*args, **kwargs)

        return call

    def timed_items(self, name: str, function: Callable[P, Iterable[T]]) -> Callable[P, Iterator[T]]:
        """A function that returns a generator; what the generator does counts for a stage."""

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            iterator = iter(function(*args, **kwargs))
            while True:
                with self.stage(name):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
                del item  # its frame would stay in memory while the next one is decoded

        return call


def measure_stages(video: Path, options: AnalyzeOptions, tools: Tools) -> dict[str, float]:
    """Measure milliseconds of processor time per analysed frame, by stage, over the first 150 frames.

    What is done once per video before its first frame (which way is up) is left out.
    """
    options = options.updated(
        threads=1, end=options.end or TimePoint(frame_index=_MOST_FRAMES), rotate="file"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        open_video(video, Reading.of(options), threads=1) as opened,
        RecordsWriter(OutputFolder(Path(folder)).video("bench"), tools.classifier.card.labels) as writer,
        _timed_stages(tools) as clock,
    ):
        n_frames = 0
        for rows in analyze_video(opened, "bench", options, tools):
            n_frames += rows.batch.num_rows if isinstance(rows, FrameRows) else 0
            writer.write(rows)
        counts = FrameCounts(
            n_decoded=n_frames, n_analysed=n_frames, n_failed=0, n_faces=0, n_people=0, n_cuts=0
        )
        writer.finish(describe_analysis(opened, "bench", options, tools, counts))
        clock.count()
    return {stage: seconds / max(n_frames, 1) * 1e3 for stage, seconds in clock.seconds.items()}


@contextmanager
def _timed_stages(tools: Tools) -> Iterator[StageClock]:
    """Replace the functions of the stages by timed ones, and what starts threads by what starts none."""
    clock = StageClock()
    functions = [
        *((KeyFrameDetector, name, "detect") for name in _public_methods(KeyFrameDetector)),
        (Planes, "downscale", "planes"),
        (People, "finish", "track"),
        (pipeline, "crop_frames", "crop"),
        (type(tools.classifier), "answer", "classify"),
        (pipeline, "frame_rows", "write"),
        (pipeline, "face_rows", "write"),
        (RecordsWriter, "write", "write"),
        (RecordsWriter, "finish", "write"),
    ]
    generators = [
        (pipeline, "prefetch", "other"),
        (pipeline, "map_ahead", "other"),
        (pipeline, "map_some_ahead", "other"),
        (Video, "frames", "decode"),
        (pipeline, "sample_frames", "cuts"),
        (pipeline, "plan_searches", "detect"),
        (People, "track", "track"),
    ]
    with ExitStack() as replaced:
        replaced.enter_context(_replace(pipeline, "prefetch", _pass_on))
        replaced.enter_context(_replace(pipeline, "ThreadPoolExecutor", _CallsAtOnce))
        for owner, name, stage in functions:
            replaced.enter_context(_replace(owner, name, clock.timed(stage, getattr(owner, name))))
        for owner, name, stage in generators:
            replaced.enter_context(_replace(owner, name, clock.timed_items(stage, getattr(owner, name))))
        yield clock


def _public_methods(owner: type) -> list[str]:
    """Also `__call__`."""
    return [
        name
        for name, value in vars(owner).items()
        if isinstance(value, FunctionType) and (name == "__call__" or not name.startswith("_"))
    ]


def _pass_on(source: Iterable[T], depth: int) -> Generator[T]:
    yield from source


class _CallsAtOnce(Executor):
    """A pool without threads: each call has ended when `submit` returns."""

    def __init__(self, threads: int, thread_name_prefix: str) -> None:
        pass

    def submit(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future: Future[R] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def _replace(owner: object, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
