"""What finding out who is who costs: its share of the processor time of an analysis, in one run.

    python -m ferflow.jobs.benchmarks.identity_cost VIDEO...

Counted is what tells persons apart: checks of links, samples of clothes, motion of faces, stitching. Finding cuts and
tracks is counted apart, since an analysis needs them anyway.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ferflow.faces.links import LinkChecker
from ferflow.faces.not_face import FaceMotion
from ferflow.faces.people import People
from ferflow.faces.shot_detector import ShotCutDetector
from ferflow.faces.track_log import TrackLog
from ferflow.faces.tracker import Tracker
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FrameRows

_WHO = ((LinkChecker, "update"), (FaceMotion, "add"), (TrackLog, "add"), (People, "finish"))
_TRACKS = ((Tracker, "update"), (ShotCutDetector, "update"))

Methods = Sequence[tuple[type, str]]


class _Watch:
    """Processor seconds spent in methods, by the threads that called them."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name in self._methods:
                stack.enter_context(patch.object(owner, name, self._timed(getattr(owner, name))))
            yield

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return method(*arguments, **named)
            finally:
                self.seconds += time.thread_time() - started

        return timed


def measure(video: Path, options: AnalyzeOptions, tools: Tools) -> tuple[int, float, float, float]:
    """Frames, milliseconds of processor time per frame, and shares of them for persons, and for cuts and tracks."""
    who, tracks, n_frames = _Watch(_WHO), _Watch(_TRACKS), 0
    started = time.process_time()
    with who.running(), tracks.running():
        for rows in analyze(video, options, tools=tools):
            if isinstance(rows, FrameRows):
                n_frames += rows.batch.num_rows
    seconds = time.process_time() - started
    return n_frames, seconds / max(n_frames, 1) * 1e3, who.seconds / seconds, tracks.seconds / seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per video."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    chosen = parser.parse_args(arguments)
    options = AnalyzeOptions()
    tools = Tools.load(options)
    print(f"{'video':32} {'frames':>6} {'ms/frame':>9} {'persons':>8} {'cuts and tracks':>16}")
    for video in chosen.videos:
        n_frames, milliseconds, who, tracks = measure(video, options, tools)
        line = f"{video.stem[-32:]:32} {n_frames:6d} {milliseconds:9.2f} {who:8.1%} {tracks:16.1%}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
