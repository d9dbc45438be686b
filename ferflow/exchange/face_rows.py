"""A row per analysed frame and face of a person who counts; a frame without such a face has one row that says why.

| state | meaning |
|---|---|
| `readable` | an expression can be read from the face |
| `turned`, `small`, `blurred`, `occluded` | it cannot, for this reason |
| `no_face` | no face was found in the frame |
| `uncounted` | only faces that do not count: seen briefly, pictures of faces, left out by `corrections.csv` |
| `left_out` | the frame does not count: `corrections.csv`, or `start` and `end` of the session list |

A frame that was not analysed has no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from ferflow.analytics.face_scores import score_columns
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.readability import READABILITY_COLUMNS, REASONS, read_codes
from ferflow.analytics.tally import column, read_ids
from ferflow.analytics.timeline import person_scorer
from ferflow.store.metadata import read_metadata
from ferflow.store.records import read_table
from ferflow.types import Float64Array, Int64Array

_BOXES = ("x1", "y1", "x2", "y2", "score", "face_px", "sharpness", "yaw", "pitch", "roll")
_STATES = np.array(["readable", *REASONS], dtype=object)


@dataclass(frozen=True, slots=True)
class FaceTable:
    """The faces of the people of a session, in order of time, with what they show. Arrays are of N faces."""

    persons: Persons
    labels: tuple[str, ...]
    times: FrameTimes
    """Of all analysed frames, F."""
    n_faces: Int64Array
    """Faces that were found in each frame, (F,)."""
    frame_row: Int64Array
    """Row of the frame of each face."""
    person_id: Int64Array
    label: Int64Array
    """Place of the shown label; -1 where unknown."""
    score: Float64Array
    """Smoothed score of that label."""
    expressiveness: Float64Array

    @classmethod
    def read(cls, persons: Persons, person_ids: Sequence[int]) -> Self:
        """Score the faces of people.

        Raises:
            RecordsError: FRAMES or FACES cannot be read.
        """
        labels = read_metadata(persons.paths.timeline).labels
        frames = read_table(persons.paths.frames)
        scorer = person_scorer(persons, frames)
        # With all columns that are exported, so that a bad one is found now.
        names = dict.fromkeys([*score_columns(labels), *_columns(labels)])
        found = list(scorer(persons.of_whole_recording.faces(*names)))

        person_id = _join_ids(one.person_id for one in found)
        mine = np.isin(person_id, person_ids)
        return cls(
            persons=persons,
            labels=labels,
            times=scorer.times,
            n_faces=column(frames, "n_faces").astype(np.int64),
            frame_row=_join_ids(one.frame_row for one in found)[mine],
            person_id=person_id[mine],
            label=_join_ids(one.label for one in found)[mine],
            score=np.concatenate([np.zeros(0), *(one.score for one in found)])[mine],
            expressiveness=np.concatenate([np.zeros(0), *(one.columns["expressiveness"] for one in found)])[
                mine
            ],
        )

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the rows in blocks, by time: `person_id, frame_index, time_s, seconds, state, track_id, x1` ... `roll,
        prob_<label>, shown, shown_score, expressiveness`; null where unknown.

        Raises:
            RecordsError: FACES cannot be read.
        """
        counted = self.persons.times()
        first, n_frames = 0, len(self.times.time_s)
        for block in self.persons.faces(*_columns(self.labels)):
            rows = self.times.rows(block)
            mine = np.isin(read_ids(block), np.unique(self.person_id))
            after = int(rows[-1]) + 1 if len(rows) else first
            yield self._build(block.filter(pa.array(mine)), rows[mine], range(first, after), counted)
            first = after
        yield self._build(None, np.zeros(0, np.int64), range(first, n_frames), counted)

    def _build(
        self, faces: pa.Table | None, rows: Int64Array, frames: range, counted: FrameTimes
    ) -> pa.Table:
        """Rows of faces, and of the frames without any."""
        empty = np.setdiff1d(np.arange(frames.start, frames.stop), rows)
        parts = [self._face_rows(faces, rows, counted)] if faces is not None else []
        parts.append(self._empty_rows(empty, counted))
        order = np.argsort(np.concatenate([rows, empty]), kind="stable")
        return pa.concat_tables(parts, promote_options="default").take(pa.array(order))

    def _face_rows(self, faces: pa.Table, rows: Int64Array, counted: FrameTimes) -> pa.Table:
        persons = read_ids(faces)
        place = self._find(rows, persons)
        label = self.label[place]
        names = np.array([*self.labels, None], dtype=object)  # -1 is the last
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            "person_id": pa.array(persons, pa.int32()),
            **self._times_of(rows, self._seconds_of(rows, persons, counted)),
            "state": pa.array(_STATES[read_codes(faces)].tolist(), pa.string()),
            "track_id": faces.column("track_id"),
            **{name: faces.column(name) for name in (*_BOXES, *(f"prob_{one}" for one in self.labels))},
            "shown": pa.array(names[label].tolist(), pa.string()),
            "shown_score": pa.array(self.score[place], from_pandas=True),
            "expressiveness": pa.array(self.expressiveness[place], from_pandas=True),
        }
        return pa.table(columns)

    def _empty_rows(self, rows: Int64Array, counted: FrameTimes) -> pa.Table:
        is_counted = np.isin(self.times.frame_index[rows], counted.frame_index)
        state = np.select([~is_counted, self.n_faces[rows] == 0], ["left_out", "no_face"], "uncounted")
        own = {
            "person_id": pa.nulls(len(rows), pa.int32()),
            **self._times_of(rows, np.where(is_counted, self._counted_seconds(rows, counted), 0.0)),
            "state": pa.array(state.tolist(), pa.string()),
            "track_id": pa.nulls(len(rows), pa.int32()),
        }
        names = (*_BOXES, *(f"prob_{label}" for label in self.labels))
        floats = {name: pa.nulls(len(rows), pa.float32()) for name in names}
        last = {
            "shown": pa.nulls(len(rows), pa.string()),
            "shown_score": pa.nulls(len(rows), pa.float64()),
            "expressiveness": pa.nulls(len(rows), pa.float64()),
        }
        return pa.table({**own, **floats, **last})

    def _times_of(self, rows: Int64Array, seconds: Float64Array) -> dict[str, pa.Array]:
        return {
            "frame_index": pa.array(self.times.frame_index[rows]),
            "time_s": pa.array(self.times.time_s[rows]),
            "seconds": pa.array(seconds),
        }

    def _seconds_of(self, rows: Int64Array, persons: Int64Array, counted: FrameTimes) -> Float64Array:
        """Seconds for which each face's frame stands and counts."""
        place = np.searchsorted(counted.frame_index, self.times.frame_index[rows])
        seconds = counted.seconds[place]
        for person, own in counted.seconds_by_person.items():
            seconds[persons == person] = own[place[persons == person]]
        return seconds

    def _counted_seconds(self, rows: Int64Array, counted: FrameTimes) -> Float64Array:
        place = np.searchsorted(counted.frame_index, self.times.frame_index[rows])
        return np.append(counted.seconds, 0.0)[place]

    def _find(self, rows: Int64Array, persons: Int64Array) -> Int64Array:
        """Place of each face among the N."""
        most = int(max(self.person_id.max(initial=0), persons.max(initial=0))) + 1
        keys, wanted = self.frame_row * most + self.person_id, rows * most + persons
        order = np.argsort(keys, kind="stable")
        return order[np.searchsorted(keys, wanted, sorter=order)].astype(np.int64)


def _join_ids(parts: Iterable[Int64Array]) -> Int64Array:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _columns(labels: Sequence[str]) -> list[str]:
    names = ["frame_index", *_BOXES, *READABILITY_COLUMNS, *(f"prob_{label}" for label in labels)]
    return list(dict.fromkeys(names))
