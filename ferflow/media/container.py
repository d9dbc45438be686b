"""Where pictures come from: a stream in a container, read by FFmpeg through PyAV.

Only the named file is ever opened: protocols are limited to local files and playlists are refused.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any, Protocol, cast

import av
import av.container
import av.error
from av.stream import Disposition

from ferflow.errors import VideoError
from ferflow.media.decode_report import Faults
from ferflow.media.frame_skipping import CODECS, FrameSkipper, SkippedFrame
from ferflow.system.cpus import available_cpus

MAX_PIXELS = 8192 * 8192
"""A frame larger than this is refused before it is decoded: a few bytes of header can ask for gigabytes."""

LARGEST_ASPECT = 4.0
"""Pixels wider or narrower than this are no picture's but a damaged header's, and are taken for square ones."""

MAX_PACKETS_WITHOUT_FRAME = 3000
"""So many packets that give no frame end the stream; what was read is kept. Fifty seconds of a stream at 60 frames
per second, so that it goes on after a hole, and one that starts between two key frames begins."""

MAX_SECONDS_WITHOUT_FRAME = 60.0
"""So much time spent on reading and decoding without a frame ends the stream, too."""

# Only demuxers that read the named file itself. Playlists (hls, concat, dash, sdp) point elsewhere.
_DEMUXERS = frozenset(
    "mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo flv asf ogg mxf gif apng ivf nut "
    "yuv4mpegpipe h264 hevc m4v obu av1 vc1 dv rm wtv mjpeg nsv gxf bink roq swf amv live_flv "
    "png_pipe jpeg_pipe bmp_pipe webp_pipe tiff_pipe webp webp_anim".split(" ")
)

# FFmpeg's `image2` demuxer wins by the ending of a name (`.jpg`) over the one that reads the content, unless all of a
# small file fits into what is probed: of the formats here only JPEG is found no surer by its content. `image2` is not
# allowed, since it also expands patterns in names and would open other files; so a JPEG is opened by its first bytes.
_JPEG_MAGIC = b"\xff\xd8\xff"
_STILL_DEMUXERS = frozenset({"jpeg_pipe", "png_pipe", "bmp_pipe", "webp_pipe", "tiff_pipe"})

# Up to PyAV 18 tags that are no UTF-8 raise unless asked otherwise; PyAV 19 replaces them and refuses the argument.
_METADATA_ERRORS: dict[str, Any] = (
    {"metadata_errors": "replace"} if hasattr(av.container.Container, "metadata_errors") else {}
)

# What makes decoders tell of damage. MJPEG's would hand out half pictures as whole ones, the rest being what was in
# memory before; AV1's, if it works ahead, drops several frames without a word.
_DECODER_OPTIONS = {"mjpeg": {"err_detect": "explode"}, "libdav1d": {"max_frame_delay": "1"}}

_NOT_A_VIDEO = (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What the container says, before anything is decoded. Names tell where a value comes from."""

    path: Path
    format: str
    codec: str
    pix_fmt: str
    width: int
    """Pixels, as the codec says; before rotation."""
    height: int
    time_base: Fraction
    frame_rate: float | None
    """Average from the header, or None; for display, never for time."""
    duration_s_from_header: float | None
    n_frames_from_header: int | None
    pixel_aspect: float = 1.0
    """Width of a pixel over its height, as it should be shown, before rotation."""


class Source(Protocol):
    """Where pictures come from: a container or numbered images."""

    info: VideoInfo

    def pictures(self, faults: Faults) -> Iterator[av.VideoFrame | SkippedFrame]:
        """Decoded pictures in order of presentation, pts and time_base set; failures are counted."""

    def close(self) -> None:
        """Let go of the file."""


MOST_THREADS = 16
"""Of a decoder, unless told otherwise. FFmpeg itself takes one more than there are CPUs, up to this many, but does not
know of a container's quota."""


class Container:
    """A video stream in a container, read by FFmpeg through PyAV."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        check_is_file(path)
        self.sparing: FrameSkipper | None = None
        self._path = path
        self._threads = threads or min(available_cpus() + 1, MOST_THREADS)
        self._open()
        try:
            self.info = self._described(path)
        except BaseException:
            self._container.close()
            raise

    def spare(self, fps: float, start_s: float) -> None:
        """Let the decoder pass over frames that nobody will ask for, if it can; see `Sparing`."""
        if self.info.codec in CODECS:
            self.sparing = FrameSkipper(fps, start_s)

    def pictures(self, faults: Faults) -> Iterator[av.VideoFrame | SkippedFrame]:
        """See `Source`. A still is one picture, although cameras put others (previews, depth maps) behind it."""
        is_still = self.info.format in _STILL_DEMUXERS
        return islice(self._pictures(faults), 1 if is_still else None)

    def _pictures(self, faults: Faults) -> Iterator[av.VideoFrame | SkippedFrame]:
        """Decode all of the stream.

        At the first sign of damage the file is read again by one thread that decodes everything: how a decoder
        patches over damage depends on how many threads it has (H.264, MPEG-4, VP9 and AV1 all do), and on what
        it passed over; and results must not.
        """
        if self._threads == 1 and self.sparing is None:
            yield from self._read(faults)
            return
        n_given, last_pts = 0, None
        try:
            for picture in self._read(faults, stop_at_damage=True):
                yield picture
                n_given, last_pts = n_given + 1, picture.pts
            return
        except _DamageError:
            faults.n_failed, faults.ended_early = 0, None  # will be met again
            self._threads, was_sparing, self.sparing = 1, self.sparing is not None, None
            self._container.close()
            self._open()
        again = self._read(faults)
        if was_sparing:
            # A frame that was passed over may turn out to be one that cannot be decoded: they cannot be counted.
            yield from dropwhile(partial(_is_not_after, last_pts), again)
        else:
            yield from islice(again, n_given, None)

    def _read(
        self, faults: Faults, *, stop_at_damage: bool = False
    ) -> Iterator[av.VideoFrame | SkippedFrame]:
        packets, sparing = self._packets(faults), self.sparing
        if sparing is None:
            return self._decoded(packets, faults, stop_at_damage=stop_at_damage)
        marked = sparing.marked(packets, self._stream.codec_context)
        pictures = self._decoded(marked, faults, stop_at_damage=stop_at_damage)
        return sparing.filled(pictures, self.info.time_base)

    def _decoded(
        self, packets: Iterator[av.Packet[av.VideoStream]], faults: Faults, *, stop_at_damage: bool
    ) -> Iterator[av.VideoFrame]:
        patience, last_pts = _Patience(), None
        for packet in packets:
            try:
                pictures = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, ValueError) as error:
                # ValueError: what PyAV 19 raises at the next packet of a decoder that could not be opened.
                if stop_at_damage:
                    raise _DamageError from error
                faults.n_failed += 1
                pictures = []
            for picture in pictures:
                if stop_at_damage and picture.is_corrupt:
                    raise _DamageError
                if picture.pts is None:
                    picture.pts = self._guessed_pts(last_pts, faults)
                last_pts = picture.pts
                yield picture
            if (over := patience.over(progress=bool(pictures))) is not None:
                faults.ended_early = f"{over}; the rest was not read"
                return

    def seek(self, seconds: Fraction) -> None:
        """Go on from the last key frame at or before a timestamp, or from the start where that cannot be found."""
        pts = int(seconds / self.info.time_base)
        with contextlib.suppress(av.error.FFmpegError):
            self._container.seek(pts, stream=self._stream)

    def _guessed_pts(self, last_pts: int | None, faults: Faults) -> int:
        """Raw streams carry no time: frames are then taken to follow one another at the stream's rate."""
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        if last_pts is None:
            told = f"no timestamps; times follow from {float(rate):g} frames per second"
            if told not in faults.warnings:
                faults.warnings.append(told)
            return 0
        return last_pts + max(1, round(1 / (rate * self.info.time_base)))

    def close(self) -> None:
        """See `Source`."""
        self._container.close()

    def _packets(self, faults: Faults) -> Iterator[av.Packet[av.VideoStream]]:
        """As the file has them, then an empty one, at which the decoder gives what it holds back."""
        packets, held = self._container.demux(self._stream), None
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                faults.ended_early = f"reading stopped early ({_reason(error)})"
                packet = self._empty_packet()
            if packet.size == 0 and held is not None and held.is_corrupt:
                faults.ended_early = faults.ended_early or "the file ends inside a frame"
                faults.n_failed += 1
            elif held is not None:
                yield held
            if packet.size == 0:
                yield packet
                return
            held = packet

    def _empty_packet(self) -> av.Packet[av.VideoStream]:
        packet = cast("av.Packet[av.VideoStream]", av.Packet())
        packet.stream, packet.time_base = self._stream, self.info.time_base
        return packet

    def _open(self) -> None:
        """Set the container, its stream and its decoder.

        Raises:
            VideoError: nothing that can be decoded.
        """
        self._container = open_container(self._path)
        try:
            self._stream = _video_stream(self._container, self._path.name)
            context = self._stream.codec_context
            context.options = {"max_pixels": str(MAX_PIXELS)}
            context.options |= _DECODER_OPTIONS.get(context.name, {})
            # The threads of MPEG-4 race for what they patch damage with, and say nothing of it.
            context.thread_count = 1 if context.name == "mpeg4" else self._threads
            # Threads that share a frame patch over damage without a word, each number of them differently.
            self._stream.thread_type = "FRAME"
        except BaseException:
            self._container.close()
            raise

    def _described(self, path: Path) -> VideoInfo:
        stream, codec = self._stream, self._stream.codec_context
        return VideoInfo(
            path=path,
            format=self._container.format.name,
            codec=codec.name,
            pix_fmt=codec.pix_fmt or "unknown",
            width=codec.width,
            height=codec.height,
            time_base=stream.time_base or Fraction(1, 1000),
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            duration_s_from_header=_promised_seconds(self._container, stream),
            n_frames_from_header=stream.frames or None,
            pixel_aspect=_sane_aspect(float(stream.sample_aspect_ratio or 1)),
        )


def _is_not_after(pts: int | None, picture: av.VideoFrame | SkippedFrame) -> bool:
    return pts is not None and picture.pts is not None and picture.pts <= pts


class _DamageError(Exception):
    """A decoder with several threads met the first sign of damage."""


class _Patience:
    """Ends a stream that gives nothing any more; the time its consumer takes is not counted."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._n_packets, self._since = 0, time.monotonic()

    def over(self, *, progress: bool) -> str | None:
        """Why there is no point in going on; to be asked after each packet."""
        if progress:
            self._restart()
            return None
        self._n_packets += 1
        if self._n_packets >= MAX_PACKETS_WITHOUT_FRAME:
            return f"no frame in {self._n_packets} packets"
        if time.monotonic() - self._since >= MAX_SECONDS_WITHOUT_FRAME:
            return f"no frame in {MAX_SECONDS_WITHOUT_FRAME:g} s of decoding"
        return None


def open_container(path: Path) -> av.container.InputContainer:
    try:
        return _opened(path, None)
    except av.error.ArgumentError as error:  # how FFmpeg says that a format is not on the list
        if not _is_jpeg(path):
            raise _open_error(path, error) from error
    except (av.error.FFmpegError, OSError) as error:
        raise _open_error(path, error) from error
    try:
        return _opened(path, "jpeg_pipe")
    except (av.error.FFmpegError, OSError) as error:
        raise _open_error(path, error) from error


def _opened(path: Path, demuxer: str | None) -> av.container.InputContainer:
    # `file:` and the whitelists: nothing in the file or its name can make FFmpeg open another. Playlists
    # are refused before they are read, and `max_pixels` holds from the first frame that is probed.
    container: av.container.InputContainer = av.open(
        f"file:{path.absolute()}",
        format=demuxer,
        options={
            "protocol_whitelist": "file",
            "format_whitelist": ",".join(sorted(_DEMUXERS)),
            "max_pixels": str(MAX_PIXELS),
        },
        timeout=MAX_SECONDS_WITHOUT_FRAME,
        **_METADATA_ERRORS,
    )
    return container


def _open_error(path: Path, error: Exception) -> VideoError:
    if isinstance(error, _NOT_A_VIDEO):
        return VideoError(
            f"{path.name}: not a video ({_reason(error)}). Damaged, cut off, or another kind of file."
        )
    return VideoError(
        f"{path.name}: cannot be opened ({_reason(error)}). It is damaged, or its disk cannot be read."
    )


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_JPEG_MAGIC)) == _JPEG_MAGIC


def _video_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        others = [s.type for s in container.streams]
        found = ", ".join(f"{others.count(kind)} {kind}" for kind in sorted(set(others))) or "nothing"
        raise VideoError(f"{name}: no video stream (found: {found}). Nothing to analyse.")
    context = streams[0].codec_context
    if context is None:
        raise VideoError(f"{name}: no decoder for its video stream. Convert it to H.264 first.")
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(
            f"{name}: frames of {context.width}x{context.height} are over the limit of "
            f"{MAX_PIXELS // 10**6} megapixels."
        )
    return streams[0]


def check_is_file(path: Path) -> None:
    """Refuse what has no content to read; a pipe would be waited for without end.

    Raises:
        VideoError: missing, no regular file, empty, or not ours to read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(f"{path.name}: {error.strerror or error}. Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{path.name}: not a regular file.")
    if status.st_size == 0:
        raise VideoError(f"{path.name}: the file is empty (0 bytes). Copy or export it again.")
    if not os.access(path, os.R_OK):
        raise VideoError(f"{path.name}: may not be read. Check its permissions.")


def _sane_aspect(aspect: float) -> float:
    return aspect if 1 / LARGEST_ASPECT <= aspect <= LARGEST_ASPECT else 1.0


def _promised_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Length of the video as the header has it, from its first frame; None where it tells none or nonsense."""
    seconds = _written_seconds(container, stream)
    return seconds if seconds is not None and 0 < seconds < math.inf else None


def _written_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Matroska's durations, per track and of the whole, count from 0 and not from the first frame.
    delay = (
        float((stream.start_time or 0) * (stream.time_base or 0))
        if "matroska" in container.format.name
        else 0
    )
    if (written := stream.metadata.get("DURATION")) is not None:
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = map(float, written.split(":"))
            return hours * 3600 + minutes * 60 + seconds - delay
    alone = len(container.streams) == 1
    return container.duration / av.time_base - delay if alone and container.duration is not None else None


def _reason(error: BaseException) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {MAX_SECONDS_WITHOUT_FRAME:g} s"
    if isinstance(error, av.error.ArgumentError):  # how FFmpeg says that a format is not on the list
        return "no format that ferflow reads"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
