"""A video stream in a container, read by FFmpeg through PyAV.

Only the named file is opened: protocols are limited to local files and playlists are refused.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any, Protocol, cast

import av
import av.container
import av.error

from ferflow.errors import VideoError
from ferflow.media.decode_report import Lost, NoTimestamps
from ferflow.media.frame_skipping import CODECS, FrameSkipper, PacketOrLost, SkippedFrame
from ferflow.media.hardware import (
    Hardware,
    NotOnDeviceError,
    device_settings,
    find_devices,
    is_as_expected,
    no_device,
)
from ferflow.media.object_file import open_source
from ferflow.media.parts import Part, PartCheck
from ferflow.media.png_chunks import check_png, check_png_packet
from ferflow.media.source_file import check_is_file
from ferflow.media.unreadable_stills import why_unreadable
from ferflow.media.video_stream import choose_stream, describe_stream, pictures, tagged_seconds
from ferflow.options import HwaccelName
from ferflow.store.object_store import is_object
from ferflow.system.cpus import available_cpus

MAX_PIXELS = 8192 * 8192
"""A frame larger than this is refused before it is decoded: a few bytes of header can ask for gigabytes."""

MAX_PIXEL_ASPECT = 4.0
"""Pixels this many times as wide as high, or as high as wide, are an error of a damaged header and count as square."""

MAX_PACKETS_WITHOUT_FRAME = 3000
"""The stream ends after this many packets in a row without a frame; what was read is kept. They are fifty seconds at 60
frames per second: a hole in a recording, or a start between two key frames, must not cost the rest of it."""

MAX_SECONDS_WITHOUT_FRAME = 60.0
"""The stream also ends after this time of reading and decoding without a frame."""

# Only demuxers that read the named file itself. Playlists (hls, concat, dash, sdp) point elsewhere.
DEMUXERS = frozenset(
    "mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo flv asf ogg mxf gif apng ivf nut "
    "yuv4mpegpipe h264 hevc m4v obu av1 vc1 dv rm wtv mjpeg nsv gxf bink roq swf amv live_flv "
    "png_pipe jpeg_pipe bmp_pipe webp_pipe tiff_pipe webp webp_anim".split(" ")
)

# FFmpeg's `image2` demuxer claims a file named `.jpg` before the demuxer that recognises the content does, unless the
# file is so small (about 2 KB) that all of it is probed. Of the formats here only JPEG is affected. `image2` is not
# allowed, because it also expands patterns in names and would open other files; so a JPEG is recognised by its first
# bytes.
_JPEG_MAGIC = b"\xff\xd8\xff"
_STILL_DEMUXERS = frozenset({"jpeg_pipe", "png_pipe", "bmp_pipe", "webp_pipe", "tiff_pipe"})

# Up to PyAV 18, tags that are not UTF-8 raise without this argument; PyAV 19 replaces such characters itself and
# refuses the argument.
METADATA_ERRORS: dict[str, Any] = (
    {"metadata_errors": "replace"} if hasattr(av.container.Container, "metadata_errors") else {}
)

# Without these options two decoders hide damage: MJPEG's returns half a picture and fills the rest with what was in
# memory before; AV1's (dav1d) drops frames without an error where it may decode ahead.
DECODER_OPTIONS = {"mjpeg": {"err_detect": "explode"}, "libdav1d": {"max_frame_delay": "1"}}

_PNG_CODECS = frozenset({"png", "apng"})

_NOT_A_VIDEO = (av.error.InvalidDataError, av.error.EOFError, av.error.ArgumentError)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What the container states, before anything is decoded. Field names state where a value comes from."""

    path: Path
    format: str
    codec: str
    pix_fmt: str
    width: int
    """Pixels, from the codec; before rotation."""
    height: int
    time_base: Fraction
    frame_rate: float | None
    """Average from the header, or None; for display, never for time."""
    duration_s_from_header: float | None
    n_frames_from_header: int | None
    pixel_aspect: float = 1.0
    """Width of a pixel over its height, as it should be shown, before rotation."""
    stream: int | None = None
    """Number of the stream in the file, as FFmpeg counts; None: images."""
    stream_text: str = ""
    """The stream in words."""
    other_streams: tuple[str, ...] = ()
    """The file's other video streams, in words."""
    sound_lead_s: Fraction | None = None
    """Seconds by which the sound starts before the picture; negative: after it; None: no sound, or unknown."""


SourceEvent = av.VideoFrame | SkippedFrame | Lost | NoTimestamps
"""What a source yields: frames in order of presentation, and what it could not read between them."""


class Source(Protocol):
    """Where frames come from: a container or numbered images."""

    info: VideoInfo

    def decode(self, from_pts: int | None = None) -> Iterator[SourceEvent]:
        """Decode in order of presentation; frames have pts and time_base set.

        Args:
            from_pts: start at the last key frame at or before this timestamp, in units of `info.time_base`, or at
                the first frame where no such key frame is found; None: at the first frame.
        """

    def find_start(self, from_pts: int) -> int | None:
        """Timestamp of the packet at which `decode` starts for `from_pts`; None: not known without decoding."""

    def close(self) -> None:
        """Close the file."""


MAX_THREADS = 16
"""Threads of a decoder, unless a number is given. FFmpeg's own default is one more than there are CPUs, at most this
many; the number is computed here because FFmpeg ignores the CPU quota of a container."""


class Container:
    """A video stream in a container, read by FFmpeg through PyAV."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int | None = None,
        stream: int | None = None,
        hwaccel: HwaccelName = "none",
    ) -> None:
        check_is_file(path)
        self._wanted = stream
        self._path = path
        self._sampling: tuple[float, float] | None = None
        self._part: Part | None = None
        self.hardware = Hardware(hwaccel)
        self._threads = threads or min(available_cpus() + 1, MAX_THREADS)
        self._open()
        try:
            self.info = self._describe()
            if hwaccel != "none":
                self._open_on_device()
        except BaseException:
            self._container.close()
            raise

    def skip_frames(self, fps: float, start_s: float) -> None:
        """Let the decoder skip frames that will not be needed, if it can; see `FrameSkipper`."""
        if self.info.codec in CODECS:
            self._sampling = fps, start_s

    @property
    def extradata(self) -> bytes | None:
        """What the container stores for the decoder."""
        return self._stream.codec_context.extradata

    def packets(self) -> Iterator[PacketOrLost]:
        """Packets in the file's order, from its start, and an empty one at the end."""
        self._start_at(None)
        return self._packets()

    def decode_part(self, part: Part) -> Iterator[SourceEvent]:
        """Decode from the first frame of a part on, also beyond its end.

        Raises:
            InexactPartError: the part is damaged, or other frames come than its packets promise.
        """
        check, self._part = PartCheck(part, self._path.name), part
        self._start_at(part.start_pts if part.start_dts is None else part.start_dts)
        try:
            for event in self._read(stop_at_damage=True):
                if not isinstance(event, Lost | NoTimestamps):
                    pts = event.pts or 0
                    if part.start_pts is not None and pts < part.start_pts:
                        continue
                    check.add(pts)
                yield event
        except _DamageError:
            raise check.error() from None
        check.finish()

    def decode(self, from_pts: int | None = None) -> Iterator[SourceEvent]:
        """See `Source`. A still picture is one frame: cameras append others (previews, depth maps) to the file."""
        is_still = self.info.format in _STILL_DEMUXERS
        for event in self._decode(from_pts):
            yield event
            if is_still and isinstance(event, av.VideoFrame):
                return

    def find_start(self, from_pts: int) -> int | None:
        """See `Source`."""
        with contextlib.suppress(av.error.FFmpegError):
            self._is_at_start = False
            self._container.seek(from_pts, stream=self._stream)
            return next((packet.pts for packet in self._container.demux(self._stream)), None)
        return None

    def _decode(self, from_pts: int | None) -> Iterator[SourceEvent]:
        """Decode all of the stream.

        At the first sign of damage the file is read again by one thread that decodes every frame. How a decoder
        conceals damage depends on its number of threads and on the frames that it skipped: with flipped bits in H.264,
        VP9, AV1, MPEG-4 and MPEG-2, two threads gave other pictures, or another number of frames, than one. Results
        must not depend on that. After a device comes software with all its threads.
        """
        self._start_at(from_pts)
        if self._threads == 1 and self._sampling is None and self.hardware.device is None:
            yield from self._read()
            return
        n_given, last_pts = 0, None
        after_loss: list[SourceEvent] = []
        try:
            for event in self._read(stop_at_damage=True):
                # A loss without damage is the end of the file. It waits, with the last frames of the decoder, until it
                # is certain that the file is not read again; otherwise the loss would be counted twice.
                if after_loss or isinstance(event, Lost):
                    after_loss.append(event)
                    continue
                yield event
                if not isinstance(event, NoTimestamps):
                    n_given, last_pts = n_given + 1, event.pts
        except _DamageError:
            pass
        else:
            if n_given or self.hardware.device is None:
                yield from after_loss
                return
        # The second pass repeats the frames that were given. They are counted, because timestamps may repeat. Only
        # after skipping are timestamps compared, because a skipped frame may turn out to be one that cannot be decoded,
        # and then the two passes have different numbers of frames.
        was_given = partial(_is_not_after, last_pts) if self._sampling else _for_first_calls(n_given)
        if self.hardware.device is not None:
            self.hardware.leave_after(n_given)
        else:
            self._threads, self._sampling = 1, None
        self._reopen()
        yield from _resume(self._decode(from_pts), was_given)

    def _read(self, *, stop_at_damage: bool = False) -> Iterator[SourceEvent]:
        packets = self._packets()
        if self._part is not None and self._part.start_pts is not None:
            packets = _from_packet(packets, self._part.start_pts)
        if self._sampling is None:
            return self._decode_packets(packets, stop_at_damage=stop_at_damage)
        skipper = FrameSkipper(*self._sampling, None if self._part is None else self._part.first_pts)
        packets = skipper.set_skipping(packets, self._stream.codec_context)
        events = self._decode_packets(packets, stop_at_damage=stop_at_damage)
        return skipper.fill_in(events, self.info.time_base)

    def _decode_packets(
        self, packets: Iterable[PacketOrLost], *, stop_at_damage: bool
    ) -> Iterator[av.VideoFrame | Lost | NoTimestamps]:
        watchdog, last_pts = _Watchdog(), None
        for packet in packets:
            if isinstance(packet, Lost):
                yield packet
                continue
            try:
                pictures = _decode_packet(packet)
            except av.error.EOFError:
                return
            except _DamageError:
                if stop_at_damage:
                    raise
                pictures = []
                yield Lost(1)
            for picture in pictures:
                if stop_at_damage and self._is_needed(picture) and not self._is_usable(picture):
                    raise _DamageError
                if picture.pts is None and last_pts is None:
                    yield NoTimestamps(float(self._guessed_rate()))
                picture.pts = last_pts = self._guess_pts(last_pts) if picture.pts is None else picture.pts
                yield picture
            if (reason := watchdog.check(progress=bool(pictures))) is not None:
                yield Lost(end_reason=f"{reason}; the rest was not read")
                return

    def _is_needed(self, picture: av.VideoFrame) -> bool:
        """False for frames that are shown before a part, although they come after its first one in the file."""
        start_pts = None if self._part is None else self._part.start_pts
        return start_pts is None or picture.pts is None or picture.pts >= start_pts

    def _is_usable(self, picture: av.VideoFrame) -> bool:
        context = self._stream.codec_context
        return not picture.is_corrupt and (
            self.hardware.device is None or is_as_expected(picture, context, self.info.pix_fmt)
        )

    def _start_at(self, pts: int | None) -> None:
        """Seek to the last key frame at or before `pts`; to the first frame for None, and where seeking fails."""
        if pts is not None:
            self._is_at_start = False
            with contextlib.suppress(av.error.FFmpegError):  # most raw streams cannot seek
                self._container.seek(pts, stream=self._stream)
                return
        # Reopened rather than sought, since raw streams cannot seek.
        if not self._is_at_start:
            self._reopen()
        self._is_at_start = False

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _open_on_device(self) -> None:
        """Open the file again, on the first device that can be opened; without one, software goes on."""
        try:
            devices = find_devices(self._stream.codec_context.codec, self.info.pix_fmt, self.hardware.wanted)
        except NotOnDeviceError as error:
            self.hardware.leave(error)
            return
        for device in devices:
            self.hardware.device = device
            with contextlib.suppress(VideoError):
                self._reopen()
                return
        self.hardware.leave(no_device(devices))
        self._reopen()

    def _guessed_rate(self) -> Fraction:
        # 25 is also what FFmpeg assumes for raw streams.
        return self._stream.average_rate or self._stream.guessed_rate or Fraction(25)

    def _guess_pts(self, last_pts: int | None) -> int:
        """Timestamp of a frame that has none: raw streams carry no time, so the stream's frame rate is used."""
        if last_pts is None:
            return 0
        return last_pts + max(1, round(1 / (self._guessed_rate() * self.info.time_base)))

    def close(self) -> None:
        """See `Source`."""
        self._container.close()

    def _packets(self) -> Iterator[PacketOrLost]:
        """Packets in the file's order, then an empty one, at which the decoder gives the frames that it still keeps.

        Packets are passed on with a delay of one, because only the end of the file shows whether the last packet is
        complete.
        """
        packets, previous = self._container.demux(self._stream), None
        while True:
            end_reason = None
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                end_reason = f"reading stopped early ({_reason(error)})"
                packet = self._empty_packet()  # PyAV yields one only at the regular end of a file
            if packet.size > 0:
                if self.info.codec in _PNG_CODECS:
                    check_png_packet(bytes(packet), self._path.name)
                if previous is not None:
                    yield previous
                previous = packet
                continue
            if previous is not None and previous.is_corrupt:
                yield Lost(1, end_reason or "the file ends inside a frame")
            else:
                if previous is not None:
                    yield previous
                if end_reason is not None:
                    yield Lost(end_reason=end_reason)
            yield packet
            return

    def _empty_packet(self) -> av.Packet[av.VideoStream]:
        packet = cast("av.Packet[av.VideoStream]", av.Packet())
        packet.stream, packet.time_base = self._stream, self.info.time_base
        return packet

    def _open(self) -> None:
        """Open the container and set its stream and its decoder.

        Raises:
            VideoError: the file has nothing that can be decoded.
        """
        self._container = open_container(self._path, self.hardware.device)
        self._is_at_start = True
        try:
            self._stream = _video_stream(self._container, self._path, self._wanted)
            context = self._stream.codec_context
            context.options = {"max_pixels": str(MAX_PIXELS)}
            context.options |= DECODER_OPTIONS.get(context.name, {})
            # MPEG-4's threads race for the data with which they conceal damage, and report no damage. A device needs no
            # threads, and each would take some of its memory for pictures.
            is_serial = context.name == "mpeg4" or self.hardware.device is not None
            context.thread_count = 1 if is_serial else self._threads
            # Slice threads conceal damage without reporting it, with other pictures for each number of threads.
            self._stream.thread_type = "FRAME"
        except BaseException:
            self._container.close()
            raise

    def _describe(self) -> VideoInfo:
        stream, codec = self._stream, self._stream.codec_context
        return VideoInfo(
            path=self._path,
            format=self._container.format.name,
            codec=codec.name,
            pix_fmt=codec.pix_fmt or "unknown",
            width=codec.width,
            height=codec.height,
            # PyAV 19 has a rational type of its own, which no footer can hold.
            time_base=Fraction(stream.time_base or Fraction(1, 1000)),
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            duration_s_from_header=_header_seconds(self._container, stream),
            n_frames_from_header=stream.frames or None,
            pixel_aspect=valid_aspect(float(stream.sample_aspect_ratio or 1)),
            stream=stream.index,
            stream_text=describe_stream(stream),
            other_streams=tuple(
                describe_stream(other) for other in pictures(self._container) if other.index != stream.index
            ),
            sound_lead_s=_sound_lead_s(self._container, stream),
        )


def _from_packet(packets: Iterable[PacketOrLost], pts: int) -> Iterator[PacketOrLost]:
    """The packets from the key frame with a timestamp on."""
    return dropwhile(
        lambda packet: not isinstance(packet, Lost) and not (packet.is_keyframe and packet.pts == pts),
        packets,
    )


def _decode_packet(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.error.EOFError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        # PyAV 19 raises ValueError at the next packet of a decoder that could not be opened.
        raise _DamageError from error


def _resume(events: Iterator[SourceEvent], was_given: Callable[[SourceEvent], bool]) -> Iterator[SourceEvent]:
    """Events of a second pass that the first pass did not give; losses are all new, the first pass gave none."""
    is_new = False
    for event in events:
        if not isinstance(event, Lost | NoTimestamps):
            is_new = is_new or not was_given(event)
            if not is_new:
                continue
        yield event


def _for_first_calls(n: int) -> Callable[[object], bool]:
    """A predicate that is true for its first `n` calls."""
    left = iter(range(n))
    return lambda _: next(left, None) is not None


def _is_not_after(pts: int | None, frame: SourceEvent) -> bool:
    return (
        isinstance(frame, av.VideoFrame | SkippedFrame)
        and pts is not None
        and frame.pts is not None
        and frame.pts <= pts
    )


class _DamageError(Exception):
    """A packet could not be decoded, or gave a frame that is flagged as damaged."""


class _Watchdog:
    """Ends a stream that gives no more frames. It restarts after each frame, so its consumer's time does not count."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._n_packets, self._since = 0, time.monotonic()

    def check(self, *, progress: bool) -> str | None:
        """Return the reason for ending the stream, or None; called after each packet."""
        if progress:
            self._restart()
            return None
        self._n_packets += 1
        if self._n_packets >= MAX_PACKETS_WITHOUT_FRAME:
            return f"no frame in {self._n_packets} packets"
        if time.monotonic() - self._since >= MAX_SECONDS_WITHOUT_FRAME:
            return f"no frame in {MAX_SECONDS_WITHOUT_FRAME:g} s of decoding"
        return None


def open_container(path: Path, device: str | None = None) -> av.container.InputContainer:
    """Open a file, so that nothing but this file is read.

    Args:
        path: of the file.
        device: kind of device that decodes its videos, by FFmpeg's name; None: software.

    Raises:
        VideoError: it cannot be opened, or there is no such device.
    """
    try:
        check_png(path)
        return _open_with(path, None, device)
    except av.error.ArgumentError as error:  # FFmpeg's error for a format that is not on the list
        if not _is_jpeg(path):
            raise _open_error(path, error) from error
    except (av.error.FFmpegError, OSError) as error:
        raise _open_error(path, error) from error
    try:
        return _open_with(path, "jpeg_pipe", device)
    except (av.error.FFmpegError, OSError) as error:
        raise _open_error(path, error) from error


def _open_with(path: Path, demuxer: str | None, device: str | None) -> av.container.InputContainer:
    # With `file:` and the whitelists, neither the content nor the name of a file can make FFmpeg open another one. A
    # read that hangs, as on a network share, ends after the timeout. Playlists are refused before they are read, and
    # `max_pixels` also limits the frames that FFmpeg probes.
    # An object is read through Python, so that no protocol of FFmpeg is needed at all.
    is_remote = is_object(path)
    container: av.container.InputContainer = av.open(
        open_source(path) if is_remote else f"file:{path.absolute()}",
        format=demuxer,
        options={
            "protocol_whitelist": "none" if is_remote else "file",
            "format_whitelist": ",".join(sorted(DEMUXERS)),
            "max_pixels": str(MAX_PIXELS),
        },
        timeout=MAX_SECONDS_WITHOUT_FRAME,
        hwaccel=device_settings(device) if device is not None else None,
        **METADATA_ERRORS,
    )
    return container


def _open_error(path: Path, error: Exception) -> VideoError:
    if isinstance(error, _NOT_A_VIDEO):
        return VideoError(
            f"{path.name}: not a video or picture ({_reason(error)}). Damaged, cut off, or another kind of file."
        )
    return VideoError(
        f"{path.name}: cannot be opened ({_reason(error)}). It is damaged, or its disk cannot be read."
    )


def _is_jpeg(path: Path) -> bool:
    with open_source(path) as file:
        return file.read(len(_JPEG_MAGIC)) == _JPEG_MAGIC


def _video_stream(container: av.container.InputContainer, path: Path, wanted: int | None) -> av.VideoStream:
    name, stream = path.name, choose_stream(container, path.name, wanted)
    if (reason := why_unreadable(path, container.format.name, pictures(container))) is not None:
        raise VideoError(f"{name}: {reason}.")
    context = stream.codec_context
    if context is None:
        raise VideoError(f"{name}: no decoder for its video stream. Convert it to H.264 first.")
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(
            f"{name}: frames of {context.width}x{context.height} are over the limit of "
            f"{MAX_PIXELS // 10**6} megapixels."
        )
    return stream


def _sound_lead_s(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    starts = [
        Fraction(sound.start_time * sound.time_base)
        for sound in container.streams.audio
        if sound.start_time is not None and sound.time_base is not None
    ]
    if not starts or stream.start_time is None or stream.time_base is None:
        return None
    return Fraction(stream.start_time * stream.time_base) - min(starts)


def valid_aspect(aspect: float) -> float:
    """A pixel aspect, or 1 in place of one that only a damaged header states."""
    return aspect if 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT else 1.0


def _header_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Duration in the header, counted from the first frame; None where it is missing or not a positive number."""
    seconds = _stated_seconds(container, stream)
    return seconds if seconds is not None and 0 < seconds < math.inf else None


def _stated_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    # Matroska counts the durations of tracks and of the file from 0, not from the first frame.
    delay = (
        float((stream.start_time or 0) * (stream.time_base or 0))
        if "matroska" in container.format.name
        else 0
    )
    # The tag first: as the duration of the first stream of a Matroska file, FFmpeg gives that of the file.
    if (tagged_s := tagged_seconds(stream)) is not None:
        return tagged_s - delay
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # The file's duration is that of its longest stream: with sound in the file it says nothing about the pictures.
    is_only_stream = len(container.streams) == 1
    if not is_only_stream or container.duration is None:
        return None
    return container.duration / av.time_base - delay


def _reason(error: BaseException) -> str:
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {MAX_SECONDS_WITHOUT_FRAME:g} s"
    if isinstance(error, av.error.ArgumentError):  # FFmpeg's error for a format that is not on the list
        return "no format that ferflow reads"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
