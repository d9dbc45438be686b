"""Where pictures come from: a stream in a container, read by FFmpeg through PyAV.

Only the named file is ever opened: protocols are limited to local files and playlists are refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import av.container
import av.error
from av.stream import Disposition

from ferflow.errors import VideoError
from ferflow.sparing import CODECS, Spared, Sparing

MAX_PIXELS = 8192 * 8192
"""A frame larger than this is refused before it is decoded: a few bytes of header can ask for gigabytes."""

LARGEST_ASPECT = 4.0
"""Pixels wider or narrower than this are no picture's but a damaged header's, and are taken for square ones."""

MAX_FAILURES_IN_A_ROW = 8
"""So many undecodable packets in a row end the stream; what was read is kept (as PySceneDetect does)."""

# Only demuxers that read the named file itself. Playlists (hls, concat, dash, sdp) point elsewhere.
_DEMUXERS = frozenset(
    "mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo flv asf ogg mxf gif apng ivf nut "
    "yuv4mpegpipe h264 hevc m4v obu av1 vc1 dv rm wtv mjpeg nsv gxf bink roq swf amv live_flv "
    "png_pipe jpeg_pipe bmp_pipe webp_pipe tiff_pipe webp webp_anim".split(" ")
)

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


@dataclass(slots=True)
class Faults:
    """What went wrong while reading, so far."""

    n_failed: int = 0
    """Frames that could not be decoded."""
    n_damaged: int = 0
    """Frames that were decoded, but flagged as damaged by the decoder; they are not analysed."""
    warnings: list[str] = field(default_factory=list)
    """One line each, for people."""


class Source(Protocol):
    """Where pictures come from: a container or numbered images."""

    info: VideoInfo

    def pictures(self, faults: Faults) -> Iterator[av.VideoFrame | Spared]:
        """Decoded pictures in order of presentation, pts and time_base set; failures are counted."""

    def close(self) -> None:
        """Let go of the file."""


class Container:
    """A video stream in a container, read by FFmpeg through PyAV."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        check_is_file(path)
        self.sparing: Sparing | None = None
        try:
            # `file:` and the whitelists: nothing in the file or its name can make FFmpeg open another. Playlists
            # are refused before they are read, and `max_pixels` holds from the first frame that is probed.
            self._container = av.open(
                f"file:{path.absolute()}",
                options={
                    "protocol_whitelist": "file",
                    "format_whitelist": ",".join(sorted(_DEMUXERS)),
                    "max_pixels": str(MAX_PIXELS),
                },
                metadata_errors="replace",
            )
        except _NOT_A_VIDEO as error:
            raise VideoError(
                f"{path.name}: not a video ({_reason(error)}). Damaged, cut off, or another kind of file."
            ) from error
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(f"{path.name}: cannot be opened ({_reason(error)}).") from error
        try:
            self._stream = self._video_stream(path)
            self._stream.codec_context.thread_count = threads or 0  # 0: FFmpeg counts the CPUs
            self.info = self._described(path)
        except BaseException:
            self._container.close()
            raise

    def spare(self, fps: float, start_s: float) -> None:
        """Let the decoder pass over frames that nobody will ask for, if it can; see `Sparing`."""
        if self.info.codec in CODECS:
            self.sparing = Sparing(fps, start_s)

    def pictures(self, faults: Faults) -> Iterator[av.VideoFrame | Spared]:
        """See `Source`."""
        failures, last_pts = 0, None
        sparing, context = self.sparing, self._stream.codec_context
        packets = self._packets(faults)
        for packet in sparing.marked(packets, context) if sparing is not None else packets:
            try:
                pictures = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                if sparing is not None:
                    sparing.stop()
                faults.n_failed += 1
                failures += 1
                if failures < MAX_FAILURES_IN_A_ROW:
                    continue
                faults.warnings.append(f"{failures} frames in a row failed to decode; the rest was not read")
                return
            for picture in pictures:
                failures = 0
                if picture.pts is None:
                    picture.pts = self._guessed_pts(last_pts, faults)
                last_pts = picture.pts
                if sparing is not None:
                    yield from sparing.before(picture.pts, self.info.time_base)
                yield picture
        if sparing is not None:
            yield from sparing.before(None, self.info.time_base)

    def _guessed_pts(self, last_pts: int | None, faults: Faults) -> int:
        """Raw streams carry no time: frames are then taken to follow one another at the stream's rate."""
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        if last_pts is None:
            faults.warnings.append(f"no timestamps; times follow from {float(rate):g} frames per second")
            return 0
        return last_pts + max(1, round(1 / (rate * self.info.time_base)))

    def close(self) -> None:
        """See `Source`."""
        self._container.close()

    def _packets(self, faults: Faults) -> Iterator[av.Packet[av.VideoStream]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                faults.warnings.append(f"reading stopped early ({_reason(error)})")
                return
            yield packet

    def _video_stream(self, path: Path) -> av.VideoStream:
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            others = [s.type for s in self._container.streams]
            found = ", ".join(f"{others.count(kind)} {kind}" for kind in sorted(set(others))) or "nothing"
            raise VideoError(f"{path.name}: no video stream (found: {found}). Nothing to analyse.")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(f"{path.name}: no decoder for its video stream. Convert it to H.264 first.")
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise VideoError(
                f"{path.name}: frames of {size} are over the limit of {MAX_PIXELS // 10**6} megapixels."
            )
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "AUTO"
        return stream

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
            hours, minutes, seconds = written.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - delay
    alone = len(container.streams) == 1
    return container.duration / av.time_base - delay if alone and container.duration is not None else None


def _reason(error: BaseException) -> str:
    if isinstance(error, av.error.ArgumentError):  # how FFmpeg says that a format is not on the list
        return "no format that ferflow reads"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
