"""Write a data set, or what has changed since it was written.

Each file says in its footer what it was made from, and is replaced at once. So an interrupted run is continued by the
next, and a file whose videos are as before is not touched. Of a file that is written again, the rows of videos that
have not changed are copied from the file itself; only the others are read from the output folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
import pyarrow as pa

from ferflow.analytics.tally import column
from ferflow.errors import FerflowError
from ferflow.exchange.dataset.parquet_file import EarlierRows, read_groups, read_made_from, write_file
from ferflow.exchange.dataset.plan import NO_PLAN, Plan, make_plan, read_plan
from ferflow.exchange.dataset.rows import (
    add_up,
    face_rows,
    finish_minutes,
    frame_rows,
    sum_minutes,
    timeline_rows,
)
from ferflow.exchange.dataset.source import VideoSource
from ferflow.exchange.dataset.state import Dataset, DatasetState
from ferflow.exchange.dataset.tables import DATASET_VERSION, TABLES, DatasetTable, bucket_of
from ferflow.store.run_manifest import timestamp
from ferflow.version import __version__

log = logging.getLogger(__name__)

Entry: TypeAlias = tuple[str, ...]
"""What the rows of one video in a file are found by: participant and video, or the video alone."""


@dataclass(slots=True)
class Compacted:
    """Result of `compact`."""

    plan: Plan
    n_gone: int = 0
    """Videos that were in the data set before."""
    n_written: int = 0
    """Files."""
    n_kept: int = 0
    n_removed: int = 0
    n_buckets: dict[str, int] = field(default_factory=dict)
    """Files of each table."""


class _BadVideoError(Exception):
    """A video of the plan cannot be read any more."""

    def __init__(self, video_id: str, error: FerflowError) -> None:
        super().__init__(video_id)
        self.video_id, self.reason = video_id, str(error)


class _BadFileError(Exception):
    """The rows of an earlier file cannot be read."""


def compact(source: VideoSource, dataset: Dataset, out: Path, *, overwrite: bool = False) -> Compacted:
    """Bring a data set up to date; no other process may write into it.

    Args:
        source: the videos.
        dataset: where to write; see `Dataset.check_place`.
        out: the output folder that the videos are in, absolute.
        overwrite: write every file, whatever it was made from.

    Returns:
        What was done. Videos that cannot be read are left out, and named in it.

    Raises:
        RecordsError: a file cannot be written.
    """
    state = dataset.load_state()
    is_usable = state is not None and state.dataset_version == DATASET_VERSION and not overwrite
    last = read_plan(dataset.plan) if is_usable else NO_PLAN
    plan = make_plan(source, last)
    digits = _choose_digits(plan, state if is_usable else None)
    started = DatasetState(out=str(out), digits=digits)
    dataset.save_state(started)
    if not len(last):
        # Nothing is lost if this is newer than the files, and a long first run need not read every video again.
        plan.save(dataset.plan, dataset.path)
    done = Compacted(plan)
    while True:
        try:
            _Writer(source, dataset, plan, last, digits, done, overwrite=overwrite).write_all()
            break
        except _BadVideoError as bad:
            # Of all tables: files that were written with this video are written again without it.
            plan = plan.without(bad.video_id, bad.reason)
            done.plan, done.n_kept = plan, 0
    plan.save(dataset.plan, dataset.path)
    dataset.save_state(msgspec.structs.replace(started, is_complete=True, finished=timestamp()))
    done.n_gone = len(last.digests().keys() - plan.digests().keys() - plan.failed.keys())
    return done


def _choose_digits(plan: Plan, state: DatasetState | None) -> dict[str, int]:
    """Digits of each table: as they are, or more, never fewer: a table that became smaller is still a good one."""
    n_people = column(plan.table, "n_people")
    person_s = column(plan.table, "duration_s") * n_people
    bins = np.nan_to_num(person_s / column(plan.table, "bin_seconds"))
    n_rows = {
        "videos": len(plan),
        "timeline": bins.sum(),
        "minutes": person_s.sum() / 60 + n_people.sum(),
        "faces": column(plan.table, "n_faces").sum(),
        "frames": column(plan.table, "n_frames").sum(),
    }
    before = state.digits if state is not None else {}
    found = {
        name: max(before.get(name, 0), table.choose_digits(n_rows[name])) for name, table in TABLES.items()
    }
    # A file of minutes is made from whole files of the timeline.
    return found | {"minutes": min(found["minutes"], found["timeline"])}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the data set, and what it is made from."""

    path: Path
    made_from: str
    entries: Sequence[Entry]
    earlier: Sequence[Entry] | None
    """Entries of the existing file, of which those of unchanged videos can be copied; None: there is no such file, or
    not the one that the last plan describes."""


class _Writer:
    """Writes the tables one after the other. Knows a video by its place in the plan."""

    def __init__(
        self,
        source: VideoSource,
        dataset: Dataset,
        plan: Plan,
        last: Plan,
        digits: Mapping[str, int],
        done: Compacted,
        *,
        overwrite: bool,
    ) -> None:
        self._source, self._dataset, self._plan, self._last = source, dataset, plan, last
        self._digits, self._overwrite = digits, overwrite
        self._digests, self._last_digests = plan.digests(), last.digests()
        self._place = {video_id: place for place, video_id in enumerate(self._digests)}
        self._done = done

    def write_all(self) -> None:
        """Write what is not up to date, and count it.

        Raises:
            RecordsError: a file cannot be written.
            _BadVideoError: a video cannot be read.
        """
        made_from: dict[str, dict[str, str]] = {}
        for table in TABLES.values():
            if table.name == "minutes":
                made_from[table.name] = self._write_minutes(table, made_from["timeline"])
            else:
                made_from[table.name] = self._write_table(table)
            self._done.n_buckets[table.name] = len(made_from[table.name])

    def _write_table(self, table: DatasetTable) -> dict[str, str]:
        """Write the files of a table that are not up to date; what each file is made from, by bucket."""
        schema = table.make_schema(self._plan.labels)
        files = dict(self._list_files(table, schema))
        # Before the new files are written: a video that moved to another file is never in two.
        self._done.n_removed += self._dataset.remove_buckets(table.name, files.keys())
        for file in files.values():
            if self._is_stale(file.path, file.made_from):
                self._write_file(table, schema, file)
        return {bucket: file.made_from for bucket, file in files.items()}

    def _list_files(self, table: DatasetTable, schema: pa.Schema) -> Iterator[tuple[str, _File]]:
        wanted = self._group(table, self._plan)
        before = self._group(table, self._last)
        for bucket, entries in sorted(wanted.items()):
            path = self._dataset.file(table.name, bucket)
            earlier = before.get(bucket)
            if earlier is not None:
                described = _digest(schema, ((*entry, self._last_digests[entry[-1]]) for entry in earlier))
                earlier = earlier if read_made_from(path) == described else None
            made_from = _digest(schema, ((*entry, self._digests[entry[-1]]) for entry in entries))
            yield bucket, _File(path, made_from, entries, None if self._overwrite else earlier)

    def _group(self, table: DatasetTable, plan: Plan) -> dict[str, list[Entry]]:
        """The entries of each file, in the order of its rows."""
        digits, found = self._digits[table.name], dict[str, list[Entry]]()
        every: Iterator[Entry] = (
            plan.list_entries() if table.key == "participant" else ((one,) for one in plan.digests())
        )
        for entry in every:
            found.setdefault(bucket_of(entry[0], digits), []).append(entry)
        for entries in found.values():
            entries.sort()
        return found

    def _is_stale(self, path: Path, made_from: str) -> bool:
        is_stale = self._overwrite or read_made_from(path) != made_from
        if not is_stale:
            self._done.n_kept += 1
        return is_stale

    def _write_file(self, table: DatasetTable, schema: pa.Schema, file: _File) -> None:
        try:
            self._write(table, schema, file)
        except _BadFileError as error:
            log.warning("%s: %s; its videos are read again", file.path, error.__cause__)
            self._write(table, schema, replace(file, earlier=None))
        self._done.n_written += 1

    def _write(self, table: DatasetTable, schema: pa.Schema, file: _File) -> None:
        rows = self._read_rows(table, schema, file)
        log.info("writing %s (%d videos)", file.path, len(file.entries))
        write_file(file.path, table, schema, rows, out=self._dataset.path, made_from=file.made_from)

    def _read_rows(self, table: DatasetTable, schema: pa.Schema, file: _File) -> Iterator[pa.Table]:
        """Rows of the entries in order: copied from the existing file, or read from the output folder."""
        known = {entry for entry in file.earlier or () if entry[-1] not in self._plan.changed}
        key = ("participant", "video_id") if table.key == "participant" else ("video_id",)
        earlier = EarlierRows(file.path, key) if known else None
        try:
            for entry in file.entries:
                if earlier is not None and entry in known:
                    yield from _copy(earlier, entry)
                else:
                    yield from self._make_rows(table, schema, entry)
        finally:
            if earlier is not None:
                earlier.close()  # Windows replaces no file that is open

    def _make_rows(self, table: DatasetTable, schema: pa.Schema, entry: Entry) -> Iterator[pa.Table]:
        video_id = entry[-1]
        try:
            yield from self._rows_of(table, schema, entry)
        except FerflowError as error:
            raise _BadVideoError(video_id, error) from error

    def _rows_of(self, table: DatasetTable, schema: pa.Schema, entry: Entry) -> Iterator[pa.Table]:
        video_id = entry[-1]
        place = self._place[video_id]
        if table.name == "videos":
            yield self._plan.table.slice(place, 1).select(schema.names).cast(schema)
            return
        video = self._plan.read(place)
        if table.name == "frames":
            yield from frame_rows(video, self._source.files(video_id), schema)
            return
        make = face_rows if table.name == "faces" else timeline_rows
        yield from make(video, entry[0], self._source.read_persons(video_id), schema)

    def _write_minutes(self, table: DatasetTable, timeline: Mapping[str, str]) -> dict[str, str]:
        """Write the files of minutes that are not up to date, from those of the timeline."""
        schema = table.make_schema(self._plan.labels)
        parts: dict[str, list[str]] = {}
        for bucket in timeline:
            parts.setdefault(bucket[: 1 + self._digits[table.name]], []).append(bucket)
        made_from = {
            bucket: _digest(schema, ((one, timeline[one]) for one in every))
            for bucket, every in parts.items()
        }
        self._done.n_removed += self._dataset.remove_buckets(table.name, parts.keys())
        for bucket, every in parts.items():
            path = self._dataset.file(table.name, bucket)
            if self._is_stale(path, made_from[bucket]):
                rows = self._sum_minutes(every, schema).sort_by([(name, "ascending") for name in table.order])
                write_file(path, table, schema, [rows], out=self._dataset.path, made_from=made_from[bucket])
                self._done.n_written += 1
        return made_from

    def _sum_minutes(self, buckets: Sequence[str], schema: pa.Schema) -> pa.Table:
        """Rows of minutes from some files of the timeline; with bins of a second, a sixtieth of their rows."""
        labels = self._plan.labels
        groups = (group for one in buckets for group in read_groups(self._dataset.file("timeline", one)))
        return finish_minutes(
            add_up(pa.concat_tables(sum_minutes(group, labels) for group in groups)), schema
        )


def _copy(earlier: EarlierRows, entry: Entry) -> Iterator[pa.Table]:
    try:
        yield from earlier.of(entry)
    except (OSError, pa.ArrowException) as error:
        raise _BadFileError from error


def _digest(schema: pa.Schema, parts: Iterable[tuple[str, ...]]) -> str:
    """Digest of what a file is made from."""
    columns = [(field.name, str(field.type)) for field in schema]
    found = hashlib.sha256(json.dumps([DATASET_VERSION, __version__, columns]).encode())
    for part in parts:
        found.update(json.dumps(part).encode())
    return found.hexdigest()
