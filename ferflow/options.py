"""What the user may choose, resolved and checked before any work starts.

>>> AnalyzeOptions(fps=5.0, end=TimePoint.parse("1:30")).end.seconds
90.0
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ferflow.errors import OptionsError

DetectorName = Literal["yunet", "haar"]
DeviceName = Literal["auto", "cpu", "gpu"]
BackendName = Literal["auto", "onnx", "keras"]

_CHOICES = {"detector": DetectorName, "device": DeviceName, "backend": BackendName}

# hh:mm:ss.fff or mm:ss.fff; only the last part may carry a fraction.
_TIMECODE = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d+)?)")


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
        if re.fullmatch(r"\d+f", text):
            return cls(frame_index=int(text[:-1]))
        if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text):
            return cls(seconds=float(text))
        if (match := _TIMECODE.fullmatch(text)) and float(match[3]) < 60:
            hours, minutes = int(match[1] or 0), int(match[2])
            return cls(seconds=hours * 3600 + minutes * 60 + float(match[3]))
        raise OptionsError(
            f"{text!r} is not a time: give seconds (12.5), a frame (300f) or a timecode (1:30.5)."
        )

    def reached(self, time_s: float, frame_index: int) -> bool:
        """Whether a frame lies at or after this point."""
        if self.frame_index is not None:
            return frame_index >= self.frame_index
        return time_s >= (self.seconds or 0.0)

    def __str__(self) -> str:
        return f"{self.frame_index}f" if self.frame_index is not None else repr(self.seconds)


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
    """Name of an installed expression model, or the path of a model card."""
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
        if self.min_face is not None and self.min_face < 10:
            raise OptionsError(f"min_face must be at least 10 pixels, got {self.min_face}")
        if not 0.1 <= self.score <= 1:
            raise OptionsError(
                f"score must be in [0.1, 1], got {self.score}: below, everything looks like a face"
            )
        if self.threads is not None and self.threads > 256:
            raise OptionsError(f"threads must be at most 256, got {self.threads}")
        if self.detect_every > 16:
            raise OptionsError(f"detect_every must be at most 16, got {self.detect_every}")
        if self._is_empty_range():
            raise OptionsError(f"end ({self.end}) must lie after start ({self.start})")
        if self.every > 1 and self.fps is not None:
            raise OptionsError("every and fps both choose frames: give one of them")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise OptionsError(
                    f"{name} must be one of {', '.join(get_args(choices))}, got {getattr(self, name)!r}"
                )

    def _check_bounds(self) -> None:
        for name in ("every", "detect_every", "batch_size", "chunk_frames", "participants", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionsError(f"{name} must be at least 1, got {value}")
        for name in ("fps", "sequence_fps", "bin_seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e6:
                raise OptionsError(f"{name} must be above 0 and below 1000000, got {value}")

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
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
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
        return float(value)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise OptionsError(f"{name} must be of type {wanted.__name__}, got {value!r}")
    return value
