"""The tables of a data set: columns, order of rows, and the file of each row.

A table is divided by the first hexadecimal digits of the MD5 of its *key*: the participant in tables with a row per
participant, else the video. So the number of files does not grow with the number of participants, every engine can
compute in SQL where a participant is, and all names are safe in paths.

>>> bucket_of("Ada", 1)
'bd'
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pyarrow as pa

from ferflow.analytics.timeline import timeline_schema
from ferflow.store.schemas import FRAMES, faces_schema

Key: TypeAlias = Literal["participant", "video_id"]

DATASET_VERSION = 1
"""Raised with each change of columns, order or files: data sets of another version are written again."""

BUCKET = "bucket"
"""The column of the partitions. Its values start with a letter: engines would read digits as numbers, and `1e5` too."""
FILE = "part-0.parquet"

MOST_DIGITS = 3
"""4,096 files per table at most."""
_LARGEST = (64 << 20, 64 << 20, 1 << 30)
"""Bytes of an average file from which a table gets a digit more, by the digits that it has. Small files cost a request
each, large ones are written again as a whole; up to 256 files the second counts for more."""

_NAMES = (
    ("video_id", pa.string()), ("video", pa.string()), ("participant", pa.string()), ("group", pa.string()),
    ("stimulus", pa.string()),
)  # fmt: skip
_PERSON = (("person", pa.string()), ("person_id", pa.int32()))
_MINUTES = (("minute", pa.int32()), ("stimulus_minute", pa.int32()))
_CLOCK = (("stimulus_time_s", pa.float64()), *_MINUTES)

VIDEOS = pa.schema([
    *_NAMES, ("offset_s", pa.float64()), ("status", pa.string()), ("duration_s", pa.float64()), ("fps", pa.float64()),
    ("width", pa.int32()), ("height", pa.int32()), ("n_frames", pa.int64()), ("n_failed", pa.int64()),
    ("n_damaged", pa.int64()), ("n_faces", pa.int64()), ("n_people", pa.int32()), ("n_gaps", pa.int32()),
    ("gap_s", pa.float64()), ("analysed_s", pa.float64()), ("face_s", pa.float64()), ("bin_seconds", pa.float64()),
    ("model", pa.string()), ("path", pa.string()),
])  # fmt: skip


def _timeline(labels: Sequence[str]) -> pa.Schema:
    fields = {field.name: field for field in timeline_schema(labels)}
    values = [field for name, field in fields.items() if name not in _OF_BIN]
    return pa.schema([
        *_NAMES, *_PERSON, ("start_s", pa.float64()), ("end_s", pa.float64()), *_CLOCK, ("state", pa.string()),
        *values,
    ])  # fmt: skip


_OF_BIN = ("video_id", "bin_start_s", "bin_end_s", "person_id", "n_frames", "n_people", "n_readable")
"""Columns of TIMELINE that are keys here, or say something of the audience."""

MINUTE_SUMS = ("seconds", "face_s", "readable_s")


def minute_means(labels: Sequence[str]) -> list[str]:
    """Columns of `minutes` that are means over time."""
    skipped = {*_OF_BIN, *MINUTE_SUMS, "n_faces"}
    return [name for name in timeline_schema(labels).names if name not in skipped]


def _minutes(labels: Sequence[str]) -> pa.Schema:
    sums = [(name, pa.float64()) for name in MINUTE_SUMS]
    means = [(name, pa.float32()) for name in minute_means(labels)]
    return pa.schema([*_NAMES, *_PERSON, *_MINUTES, *sums, *means])


def _faces(labels: Sequence[str]) -> pa.Schema:
    own = [(field.name, _plain(field.type)) for field in faces_schema(labels) if field.name not in _OF_FACE]
    return pa.schema([*_NAMES, *_PERSON, ("time_s", pa.float64()), *_CLOCK, *own])


_OF_FACE = ("video_id", "time_s", "person_id", "not_face")
"""Columns of FACES that are keys here, or null for every face that counts."""


def _frames(labels: Sequence[str]) -> pa.Schema:
    own = [field for field in FRAMES if field.name not in ("video_id", "time_s")]
    return pa.schema([*_NAMES, ("time_s", pa.float64()), *_CLOCK, *own])


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type that every engine knows."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.list_(kind.value_type) if pa.types.is_fixed_size_list(kind) else kind


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """One table of a data set."""

    name: str
    key: Key
    """What its files are divided by."""
    order: tuple[str, ...]
    """Columns that its rows are sorted by, within a file."""
    make_schema: Callable[[Sequence[str]], pa.Schema]
    """Columns, for the labels of the models of all videos."""
    row_group_rows: int
    """Rows whose smallest and largest values a reader knows before it reads them."""
    row_bytes: int
    """Compressed size of a row, roughly; measured by `jobs.benchmarks.reading_at_scale`."""

    def choose_digits(self, n_rows: float) -> int:
        """Number of digits by which files are divided, for a table of this length."""
        size = n_rows * self.row_bytes
        return next(
            (digits for digits, most in enumerate(_LARGEST) if size / 16**digits <= most), MOST_DIGITS
        )


TABLES = {
    table.name: table
    for table in (
        DatasetTable("videos", "video_id", ("video_id",), lambda labels: VIDEOS, 16_384, 100),
        DatasetTable("timeline", "participant", ("participant", "video_id", "start_s"), _timeline, 32_768, 60),
        DatasetTable(
            "minutes", "participant", ("stimulus", "stimulus_minute", "minute", "participant", "video_id", "person_id"),
            _minutes, 16_384, 100,
        ),
        DatasetTable("faces", "participant", ("participant", "video_id", "time_s"), _faces, 65_536, 90),
        DatasetTable("frames", "video_id", ("video_id", "time_s"), _frames, 65_536, 15),
    )
}  # fmt: skip
"""By name. Small row groups of tables that are asked for one participant, larger ones of those that are long."""


def bucket_of(key: str, digits: int) -> str:
    """The partition of a participant or a video."""
    return "b" + hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:digits]
