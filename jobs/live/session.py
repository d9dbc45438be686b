"""A live session: capture, analysis and recording, as an iterator of results.

>>> with Live(0, record="out") as live:
...     for frame in live:
...         print(frame.time_s, [face.label for face in frame.faces])
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from ferflow.errors import OptionsError
from ferflow.jobs.live.capture import Capture, Patience
from ferflow.jobs.live.feed import Captured
from ferflow.jobs.live.recording import Recording
from ferflow.jobs.live.sources import LiveSource, find_source
from ferflow.jobs.live.stream_analyzer import LiveFrame, StreamAnalyzer
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.store.run_manifest import TaskReport
from ferflow.text import pluralize, sanitize

_WAIT_S = 0.1
"""How often it is looked whether the session should end while no frame comes."""


class Live:
    """Analyses a live picture; iterating yields a `LiveFrame` per analysed frame, the newest one each time.

    The session begins with the first frame that is asked for, or with the `with` block, and ends with the source, with
    `seconds`, with `close()`, or when the iteration is left. Frames that come while the caller is busy are dropped.
    """

    def __init__(
        self,
        source: str | int | Path | LiveSource = 0,
        options: AnalyzeOptions | None = None,
        *,
        tools: Tools | None = None,
        record: str | Path | None = None,
        seconds: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Choose a source; nothing is opened.

        Args:
            source: number or device of a camera, `screen`, an address (rtsp, rtmp, http, https), `-` for a video on
                stdin, or a file, which is played in real time; see `ferflow.jobs.live.sources`.
            options: None: the defaults.
            tools: detector and classifier, to load them once for several sessions; None: loaded here.
            record: an output folder for tables and pages as of `analyze`; None: nothing is written.
            seconds: length of the session; None: until the source ends.
            patience: how long the source may give nothing.

        Raises:
            OptionsError: the source cannot be read live, or an option needs frames that are not there yet.
            VideoError: there is no such file.
            ModelError: a model or detector file is missing or altered.
            RecordsError: `record` holds results of other options or of another model.
        """
        if seconds is not None and not seconds > 0:
            raise OptionsError(f"seconds must be above 0, got {seconds:g}")
        self.source = source if isinstance(source, LiveSource) else find_source(source)
        self.options = options or AnalyzeOptions()
        self._seconds = seconds
        self._tools = tools or Tools.load(self.options)
        self._analyzer = StreamAnalyzer(self._tools, self.options)
        self.capture = Capture(self.source, self.options, patience)
        self.recording = (
            None if record is None else Recording(Path(record), self.source, self.options, self._tools)
        )
        self.report: TaskReport | None = None
        """How the recording ended; None before that, and without one."""
        self.frame: Frame | None = None
        """The picture of the last result."""
        self.was_stopped = False
        """Whether `stop` was called."""
        self._on_exit = ExitStack()
        self._state = "new"
        self._ends_s: float | None = None
        self._last_time_s = 0.0
        self._last_at_s = 0.0

    def __enter__(self) -> Self:
        """Open the source and the recording.

        Raises:
            RecordsError: the output folder is locked, or cannot be written.
        """
        if self._state != "new":
            raise OptionsError("a live session can be used once; make another one")
        self._state = "open"
        _warm_up(self._tools, self.options)
        with ExitStack() as stack:
            stack.callback(cv2.setNumThreads, cv2.getNumThreads())
            # Its calls are short, and threads of its own would compete with the decoder's.
            cv2.setNumThreads(1)
            if self.recording is not None:
                stack.enter_context(self.recording)
            stack.callback(self._finish)
            stack.enter_context(self.capture)
            self._on_exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session, and finish the recording: tables, timeline and pages.

        Raises:
            RecordsError: the recording cannot be written.
        """
        self._state = "closed"
        self._on_exit.close()

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield results until the session ends.

        Raises:
            VideoError: the source cannot be opened, or is lost for good.
            RecordsError: the recording cannot be written.
        """
        if self._state == "new":
            with self:
                yield from self._results()
        else:
            yield from self._results()

    def _results(self) -> Iterator[LiveFrame]:
        while not self.is_over:
            result = self.next_frame(_WAIT_S)
            if result is not None:
                yield result
                del result

    def next_frame(self, seconds: float) -> LiveFrame | None:
        """Analyse the newest frame; None where none came within this time, or the session is over.

        Raises:
            VideoError: the source cannot be opened, or is lost for good.
            RecordsError: the recording cannot be written.
        """
        if self.is_over:
            return None
        # By the clock of this machine where no frame comes whose time would tell.
        if self._ends_s is not None and time.monotonic() > self._ends_s:
            self._end()
        captured = self.capture.wait(seconds)
        if captured is None:
            if self.capture.is_over:
                self._end()
            return None
        if self._seconds is not None and captured.frame.time_s >= self._seconds:
            self._end()
            return None
        return self._analyze(captured)

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions of the model, in its order."""
        return tuple(self._tools.classifier.card.labels)

    @property
    def neutral_prior(self) -> float | None:
        """Of the model, see `ModelCard`."""
        return self._tools.classifier.card.neutral_prior

    @property
    def is_over(self) -> bool:
        """Whether no further result will come."""
        return self._state != "open"

    def stop(self) -> None:
        """Let the session be over, without waiting for anything; may be called by a handler of signals."""
        self.was_stopped = True
        self._end()

    def _end(self) -> None:
        if self._state == "open":
            self._state = "over"

    def _analyze(self, captured: Captured) -> LiveFrame:
        if self._ends_s is None and self._seconds is not None:
            self._ends_s = time.monotonic() + self._seconds + 2 * _WAIT_S
        frame = captured.frame
        analyzed = self._analyzer.analyze_frame(frame)
        if self.recording is not None and self.capture.feed is not None:
            self.recording.write(analyzed, self.capture.feed, self._analyzer.people)
        self.frame, self._last_time_s, self._last_at_s = frame, frame.time_s, captured.at_s
        latency_ms = (time.monotonic() - captured.at_s) * 1000
        n_dropped = self.capture.counts.n_dropped
        return LiveFrame(frame.index, frame.time_s, latency_ms, n_dropped, analyzed.faces)

    def mark(self, label: str) -> float:
        """Set a marker at this moment; it is in the recording, if there is one.

        Returns:
            Its time, in seconds after the first frame.

        Raises:
            OptionsError: no frame has come yet.
            RecordsError: it cannot be written.
        """
        if self.frame is None:
            raise OptionsError("no frame has come yet, so that a marker has no time")
        time_s = self._last_time_s + max(time.monotonic() - self._last_at_s, 0.0)
        if self.recording is not None:
            self.recording.mark(time_s, sanitize(label))
        return time_s

    def _finish(self) -> None:
        if self.recording is None:
            return
        counts = self.capture.counts
        notes = tuple[str, ...]()
        if counts.n_dropped:
            notes = (
                f"live: {counts.n_dropped} of {pluralize(counts.n_captured, 'frame')} were dropped, since newer ones "
                "came before they could be analysed",
            )
        self.report = self.recording.finish(self._analyzer.people, notes)


def _warm_up(tools: Tools, options: AnalyzeOptions) -> None:
    """Let detector and classifier reserve their memory before the first frame, which would be late otherwise."""
    gray = Planes(np.full((720, 1280), 128, np.uint8), None, None, full_range=False)
    StreamAnalyzer(tools, options.updated(region=())).analyze(Frame(0, 0, Fraction(0), gray), 0.0)
    shape = tools.crop_shape
    tools.classifier.answer(np.zeros((1, shape.size, shape.size, shape.channels), np.uint8))
