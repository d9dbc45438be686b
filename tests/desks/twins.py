"""One scene in many files, as different devices and programs would have written it; FFmpeg's libraries write them.

Sizes, times and light follow from the scene by arithmetic, so that every difference between the numbers of two twins
is an error of who reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.reformatter import ColorTrc

Picture: TypeAlias = np.ndarray
"""uint8 (H, W, 3), RGB."""
Scene: TypeAlias = Sequence[tuple[Fraction, Picture]]
"""Pictures, each with the time in seconds from which it is shown."""

HOLD = 4
"""In every other second, a picture is shown for so many frames, as a recorder does while nothing moves."""

_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:crf=10"}
_X264 = {"preset": "veryfast", "crf": "10"}


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are stored."""

    size: tuple[float, float] = (1.0, 1.0)
    """Of stored pictures, in widths and heights of the scene's."""
    aspect: Fraction | None = None
    """Width of a pixel over its height."""
    quarter_turns: int = 0
    """Counter-clockwise, by which stored pictures are turned; the file says so."""
    transfer: ColorTrc | None = None
    """Curve of HDR; None: SDR."""


def read_scene(clip: Path, *, seconds: float, fps: int) -> list[tuple[Fraction, Picture]]:
    """The first seconds of a clip at a constant rate, with held pictures in every other second."""
    with av.open(str(clip)) as file:
        shown = [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)
        ]
    start, scene = shown[0][0], []
    for number in range(min(int(seconds * fps), int((shown[-1][0] - start) * fps))):
        time, held = Fraction(number, fps), number % HOLD and int(number / fps) % 2
        picture = [picture for at, picture in shown if at - start <= time][-1]
        scene.append((time, scene[-1][1] if held and scene else picture))
    # The last picture is a new one, so that all twins end at one time.
    scene[-1] = (scene[-1][0], shown[-1][1])
    return scene


def without_held(scene: Scene) -> Scene:
    """Each picture once, at the time from which it is shown."""
    return [
        part
        for before, part in zip([None, *scene], scene, strict=False)
        if before is None or before[1] is not part[1]
    ]


def write(path: Path, scene: Scene, look: Look | None = None) -> Path:
    """Write a scene; the suffix says the container."""
    look = look or Look()
    height, width = scene[0][1].shape[:2]
    size = tuple(
        round(side * factor / 2) * 2 for side, factor in zip((width, height), look.size, strict=True)
    )
    stored = size if look.quarter_turns % 2 == 0 else size[::-1]
    is_hdr = look.transfer is not None
    time_base = Fraction(1, 1000 if path.suffix == ".mkv" else 90_000)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(
            "libx265" if is_hdr else "libx264", rate=25, options=_X265 if is_hdr else _X264
        )
        stream.width, stream.height = stored
        stream.pix_fmt = "yuv420p10le" if is_hdr else "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        if look.aspect is not None:
            stream.codec_context.sample_aspect_ratio = look.aspect
        if look.quarter_turns:
            stream.set_display_rotation(-90 * look.quarter_turns)
        if look.transfer is not None:
            stream.codec_context.color_trc = look.transfer
        for time, picture in scene:
            resized = cv2.resize(
                picture, size, interpolation=cv2.INTER_AREA if look.size[0] < 1 else cv2.INTER_CUBIC
            )
            turned = np.ascontiguousarray(np.rot90(resized, look.quarter_turns))
            frame = av.VideoFrame.from_ndarray(turned, format="rgb24").reformat(format=stream.pix_fmt)
            if look.transfer is not None:
                _code_light(frame, look.transfer)
            frame.pts, frame.time_base = round(time / time_base), time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def _code_light(frame: av.VideoFrame, transfer: ColorTrc) -> None:
    """Code the luma of a 10-bit picture with the curve of HDR in place of that of SDR."""
    plane = frame.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)
    signal = np.clip((luma.astype(float) - 64) / 876, 0, 1)
    light = signal**2.4  # BT.1886, of reference white
    coded = _pq(203 * light) if transfer == ColorTrc.SMPTE2084 else _hlg(light)
    plane.update(np.round(64 + 876 * coded).astype(np.uint16).tobytes())
    frame.color_trc = transfer


def _pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, inverse EOTF."""
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def _hlg(light: np.ndarray) -> np.ndarray:
    """BT.2100 HLG for a display of 1000 cd/m2, whose signal of 75 % is reference white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    white = (np.exp((0.75 - c) / a) + b) / 12
    scene = light ** (1 / 1.2) * white
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


LOOKS = {
    "turned, and the file says so": Look(quarter_turns=1),
    "upside down, and the file says so": Look(quarter_turns=2),
    "anamorphic": Look(size=(0.75, 1.0), aspect=Fraction(4, 3)),
    "HLG": Look(transfer=ColorTrc.ARIB_STD_B67),
    "PQ": Look(transfer=ColorTrc.SMPTE2084),
    "half the size": Look(size=(0.5, 0.5)),
    "twice the size": Look(size=(2.0, 2.0)),
}


@dataclass(frozen=True, slots=True)
class Form:
    """How a file stores a scene."""

    look: Look | None = None
    suffix: str = ".mp4"
    has_held: bool = True
    """Whether a held picture is stored again and again, at a constant rate, or once, so that the rate varies."""

    def write(self, stem: Path, scene: Scene) -> Twin:
        """Write the scene. All containers get the same packets, so that no encoder comes between them."""
        stored = scene if self.has_held else without_held(scene)
        path = write(stem.with_name(f"{stem.name}.mp4"), stored, self.look)
        if self.suffix != path.suffix:
            path = _move_packets(path, path.with_suffix(self.suffix))
        return Twin(path, [time for time, _ in stored])


@dataclass(frozen=True, slots=True)
class Twin:
    """A file of a scene."""

    path: Path
    times: list[Fraction]
    """Of its frames, seconds."""


PLAIN = "constant rate, with held frames, upright, square, SDR, native size, MP4"
FORMS = {
    PLAIN: Form(),
    "MKV": Form(suffix=".mkv"),
    "TS": Form(suffix=".ts"),
    "variable rate, without held frames": Form(has_held=False),
    "variable rate, without held frames, MKV": Form(has_held=False, suffix=".mkv"),
    **{name: Form(look) for name, look in LOOKS.items()},
    "variable rate, without held frames, turned, anamorphic": Form(
        replace(LOOKS["anamorphic"], quarter_turns=1, aspect=Fraction(3, 4)), has_held=False
    ),
}
"""Each differs from the first one in what it is called."""


def write_twins(folder: Path, scene: Scene, names: Collection[str] = tuple(FORMS)) -> dict[str, Twin]:
    """Twins of a scene by their names in `FORMS`."""
    return {name: FORMS[name].write(folder / f"twin {place}", scene) for place, name in enumerate(names)}


def _move_packets(source: Path, target: Path) -> Path:
    with av.open(str(source)) as read, av.open(str(target), "w") as file:
        stream = file.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    source.unlink()
    return target


def write_chapters(folder: Path, scene: Scene) -> list[Path]:
    """The scene in two files; the second one counts from 0 again."""
    middle = len(scene) // 2
    start = scene[middle][0]
    later = [(time - start, picture) for time, picture in scene[middle:]]
    return [write(folder / "GX010001.mp4", scene[:middle]), write(folder / "GX020001.mp4", later)]
