"""What several definitions of "expressive" say of the faces of a finished video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.face_scores import Basis, Scorer, score_columns
from ferflow.analytics.measures import NEUTRAL_LABEL
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column, read_ids, rows_by_value
from ferflow.jobs.benchmarks.ratings import FacePlaces
from ferflow.models.registry import find_neutral_prior
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float64Array, Int64Array

DEFINITIONS = ("now", "lower-quartile baseline", "1 - p_neutral")

_BASELINE_EXPRESSIVE, _PLAIN_EXPRESSIVE = 0.3, 0.5
"""Values from which a face counted as expressive."""
_BASELINE_SECONDS, _BASELINE_QUANTILE = 10.0, 0.25


@dataclass(frozen=True, slots=True)
class Answers:
    """Of the N faces of people of one video, in order of time."""

    clip: str
    """Name of the video's file, without the ending."""
    places: FacePlaces
    seconds: Float64Array
    """What each face's frame stands for."""
    scores: Mapping[str, Float64Array]
    """Expressiveness by definition, in [0, 1]; NaN: no answer."""
    expressive: Mapping[str, Float64Array]
    """Share of the time of the face's frame in which it is expressive, by definition; NaN: no answer."""
    labels: Mapping[str, Int64Array]
    """Place of a label: `shown` on pages, -1 where there is none; `raw`, that of the highest score."""


def read_answers(video: VideoFiles, *, end_s: float | None = None) -> Answers:
    """What the definitions say of a video, or of its beginning, as if it ended there.

    Raises:
        RecordsError: the tables cannot be read.
    """
    metadata = read_metadata(video.faces)
    columns = [*score_columns(metadata.labels), "time_s", "x1", "y1", "x2", "y2"]
    no_rows = read_table(video.faces, columns).slice(0, 0)
    found = pa.concat_tables([no_rows, *Persons.of(video).faces(*columns)], promote_options="default")
    frames, faces = _until(read_table(video.frames), end_s), _until(found, end_s)
    scorer = Scorer.of(frames, faces, _basis(metadata, end_s))
    people = pa.array(list(scorer.people), pa.int32())
    faces = faces.filter(pc.is_in(faces.column("person_id"), people))
    scored = list(scorer(faces))
    probs = {label: column(faces, f"prob_{label}") for label in metadata.labels}
    person_id, seconds = read_ids(faces), scorer.times.seconds[scorer.times.rows(faces)]

    def joined(name: str) -> Float64Array:
        return np.concatenate([np.zeros(0), *(part.columns[name] for part in scored)])

    plain = 1 - probs[NEUTRAL_LABEL]
    above_baseline = _above_baseline(plain, person_id, seconds)
    return Answers(
        clip=Path(metadata.source.name).stem,
        places=_places(frames, faces, person_id),
        seconds=seconds,
        scores={
            "now": joined("expressiveness"),
            "lower-quartile baseline": above_baseline,
            "1 - p_neutral": plain,
        },
        expressive={
            "now": joined("engagement"),
            "lower-quartile baseline": _reach(above_baseline, _BASELINE_EXPRESSIVE),
            "1 - p_neutral": _reach(plain, _PLAIN_EXPRESSIVE),
        },
        labels={
            "shown": np.concatenate([np.zeros(0, np.int64), *(part.label for part in scored)]),
            "raw": np.stack(list(probs.values())).argmax(axis=0),
        },
    )


def _reach(scores: Float64Array, threshold: float) -> Float64Array:
    return np.where(np.isnan(scores), np.nan, scores >= threshold)


def _until(table: pa.Table, end_s: float | None) -> pa.Table:
    return table if end_s is None else table.filter(pc.less(table.column("time_s"), end_s))


def _basis(metadata: VideoMetadata, end_s: float | None) -> Basis:
    basis = Basis.of(metadata, find_neutral_prior(metadata.model))
    return basis if end_s is None else replace(basis, end_s=end_s)


def _places(frames: pa.Table, faces: pa.Table, person_id: Int64Array) -> FacePlaces:
    x1, y1, x2, y2 = (column(faces, name) for name in ("x1", "y1", "x2", "y2"))
    return FacePlaces(
        time_s=column(faces, "time_s"),
        person_id=person_id,
        centre=np.stack([(x1 + x2) / 2, (y1 + y2) / 2], axis=1),
        height=y2 - y1,
        size=(frames.column("width")[0].as_py(), frames.column("height")[0].as_py()),
    )


def _above_baseline(plain: Float64Array, person_id: Int64Array, seconds: Float64Array) -> Float64Array:
    """The earlier definition: less the lower quartile of each person who is in view for ten seconds or more."""
    found = plain.copy()
    for rows in rows_by_value(person_id).values():
        if seconds[rows].sum() >= _BASELINE_SECONDS:
            found[rows] = np.maximum(0, plain[rows] - np.quantile(plain[rows], _BASELINE_QUANTILE))
    return found
