"""What the user may choose, resolved and checked before any work starts.

>>> AnalyzeOptions(fps=5.0, end=TimePoint.parse("1:30")).end.seconds
90.0
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

import msgspec
from msgspec import Meta, structs

from ferflow.errors import OptionsError
from ferflow.plain_file import read_plain_file
from ferflow.regions import Region, parse_regions
from ferflow.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from msgspec import inspect

DetectorName = Literal["yunet", "haar"]
DeviceName = Literal["auto", "cpu", "gpu"]
BackendName = Literal["auto", "onnx", "keras"]
HwaccelName = Literal[
    "none", "auto", "cuda", "vaapi", "videotoolbox", "d3d11va", "d3d12va", "dxva2", "vdpau", "vulkan", "qsv", "drm",
    "opencl", "mediacodec", "amf", "ohcodec",
]  # fmt: skip
"""What decodes: software, any device, or a kind of device by FFmpeg's name."""
StitchName = Literal["colour", "face", "off"]
RotateName = Literal["auto", "file", "0", "90", "180", "270"]
ZeroName = Literal["video", "audio"]
CodecName = Literal["h264", "h265", "vp9", "av1"]
"""How videos are encoded that are made from videos."""
CoverName = Literal["blur", "pixelate", "solid", "mask"]
"""How faces are covered."""

# hh:mm:ss.fff or mm:ss.fff; only the last part may carry a fraction.
_TIMECODE = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)", re.ASCII)
_FRAME = re.compile(r"\d+f", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
MOST_SHARDS = 1_000_000
"""Parts into which the inputs of a run may be divided."""

_LONGEST_TIME = 32
"""Characters. No time needs more, and a number of hundreds of digits would become infinity."""

_DETECT = re.compile(r"auto|full|every:([1-9]|1[0-6])", re.ASCII)

_LARGEST_JOB_FILE = 1 << 20
"""Bytes. A job file is a few lines; a larger file is a mistake, or has no end."""


@dataclass(frozen=True, slots=True)
class TimePoint:
    """A place in a video: seconds after its first frame, or a frame index (0-based)."""

    seconds: float | None = None
    frame_index: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `12.5` (seconds), `300f` (frame index), `1:30.5` or `00:01:30.5` (timecode).

        Raises:
            OptionsError: anything else.
        """
        text = text.strip()
        if len(text) <= _LONGEST_TIME:
            if _FRAME.fullmatch(text):
                return cls(frame_index=int(text[:-1]))
            if _SECONDS.fullmatch(text):
                return cls(seconds=float(text))
            if (match := _TIMECODE.fullmatch(text)) and float(match[3]) < 60:
                hours, minutes = int(match[1] or 0), int(match[2])
                return cls(seconds=hours * 3600 + minutes * 60 + float(match[3]))
        raise OptionsError(
            f"{text[: 2 * _LONGEST_TIME]!r} is not a time: "
            "give seconds (12.5), a frame (300f) or a timecode (1:30.5)."
        )

    def reached(self, time_s: float, frame_index: int) -> bool:
        """Whether a frame is at or after this point."""
        if self.frame_index is not None:
            return frame_index >= self.frame_index
        return time_s >= (self.seconds or 0.0)

    def __str__(self) -> str:
        """As `parse` reads it; never with an exponent."""
        if self.frame_index is not None:
            return f"{self.frame_index}f"
        return f"{Decimal(repr(float(self.seconds or 0.0))):f}"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A struct whose fields are checked by their types however it is made: by a program, a file or a command line."""

    def __post_init__(self) -> None:
        """Check each field against its type and bounds, which msgspec itself does only when it decodes.

        Raises:
            OptionsError: naming the option, the bound and the value.
        """
        # A frozen struct refuses assignments; nothing else can have a reference to this one yet.
        for field in _fields_of(type(self)):
            structs.force_setattr(self, field.name, _check(field, getattr(self, field.name)))

    def updated(self, /, **changes: object) -> Self:
        """A copy with some options changed; None leaves an option as it is. Times and paths may be given as text.

        Raises:
            OptionsError: unknown option, wrong type or value.
        """
        known = sorted(self.__struct_fields__)
        if unknown := sorted(set(changes) - set(known)):
            raise OptionsError(f"unknown option {unknown[0][:40]!r}; known are {', '.join(known)}")
        given = {name: self._parse(name, value) for name, value in changes.items() if value is not None}
        return structs.replace(self, **given)

    @classmethod
    def _parse(cls, name: str, value: object) -> object:
        """The value of an option that may be given as text."""
        return value


@cache
def _fields_of(kind: type[Checked]) -> tuple[structs.FieldInfo, ...]:
    """Fields of a struct; msgspec evaluates all annotations each time, which took most of the reading of a footer."""
    return structs.fields(kind)


class AnalyzeOptions(Checked, frozen=True, kw_only=True):
    """How videos are analysed. Checked when made; never changed afterwards."""

    every: Annotated[int, Meta(ge=1, le=10**9)] = 1
    """Analyse every Nth frame."""
    fps: Annotated[float, Meta(gt=0, lt=1e6)] | None = None
    """Analyse at most this many frames per second of video time, by their timestamps; not with `every`."""
    start: TimePoint | None = None
    """First frame analysed; None: the first one."""
    end: TimePoint | None = None
    """The analysis stops before this point; None: at the end."""
    min_face: Annotated[int, Meta(ge=10, le=100_000)] | None = None
    """Height in source pixels of the smallest face to detect; None: 1/15 of the short side, at least 24."""
    detector: DetectorName = "yunet"
    """`yunet` (network) or `haar` (the cascade of the early literature; no landmarks, so no head pose)."""
    detect: str = "auto"
    """`full`: search all of every analysed frame for faces. `auto`: search all of it at cuts and at least every 0.2 s,
    and in between around the places where faces are expected; with Haar as `full`. `every:N`, N from 1 to 16: detect in
    every Nth analysed frame and at cuts; in between, boxes are interpolated along their tracks."""
    score: Annotated[float, Meta(ge=0.1, le=1)] = 0.7
    """Detections with a lower score are ignored; below 0.1 nearly everything counts as a face. Haar gives 1."""
    model: str = "default"
    """Name of an installed expression model (`default`, `fer2013`, `ferplus`), or the path of a folder or card."""
    participants: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """Known number of people in each video; with 1, the largest face of a frame is that person."""
    stitch: StitchName = "colour"
    """How tracks of one person are recognised: by the colours of clothing and hair, by the face (with the extra
    `face`; nothing of it is stored), or not at all."""
    region: tuple[str, ...] = ()
    """Parts of the picture to analyse: `[NAME=]X,Y,W,H` in pixels or percent, or `[NAME=]bottom-right` and the like;
    NAME is a participant. `auto`: a picture-in-picture frame. Empty: all of the picture."""
    stream: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    """Number of the video stream to analyse, as FFmpeg counts the streams of a file; None: see `media.video_stream`."""
    rotate: RotateName = "auto"
    """Degrees clockwise by which the stored picture is turned upright; `file`: as the file says; `auto`: as the file
    says, unless faces in sample frames say otherwise."""
    zero: ZeroName = "video"
    """What time 0 is: the first picture, or the start of the sound where that is earlier."""
    sequence_fps: Annotated[float, Meta(gt=0, lt=1001)] = 25.0
    """Frames per second of numbered images, which carry no time of their own."""
    bin_seconds: Annotated[float, Meta(gt=0, lt=1e6)] = 1.0
    """Length of a bin of the timeline."""

    batch_size: Annotated[int, Meta(ge=1, le=100_000)] = 64
    """Faces classified together. Changes speed and memory, not results."""
    chunk_frames: Annotated[int, Meta(ge=1, le=1_000)] = 8
    """Frames whose faces are cut out together; a 1080p frame is 3 MB of planes."""
    threads: Annotated[int, Meta(ge=1, le=256)] | None = None
    """CPU threads of this process; None: as many as it has CPUs. Changes speed, not results."""
    hwaccel: HwaccelName = "none"
    """Kind of device that decodes, by FFmpeg's name (`cuda`, `vaapi`, `videotoolbox`, ...); `auto`: any one; `none`:
    software, which is the reference, and which takes over what a device cannot decode to the same pixels."""
    device: DeviceName = "auto"
    """`gpu` needs `onnxruntime-gpu` or TensorFlow; `auto` uses a GPU where one of them can."""
    backend: BackendName = "auto"
    """`onnx` (ONNX Runtime), `keras` (TensorFlow), `auto`: onnx, unless only TensorFlow can use the GPU."""

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out.

        Raises:
            OptionsError: naming the option, the bound and the value.
        """
        super().__post_init__()
        structs.force_setattr(self, "detect", _check_detect(self.detect))
        regions = parse_regions(self.region)
        if self.participants is not None and any(region.name for region in regions):
            raise OptionsError(
                "participants and regions with names cannot be combined: each name is a participant"
            )
        if self._is_empty_range():
            raise OptionsError(f"end ({self.end}) must lie after start ({self.start})")
        if self.every > 1 and self.fps is not None:
            raise OptionsError("every and fps cannot be combined: give one of them")

    @property
    def detect_stride(self) -> int:
        """Faces are detected in every Nth analysed frame; 1: in all of them."""
        return int(self.detect.removeprefix("every:")) if self.detect.startswith("every:") else 1

    @property
    def detects_near(self) -> bool:
        """Most frames are searched near expected faces only; Haar has no such search."""
        return self.detect == "auto" and self.detector == "yunet"

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions; none for `auto`, which is found in each video."""
        return parse_regions(self.region)

    def _is_empty_range(self) -> bool:
        if self.start is None or self.end is None:
            return False
        starts = (self.start.seconds, self.start.frame_index)
        pairs = zip(starts, (self.end.seconds, self.end.frame_index), strict=True)
        return any(low is not None and high is not None and high <= low for low, high in pairs)

    @classmethod
    def from_dict(cls, table: Mapping[str, JsonValue]) -> Self:
        """Read back `as_dict`, as footers and run.json contain it; also as schema 1 wrote it.

        Raises:
            OptionsError: unknown option, wrong type or value.
        """
        known: dict[str, JsonValue] = {"detect": "full", **table}
        # In schema 1, the stride of the detector was an option of its own.
        if "detect_every" in known:
            known["detect"] = f"every:{known.pop('detect_every')}"
        return cls().updated(**known)

    @classmethod
    def _parse(cls, name: str, value: object) -> object:
        # A TOML file may hold a time as text, as a number of seconds or as a time of TOML.
        if name == "region" and isinstance(value, str):  # a job file may give one
            return (value,)
        if name == "rotate" and isinstance(value, int):  # a job file may give a number
            return str(value)
        is_time = name in _TIMES and not isinstance(value, TimePoint)
        return TimePoint.parse(str(value)) if is_time else value

    def as_dict(self) -> JsonObject:
        """JSON-able; times as they are written on the command line."""
        table = structs.asdict(self)
        for name in _TIMES:
            table[name] = None if table[name] is None else str(table[name])
        return table

    def digest(self) -> str:
        """Identifies the results: equal for options that give equal FRAMES and FACES; 16 hexadecimal digits."""
        table = {name: value for name, value in self.as_dict().items() if name not in _NO_EFFECT_ON_RECORDS}
        # Under the name that schema 1 had for it, so that folders made then can be resumed.
        table["detect_every"] = self.detect_stride
        if self.detects_near:
            table["detect"] = "auto"
        # Options that schema 1 did not have count only if they are used, for the same reason.
        defaults = AnalyzeOptions()
        for name in _SINCE_SCHEMA_2:
            if getattr(self, name) == getattr(defaults, name):
                del table[name]
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]

    def list_differences(self, other: AnalyzeOptions) -> list[str]:
        """The options by which FRAMES and FACES of both may differ, each with both values: `fps: 5.0, now 10.0`."""
        mine, others = self.as_dict(), other.as_dict()
        return [
            f"{name}: {_write_value(value)}, now {_write_value(others[name])}"
            for name, value in mine.items()
            if (name == "detect" or name not in _NO_EFFECT_ON_RECORDS) and value != others[name]
        ]


def _write_value(value: object) -> str:
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    return "not given" if value in (None, "") else str(value)


_TIMES = ("start", "end")

# A model is compared by its sha256, not by the name or path that leads to it. `bin_seconds` shapes the
# timeline only, which is computed again from the records. `detect` is in the digest as its stride. `hwaccel` gives the
# pixels of software, see `media.hardware`.
_NO_EFFECT_ON_RECORDS = {
    "model", "batch_size", "chunk_frames", "threads", "hwaccel", "device", "backend", "bin_seconds", "detect",
}  # fmt: skip


_SINCE_SCHEMA_2 = ("stitch", "region", "stream", "rotate", "zero")


def read_toml(path: Path) -> JsonObject:
    """Read a small TOML file.

    Raises:
        OptionsError: no such file, not a regular file, too large, or not TOML.
    """
    try:
        return tomllib.loads(read_plain_file(path, _LARGEST_JOB_FILE).decode())
    except FileNotFoundError as error:
        raise OptionsError(f"{path}: no such file. Check the path.") from error
    # ValueError: not TOML, not UTF-8, or a number of thousands of digits.
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionsError(f"{path}: cannot be read as TOML ({reason}).") from error


def _check(field: structs.FieldInfo, value: object) -> object:
    """Check a value and return it with the type of its field: an integer becomes a float where one is expected."""
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError as error:
        raise OptionsError(
            f"{field.name} must be {_describe_requirement(field, value)}, got {_shorten(value)}"
        ) from error


def _describe_requirement(field: structs.FieldInfo, value: object) -> str:
    """What the type of a field requires and a value does not fulfil."""
    from msgspec import inspect

    kind = inspect.type_info(field.type)
    if isinstance(kind, inspect.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(get_args(field.type))}"
    # bool: for Python, True is an int; for msgspec it is not.
    if isinstance(kind, inspect.IntType) and isinstance(value, int) and not isinstance(value, bool):
        return _describe_bound(kind, value)
    if isinstance(kind, inspect.FloatType) and isinstance(value, int | float) and not isinstance(value, bool):
        return _describe_bound(kind, value)
    if isinstance(kind, inspect.VarTupleType):
        return "a list of texts"
    # Types of msgspec.inspect are called IntType, DictType, ...; those of classes name their class.
    name = kind.cls.__name__ if hasattr(kind, "cls") else type(kind).__name__.removesuffix("Type").lower()
    return f"of type {name}"


def _describe_bound(kind: inspect.IntType | inspect.FloatType, value: float) -> str:
    """The first bound that a number violates; NaN violates all."""
    # `not value >= bound` and not `value < bound`: every comparison with NaN is false.
    if kind.ge is not None and not value >= kind.ge:
        return f"at least {kind.ge}"
    if kind.le is not None and not value <= kind.le:
        return f"at most {kind.le}"
    if kind.gt is not None and not value > kind.gt:
        return f"above {kind.gt:g}"
    return f"below {kind.lt:.0f}"


def _check_detect(text: str) -> str:
    """Check a value and return it in its one spelling: `every:1` is `full`."""
    if not _DETECT.fullmatch(text):
        raise OptionsError(f"detect must be auto, full or every:N with N from 1 to 16, got {_shorten(text)}")
    return "full" if text == "every:1" else text


def _shorten(value: object) -> str:
    """A value in a message of one line."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}..."
