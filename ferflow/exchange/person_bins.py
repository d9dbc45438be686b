"""A row per bin and person, also for bins in which the person is not seen: `state` says why there is no value.

| state | meaning |
|---|---|
| `readable` | an expression can be read for a part of the bin at least |
| `unreadable` | the face is in view, and no expression can be read from it |
| `no_face` | the bin was analysed, and the person's face is not in it |
| `left_out` | the bin was analysed, but does not count: `corrections.csv`, or `start` and `end` of the session list |
| `not_analysed` | no frame of the bin was analysed |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import audience, bin_length, bin_of, counted_seconds
from ferflow.types import Float64Array, Int64Array

READABLE, UNREADABLE, NO_FACE, LEFT_OUT, NOT_ANALYSED = STATES = (
    "readable", "unreadable", "no_face", "left_out", "not_analysed",
)  # fmt: skip

ZERO_WITHOUT_A_FACE = ("n_faces", "face_s", "readable_s", "presence")
"""Columns that are known of an analysed bin without the person's face."""

_LEFT_OUT_COLUMNS = ("video_id", "n_frames", "n_people", "n_readable")


def build_person_bins(persons: Persons, timeline: pa.Table, person_ids: Sequence[int]) -> pa.Table:
    """A row per person and bin, by person.

    Args:
        persons: of the video.
        timeline: see `timeline.person_timeline`.
        person_ids: who gets rows.

    Returns:
        `person_id, bin_start_s, bin_end_s, state`, and the columns of TIMELINE from `n_faces` on; null where unknown.

    Raises:
        RecordsError: FRAMES cannot be read.
    """
    step_s, bins = bin_length(timeline), audience(timeline)
    every = counted_seconds(persons, step_s, person_ids) if person_ids else {}
    whole_s = _whole_seconds(persons, step_s) if person_ids else np.zeros(0)
    parts = [
        _rows_of(person, bins, timeline, step_s, counted_s=every[person], whole_s=whole_s)
        for person in person_ids
    ]
    return pa.concat_tables(parts) if parts else _empty(timeline)


def _whole_seconds(persons: Persons, step_s: float) -> Float64Array:
    """Analysed time of each bin, whether it counts or not."""
    return counted_seconds(persons.of_whole_recording, step_s, [0])[0]


def _rows_of(
    person: int,
    bins: pa.Table,
    timeline: pa.Table,
    step_s: float,
    *,
    counted_s: Float64Array,
    whole_s: Float64Array,
) -> pa.Table:
    mine = timeline.filter(pc.equal(timeline.column("person_id"), person))
    row = np.full(len(bins), -1, dtype=np.int64)
    row[bin_of(column(mine, "bin_start_s"), step_s)] = np.arange(len(mine))
    values = mine.take(pa.array(row, mask=row < 0))
    state = _find_states(row, mine, counted_s, whole_s)
    is_away = pa.array(state == NO_FACE)
    columns = {
        "person_id": pa.array(np.full(len(bins), person), pa.int32()),
        "bin_start_s": bins.column("bin_start_s"),
        "bin_end_s": bins.column("bin_end_s"),
        "state": pa.array(state.tolist()),
    }
    for name in _value_columns(timeline):
        known = values.column(name)
        if name == "seconds":
            known = pa.array(counted_s)
        elif name in ZERO_WITHOUT_A_FACE:
            known = pc.if_else(is_away, pa.scalar(0, known.type), known)
        columns[name] = known
    return pa.table(columns)


def _find_states(
    row: Int64Array, mine: pa.Table, counted_s: Float64Array, whole_s: Float64Array
) -> npt.NDArray[np.object_]:
    readable_s = np.append(column(mine, "readable_s"), 0.0)[row]
    found = [
        (row >= 0) & (readable_s > 0),
        row >= 0,
        counted_s > 0,
        whole_s > 0,
    ]
    return np.select(found, [READABLE, UNREADABLE, NO_FACE, LEFT_OUT], NOT_ANALYSED).astype(object)


def _value_columns(timeline: pa.Table) -> list[str]:
    names = timeline.column_names
    return [name for name in names[names.index("n_faces") :] if name not in _LEFT_OUT_COLUMNS]


def _empty(timeline: pa.Table) -> pa.Table:
    own = [("person_id", pa.int32()), ("bin_start_s", pa.float64()), ("bin_end_s", pa.float64())]
    own.append(("state", pa.string()))
    values = [(name, timeline.schema.field(name).type) for name in _value_columns(timeline)]
    return pa.schema([*own, *values]).empty_table()
