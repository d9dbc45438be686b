"""Small films of every make, drawn here. Each maker writes the file at the path it is given."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ferflow.system.scheduling import keep_scheduling

N_FRAMES = 12
SIZE = (64, 48)
MS = Fraction(1, 1000)
FASTSTART = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}

Maker = Callable[[Path], object]

# Encoders write to stderr what nobody asked for.
_QUIET = {
    "libx264": {"preset": "ultrafast", "crf": "10"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def scene(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A textured picture that moves, uint8 (H, W, 3) RGB; no two numbers give the same."""
    if max(size) > 4096:  # large ones are many small ones
        return np.tile(scene(number), (size[1] // SIZE[1], size[0] // SIZE[0], 1))
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    planes = [columns * 2 + number * 5, rows * 3 + number * 3, rows + columns + number * 7]
    return (np.stack(planes, axis=-1) % 200 + 20).astype(np.uint8)


def film(
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    n: int = N_FRAMES,
    size: tuple[int, int] = SIZE,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    gop: int = 5,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rotation: int = 0,
    audio: bool = False,
    prepare: Callable[[av.VideoStream], None] | None = None,
    mark: Callable[[av.VideoFrame], None] | None = None,
    muxer: str | None = None,
) -> Maker:
    """A maker of a film of `n` scenes; pts count from 0 unless given, in units of `time_base`."""

    def make(path: Path) -> None:
        with av.open(str(path), "w", format=muxer, container_options=container or {}) as file:
            stream = file.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.time_base = stream.codec_context.time_base = time_base
            stream.codec_context.gop_size = gop
            stream.options = _QUIET.get(codec, {}) | (options or {})
            if rotation:
                stream.set_display_rotation(rotation)
            if prepare is not None:
                prepare(stream)
            sound = file.add_stream("aac", rate=16_000, layout="mono") if audio else None
            for number, stamp in enumerate(pts if pts is not None else range(n)):
                frame = av.VideoFrame.from_ndarray(scene(number, size), format="rgb24")
                if mark is not None:
                    frame = frame.reformat(format=pix_fmt)
                    mark(frame)
                frame.pts, frame.time_base = stamp, time_base
                with keep_scheduling():
                    packets = stream.encode(frame)
                file.mux(packets)
            file.mux(stream.encode(None))
            if sound is not None:
                _mux_tone(file, sound)

    return make


def _mux_tone(file: av.container.OutputContainer, stream: av.AudioStream, seconds: float = 0.5) -> None:
    samples = np.sin(np.arange(int(seconds * 16_000)) / 20).astype(np.float32)[None] * 0.1
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 16_000, 0
    file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def song(*, cover: bool = False) -> Maker:
    """Sound without a film, with or without a picture on the sleeve."""

    def make(path: Path) -> None:
        with av.open(str(path), "w") as file:
            stream = file.add_stream("aac", rate=16_000, layout="mono")
            if cover:
                sleeve = file.add_stream("mjpeg", rate=1)
                sleeve.width, sleeve.height, sleeve.pix_fmt = 16, 16, "yuvj420p"
                sleeve.disposition = av.stream.Disposition.attached_pic
                file.mux(
                    sleeve.encode(av.VideoFrame.from_ndarray(scene(0, (16, 16))).reformat(format="yuvj420p"))
                )
                file.mux(sleeve.encode(None))
            _mux_tone(file, stream)

    return make


def tone(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))


def annex_b(path: Path) -> None:
    """H.264 without a container: no timestamps at all."""
    with av.open(str(path), "w", format="h264") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = _QUIET["libx264"]
        for number in range(N_FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(scene(number), format="rgb24")))
        file.mux(stream.encode(None))


def joined(*makers: Maker) -> Maker:
    """MPEG-TS files one after the other, as `cat` would."""

    def make(path: Path) -> None:
        parts = []
        for maker in makers:
            maker(part := path.with_name("part.ts"))
            parts.append(part.read_bytes())
            part.unlink()
        path.write_bytes(b"".join(parts))

    return make


def still(number: int = 0, size: tuple[int, int] = SIZE, suffix: str = ".png") -> bytes:
    """One encoded picture."""
    return cv2.imencode(suffix, scene(number, size)[..., ::-1])[1].tobytes()


def stills(
    n: int = 5,
    *,
    suffix: str = ".png",
    sizes: Sequence[tuple[int, int]] = (SIZE,),
    broken: Sequence[int] = (),
    orientation: int = 0,
) -> Maker:
    """A folder of numbered pictures; `broken` are none, `orientation` is EXIF's."""

    def make(path: Path) -> None:
        path.mkdir()
        for number in range(n):
            content = still(number, sizes[number % len(sizes)], suffix)
            if orientation:
                content = _with_exif(content, orientation)
            (path / f"shot {number}{suffix}").write_bytes(b"no picture" if number in broken else content)

    return make


def _with_exif(jpeg: bytes, orientation: int) -> bytes:
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + bytes(2)
    body = b"Exif\0\0" + b"MM\x00\x2a\x00\x00\x00\x08" + b"\x00\x01" + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def words(text: str | bytes) -> Maker:
    """A file of these words."""
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())
