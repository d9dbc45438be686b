"""The rows of a video in each table of a data set.

Names, merges and corrections are applied as in `ferflow export`: everything is read through `Persons`. Tables of people
leave out faces and stretches that do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column, read_ids
from ferflow.analytics.timeline import person_timeline
from ferflow.exchange.dataset.plan import PlannedPerson, PlannedVideo
from ferflow.exchange.dataset.tables import MINUTE_SUMS, minute_means
from ferflow.exchange.person_bins import build_person_bins
from ferflow.store.metadata import read_metadata
from ferflow.store.records import Blocks
from ferflow.store.schemas import FRAMES, faces_schema
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float64Array, Int64Array

_ROUND = 9
"""Digits of seconds: a difference of two times must not differ from a third by a rounding error."""


def timeline_rows(
    video: PlannedVideo, participant: str, persons: Persons, schema: pa.Schema
) -> Iterator[pa.Table]:
    """A row per person of a participant and bin, whether the person is seen or not; see `person_bins`.

    Raises:
        RecordsError: a table cannot be read.
    """
    people = video.of_participant(participant)
    bins = build_person_bins(persons, person_timeline(persons), [one.person_id for one in people])
    bins = bins.take(pc.sort_indices(bins, [("bin_start_s", "ascending"), ("person_id", "ascending")]))
    start_s = column(bins, "bin_start_s")
    found = {"start_s": bins.column("bin_start_s"), "end_s": bins.column("bin_end_s")}
    found |= {name: bins.column(name) for name in bins.column_names}
    found |= _name_people(video, people, column(bins, "person_id").astype(np.int64)) | _clock(video, start_s)
    yield to_schema(found, schema)


def face_rows(
    video: PlannedVideo, participant: str, persons: Persons, schema: pa.Schema
) -> Iterator[pa.Table]:
    """A row per face of a participant that counts, by time, as FACES has it.

    Raises:
        RecordsError: FACES cannot be read.
    """
    people = video.of_participant(participant)
    ids = [one.person_id for one in people]
    for block in persons.faces(*faces_schema(read_metadata(persons.paths.faces).labels).names):
        mine = block.filter(pa.array(np.isin(read_ids(block), ids)))
        if len(mine):
            found = {name: mine.column(name) for name in mine.column_names}
            found |= _name_people(video, people, read_ids(mine)) | _clock(video, column(mine, "time_s"))
            yield to_schema(found, schema)


def frame_rows(video: PlannedVideo, files: VideoFiles, schema: pa.Schema) -> Iterator[pa.Table]:
    """A row per analysed frame, as FRAMES has it.

    Raises:
        RecordsError: FRAMES cannot be read.
    """
    for block in Blocks(files.frames, FRAMES.names):
        found = {name: block.column(name) for name in block.column_names}
        names = _name_video(video) | {"participant": video.participant, "group": video.group}
        found |= {name: _repeat(value, len(block)) for name, value in names.items()}
        yield to_schema(found | _clock(video, column(block, "time_s")), schema)


def sum_minutes(timeline: pa.Table, labels: Sequence[str]) -> pa.Table:
    """Sums of rows of `timeline` by person and minute: of durations, and of each measure and its weight."""
    columns = {name: timeline.column(name) for name in _MINUTE_KEYS}
    columns |= {name: timeline.column(name) for name in MINUTE_SUMS}
    for name in minute_means(labels):
        values, weight = column(timeline, name), column(timeline, _weight_of(name))
        is_known = np.isfinite(values) & np.isfinite(weight)
        columns[name] = pa.array(np.where(is_known, values * weight, 0.0))
        columns[_of_weight(name)] = pa.array(np.where(is_known, weight, 0.0))
    return add_up(pa.table(columns))


def add_up(sums: pa.Table) -> pa.Table:
    """Sums of equal keys as one row."""
    names = [name for name in sums.column_names if name not in _MINUTE_KEYS]
    found = sums.group_by(_MINUTE_KEYS).aggregate([(name, "sum") for name in names])
    return found.rename_columns([name.removesuffix("_sum") for name in found.column_names])


def finish_minutes(sums: pa.Table, schema: pa.Schema) -> pa.Table:
    """Means in place of sums; null where nothing is known."""
    columns = {name: sums.column(name) for name in sums.column_names if not name.endswith(_WEIGHT)}
    for name in sums.column_names:
        if name.endswith(_WEIGHT):
            mean, weight = name.removesuffix(_WEIGHT), column(sums, name)
            values = np.divide(column(sums, mean), weight, out=np.zeros(len(weight)), where=weight > 0)
            columns[mean] = pa.array(values, mask=weight <= 0)
    return to_schema(columns, schema)


_MINUTE_KEYS = ["video_id", "video", "participant", "group", "stimulus", "person", "person_id", "minute",
                "stimulus_minute"]  # fmt: skip
_WEIGHT = "/weight"
"""Ending of a column: no label of a model is called so, since labels have no slash."""


def _of_weight(name: str) -> str:
    return name + _WEIGHT


def _weight_of(name: str) -> str:
    """What a mean over time is weighted by, see docs/numbers.md."""
    return {"attention": "face_s", "presence": "seconds"}.get(name, "readable_s")


def to_schema(columns: Mapping[str, pa.Array | pa.ChunkedArray], schema: pa.Schema) -> pa.Table:
    """Columns in the order and with the types of a schema; null where a video lacks one."""
    n = len(next(iter(columns.values())))
    found = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(found, schema=schema)


def _name_people(
    video: PlannedVideo, people: Sequence[PlannedPerson], person_ids: Int64Array
) -> dict[str, pa.Array]:
    """Names of the person of each row."""
    ids = np.array([one.person_id for one in people], dtype=np.int64)
    order = np.argsort(ids)
    place = pa.array(order[np.searchsorted(ids, person_ids, sorter=order)] if len(ids) else person_ids)
    found = {name: _repeat(value, len(person_ids)) for name, value in _name_video(video).items()}
    for name in ("person", "participant", "group"):
        found[name] = pa.array([getattr(one, name) for one in people], pa.string()).take(place)
    return found


def _name_video(video: PlannedVideo) -> dict[str, str | None]:
    return {"video_id": video.video_id, "video": video.video, "stimulus": video.stimulus}


def _repeat(value: str | None, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), n)


def _clock(video: PlannedVideo, time_s: Float64Array) -> dict[str, pa.Array]:
    """Minute of the video, and time and minute of the stimulus; null without one."""
    clock = np.round(time_s - video.offset_s, _ROUND)
    has_none = np.full(len(time_s), video.stimulus is None)
    return {
        "minute": pa.array(_minute_of(time_s)),
        "stimulus_time_s": pa.array(clock, mask=has_none),
        "stimulus_minute": pa.array(_minute_of(clock), mask=has_none),
    }


def _minute_of(time_s: Float64Array) -> Int64Array:
    return np.floor(np.round(time_s, _ROUND) / 60).astype(np.int64)
