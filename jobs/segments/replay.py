"""The second half of an analysis: who is who, by what `observe` has stored of all segments.

`Replay` goes through the observations in the order of the video, with the same code and in the same order as
`pipeline.analyze_video`; it takes about a hundredth of the time. So where segments begin has no influence on tracks and
persons, and nothing has to be stitched at a joint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.errors import RecordsError
from ferflow.faces.crops import FaceCrops
from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.looks import FaceKey, StoredFrame, StoredLook, StoredLooks, face_key
from ferflow.faces.people import People
from ferflow.faces.shot_detector import Change
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.jobs.segments.observe import NextCut
from ferflow.media.planes import Planes
from ferflow.media.video import describe_size_change
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import (
    chunks,
    face_rows,
    frame_rows,
    track_rows,
)
from ferflow.regions import Region
from ferflow.store.records import Rows
from ferflow.store.segment_files import faces_schema

AnyArray: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ObservedPart:
    """A part that was observed."""

    frames: Iterable[pa.Table]
    """Its rows of frames, in groups."""
    faces: Iterable[pa.Table]
    """Its rows of detections, in groups."""
    next_cuts: Sequence[NextCut]
    """See `PartObserver`."""


class Replay:
    """Decides who is who in a video whose parts were observed."""

    def __init__(self, video_id: str, options: AnalyzeOptions, labels: tuple[str, ...]) -> None:
        self._video_id, self._options, self._labels = video_id, options, labels
        self.warnings: list[str] = []
        """See `People.warnings`; complete after the last row."""
        self.size_change: str | None = None
        """Warning of the first change of the picture's size."""
        self._size: tuple[int, int] | None = None

    def run(
        self, parts: Iterable[ObservedPart], regions: Sequence[Region], *, end_s: float
    ) -> Iterator[Rows]:
        """Yield rows as `pipeline.analyze_video` does.

        Args:
            parts: all of them, in order.
            regions: in which faces were looked for.
            end_s: end of the video.

        Raises:
            RecordsError: the rows of a part cannot be read, or do not fit together.
        """
        people = People(self._options, regions, looks=StoredLooks())
        for chunk in chunks(people.track(_read(parts)), _CHUNK_FRAMES):
            for tracked in chunk:
                self._note_size(tracked.sample)
            yield frame_rows(self._video_id, chunk)
            if any(len(tracked.faces) for tracked in chunk):
                crops, answer = _gather(chunk)
                yield face_rows(self._video_id, crops, answer, self._labels, regions=regions)
        yield track_rows(people.finish(end_s=end_s))
        self.warnings.extend(people.warnings)

    def _note_size(self, sample: FrameSample) -> None:
        if self.size_change is None and self._size is not None and self._size != sample.size:
            self.size_change = describe_size_change(self._size, sample.size, sample.frame.time_s)
        self._size = sample.size


_CHUNK_FRAMES = 64


@dataclass(frozen=True, slots=True, repr=False)
class _Frame(StoredFrame):
    """A frame with the columns of its detections, by name."""

    found: Detections = field(default_factory=Detections.empty)
    columns: dict[str, AnyArray] = field(default_factory=dict)


def _read(parts: Iterable[ObservedPart]) -> Iterator[tuple[FrameSample, Detections]]:
    """Frames and their detections, in the order of the video."""
    cuts: dict[int, tuple[int, ...]] = {}
    for part in parts:
        faces = _FaceReader(part.faces)
        for group in part.frames:
            for row in group.to_pylist():
                index = row["frame_index"]
                columns = faces.take(row["n_found"])
                found = Detections(
                    columns["xyxy"],
                    columns["score"],
                    columns["landmarks"].reshape(-1, 5, 2),
                    columns["region"],
                )
                frame = _Frame(
                    index,
                    row["pts"],
                    Fraction(row["time_s"]),
                    _blank(row["width"], row["height"]),
                    looks=_looks(found, columns),
                    found=found,
                    columns=columns,
                )
                changes = tuple(map(Change, cuts.get(index, row["cuts"])))
                yield FrameSample(frame, changes, row["luma_mean"], is_key=row["is_key"]), found
        cuts = {index: changes for index, changes, _ in part.next_cuts}


@cache
def _blank(width: int, height: int) -> Planes:
    """A picture of this size, without memory for its pixels."""
    return Planes(np.broadcast_to(np.uint8(0), (height, width)), None, None, True)


def _looks(found: Detections, columns: dict[str, AnyArray]) -> dict[FaceKey, StoredLook]:
    data = zip(columns["patch"], columns["colours"], columns["picture"], strict=True)
    return {face_key(found, row): StoredLook(*one) for row, one in enumerate(data)}


class _FaceReader:
    """Gives the rows of detections, frame by frame."""

    def __init__(self, groups: Iterable[pa.Table]) -> None:
        self._groups = iter(groups)
        self._rows = _to_columns(None)
        self._at = 0

    def take(self, count: int) -> dict[str, AnyArray]:
        """The next rows."""
        while len(self._rows["score"]) - self._at < count:
            group = next(self._groups, None)
            if group is None:
                raise RecordsError(
                    "a segment has fewer detections than its frames say. Run the same command again."
                )
            rest = {name: values[self._at :] for name, values in self._rows.items()}
            more = _to_columns(group)
            self._rows = {
                name: np.concatenate([rest[name], more[name]]) if len(rest["score"]) else more[name]
                for name in more
            }
            self._at = 0
        start, self._at = self._at, self._at + count
        return {name: values[start : self._at] for name, values in self._rows.items()}


def _to_columns(group: pa.Table | None) -> dict[str, AnyArray]:
    """Columns of rows of detections as arrays: lists as rows of a matrix, bytes as objects."""
    table = faces_schema(1).empty_table() if group is None else group
    return {name: _to_array(table[name].combine_chunks()) for name in table.column_names}


def _to_array(column: pa.Array) -> AnyArray:
    is_list = pa.types.is_fixed_size_list(column.type)
    values: AnyArray = (column.flatten() if is_list else column).to_numpy(zero_copy_only=False)
    return values.reshape(-1, column.type.list_size) if is_list else values


def _gather(chunk: Sequence[TrackedFrame]) -> tuple[FaceCrops, Answer]:
    """The tracked faces of several frames: without pictures, and what the classifier said of them."""
    parts = [_gather_frame(tracked) for tracked in chunk if len(tracked.faces)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n, occluded = len(columns["score"]), columns["occluded"]
    crops = FaceCrops(
        images=np.zeros((n, 0, 0, 1), np.uint8),
        landmarks=columns.pop("landmarks").reshape(n, 5, 2),
        **{name: columns[name] for name in _CROP_COLUMNS},
    )
    return crops, Answer(columns["probs"], None if (occluded < 0).all() else occluded > 0)


_CROP_COLUMNS = (
    "frame_index", "pts", "time_s", "track_id", "xyxy", "score", "pose", "sharpness", "face_px", "region",
)  # fmt: skip


def _gather_frame(tracked: TrackedFrame) -> dict[str, AnyArray]:
    frame = tracked.sample.frame
    assert isinstance(frame, _Frame)
    row_of = {face_key(frame.found, row): row for row in range(len(frame.found))}
    rows = np.array([row_of[face_key(tracked.faces, row)] for row in range(len(tracked.faces))], np.intp)
    n = len(rows)
    return {name: frame.columns[name][rows] for name in _STORED_COLUMNS} | {
        "frame_index": np.full(n, frame.index, np.int32),
        "pts": np.full(n, frame.pts, np.int64),
        "time_s": np.full(n, frame.time_s),
        "track_id": tracked.track_id,
        "score": tracked.faces.score,
    }


_STORED_COLUMNS = (
    "xyxy", "landmarks", "region", "pose", "sharpness", "face_px", "probs", "occluded",
)  # fmt: skip
