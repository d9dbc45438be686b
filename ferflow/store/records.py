"""The tables on disk: one writer, small readers.

Per video, `frames/<video_id>.parquet` holds a row per analysed frame and `faces/<video_id>.parquet` a row
per face. Both are written to `.tmp` names; the faces file is renamed last, so that its presence marks a
finished video.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.plain_file import check_plain_file, local_path
from ferflow.store.atomic_files import flush, make_folder, name_write_errors, publish, remove, temporary_path
from ferflow.store.metadata import (
    METADATA_KEY,
    Metadata,
    SourceInfo,
    VideoMetadata,
    encode_metadata,
    read_metadata,
)
from ferflow.store.schemas import FRAMES, UNTRACKED, current_columns, faces_schema, to_current
from ferflow.store.table_checks import TableCheck, refuse
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize


@dataclass(frozen=True, slots=True)
class FrameRows:
    """Rows of FRAMES, a row per analysed frame, in order of time."""

    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class FaceRows:
    """Rows of FACES, a row per face, in order of time; columns as `faces_schema` lists them."""

    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class TrackRows:
    """Rows of TRACKS, a row per track; yielded once, after the last frame. FACES on disk have their columns."""

    batch: pa.RecordBatch


Rows = FrameRows | FaceRows | TrackRows
"""What an analysis yields, a few rows at a time."""


_ROW_GROUP_ROWS = 8_192
_MOST_BATCHES = 64
"""Number of waiting batches that are joined into one."""


class TableWriter:
    """Writes record batches into one Parquet file that gets its name only when it is complete.

    Rows are gathered into row groups of 8,192: a batch holds a few rows, and a group per batch would make a file
    slow to read, while all rows at the end would fill the memory. The path lies in a folder of an output folder.
    Until then the file is at `part`, None: at `temporary_path(path)`.
    """

    def __init__(self, path: Path, schema: pa.Schema, part: Path | None = None) -> None:
        self.path = path
        self._part = part or temporary_path(path)
        self._out = path.parents[1]
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        make_folder(path.parent, out=self._out)
        self._remove_part()  # if it is a link, its target must not be overwritten
        self._writer = _open_writer(local_path(self._part), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= _ROW_GROUP_ROWS:
            self._write_row_group()
        elif len(self._waiting) >= _MOST_BATCHES:
            # In a batch of a few rows the overhead is larger than the data: 8,192 rows took 13 MB.
            self._waiting = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()

    def finish(self, metadata: Metadata) -> None:
        """Write the waiting rows and the metadata, and wait for the disk; `publish()` names the file."""
        self._write_row_group()
        self._writer.add_key_value_metadata({METADATA_KEY: encode_metadata(metadata)})
        self._writer.close()
        flush(self._part)

    def publish(self) -> None:
        """Give the finished file its name."""
        publish(self.path, self._part, out=self._out)

    def reread(self) -> Iterator[pa.RecordBatch]:
        """Close the file and yield its rows, a row group at a time."""
        self._write_row_group()
        self._writer.close()
        with pq.ParquetFile(local_path(self._part)) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, use_threads=False).to_batches()

    def discard(self) -> None:
        """Remove an unfinished file; a published one stays."""
        # Closing writes a footer, and the disk may be full.
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._remove_part()

    def _remove_part(self) -> None:
        remove(self._part, out=self._out, durable=False)

    def _write_row_group(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            # All batches may be empty, and Arrow refuses a group size of 0.
            self._writer.write_table(table, row_group_size=max(len(table), 1))
            self._waiting, self._waiting_rows = [], 0


def _open_writer(where: str | pa.NativeFile, schema: pa.Schema) -> pq.ParquetWriter:
    # Numbers hardly ever repeat: dictionaries of them cost time and memory, and made the files a third larger.
    repeating = [field.name for field in schema if _repeats(field.type)]
    return pq.ParquetWriter(where, schema, compression="zstd", use_dictionary=repeating or False)


@dataclass(frozen=True, slots=True)
class TableBytes:
    """What a table takes on disk."""

    rows: int
    """Bytes of its rows."""
    rest: int
    """Bytes of its header and footer."""

    @classmethod
    def of_file(cls, path: Path) -> TableBytes:
        """Those of a file.

        Raises:
            RecordsError: it cannot be read.
        """
        with _open_parquet(path) as file:
            return cls._of(file, path.stat().st_size)

    @classmethod
    def of_batches(cls, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> TableBytes:
        """Those that `TableWriter` would write; without the metadata of a video."""
        buffer = pa.BufferOutputStream()
        with _open_writer(buffer, schema) as writer:
            writer.write_table(pa.Table.from_batches(batches, schema))
        content = buffer.getvalue()
        with pq.ParquetFile(content) as file:
            return cls._of(file, content.size)

    @classmethod
    def _of(cls, file: pq.ParquetFile, n_bytes: int) -> TableBytes:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        rows = sum(
            group.column(number).total_compressed_size
            for group in groups
            for number in range(group.num_columns)
        )
        return cls(rows, n_bytes - rows)


def _repeats(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind) or pa.types.is_boolean(kind))


class RecordsWriter:
    """The pair of tables of one video. Leaving the `with` block without `finish()` leaves no file."""

    def __init__(self, files: VideoFiles, labels: Sequence[str]) -> None:
        self._files = files
        schema = faces_schema(labels)
        self._frames = TableWriter(files.frames, FRAMES, files.unfinished(files.frames))
        # Who is who is known at the end of a video. Until then its faces are on disk, so that memory stays flat.
        self._spool = TableWriter(files.faces_spool, schema, files.unfinished(files.faces_spool))
        self._faces = TableWriter(files.faces, schema, files.unfinished(files.faces))
        self._tracks: pa.RecordBatch | None = None

    def write(self, rows: Rows) -> None:
        """Add rows to their table; those of tracks to the faces written before them."""
        if isinstance(rows, TrackRows):
            self._tracks = rows.batch
        else:
            (self._frames if isinstance(rows, FrameRows) else self._spool).write(rows.batch)

    def finish(self, metadata: VideoMetadata, *, replaces: Sequence[VideoFiles] = ()) -> None:
        """Close both files and rename them, faces last; the results of `replaces` are removed.

        Nothing made from old results may lie next to new ones. The old are removed before the new get their names:
        a run interrupted in between leaves an unfinished video, never a mixed one.
        """
        for batch in self._spool.reread():
            self._faces.write(batch if self._tracks is None else _add_track_columns(batch, self._tracks))
        self._spool.discard()
        # First, so that a disk that fills up here costs no earlier results.
        for table in (self._frames, self._faces):
            table.finish(metadata)
        for old in (self._files, *replaces):
            old.remove()
        self._frames.publish()
        self._faces.publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in (self._frames, self._spool, self._faces):
            table.discard()


def _add_track_columns(faces: pa.RecordBatch, tracks: pa.RecordBatch) -> pa.RecordBatch:
    """FACES with the columns of TRACKS; null where a face is not assigned to a track."""
    row = pc.index_in(faces["track_id"], tracks["track_id"])
    columns = dict(zip(faces.schema.names, faces.columns, strict=True))
    columns |= {name: tracks[name].take(row) for name in tracks.schema.names if name != "track_id"}
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=faces.schema)


def write_table(path: Path, table: pa.Table, metadata: Metadata) -> None:
    """Write a table, in a folder of an output folder, that gets its name only when it is complete.

    Raises:
        RecordsError: it cannot be written.
    """
    with name_write_errors(path):
        writer = TableWriter(path, table.schema)
        try:
            for batch in table.to_batches():
                writer.write(batch)
            writer.finish(metadata)
            writer.publish()
        finally:
            writer.discard()


def store_source(files: VideoFiles, source: SourceInfo) -> None:
    """Write into the tables of a finished video where its source is now, and what it is called.

    Raises:
        RecordsError: a table cannot be read.
    """
    # FACES last: their footer is what counts, and a run that is interrupted before it is followed by another.
    for path in (files.frames, files.timeline, files.faces):
        if path.exists():
            write_table(path, read_table(path), replace(read_metadata(path), source=source))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One table of one video, with the columns of the current schema, whichever it was written with.

    Raises:
        RecordsError: missing or unreadable, a column is not in it, or holds what it must not; see `table_checks`.
    """
    with _open_parquet(path) as file:
        wanted = _wanted_columns(path, file, columns)
        return TableCheck(path).check(to_current(file.read(_stored(wanted), use_threads=False), wanted))


def count_people(paths: VideoFiles) -> int:
    """Number of people whom the timeline of a video has rows of; 0 without a readable one."""
    try:
        persons = read_table(paths.timeline, ["person_id"]).column("person_id")
    except RecordsError:
        return 0
    return len(persons.drop_null().unique())


@dataclass(frozen=True, slots=True)
class Blocks:
    """A table on disk as blocks of rows, read again in each iteration, so that memory stays flat; see `read_table`."""

    path: Path
    columns: Sequence[str]

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the row groups in order.

        Raises:
            RecordsError: as `read_table`.
        """
        check = TableCheck(self.path)
        with _open_parquet(self.path) as file:
            wanted = _wanted_columns(self.path, file, self.columns)
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, _stored(wanted), use_threads=False)
                yield check.check(to_current(rows, wanted))


def check_records(files: VideoFiles) -> VideoMetadata:
    """Read all of FRAMES and FACES of a finished video, and return what they say of it.

    Files that this process has checked, and that have not changed since, are not read again: a new video's timeline and
    its page both need the check.

    Raises:
        RecordsError: one of them cannot be read or holds what it must not, or they contradict each other.
    """
    return _check_records_as_of(files, _stamp(files.frames), _stamp(files.faces))


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp | None:
    """What differs once a file is written again; None: it is missing, and reading it will say so."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=16)
def _check_records_as_of(
    files: VideoFiles, of_frames_file: _Stamp | None, of_faces_file: _Stamp | None
) -> VideoMetadata:
    metadata, of_frames = read_metadata(files.faces), read_metadata(files.frames)
    # Not the source: a run that stores where it was moved to may have been interrupted between the two.
    if replace(of_frames, source=metadata.source) != metadata:
        raise refuse(files.frames, f"its footer contradicts that of {files.faces.name} in faces")
    for path, promised in (
        (files.frames, metadata.counts.n_analysed),
        (files.faces, metadata.counts.n_faces),
    ):
        with _open_parquet(path) as file:
            if (rows := file.metadata.num_rows) != promised:
                raise refuse(path, f"{rows} rows, its footer says {promised}")
    frames = read_table(files.frames)
    index, time_s = (frames.column(name).to_numpy() for name in ("frame_index", "time_s"))
    # A duration of 0 is unknown.
    if len(time_s) and 0 < metadata.duration_s < time_s[-1] - _TIME_TOLERANCE:
        raise refuse(files.frames, f"a frame after the end of the video ({metadata.duration_s:g} s)")
    n_faces = np.zeros(len(index), dtype=np.int64)
    for faces in Blocks(files.faces, faces_schema(metadata.labels).names):
        frame = faces.column("frame_index").to_numpy()
        if not np.isin(frame, index).all():
            raise refuse(files.faces, "has faces of frames that FRAMES lacks")
        row = np.searchsorted(index, frame)
        np.add.at(n_faces, row, 1)
        if (faces.column("time_s").to_numpy() != time_s[row]).any():
            raise refuse(files.faces, "has other times than FRAMES")
        _check_faces(files, faces, metadata.labels)
    if (n_faces != frames.column("n_faces").to_numpy()).any():
        raise refuse(files.faces, "has other numbers of faces by frame than FRAMES")
    return metadata


_SUM_TOLERANCE = 1e-3
"""Of probabilities, which are float32."""
_TIME_TOLERANCE = 1e-6


def _check_faces(files: VideoFiles, faces: pa.Table, labels: Sequence[str]) -> None:
    total = sum(faces.column(f"prob_{label}").to_numpy().astype(np.float64) for label in labels)
    if len(faces) and np.abs(total - 1).max() > _SUM_TOLERANCE:
        raise refuse(files.faces, "the probabilities of a face do not add up to 1")
    if unknown := set(faces.column("label").unique().to_pylist()) - set(labels):
        raise refuse(files.faces, f"has a label that its model lacks ({sanitize(min(unknown))[:40]})")
    frame, track = (faces.column(name).to_numpy().astype(np.int64) for name in ("frame_index", "track_id"))
    places = (frame << 32 | track)[track != UNTRACKED]
    if len(np.unique(places)) < len(places):
        raise refuse(files.faces, "has two faces of one track in a frame")


@contextlib.contextmanager
def _open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        check_plain_file(path)
        with pq.ParquetFile(local_path(path)) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        # Arrow adds lines of C++ context, and messages have one line.
        first_line = sanitize(str(error).partition("\n")[0])
        raise refuse(path, f"cannot be read ({first_line})") from error


def _wanted_columns(
    path: Path, file: pq.ParquetFile, names: Sequence[str] | None
) -> dict[str, str | pa.DataType]:
    """The columns asked for, in that order, and where each comes from; all of them for None."""
    known = current_columns(file.schema_arrow)
    if missing := [name for name in names or TableCheck(path).required if name not in known]:
        raise refuse(path, f"has no column {missing[0]!r}")
    return known if names is None else {name: known[name] for name in names}


def _stored(columns: dict[str, str | pa.DataType]) -> list[str]:
    return [source for source in columns.values() if isinstance(source, str)]
