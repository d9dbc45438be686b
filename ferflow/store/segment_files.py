"""Files of a video that is analysed in segments: private, and gone once its tables are there.

    OUT/.segments/<video_id>/plan.json              where the segments begin
    OUT/.segments/<video_id>/0000.frames.parquet    a row per analysed frame of the first segment
    OUT/.segments/<video_id>/0000.faces.parquet     a row per detection, also weak ones
    OUT/.segments/<video_id>/0000.json              what else is known of it, and the digest of its tables; it marks a
                                                    finished segment

They hold what is needed to decide who is who, which includes small pictures of faces.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.errors import RecordsError
from ferflow.plain_file import check_plain_file, local_path, read_plain_file
from ferflow.store.atomic_files import (
    TEMPORARY_SUFFIX,
    make_folder,
    name_write_errors,
    publish,
    remove,
    remove_folder,
    temporary_path,
)
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize

SEGMENTS = ".segments"
"""Folder in an output folder."""

MOST_PLAN_BYTES = 64 << 20
"""Of a file in JSON."""
_GROUP_ROWS = 1024
"""Least rows of a row group: of detections, about 2 MB in memory."""
_BLOCK_BYTES = 1 << 20

FRAMES = pa.schema(
    [
        ("frame_index", pa.int32()), ("pts", pa.int64()), ("time_s", pa.float64()), ("luma_mean", pa.float64()),
        ("cuts", pa.list_(pa.int8())), ("is_key", pa.bool_()), ("width", pa.int32()), ("height", pa.int32()),
        ("n_found", pa.int32()),
    ]
)  # fmt: skip
"""Columns of the frames of a segment; `cuts`: how a new shot starts, per region; `n_found`: rows of detections."""


def faces_schema(n_labels: int) -> pa.Schema:
    """Columns of the detections of a segment; NaN: unknown."""
    number = pa.float32()
    return pa.schema(
        [
            ("xyxy", pa.list_(number, 4)), ("score", number), ("landmarks", pa.list_(number, 10)),
            ("region", pa.int8()), ("pose", pa.list_(number, 3)), ("sharpness", number), ("face_px", number),
            ("probs", pa.list_(number, n_labels)), ("occluded", pa.int8()), ("patch", pa.binary()),
            ("colours", pa.binary()), ("picture", pa.binary()),
        ]
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """Paths of the files of the segments of one video."""

    out: Path
    """The output folder."""
    video_id: str

    @classmethod
    def of(cls, files: VideoFiles) -> Self:
        """Of a video."""
        return cls(files.out, files.video_id)

    @property
    def folder(self) -> Path:
        """Holds all of them."""
        return self.out / SEGMENTS / self.video_id

    @property
    def plan(self) -> Path:
        """Where the segments begin."""
        return self.folder / "plan.json"

    def frames(self, number: int) -> Path:
        """Table of the frames of a segment."""
        return self.folder / f"{number:04}.frames.parquet"

    def faces(self, number: int) -> Path:
        """Table of the detections of a segment."""
        return self.folder / f"{number:04}.faces.parquet"

    def state(self, number: int) -> Path:
        """What else is known of a segment; its presence marks a finished one."""
        return self.folder / f"{number:04}.json"

    def digest(self, number: int) -> str:
        """SHA-256 of the tables of a segment, one after the other; hexadecimal.

        Raises:
            OSError: one is missing, not a regular file, or cannot be read.
        """
        digest = hashlib.sha256()
        for path in (self.frames(number), self.faces(number)):
            check_plain_file(path)
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        return digest.hexdigest()

    def remove_unfinished(self, number: int) -> None:
        """Remove what an interrupted analysis of a segment left behind; no process may be at it."""
        for path in self.folder.glob(f".{number:04}.*{TEMPORARY_SUFFIX}"):
            remove(path, out=self.out, durable=False)

    def remove(self) -> None:
        """Remove all files; those that mark segments as finished first. Folders in there are not ours, and stay.

        Raises:
            RecordsError: one cannot be removed, or leads out of the output folder.
        """
        if not self.folder.is_symlink() and self.folder.is_dir():
            with name_write_errors(self.folder):
                files = [path for path in self.folder.iterdir() if path.is_symlink() or not path.is_dir()]
            for path in sorted(files, key=lambda path: (path.suffix != ".json", path.name)):
                remove(path, out=self.out, durable=False)
            remove_folder(self.folder, out=self.out)
            remove_folder(self.folder.parent, out=self.out)


def find_segmented(out: Path) -> dict[str, str]:
    """Videos in an output folder whose analysis in segments was interrupted, or is in progress.

    Returns:
        Path of the source by id; empty where it is not known.
    """
    place = out / SEGMENTS
    if not place.is_dir() or place.is_symlink():
        return {}
    folders = sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
    return {path.name: _read_source(path / "plan.json") for path in folders}


def _read_source(plan: Path) -> str:
    try:
        return str(json.loads(read_plain_file(plan, MOST_PLAN_BYTES))["source"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""


class SegmentWriter:
    """Writes the tables of a segment. Leaving the `with` block without `finish()` leaves no file.

    The segment is finished once its state is written, too; see `SegmentFiles.state`.
    """

    def __init__(self, files: SegmentFiles, number: int, *, n_labels: int) -> None:
        # Two processes may analyse the same segment: one that counts as lost, and the one in its place.
        token = secrets.token_hex(4)
        make_folder(files.folder, out=files.out)
        self.frames, self.faces = (
            _Table(files.out, path, temporary_path(path.with_name(f"{path.name}.{token}")), schema)
            for path, schema in (
                (files.frames(number), FRAMES),
                (files.faces(number), faces_schema(n_labels)),
            )
        )

    def finish(self) -> None:
        """Give the tables their names."""
        self.frames.finish()
        self.faces.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.frames.discard()
        self.faces.discard()


class _Table:
    """A table in progress; rows are gathered into groups of `_GROUP_ROWS`."""

    def __init__(self, out: Path, path: Path, part: Path, schema: pa.Schema) -> None:
        self._out, self._path, self._part, self._schema = out, path, part, schema
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0
        # Numbers hardly ever repeat.
        self._writer = pq.ParquetWriter(
            local_path(part), schema, compression="zstd", compression_level=1, use_dictionary=False
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._waiting.append(batch)
        self._n_waiting += batch.num_rows
        if self._n_waiting >= _GROUP_ROWS:
            self._write_group()

    def finish(self) -> None:
        """Write the waiting rows, and name the file."""
        with name_write_errors(self._path):
            self._write_group()
            self._writer.close()
            publish(self._path, self._part, out=self._out)

    def discard(self) -> None:
        """Remove the file if it has no name yet."""
        # Closing writes a footer, and the disk may be full.
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        remove(self._part, out=self._out, durable=False)

    def _write_group(self) -> None:
        if self._n_waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._n_waiting = [], 0


def read_groups(path: Path) -> Iterator[pa.Table]:
    """Row groups of a table of a segment, in order.

    Raises:
        RecordsError: it cannot be read.
    """
    try:
        check_plain_file(path)
        with pq.ParquetFile(local_path(path)) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise RecordsError(
            f"{path}: cannot be read ({sanitize(str(error).partition(chr(10))[0])})."
        ) from error
