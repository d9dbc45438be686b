"""What the user may choose, resolved and checked before any work starts.

>>> AnalyzeOptions(fps=5.0, end=TimePoint.parse("1:30")).end.seconds
90.0
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import stat
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ferflow.errors import OptionsError

DetectorName = Literal["yunet", "haar"]
DeviceName = Literal["auto", "cpu", "gpu"]
BackendName = Literal["auto", "onnx", "keras"]

_CHOICES = {"detector": DetectorName, "device": DeviceName, "backend": BackendName}

# hh:mm:ss.fff or mm:ss.fff; only the last part may carry a fraction.
_TIMECODE = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)", re.ASCII)
_FRAME = re.compile(r"\d+f", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_LONGEST_TIME = 32
"""Characters; longer numbers mean nothing, and would end as infinity."""

_LARGEST_JOB_FILE = 1 << 20
"""Bytes. A job file is a few lines; what is larger is another file, or has no end."""

_BOUNDS: dict[str, tuple[int, int]] = {
    "every": (1, 10**9),
    "participants": (1, 10_000),
    "threads": (1, 256),
    "min_face": (10, 100_000),
    "batch_size": (1, 100_000),
    "chunk_frames": (1, 1_000),
    "detect_every": (1, 16),
}
"""Whole numbers, both ends allowed."""
_RANGES: dict[str, tuple[float, float]] = {
    "fps": (0, 1e6),
    "bin_seconds": (0, 1e6),
    "sequence_fps": (0, 1001),
}
"""Numbers, neither end allowed."""


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
        """Whether a frame lies at or after this point."""
        if self.frame_index is not None:
            return frame_index >= self.frame_index
        return time_s >= (self.seconds or 0.0)

    def __str__(self) -> str:
        """As `parse` reads it; never with an exponent."""
        if self.frame_index is not None:
            return f"{self.frame_index}f"
        return f"{Decimal(repr(float(self.seconds or 0.0))):f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """How videos are analysed. Checked when made; never changed afterwards."""

    every: int = 1
    """Analyse each N-th frame."""
    fps: float | None = None
    """Analyse at most this many frames per second of video time, by their timestamps; not with `every`."""
    start: TimePoint | None = None
    """First frame analysed; None: the first one."""
    end: TimePoint | None = None
    """The analysis stops before this point; None: at the end."""
    min_face: int | None = None
    """Height in source pixels of the smallest face looked for; None: 1/15 of the short side, at least 24."""
    detector: DetectorName = "yunet"
    """`yunet` (network) or `haar` (the cascade of the early literature; no landmarks, so no head pose)."""
    detect_every: int = 1
    """Detect faces in each N-th analysed frame and at cuts; in between they are carried over by their tracks."""
    score: float = 0.7
    """Detections scored below this are left out, in [0.1, 1]; Haar gives every box the score 1."""
    model: str = "default"
    """Name of an installed expression model (`default`, `fer2013`, `ferplus`), or the path of a folder or card."""
    participants: int | None = None
    """Known number of people in each video; with 1, the largest face of a frame is that person."""
    sequence_fps: float = 25.0
    """Frames per second of numbered images, which carry no time of their own."""
    bin_seconds: float = 1.0
    """Length of a bin of the timeline."""

    batch_size: int = 64
    """Faces classified together. Changes speed and memory, not results."""
    chunk_frames: int = 8
    """Frames whose faces are cut out together; a 1080p frame is 3 MB of planes."""
    threads: int | None = None
    """CPU threads of this process; None: as many as it has CPUs. Changes speed, not results."""
    device: DeviceName = "auto"
    """`gpu` needs `onnxruntime-gpu` or TensorFlow; `auto` takes a GPU where one of them can have it."""
    backend: BackendName = "auto"
    """`onnx` (ONNX Runtime), `keras` (TensorFlow), `auto`: onnx, unless only TensorFlow can use the GPU."""

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out.

        Raises:
            OptionsError: naming the option, the bound and what was given.
        """
        self._check_bounds()
        if not 0.1 <= self.score <= 1:
            raise OptionsError(
                f"score must be in [0.1, 1], got {self.score}: below, everything looks like a face"
            )
        if self._is_empty_range():
            raise OptionsError(f"end ({self.end}) must lie after start ({self.start})")
        if self.every > 1 and self.fps is not None:
            raise OptionsError("every and fps both choose frames: give one of them")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise OptionsError(
                    f"{name} must be one of {', '.join(get_args(choices))}, got {_short(getattr(self, name))}"
                )

    def _check_bounds(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise OptionsError(f"{name} must be at least {low}, got {_short(value)}")
            if value is not None and value > high:
                raise OptionsError(f"{name} must be at most {high}, got {_short(value)}")
        for name, (above, below) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not above < value < below:
                raise OptionsError(
                    f"{name} must be above {above:g} and below {below:.0f}, got {_short(value)}"
                )

    def _is_empty_range(self) -> bool:
        if self.start is None or self.end is None:
            return False
        starts = (self.start.seconds, self.start.frame_index)
        pairs = zip(starts, (self.end.seconds, self.end.frame_index), strict=True)
        return any(low is not None and high is not None and high <= low for low, high in pairs)

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Read options from the top level of a TOML file; times are strings as on the command line.

        Raises:
            OptionsError: unreadable file, unknown key, wrong type or value.
        """
        try:
            if not stat.S_ISREG((status := path.stat()).st_mode) or status.st_size > _LARGEST_JOB_FILE:
                raise OSError("not a file, or too large for one of options")
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        # ValueError: not TOML, not UTF-8, or a number of thousands of digits.
        except (OSError, ValueError, RecursionError) as error:
            raise OptionsError(f"{path}: cannot be read as TOML ({error}).") from error
        return cls().updated(**table)

    def updated(self, **changes: Any) -> Self:
        """A copy with some options changed; None leaves an option as it is.

        Raises:
            OptionsError: unknown option, wrong type or value.
        """
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise OptionsError(f"unknown option {unknown[0]!r}; known are {', '.join(sorted(known))}")
        given = {name: _coerced(name, value) for name, value in changes.items() if value is not None}
        return replace(self, **given)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; times as they are written on the command line."""
        table = asdict(self)
        for name in ("start", "end"):
            point = getattr(self, name)
            table[name] = None if point is None else str(point)
        return table

    def digest(self) -> str:
        """Identifies the results: equal for options that give equal FRAMES and FACES."""
        table = {name: value for name, value in self.as_dict().items() if name not in _NO_EFFECT_ON_RECORDS}
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


# A model is compared by its sha256, not by the name or path that leads to it. `bin_seconds` shapes the
# timeline only, which is made again from the records at no cost.
_NO_EFFECT_ON_RECORDS = {"model", "batch_size", "chunk_frames", "threads", "device", "backend", "bin_seconds"}

_TYPES: dict[str, type] = {
    "every": int, "detect_every": int, "participants": int, "threads": int, "min_face": int, "batch_size": int,
    "chunk_frames": int,
    "fps": float, "score": float, "sequence_fps": float, "bin_seconds": float,
    "detector": str, "model": str, "device": str, "backend": str,
}  # fmt: skip


def _coerced(name: str, value: Any) -> Any:
    if name in ("start", "end"):
        return value if isinstance(value, TimePoint) else TimePoint.parse(str(value))
    wanted = _TYPES[name]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        # Whole numbers of TOML have no limit, floats do.
        return float(value) if abs(value) < 10**300 else math.inf * (1 if value > 0 else -1)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise OptionsError(f"{name} must be of type {wanted.__name__}, got {_short(value)}")
    return value


def _short(value: object) -> str:
    """A value in a message of one line."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}..."
