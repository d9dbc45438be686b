"""One connection to a source: its frames when they come, a file's when they are due.

>>> with contextlib.closing(open_feed(source, options, StreamState(), stop, 5)) as feed:
...     for captured in feed.frames():
...         print(captured.frame.time_s)

For streams and devices, decoding takes no frame ahead: a decoder with several frames in work would delay each of them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import av.container
import av.error

from ferflow.errors import FerflowError, VideoError
from ferflow.jobs.live.sources import STREAM_PROTOCOLS, LiveSource
from ferflow.jobs.live.stream_clock import UNITS, StreamClock
from ferflow.media.container import DEMUXERS, MAX_PIXELS, METADATA_ERRORS, VideoInfo, valid_aspect
from ferflow.media.decode_report import DecodeReport
from ferflow.media.planes import planes_from_frame
from ferflow.media.video import Frame, Reading, Selection, open_video, quarter_turn
from ferflow.media.video_stream import choose_stream, describe_stream
from ferflow.options import AnalyzeOptions
from ferflow.system.cpus import available_cpus

OPEN_SECONDS = 10.0
"""For a connection to be made, and the first pictures to say what they are."""

_MOST_SLICE_THREADS = 4

_USUAL_RATE = 25.0
"""Frames per second of a stream that states none."""

_LATEST_S = 1.0
"""A file that is decoded more slowly than it should be played is played more slowly, once it is so late."""

_BURST_S = 1.0
"""Of a pipe, come as fast as they do: what a program has kept until it was read. After that, a pipe that is filled
faster, as from a file, is read at the speed of its timestamps."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A frame and the moment when it was there."""

    frame: Frame
    """Its index counts the frames of this connection."""
    at_s: float
    """By `time.monotonic`."""


class Feed(Protocol):
    """An open source."""

    info: VideoInfo
    report: DecodeReport
    """What could not be read."""
    is_endless: bool
    """Whether an end of the frames means that the connection was lost."""

    @property
    def end_s(self) -> float:
        """Seconds from the first frame to the end of the last one."""

    def frames(self) -> Iterator[Captured]:
        """Frames as they come.

        Raises:
            VideoError: reading failed; the message says why.
        """

    def close(self) -> None:
        """Close it, in the thread that reads it."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """What goes on over several connections to one source."""

    clock: StreamClock = field(default_factory=StreamClock)
    report: DecodeReport = field(default_factory=DecodeReport)


def open_feed(
    source: LiveSource, options: AnalyzeOptions, state: StreamState, stop: threading.Event, stall_s: float
) -> Feed:
    """Connect to a source.

    Args:
        source: what to open.
        options: which stream, how pictures are turned, and which frames of a file.
        state: of the source.
        stop: ends waiting for a frame to become due.
        stall_s: seconds after which a read without data fails, where the source can say so.

    Raises:
        VideoError: it cannot be opened.
    """
    if source.kind == "file":
        return FileFeed(Path(source.address), options, stop)
    return StreamFeed(source, options, state, stop, stall_s)


class FileFeed:
    """A file, played in real time."""

    is_endless = False

    def __init__(self, path: Path, options: AnalyzeOptions, stop: threading.Event) -> None:
        self._opening = open_video(path, Reading.of(options), threads=options.threads)
        self._video = self._opening.__enter__()
        self._options, self._stop = options, stop
        self.info, self.report = self._video.info, self._video.report

    @property
    def end_s(self) -> float:
        """See `Feed`."""
        return self._video.end_s

    def frames(self) -> Iterator[Captured]:
        """See `Feed`; each frame when it is due."""
        started_s = None
        for frame in self._video.frames(Selection.of(self._options)):
            now = time.monotonic()
            if started_s is None:
                started_s = now - frame.time_s
            if now - (started_s + frame.time_s) > _LATEST_S:
                started_s = now - frame.time_s
            due_s = started_s + frame.time_s
            if self._stop.wait(max(due_s - now, 0.0)):
                return
            yield Captured(frame, due_s)
            del frame  # it would stay in memory while the next one is decoded

    def close(self) -> None:
        """See `Feed`."""
        self._opening.__exit__(None, None, None)


class StreamFeed:
    """A camera, a screen, a stream or a pipe."""

    def __init__(
        self,
        source: LiveSource,
        options: AnalyzeOptions,
        state: StreamState,
        stop: threading.Event,
        stall_s: float,
    ) -> None:
        self._source, self._options, self._stop = source, options, stop
        self._clock, self.report = state.clock, state.report
        self._container = _open(source, stall_s)
        try:
            self._stream = choose_stream(self._container, source.label, options.stream)
            self._prepare_decoder()
            self.info = self._describe()
        except BaseException:
            self._container.close()
            raise
        # Of a stream that is a finished file, the end is the end.
        has_end = source.kind == "stream" and bool(self._container.duration)
        self.is_endless = source.kind != "pipe" and not has_end
        self._free_s = 0.0 if has_end else _BURST_S if source.kind == "pipe" else None
        self._clock.interrupt()

    @property
    def end_s(self) -> float:
        """See `Feed`."""
        return float(self._clock.last) + 1 / (self.info.frame_rate or _USUAL_RATE)

    def frames(self) -> Iterator[Captured]:
        """See `Feed`."""
        turn = None if self._options.rotate in ("auto", "file") else -int(self._options.rotate) % 360
        base, started_s, ahead_s = self._stream.time_base or Fraction(1, 1000), time.monotonic(), 0.0
        for index, (picture, came_s) in enumerate(self._pictures()):
            pts_s = None if picture.pts is None else picture.pts * Fraction(picture.time_base or base)
            moment = self._clock.time(pts_s, came_s)
            at_s = self._clock.moment(moment, came_s)
            if self._free_s is not None:
                ahead = float(moment) - (came_s - started_s)
                if moment <= self._free_s:
                    ahead_s = max(ahead_s, ahead)
                elif ahead > ahead_s:
                    if self._stop.wait(ahead - ahead_s):
                        return
                    at_s = time.monotonic()
            yield Captured(self._frame(picture, index, moment, turn), at_s)
            del picture

    def _pictures(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Decoded pictures, and when the data that completed them came."""
        try:
            for packet in self._container.demux(self._stream):
                came_s = time.monotonic()
                try:
                    pictures = packet.decode()
                except av.error.EOFError:
                    return
                except (av.error.InvalidDataError, ValueError):
                    self.report.n_failed += 1  # before the first key frame, and where a network lost data
                    continue
                for picture in pictures:
                    self.report.n_decoded += 1
                    if picture.is_corrupt:
                        self.report.n_damaged += 1
                    else:
                        yield picture, came_s
                if self._stop.is_set():
                    return
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(f"{self._source.label}: reading failed ({_reason(error)})") from error

    def _frame(self, picture: av.VideoFrame, index: int, moment: Fraction, turn: int | None) -> Frame:
        rotation = quarter_turn(picture.rotation) if turn is None else turn
        planes = planes_from_frame(picture, rotation, has_fields=self.info.codec not in ("png", "mjpeg"))
        aspect = self.info.pixel_aspect if rotation % 180 == 0 else 1 / self.info.pixel_aspect
        return Frame(index, int(moment * UNITS), moment, planes, aspect)

    def _prepare_decoder(self) -> None:
        context = self._stream.codec_context
        if context is None:
            raise VideoError(f"{self._source.label}: no decoder for its pictures. Send H.264.")
        if context.width * context.height > MAX_PIXELS:
            raise VideoError(
                f"{self._source.label}: pictures of {context.width}x{context.height} are over the limit of "
                f"{MAX_PIXELS // 10**6} megapixels."
            )
        context.options = {"max_pixels": str(MAX_PIXELS)}
        # Threads that decode slices of one picture; threads for several pictures would delay each.
        self._stream.thread_type = "SLICE"
        context.thread_count = min(self._options.threads or available_cpus(), _MOST_SLICE_THREADS)

    def _describe(self) -> VideoInfo:
        stream, context = self._stream, self._stream.codec_context
        return VideoInfo(
            path=Path(self._source.label),
            format=self._container.format.name,
            codec=context.name,
            pix_fmt=context.pix_fmt or "unknown",
            width=context.width,
            height=context.height,
            time_base=Fraction(1, UNITS),
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            duration_s_from_header=None,
            n_frames_from_header=None,
            pixel_aspect=valid_aspect(float(stream.sample_aspect_ratio or 1)),
            stream=stream.index,
            stream_text=describe_stream(stream),
        )

    def close(self) -> None:
        """See `Feed`."""
        self._container.close()


def _open(source: LiveSource, stall_s: float) -> av.container.InputContainer:
    """Open a source with the first of its sets of options that it accepts.

    Raises:
        VideoError: with none.
    """
    if source.kind == "pipe" and sys.stdin is not None and sys.stdin.isatty():
        raise VideoError(
            "stdin: a terminal, no video. Pipe one: ffmpeg -i INPUT -f matroska - | ferflow live -"
        )
    failed: Exception = FileNotFoundError()
    for options in source.tries:
        try:
            return cast(
                av.container.InputContainer,
                av.open(
                    source.address,
                    format=source.demuxer,
                    options=_security_options(source) | options,
                    timeout=(OPEN_SECONDS, stall_s),
                    **METADATA_ERRORS,
                ),
            )
        except (av.error.FFmpegError, OSError) as error:
            failed = error
            if isinstance(error, FileNotFoundError | PermissionError):
                break
    raise VideoError(f"{source.label}: {_explain(failed, source)}") from failed


def _security_options(source: LiveSource) -> dict[str, str]:
    """What a source may open: nothing but itself."""
    if source.kind in ("camera", "screen"):
        return {}
    options = {"max_pixels": str(MAX_PIXELS), "analyzeduration": "2000000"}
    if source.kind == "pipe":
        return options | {
            "protocol_whitelist": "pipe",
            "format_whitelist": ",".join([*sorted(DEMUXERS), "mpjpeg"]),
        }
    scheme = source.address.partition(":")[0].lower()
    return options | {
        "protocol_whitelist": STREAM_PROTOCOLS[scheme],
        "format_whitelist": ",".join([*sorted(DEMUXERS), "mpjpeg", "rtsp", "hls"]),
    }


def _explain(error: Exception, source: LiveSource) -> str:
    """Why a source cannot be opened, and what to do."""
    if source.kind == "camera":
        return _explain_camera(error)
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer for {OPEN_SECONDS:g} s. Check the address, and that the source is on."
    if isinstance(error, ConnectionRefusedError):
        return "connection refused. Is its server running, and the port right?"
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return "refused by its server. Give user and password in the address: rtsp://USER:PASSWORD@HOST/PATH"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "not found on its server. Check the path."
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError | av.error.ArgumentError):
        return (
            "not a video that can be read from a pipe. Use Matroska, MPEG-TS or MJPEG: ffmpeg ... -f matroska -"
            if source.kind == "pipe"
            else f"no video stream that ferflow reads ({_reason(error)})."
        )
    return f"cannot be opened ({_reason(error)}). Check that it is on and can be reached."


def _explain_camera(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such device. ferflow live --list-devices shows those of this machine."
    if isinstance(error, PermissionError):
        return (
            "no permission. On Linux join the group video (sudo usermod -aG video $USER, then log in again); on macOS "
            "and Windows allow the terminal to use the camera."
        )
    if getattr(error, "errno", None) == 16:  # EBUSY; PyAV has no class for it
        return "in use by another program. Close that first."
    return (
        f"not a camera that can be read ({_reason(error)}). Try another --size or --rate, or another device."
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, av.error.ExitError):
        return "no data"
    if isinstance(error, FerflowError):
        return str(error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
