"""The best faces of each person of a finished video, cut again from its source; nothing is stored here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ferflow.analytics.person_faces import Persons
from ferflow.errors import VideoError
from ferflow.store.metadata import read_metadata
from ferflow.store.schemas import UNTRACKED
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float32Array, Float64Array, Int64Array

if TYPE_CHECKING:
    import pyarrow as pa

    from ferflow.media.video import Frame

_COLUMNS = ("time_s", "score", "yaw", "face_px", "x1", "y1", "x2", "y2", "landmarks")
_SECONDS_BETWEEN = 1.0
"""Between two faces of one person, so that they differ."""
_FULL_SIZE_PX = 100
"""Larger faces are no better."""
_LATER = Fraction(1, 100_000)
"""Seconds after the time of a row at which its frame is shown; times of rows are rounded."""


@dataclass(frozen=True, slots=True)
class FacePlace:
    """A face of FACES."""

    owner_id: int
    """Person or track whose face it is."""
    time_s: float
    quality: float
    """Larger for certain, large and frontal faces."""
    xyxy: Float32Array
    """Float32 (4,), source pixels."""
    landmarks: Float32Array
    """Float32 (5, 2), source pixels; NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A face and the frame it is in."""

    place: FacePlace
    frame: Frame


def best_faces(
    persons: Persons, *, count: int, of: Literal["person_id", "track_id"] = "person_id"
) -> dict[int, list[FacePlace]]:
    """The best faces of each person, or of each track, by its id, the best one first.

    Raises:
        RecordsError: the table of faces cannot be read.
    """
    best: dict[int, list[FacePlace]] = {}
    for block in persons.faces(*_COLUMNS):
        for face in _rank(block, of):
            kept = best.setdefault(face.owner_id, [])
            if len(kept) < count and all(abs(face.time_s - one.time_s) >= _SECONDS_BETWEEN for one in kept):
                kept.append(face)
            elif kept and face.quality > kept[-1].quality:
                best[face.owner_id] = _insert(kept, face, count)
    return {owner: best[owner] for owner in sorted(best)}


def read_portraits(files: VideoFiles, faces: dict[int, list[FacePlace]]) -> Iterator[Portrait]:
    """Read the frames of faces from the source, in order of time.

    Raises:
        VideoError: the source is no longer at its path, or cannot be read.
    """
    from ferflow.media.video import Reading, open_video

    metadata = read_metadata(files.faces)
    source = Path(metadata.source.path)
    if not source.exists():
        raise VideoError(f"{source.name}: not where it was analysed. Put it back to {source.parent}.")
    places = sorted((face for each in faces.values() for face in each), key=lambda face: face.time_s)
    with open_video(source, Reading.again(metadata.options, metadata.source)) as video:
        for place in places:
            time = Fraction(place.time_s).limit_denominator(10**6) + _LATER
            frame = next(video.frames_between(time, time), None)
            if frame is not None:
                yield Portrait(place, frame)


def _rank(block: pa.Table, of: str) -> list[FacePlace]:
    """The faces of persons or tracks in a block, the best first."""
    ids = _numbers(block, of, UNTRACKED).astype(np.int64)
    qualities = _qualities(block)
    rows = np.flatnonzero((ids != UNTRACKED) & (qualities > 0))
    xyxy = np.stack([_numbers(block, name, np.nan) for name in ("x1", "y1", "x2", "y2")], axis=1)
    time_s = _numbers(block, "time_s", np.nan)
    marks = block.column("landmarks").to_pylist()
    return [
        FacePlace(
            owner_id=int(ids[row]),
            time_s=float(time_s[row]),
            quality=float(qualities[row]),
            xyxy=xyxy[row].astype(np.float32),
            landmarks=np.array(marks[row] or [np.nan] * 10, np.float32).reshape(5, 2),
        )
        for row in _best_rows(ids, qualities, rows)
    ]


_ROWS_PER_OWNER = 50
"""Of a block of some thousand rows; the best faces are among them."""


def _best_rows(ids: Int64Array, qualities: Float64Array, rows: npt.NDArray[np.intp]) -> list[int]:
    order = rows[np.argsort(-qualities[rows], kind="stable")]
    found: list[int] = []
    for owner in np.unique(ids[order]):
        found += order[ids[order] == owner][:_ROWS_PER_OWNER].tolist()
    return sorted(found, key=lambda row: -qualities[row])


def _qualities(block: pa.Table) -> Float64Array:
    yaw = np.radians(np.nan_to_num(_numbers(block, "yaw", np.nan), nan=60.0))
    size = np.minimum(_numbers(block, "face_px", 0.0) / _FULL_SIZE_PX, 1.0)
    quality: Float64Array = _numbers(block, "score", 0.0) * size * np.cos(yaw)
    return quality


def _insert(kept: list[FacePlace], face: FacePlace, count: int) -> list[FacePlace]:
    """With a face in place of those that are worse and too near in time."""
    near = [one for one in kept if abs(face.time_s - one.time_s) < _SECONDS_BETWEEN]
    if any(one.quality >= face.quality for one in near):
        return kept
    others = [one for one in kept if all(one is not worse for worse in near)]
    return sorted([*others, face], key=lambda one: -one.quality)[:count]


def _numbers(block: pa.Table, name: str, missing: float) -> Float64Array:
    return np.asarray(block.column(name).fill_null(missing).to_numpy(), np.float64)
