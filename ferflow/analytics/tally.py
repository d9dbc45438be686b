"""What single faces say, as columns, and sums of them that add up.

>>> import numpy as np
>>> cells = np.array([0, 0, 1])
>>> valence = np.array([0.5, 0.1, np.nan])
>>> parts = [tally({"valence": valence[rows]}, cells[rows], n_cells=2) for rows in ([0], [1, 2])]
>>> sum(parts, start=Tally()).mean("valence").round(2).tolist()
[0.3, nan]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.errors import RecordsError
from ferflow.store.records import UNTRACKED
from ferflow.types import Float64Array, Int64Array

FRONTAL_DEGREES = 15.0
"""Up to this yaw and pitch a face counts as turned to the camera."""
AVERTED_DEGREES = 35.0
"""From this yaw or pitch on it does not; linear between the two."""
REACTING_THRESHOLD = 0.3
"""Expressiveness from which a person counts as reacting, in [0, 1]."""
BASELINE_QUANTILE = 0.25
"""A person's resting face is the lower quartile: a median would erase who reacts half of the time."""
BASELINE_SECONDS = 10.0
"""Seen for less than this, a person has shown no resting face to learn from."""

POSITIVE_LABEL = "happy"
NEGATIVE_LABELS = ("angry", "disgust", "fear", "sad")
NEUTRAL_LABEL = "neutral"


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums and counts by column, of one cell or of many; ratios come last.

    Tallies of parts of the data add up to the tally of the whole: `sum(parts, start=Tally())`.
    """

    sums: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): sum of the known values."""
    counts: Mapping[str, Float64Array] = field(default_factory=dict)
    """Per column, float64 (cells,): how many values are behind the sum."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(_added(self.sums, other.sums), _added(self.counts, other.counts))

    def mean(self, column: str) -> Float64Array:
        """Sum by count, float64 (cells,); NaN where nothing was counted.

        Raises:
            KeyError: a column that was never counted.
        """
        return ratio(self.sums[column], self.counts[column])

    @property
    def means(self) -> dict[str, Float64Array]:
        """Every column's mean."""
        return {column: self.mean(column) for column in self.sums}


def tally(columns: Mapping[str, Float64Array], cells: Int64Array, n_cells: int) -> Tally:
    """Sum columns by cell.

    Args:
        columns: per name, float64 (N,); NaN is unknown and not counted.
        cells: int64 (N,) in [0, n_cells): the cell each row belongs to.
        n_cells: length of the result.
    """
    sums: dict[str, Float64Array] = {}
    counts: dict[str, Float64Array] = {}
    for name, values in columns.items():
        known = ~np.isnan(values)
        counts[name] = np.bincount(cells[known], minlength=n_cells).astype(np.float64)
        sums[name] = np.bincount(cells[known], values[known], n_cells).astype(np.float64)
    return Tally(sums, counts)


def regrouped(tallies: Sequence[Tally], cells: Int64Array, n_cells: int) -> Tally:
    """Put cells of several tallies together anew.

    Args:
        tallies: laid end to end, N cells in all; each has the columns of the first.
        cells: int64 (N,) in [0, n_cells): where each cell goes; several may go to one.
        n_cells: length of the result.
    """

    def grouped(tables: Sequence[Mapping[str, Float64Array]]) -> dict[str, Float64Array]:
        return {
            name: np.bincount(cells, np.concatenate([table[name] for table in tables]), n_cells).astype(
                np.float64
            )
            for name in tables[0]
        }

    return Tally(grouped([part.sums for part in tallies]), grouped([part.counts for part in tallies]))


def ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Float64Array:
    """Numerator by denominator, NaN where that is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    unknown = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.asarray(np.divide(top, bottom, out=unknown, where=bottom > 0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class FaceScores:
    """The tracked faces of one video. Arrays of length N, float64 with NaN where unknown."""

    frame_row: Int64Array
    """Row of FRAMES each face belongs to."""
    track_id: Int64Array
    seconds: Float64Array
    """Video time each face stands for: that of its frame."""
    columns: dict[str, Float64Array]
    """`attention`, `expressiveness`, `engagement`, `valence`, `positive`, `negative`, `reacting` (0 or 1),
    and `prob_<label>` for every label."""

    @property
    def pose_known(self) -> bool:
        """Whether any face has a pose; a detector without landmarks gives none."""
        return bool(np.isfinite(self.columns["attention"]).any())


Faces: TypeAlias = pa.Table | Iterable[pa.Table]
"""FACES of one video: whole, or in blocks that can be gone through more than once, such as `records.Blocks`."""


def blocks(faces: Faces) -> Iterable[pa.Table]:
    """The blocks of FACES, one if it is whole."""
    return [faces] if isinstance(faces, pa.Table) else faces


@dataclass(frozen=True, slots=True)
class Scorer:
    """What must be known of a whole video before any face of it can be scored; small, however long it is."""

    frame_index: Int64Array
    """Of each analysed frame, ascending."""
    seconds: Float64Array
    """Video time each analysed frame stands for."""
    baselines: Mapping[int, float]
    """By track: 1 - p_neutral of the resting face."""
    labels: Sequence[str]

    @classmethod
    def of(cls, frames: pa.Table, faces: Faces, labels: Sequence[str]) -> Scorer:
        """Learn everybody's resting face.

        Args:
            frames: FRAMES of the video.
            faces: FACES of the video, in any order.
            labels: the model's labels; one that it lacks makes what depends on it unknown.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        frame_index = column(frames, "frame_index").astype(np.int64)
        seconds = frame_seconds(column(frames, "time_s"))
        rest = _Rest()
        for block in blocks(faces):
            rest.add(_tracked(block), frame_index, seconds, labels)
        return cls(frame_index, seconds, rest.baselines(), labels)

    def __call__(self, faces: pa.Table) -> FaceScores:
        """Score the tracked faces of a block.

        Raises:
            RecordsError: a face belongs to a frame that FRAMES does not have.
        """
        faces = _tracked(faces)
        track_id = column(faces, "track_id").astype(np.int64)
        rows = frame_rows(self.frame_index, faces)
        probabilities = {label: column(faces, f"prob_{label}") for label in self.labels}
        attention = attention_of(column(faces, "yaw"), column(faces, "pitch"))
        expressiveness = expressiveness_of(probabilities, track_id, self.baselines)
        positive, negative = polarity_of(probabilities, len(track_id))
        columns = {
            "attention": attention,
            "expressiveness": expressiveness,
            "engagement": attention * expressiveness,
            "valence": positive - negative,
            "positive": positive,
            "negative": negative,
            "reacting": np.where(np.isnan(expressiveness), np.nan, expressiveness >= REACTING_THRESHOLD),
            **{f"prob_{label}": values for label, values in probabilities.items()},
        }
        return FaceScores(rows, track_id, self.seconds[rows], columns)


def score_faces(frames: pa.Table, faces: pa.Table, labels: Sequence[str]) -> FaceScores:
    """Score every tracked face of one video at once; arguments and errors as of `Scorer.of`."""
    return Scorer.of(frames, faces, labels)(faces)


def attention_of(yaw: Float64Array, pitch: Float64Array) -> Float64Array:
    """How far a face is turned to the camera, in [0, 1]; NaN where the pose is unknown.

    Each angle (degrees) opens a gate: 1 within +-15, linear to 0 at +-35. Both must be open: their product.
    """
    width = AVERTED_DEGREES - FRONTAL_DEGREES
    gates = [np.clip((AVERTED_DEGREES - np.abs(angle)) / width, 0.0, 1.0) for angle in (yaw, pitch)]
    return np.asarray(gates[0] * gates[1], dtype=np.float64)


def expressiveness_of(
    probabilities: Mapping[str, Float64Array], track_id: Int64Array, baselines: Mapping[int, float]
) -> Float64Array:
    """`max(0, (1 - p_neutral) - baseline)`, in [0, 1]; NaN without a neutral class."""
    if NEUTRAL_LABEL not in probabilities:
        return np.full(len(track_id), np.nan)
    tracks, track = np.unique(track_id, return_inverse=True)
    baseline = np.array([baselines[int(each)] for each in tracks], dtype=np.float64)
    excess = 1.0 - probabilities[NEUTRAL_LABEL] - baseline[track]
    return np.asarray(np.maximum(0.0, excess), dtype=np.float64)


def polarity_of(probabilities: Mapping[str, Float64Array], n: int) -> tuple[Float64Array, Float64Array]:
    """Positive `p_happy` and negative `max(p_angry, p_disgust, p_fear, p_sad)`, both float64 (n,) in [0, 1].

    Their difference is the valence of FaceReader's form, taken on probabilities.
    """
    unknown = np.full(n, np.nan)
    negative = [probabilities[label] for label in NEGATIVE_LABELS if label in probabilities]
    return probabilities.get(POSITIVE_LABEL, unknown), np.max(negative, axis=0) if negative else unknown


def frame_seconds(time_s: Float64Array) -> Float64Array:
    """Seconds each analysed frame stands for: until the next one, the last as long as the usual one.

    A step longer than a second and than twice the usual one is a hole in the recording, not a long frame.
    """
    if len(time_s) < 2:
        return np.zeros(len(time_s))
    steps = np.diff(time_s)
    usual = float(np.median(steps))
    longest = max(1.0, 2 * usual)
    return np.append(np.where(steps > longest, usual, steps), usual)


def frame_rows(frame_index: Int64Array, faces: pa.Table) -> Int64Array:
    """Row of FRAMES of every face, int64 (N,).

    Args:
        frame_index: of FRAMES, int64 (F,), ascending.
        faces: FACES, or a block of it.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    wanted = column(faces, "frame_index").astype(np.int64)
    rows = np.searchsorted(frame_index, wanted)
    if len(wanted) and (rows.max() >= len(frame_index) or (frame_index[rows] != wanted).any()):
        raise RecordsError(
            "the faces and frames of this video do not belong together. Analyse it again with --overwrite."
        )
    return rows.astype(np.int64)


def rows_by_value(values: Int64Array) -> dict[int, Int64Array]:
    """Rows of each distinct value, ascending, by value."""
    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    return {int(value): rows for value, rows in zip(distinct, np.split(order, starts[1:]), strict=False)}


def column(table: pa.Table, name: str) -> Float64Array:
    """A numeric column as float64 (N,), NaN for null."""
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _tracked(faces: pa.Table) -> pa.Table:
    return faces.filter(pc.not_equal(faces.column("track_id"), UNTRACKED))


@dataclass(frozen=True, slots=True)
class _Rest:
    """Gathers, by track, what its resting face is learnt from: four bytes a face, however many columns it has."""

    neutral: dict[int, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def add(
        self, faces: pa.Table, frame_index: Int64Array, seconds: Float64Array, labels: Sequence[str]
    ) -> None:
        here = seconds[frame_rows(frame_index, faces)]
        known = column(faces, f"prob_{NEUTRAL_LABEL}") if NEUTRAL_LABEL in labels else np.zeros(len(here))
        for track, rows in rows_by_value(column(faces, "track_id").astype(np.int64)).items():
            self.neutral.setdefault(track, []).append(known[rows].astype(np.float32))
            self.seconds[track] = self.seconds.get(track, 0.0) + float(here[rows].sum())

    def baselines(self) -> dict[int, float]:
        return {
            track: self._baseline(track) if seconds >= BASELINE_SECONDS else 0.0
            for track, seconds in self.seconds.items()
        }

    def _baseline(self, track: int) -> float:
        activity = 1.0 - np.concatenate(self.neutral[track]).astype(np.float64)
        return float(np.quantile(activity, BASELINE_QUANTILE))


def _added(a: Mapping[str, Float64Array], b: Mapping[str, Float64Array]) -> dict[str, Float64Array]:
    return {name: a.get(name, np.zeros(())) + b.get(name, np.zeros(())) for name in {**a, **b}}
