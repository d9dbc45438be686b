"""The newest frame of a source, whatever becomes of its connections.

>>> with Capture(find_source("0"), AnalyzeOptions()) as capture:
...     while (captured := capture.wait(0.5)) is not None:
...         print(captured.frame.index, capture.counts.n_dropped)

    thread per connection    reads and decodes; puts each frame where the newest one is kept
    thread of the capture    opens connections, notices that no frame comes, waits before it tries again
    consumer                 takes the newest frame; those it was too slow for were replaced, and are counted

A read that hangs in the driver of a camera cannot be ended, so a connection without frames is left to its thread, which
closes it once the read returns.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from ferflow.errors import VideoError
from ferflow.jobs.live.feed import OPEN_SECONDS, Captured, Feed, StreamState, open_feed
from ferflow.jobs.live.sources import LiveSource
from ferflow.media.frame_skipping import cell_index
from ferflow.options import AnalyzeOptions
from ferflow.text import pluralize

log = logging.getLogger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 15.0
"""Before the first attempt to connect again, and at most; each wait is twice the one before."""

_LOOK_S = 0.05
"""How often it is looked whether frames come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a source may give nothing."""

    stall_s: float = 5.0
    """Without a frame, after which the source is opened again."""
    give_up_s: float = 300.0
    """Without a frame, after which the capture ends."""


@dataclass(frozen=True, slots=True)
class CaptureCounts:
    """What came so far."""

    n_captured: int = 0
    """Frames that came, analysed or not."""
    n_dropped: int = 0
    """Frames that a newer one replaced before they were taken."""
    n_reconnects: int = 0
    """Connections after the first one that gave frames."""


class SourceLostError(VideoError):
    """A source that gave frames gives none any more."""


class Capture:
    """Reads a source until it ends, is lost, or the capture is closed."""

    def __init__(self, source: LiveSource, options: AnalyzeOptions, patience: Patience | None = None) -> None:
        self.source = source
        self.counts = CaptureCounts()
        self.feed: Feed | None = None
        """The last connection that gave frames; None before the first."""
        self.trouble: str | None = None
        """Why no frames come at the moment, in one line; None: they come."""
        self._options, self._patience = options, patience or Patience()
        self._state = StreamState()
        self._changed = threading.Condition()
        self._newest: Captured | None = None
        self._last_time_s: float | None = None
        self._last_cell = -1
        self._error: VideoError | None = None
        self._is_over = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ferflow-capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the capture; a connection that hangs is left to its thread."""
        self._stop.set()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_over(self) -> bool:
        """Whether no further frame will come; one may still wait."""
        return self._is_over

    def wait(self, seconds: float) -> Captured | None:
        """The newest frame that was not taken yet; None: none came within this time, or the source has ended.

        Raises:
            VideoError: the source cannot be opened, or was lost.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._is_over, seconds)
            captured, self._newest = self._newest, None
            if captured is None and self._error is not None:
                raise self._error
            return captured

    def _run(self) -> None:
        try:
            self._keep_connected()
        except VideoError as error:
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _keep_connected(self) -> None:
        wait_s, last_frame_s = _FIRST_WAIT_S, time.monotonic()
        while not self._stop.is_set():
            connection = _Connection(self)
            end = self._watch(connection)
            if self._stop.is_set() or end is None:
                return
            # What never gave a frame is not what the user meant; files and pipes cannot be opened again.
            if self.feed is None or self.source.kind in ("file", "pipe"):
                raise VideoError(end)
            if connection.last_frame_s is not None:
                wait_s, last_frame_s = _FIRST_WAIT_S, connection.last_frame_s
            self._note_trouble(end)
            if time.monotonic() - last_frame_s + wait_s > self._patience.give_up_s:
                raise SourceLostError(
                    f"{_end_sentence(end)} It did not come back within {self._patience.give_up_s:g} s; --give-up "
                    "allows more."
                )
            self._stop.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _watch(self, connection: _Connection) -> str | None:
        """Wait for a connection to end, or to give no frames; returns why, None where the source has ended."""
        connection.start()
        while not connection.ended.wait(_LOOK_S):
            if self._stop.is_set():
                connection.abandon()
                return None
            silent_s = time.monotonic() - (connection.last_frame_s or connection.started_s)
            if self.source.kind == "file" or silent_s <= self._allowed_s(connection):
                continue
            stalled = f"{self.source.label}: no frame for {self._patience.stall_s:g} s"
            if self.source.kind == "pipe":
                self._note_trouble(stalled)
                continue
            connection.abandon()
            return stalled
        return connection.end

    def _allowed_s(self, connection: _Connection) -> float:
        return self._patience.stall_s + (0.0 if connection.last_frame_s else OPEN_SECONDS)

    def _note_trouble(self, why: str) -> None:
        if self.trouble is None:
            what = "Waiting for it." if self.source.kind == "pipe" else "Trying again."
            log.warning("%s %s", _end_sentence(why), what)
        self.trouble = why

    def put(self, captured: Captured, feed: Feed) -> None:
        """Let a frame of a connection be the newest one; called by connections."""
        frame = captured.frame
        with self._changed:
            is_reconnected = self.feed is not None and self.feed is not feed
            self.feed = feed
            if self.trouble is not None:
                self._end_gap(frame.time_s)
            if self.source.kind != "file":  # the frames of all connections are counted
                frame = replace(frame, index=self.counts.n_captured)
            self._last_time_s = frame.time_s
            dropped = self.counts.n_dropped
            if self._is_taken(frame.time_s):
                dropped += self._newest is not None
                self._newest = Captured(frame, captured.at_s)
                self._changed.notify_all()
            self.counts = CaptureCounts(
                self.counts.n_captured + 1, dropped, self.counts.n_reconnects + is_reconnected
            )

    def _is_taken(self, time_s: float) -> bool:
        """Whether a frame is analysed at all, at the rate of the options."""
        if self._options.fps is None or self.source.kind == "file":  # of a file, `Selection` has chosen
            return True
        cell = cell_index(time_s, self._options.fps, 0.0)
        is_first, self._last_cell = cell > self._last_cell, cell
        return is_first

    def _end_gap(self, time_s: float) -> None:
        start_s, self.trouble = self._last_time_s or 0.0, None
        self._state.report.add_gap(None, start_s=start_s, end_s=time_s)
        log.warning("%s: back after %.1f s", self.source.label, time_s - start_s)

    def describe(self) -> str:
        """The state in words, for people."""
        if self.trouble is not None:
            return f"lost: {self.trouble}"
        if self.feed is None:
            return f"opening {self.source.label}"
        info = self.feed.info
        rate = f" at {info.frame_rate:g}/s" if info.frame_rate else ""
        again = pluralize(self.counts.n_reconnects, "reconnection") if self.counts.n_reconnects else ""
        return ", ".join(filter(None, [f"{info.width}x{info.height}{rate}", again]))


class _Connection:
    """One connection of a capture, in a thread of its own."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.started_s = time.monotonic()
        self.last_frame_s: float | None = None
        self.ended = threading.Event()
        self.end: str | None = None
        """Why it ended; None: the source has come to its end."""
        self._is_abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ferflow-read", daemon=True)

    def start(self) -> None:
        """Connect and read, until the end."""
        self._thread.start()

    def abandon(self) -> None:
        """Take no further frame of it; its thread ends when it can."""
        self._is_abandoned.set()
        self._thread.join(0.2)

    def _run(self) -> None:
        capture = self._capture
        try:
            feed = open_feed(
                capture.source,
                capture._options,
                capture._state,
                self._is_abandoned,
                capture._patience.stall_s,
            )
            with closing(feed):
                self._read(feed)
            if feed.is_endless:
                self.end = f"{capture.source.label}: the connection ended"
        except VideoError as error:
            self.end = str(error)
        except Exception as error:  # a thread that dies in silence would look like a camera that stands still
            log.debug("reading failed", exc_info=error)
            self.end = f"{capture.source.label}: reading failed ({type(error).__name__}: {error})"
        finally:
            self.ended.set()

    def _read(self, feed: Feed) -> None:
        for captured in feed.frames():
            if self._is_abandoned.is_set():
                return
            self._capture.put(captured, feed)
            self.last_frame_s = time.monotonic()
            del captured


def _end_sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
