"""The faces of a finished video, frame by frame, as they are drawn: with names, and corrected as the pages are.

faces = ShownFaces.read(persons, key="frame_index")
for face in faces.at(frame.index): print(face.name, face.xyxy, face.scores)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from ferflow.analytics.face_scores import score_columns
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.readability import READABILITY_COLUMNS, REASONS, read_codes
from ferflow.analytics.tally import column, read_ids
from ferflow.analytics.timeline import person_scorer
from ferflow.store.metadata import read_metadata
from ferflow.store.records import read_table
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, Float64Array, Int8Array, Int64Array

Key = Literal["frame_index", "pts"]
"""By what a frame is found: its number where a video is read from its start, else its timestamp."""

_LONGEST_GAP_S = 2.0
"""Between two analysed frames; over a longer one, the place of a face is unknown."""
_BOX = ("x1", "y1", "x2", "y2")
_COLUMNS = ("frame_index", *_BOX, *READABILITY_COLUMNS)


@dataclass(frozen=True, slots=True)
class ShownFace:
    """A face in a frame."""

    xyxy: tuple[float, float, float, float]
    """Source pixels, upright."""
    track_id: int
    person_id: int
    """`UNTRACKED`: it belongs to no person."""
    name: str | None
    """Of the person."""
    scores: Mapping[str, float]
    """By label, as pages show them: re-weighted, with neutral as likely beforehand as all others together, and smoothed
    over half a second; empty where they are unknown."""
    unreadable: str | None
    """Why the expression cannot be read."""


@dataclass(frozen=True, slots=True)
class ShownFaces:
    """N faces as columns, in order of time, and the M frames that were analysed."""

    labels: tuple[str, ...]
    names: Mapping[int, str]
    keys: Int64Array
    """Int64 (M,), ascending."""
    time_s: Float64Array
    """Float64 (M,)."""
    first_row: Int64Array
    """Int64 (M,)."""
    n_rows: Int64Array
    """Int64 (M,): the faces of frame m are so many rows from first_row[m] on."""
    xyxy: Float32Array
    """Float32 (N, 4)."""
    track_id: Int64Array
    person_id: Int64Array
    scores: Float32Array
    """Float32 (N, labels); NaN where unknown."""
    reason: Int8Array
    """Int8 (N,): place in `REASONS`; -1: readable."""

    @classmethod
    def read(cls, persons: Persons, key: Key) -> ShownFaces:
        """Read the tables of a video; 80 bytes a face.

        Raises:
            RecordsError: they cannot be read.
        """
        labels = read_metadata(persons.paths.faces).labels
        frames = persons.frames()
        index, keys, time_s = (column(frames, name) for name in ("frame_index", key, "time_s"))
        faces = _Columns.joined([_read_block(block) for block in persons.faces(*_COLUMNS)])
        order, rows = np.argsort(keys, kind="stable"), np.argsort(faces.frame_index, kind="stable")
        first_row = np.searchsorted(faces.frame_index[rows], index[order])
        n_rows = np.searchsorted(faces.frame_index[rows], index[order], side="right") - first_row
        return cls(
            labels=labels,
            names={person: persons.name_of(person) for person in persons.ids},
            keys=keys[order].astype(np.int64),
            time_s=time_s[order],
            first_row=first_row,
            n_rows=n_rows,
            xyxy=faces.xyxy[rows],
            track_id=faces.track_id[rows],
            person_id=faces.person_id[rows],
            scores=_read_scores(persons, labels, faces)[rows],
            reason=faces.reason[rows],
        )

    def at(self, key: int, time_s: float) -> list[ShownFace]:
        """The faces of a frame; between two analysed frames, where their tracks lead.

        Args:
            key: of the frame.
            time_s: of the frame.
        """
        place = int(np.searchsorted(self.keys, key, side="right")) - 1
        if place < 0:
            return []
        if self.keys[place] == key:
            return [self._face(row, self.xyxy[row]) for row in self._rows(place)]
        if place + 1 == len(self.keys):
            return []
        before_s, after_s = self.time_s[place], self.time_s[place + 1]
        if not before_s <= time_s <= after_s or not 0 < after_s - before_s <= _LONGEST_GAP_S:
            return []
        return list(self._between(place, float((time_s - before_s) / (after_s - before_s))))

    def _between(self, place: int, share: float) -> Iterator[ShownFace]:
        before = {int(self.track_id[row]): row for row in self._rows(place)}
        after = {int(self.track_id[row]): row for row in self._rows(place + 1)}
        for track in sorted({*before, *after} - {UNTRACKED}):
            if track in before and track in after:
                a, b = before[track], after[track]
                yield self._face(
                    a if share < 0.5 else b, self.xyxy[a] + np.float32(share) * (self.xyxy[b] - self.xyxy[a])
                )
            elif track in before and share < 0.5:
                yield self._face(before[track], self.xyxy[before[track]])
            elif track in after and share >= 0.5:
                yield self._face(after[track], self.xyxy[after[track]])

    def _rows(self, place: int) -> range:
        first = int(self.first_row[place])
        return range(first, first + int(self.n_rows[place]))

    def _face(self, row: int, xyxy: Float32Array) -> ShownFace:
        scores, person, reason = self.scores[row], int(self.person_id[row]), int(self.reason[row])
        return ShownFace(
            xyxy=tuple(xyxy.tolist()),
            track_id=int(self.track_id[row]),
            person_id=person,
            name=self.names.get(person),
            scores={} if np.isnan(scores).any() else dict(zip(self.labels, scores.tolist(), strict=True)),
            unreadable=REASONS[reason] if reason >= 0 else None,
        )


@dataclass(frozen=True, slots=True)
class _Columns:
    frame_index: Int64Array
    xyxy: Float32Array
    track_id: Int64Array
    person_id: Int64Array
    reason: Int8Array

    @classmethod
    def joined(cls, parts: Sequence[_Columns]) -> _Columns:
        none = np.zeros(0, np.int64)
        parts = [cls(none, np.zeros((0, 4), np.float32), none, none, np.zeros(0, np.int8)), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


def _read_block(block: pa.Table) -> _Columns:
    return _Columns(
        frame_index=column(block, "frame_index").astype(np.int64),
        xyxy=np.stack([column(block, name) for name in _BOX], axis=1).astype(np.float32),
        track_id=column(block, "track_id").astype(np.int64),
        person_id=read_ids(block),
        reason=(read_codes(block) - 1).astype(np.int8),
    )


def _read_scores(persons: Persons, labels: Sequence[str], faces: _Columns) -> Float32Array:
    """The scores of each face, float32 (N, labels); NaN for faces of people who do not count."""
    found = np.full((len(faces.frame_index), len(labels)), np.nan, np.float32)
    if not len(found):
        return found
    scorer = person_scorer(persons, read_table(persons.paths.frames))
    codes = _join(faces.frame_index, faces.person_id)
    order = np.argsort(codes, kind="stable")
    for part in scorer(persons.of_whole_recording.faces(*score_columns(labels))):
        wanted = _join(scorer.times.frame_index[part.frame_row], part.person_id)
        rows = order[np.minimum(np.searchsorted(codes[order], wanted), len(order) - 1)]
        values = np.stack([part.expressions[label] for label in labels], axis=1).astype(np.float32)
        hits = (codes[rows] == wanted) & part.readable
        found[rows[hits]] = values[hits]
    return found


def _join(frame_index: Int64Array, person_id: Int64Array) -> Int64Array:
    """One number for a frame and a person: a person has one face in a frame."""
    return frame_index * (1 << 32) + person_id
