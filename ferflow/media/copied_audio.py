"""The sound of a video for a copy of it: its packets as they are, where MP4 can hold them; else encoded as AAC.

>>> with CopiedAudio(Path("talk.mp4")) as audio, open_video_writer(path, settings, audio) as writer:
...     writer.write_picture(picture, pts)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import av
import av.container
import av.error

from ferflow.media.container import open_container
from ferflow.text import pluralize

HELD_CODECS = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac"})
"""FFmpeg's names of what MP4 holds and players play from it. PCM, Vorbis and WMA are not among them."""

AudioPacket: TypeAlias = "av.Packet[Any]"

_AAC_FRAME_SAMPLES = 1024
_HIGHEST_RATE = 48_000
_LOWEST_RATE = 8_000


class CopiedAudio:
    """An `AudioTrack` with all streams of sound of a file, each with its own times; closes the file at the end."""

    def __init__(
        self,
        path: Path,
        *,
        start_s: Fraction | None = None,
        shift_s: Fraction = Fraction(0),
        ends_with_pictures: bool = False,
    ) -> None:
        """Open the file.

        Args:
            path: the source.
            start_s: packets before are left out; seconds by the file's own clock; None: none.
            shift_s: what is subtracted from all times, seconds.
            ends_with_pictures: whether what comes after the last picture is left out.

        Raises:
            VideoError: it cannot be opened.
        """
        self._container = open_container(path)
        self._streams = [stream for stream in self._container.streams.audio if _is_readable(stream)]
        self._start_s, self._shift_s, self._ends_with_pictures = start_s, shift_s, ends_with_pictures
        self._packets = self._read()
        self._next: AudioPacket | None = None
        self._outputs: dict[int, _Output] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def rates(self) -> list[int]:
        """Samples per second of the streams."""
        return [stream.rate or 1 for stream in self._streams]

    @property
    def converted(self) -> list[str]:
        """Names of the codecs that MP4 does not hold."""
        return [_codec_of(stream) for stream in self._streams if _codec_of(stream) not in HELD_CODECS]

    def describe_converted(self) -> str | None:
        """What is not copied unchanged, in words; None: nothing."""
        names = self.converted
        if not names:
            return None
        return (
            f"{pluralize(len(names), 'stream')} of sound ({', '.join(names)}) encoded as AAC: MP4 does not hold "
            f"{'it' if len(names) == 1 else 'them'}"
        )

    def add_to(self, container: av.container.OutputContainer) -> None:
        """See `AudioTrack`."""
        for stream in self._streams:
            kind = _CopiedPackets if _codec_of(stream) in HELD_CODECS else _EncodedAgain
            self._outputs[stream.index] = kind(stream, container)
        self._next = next(self._packets, None)

    def write_until(self, time_s: Fraction, *, is_end: bool = False) -> None:
        """See `AudioTrack`. At the end all that is left may be written: sound may be longer than the pictures."""
        takes_rest = is_end and not self._ends_with_pictures
        while (packet := self._next) is not None and (
            takes_rest or self._time_s(packet) - self._shift_s < time_s
        ):
            self._outputs[packet.stream.index].write(packet, self._shift_s)
            self._next = next(self._packets, None)
        if is_end:
            for output in self._outputs.values():
                output.finish()

    def _read(self) -> Iterator[AudioPacket]:
        if not self._streams:
            return
        if self._start_s is not None:
            with contextlib.suppress(av.error.FFmpegError):  # raw streams cannot seek: read from the start
                self._container.seek(int((self._start_s - 1) * av.time_base))
        with contextlib.suppress(av.error.FFmpegError):  # damaged: the sound ends where reading fails
            for packet in self._container.demux(*self._streams):
                if not packet.size or (packet.pts is None and packet.dts is None):
                    continue
                if self._start_s is None or self._time_s(packet) >= self._start_s:
                    yield packet

    def _time_s(self, packet: AudioPacket) -> Fraction:
        return Fraction((packet.dts if packet.pts is None else packet.pts) or 0) * packet.time_base


class _Output(Protocol):
    """A stream of sound in the new file."""

    def __init__(self, stream: av.AudioStream, container: av.container.OutputContainer) -> None: ...

    def write(self, packet: AudioPacket, shift_s: Fraction) -> None:
        """Write a packet of the source, by `shift_s` seconds earlier."""

    def finish(self) -> None:
        """Write what the encoder still keeps."""


class _CopiedPackets:
    def __init__(self, stream: av.AudioStream, container: av.container.OutputContainer) -> None:
        self._container = container
        self._stream = container.add_stream_from_template(stream)
        self._last_dts: int | None = None

    def write(self, packet: AudioPacket, shift_s: Fraction) -> None:
        shift = round(shift_s / packet.time_base)
        pts = (packet.dts or 0) if packet.pts is None else packet.pts
        dts = (pts if packet.dts is None else packet.dts) - shift
        # MP4 refuses times that go back, and with them the whole file.
        if self._last_dts is not None and dts <= self._last_dts:
            return
        packet.pts, packet.dts, self._last_dts = pts - shift, dts, dts
        packet.stream = self._stream
        with contextlib.suppress(av.error.InvalidDataError):  # a damaged packet of a broadcast
            self._container.mux(packet)

    def finish(self) -> None:
        pass


class _EncodedAgain:
    def __init__(self, stream: av.AudioStream, container: av.container.OutputContainer) -> None:
        rate = min(max(stream.rate or _HIGHEST_RATE, _LOWEST_RATE), _HIGHEST_RATE)
        layout = "mono" if stream.channels == 1 else "stereo"
        self._container = container
        self._stream = container.add_stream("aac", rate=rate, layout=layout)
        self._resampler = av.AudioResampler(
            format="fltp", layout=layout, rate=rate, frame_size=_AAC_FRAME_SAMPLES
        )
        self._is_empty = True

    def write(self, packet: AudioPacket, shift_s: Fraction) -> None:
        frames: Sequence[object] = ()
        with contextlib.suppress(av.error.FFmpegError, ValueError):  # damaged sound is left out
            frames = packet.decode()
        for frame in frames:
            if isinstance(frame, av.AudioFrame) and frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(shift_s / frame.time_base)
                self._encode(frame)

    def _encode(self, frame: av.AudioFrame | None) -> None:
        for part in self._resampler.resample(frame):
            self._is_empty = False
            self._container.mux(self._stream.encode(part))

    def finish(self) -> None:
        if self._is_empty:
            return
        self._encode(None)
        self._container.mux(self._stream.encode(None))


def _is_readable(stream: av.AudioStream) -> bool:
    return stream.codec_context is not None and bool(stream.rate) and bool(stream.channels)


def _codec_of(stream: av.AudioStream) -> str:
    """The codec, not the decoder: `mp3`, not `mp3float`."""
    return stream.codec_context.codec.canonical_name
