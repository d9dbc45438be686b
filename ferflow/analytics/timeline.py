"""From faces to a timeline: a row per time bin for every person, and one for the audience.

    table = timeline(frames, faces, basis, video_id="talk", bin_seconds=1.0)

A person's bin is the mean over the readable time of that person's face; the audience's bin is the mean over the people
who are readable for half of it or longer. All numbers are defined in `docs/numbers.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from ferflow.analytics.face_scores import Basis, FaceScores, Scorer, score_columns
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.limits import WHOLE_RECORDING, CountedPart
from ferflow.analytics.measures import (
    DEFINITION,
    LEAST_READABLE,
    MEASURES,
    NEUTRAL_LABEL,
    REACTING_THRESHOLD,
    face_measures,
    timeline_measures,
)
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import Faces, Tally, blocks, column, ratio, regroup, tally
from ferflow.errors import RecordsError
from ferflow.plain_file import local_path
from ferflow.store.metadata import MOST_BINS, Shift, TimelineBasis, VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import check_records, read_table, write_table
from ferflow.store.run_manifest import RunManifest
from ferflow.store.table_checks import refuse
from ferflow.store.video_files import VideoFiles
from ferflow.system.memory import release_memory
from ferflow.types import Float64Array, Int64Array

# 0.3 / 0.1 is 2.9999999999999996 in floating point, but a frame at 0.3 s belongs to the bin that starts there.
_BIN_TOLERANCE = 1e-9

_RANGE_TOLERANCE = 1e-5
"""Measures are means of float32."""

_OF_ALL_IN_VIEW = ("attention",)
"""Measures that are known of faces that cannot be read, too."""

_DURATIONS = ("seconds", "face_s", "readable_s")


def timeline_schema(labels: Sequence[str]) -> pa.Schema:
    """Columns of TIMELINE: a row per bin and person, and one per bin for the audience (person_id null).

    Counts stay exact as integers; measures are float32, which is as exact as the probabilities that they are made of.
    """
    return pa.schema(
        [
            ("video_id", pa.string()),
            ("bin_start_s", pa.float64()),
            ("bin_end_s", pa.float64()),
            ("person_id", pa.int32()),
            ("n_frames", pa.int32()),
            ("n_faces", pa.int32()),
            *((name, pa.float64()) for name in _DURATIONS),
            *((name, pa.float32()) for name in timeline_measures(labels)),
            ("n_people", pa.int16()),
            ("n_readable", pa.int16()),
        ]
    )


def timeline(frames: pa.Table, faces: Faces, basis: Basis, *, video_id: str, bin_seconds: float) -> pa.Table:
    """Aggregate the faces of one video to time bins.

    Bin k spans [k, k + 1) x `bin_seconds`, from 0 to the end of the time that the last analysed frame stands for; the
    time of a frame is divided at the bounds of bins. Each bin has an audience row, also without frames. A person who is
    not seen only briefly has a row in each bin with a face of that person.

    Args:
        frames: FRAMES of the video, in order.
        faces: FACES of the video, whole or in blocks, in order; see `face_scores.score_columns`. Untracked faces and
            people seen briefly count in the audience's `n_faces` and `presence` only.
        basis: what the measures are computed with.
        video_id: written into every row.
        bin_seconds: length of a bin.

    Returns:
        A table of `timeline_schema(labels)`, by bin; within a bin the audience first, then people by id.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    return _timeline(frames, faces, Scorer.of(frames, faces, basis), video_id, bin_seconds)


def _timeline(
    frames: pa.Table,
    faces: Faces,
    scorer: Scorer,
    video_id: str,
    bin_seconds: float,
    counted: CountedPart = WHOLE_RECORDING,
) -> pa.Table:
    times, labels = scorer.times, scorer.basis.labels
    bins = _Bins.of(times, bin_seconds, counted)
    n_faces = np.zeros(len(bins.n_frames), dtype=np.int64)
    for block in blocks(faces):
        n_faces += np.bincount(bins.first_bins_of(times.rows(block)), minlength=len(n_faces))
    sums = _BinSums.joined([_BinSums.none(labels), *(_BinSums.of(scores, bins) for scores in scorer(faces))])
    people = _person_rows(sums, bins)
    audience_rows = _audience_rows(people, bins, n_faces, column(frames, "n_faces") > 0)
    return _table(audience_rows, people, video_id, bin_seconds, labels)


def audience(table: pa.Table) -> pa.Table:
    """The audience rows of a timeline, one per bin."""
    return table.filter(pc.is_null(table.column("person_id")))


def probability_columns(table: pa.Table) -> list[str]:
    """`prob_<label>` columns, in the model's order."""
    return [name for name in table.column_names if name.startswith("prob_")]


def shown_columns(table: pa.Table) -> list[str]:
    """`shown_<label>` columns, in the model's order."""
    return [name for name in table.column_names if name.startswith("shown_")]


def leading_label(shares: Mapping[str, float], *, neutral: bool = False) -> str | None:
    """The label that is shown for the longest time; None if none is shown.

    Args:
        shares: of readable time, by column name `shown_<label>`.
        neutral: whether neutral may lead.
    """
    named = {name.removeprefix("shown_"): value for name, value in shares.items() if value > 0}
    if not neutral:
        named.pop(NEUTRAL_LABEL, None)
    return max(named, key=lambda label: named[label]) if named else None


def weighted_means(table: pa.Table) -> dict[str, float]:
    """Means of rows of people, weighted by time: `attention` by time in view, all else by readable time.

    Args:
        table: rows of TIMELINE of one or several people, not those of the audience.

    Returns:
        By name of the column: all measures, `prob_*` and `shown_*`; NaN where nothing is known.
    """
    found = weighted_means_of_parts(table, np.ones((1, len(table))))
    return {name: float(values[0]) for name, values in found.items()}


def weighted_means_of_parts(table: pa.Table, parts: Float64Array) -> dict[str, Float64Array]:
    """`weighted_means` of several parts of a table at once.

    Args:
        table: as in `weighted_means`.
        parts: share of each row's time that counts, float64 (parts, rows).

    Returns:
        By name of the column, float64 (parts,).
    """
    weights = {name: column(table, name) for name in ("face_s", "readable_s")}
    found = {}
    for name in (*MEASURES, *probability_columns(table), *shown_columns(table)):
        values, weight = column(table, name), weights["face_s" if name == "attention" else "readable_s"]
        known = np.isfinite(values)
        weight = np.where(known, weight, 0.0)
        found[name] = ratio(parts @ (np.where(known, values, 0.0) * weight), parts @ weight)
    return found


def person_rows(table: pa.Table) -> pa.Table:
    """The rows of people of a timeline."""
    return table.filter(pc.is_valid(table.column("person_id")))


def bin_length(table: pa.Table) -> float:
    """Length of the bins of a TIMELINE in seconds; NaN for an empty one."""
    if not len(table):
        return float("nan")
    return float(table.column("bin_end_s")[0].as_py()) - float(table.column("bin_start_s")[0].as_py())


def bin_of(time_s: Float64Array, bin_seconds: float) -> Int64Array:
    """Index of the bin of each time, int64 (N,)."""
    return np.floor(time_s / bin_seconds + _BIN_TOLERANCE).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Bins:
    """The time of each frame, divided into pieces at the bounds of B bins. Pieces are in order of time."""

    first_piece: Int64Array
    """Of each row of FRAMES, and one more: the pieces of row r are those from `first_piece[r]` to `[r + 1]`, none if
    the frame does not count."""
    bin: Int64Array
    """Of each piece."""
    piece_s: Float64Array
    piece_s_by_person: Mapping[int, Float64Array]
    """The same of a person of whom stretches do not count."""
    n_frames: Int64Array
    """Frames that start in each bin, int64 (B,); of a frame that starts before what counts, the first bin that does."""
    seconds: Float64Array
    """Analysed time of each bin that counts, (B,)."""

    @classmethod
    def of(cls, times: FrameTimes, bin_seconds: float, counted: CountedPart) -> Self:
        """Bins of the whole video; what does not count of it is empty."""
        end_s = times.time_s + times.seconds
        n_bins = int(_last_bins(times.time_s, end_s, bin_seconds).max(initial=-1)) + 1
        frame, start_s, end_s = counted.limits.split(times.time_s, end_s)
        first, last = bin_of(start_s, bin_seconds), _last_bins(start_s, end_s, bin_seconds)
        n_pieces = last - first + 1
        part = np.repeat(np.arange(len(frame)), n_pieces)
        bin_ = first[part] + np.arange(len(part)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
        low = np.maximum(start_s[part], bin_ * bin_seconds)
        high = np.maximum(np.minimum(end_s[part], (bin_ + 1) * bin_seconds), low)
        n_of_frame = np.bincount(frame[part], minlength=len(times.time_s))
        _, first_part = np.unique(frame, return_index=True)
        return cls(
            np.concatenate([[0], np.cumsum(n_of_frame)]),
            bin_,
            high - low,
            {person: own.measure(low, high) for person, own in counted.of_persons.items()},
            np.bincount(first[first_part], minlength=n_bins),
            np.bincount(bin_, high - low, n_bins).astype(np.float64),
        )

    def seconds_of(self, person_id: Int64Array, piece: Int64Array) -> Float64Array:
        """Seconds that pieces stand for, each for a person, float64 (N,)."""
        seconds = self.piece_s[piece]
        for person, own in self.piece_s_by_person.items():
            mine = person_id == person
            seconds[mine] = own[piece[mine]]
        return seconds

    def seconds_in(self, person_id: Int64Array, bins: Int64Array) -> Float64Array:
        """Analysed time of bins that counts, each for a person, float64 (N,)."""
        seconds = self.seconds[bins]
        for person, own in self.piece_s_by_person.items():
            mine = person_id == person
            seconds[mine] = np.bincount(self.bin, own, len(self.seconds))[bins[mine]]
        return seconds

    def first_bins_of(self, rows: Int64Array) -> Int64Array:
        """The bin in which each of these rows of FRAMES starts, of those that count."""
        first = self.first_piece[rows]
        return self.bin[first[self.first_piece[rows + 1] > first]]

    def pieces_of(self, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Place in `rows` and number of each piece of these rows of FRAMES."""
        start = self.first_piece[rows]
        n = self.first_piece[rows + 1] - start
        place = np.repeat(np.arange(len(rows)), n)
        return place, np.arange(len(place)) - np.repeat(np.cumsum(n) - n, n) + start[place]


def _last_bins(start_s: Float64Array, end_s: Float64Array, bin_seconds: float) -> Int64Array:
    """The last bin into which each frame reaches; one that ends on a bound does not reach into the next bin."""
    last = np.ceil(end_s / bin_seconds - _BIN_TOLERANCE).astype(np.int64) - 1
    return np.maximum(bin_of(start_s, bin_seconds), last)


@dataclass(frozen=True, slots=True)
class _BinSums:
    """Sums of measures by bin and person. Arrays of length C, in order of bin, then of person."""

    bin: Int64Array
    person_id: Int64Array
    n_faces: Int64Array
    total: Tally
    """Weighted by seconds. The sums of `face_s` and `readable_s` are the seconds themselves."""

    @classmethod
    def none(cls, labels: Sequence[str]) -> Self:
        """Sums without any face, with every column."""
        nothing = np.zeros(0, dtype=np.int64)
        names = ["face_s", "readable_s", *face_measures(labels)]
        return cls(nothing, nothing, nothing, tally({name: np.zeros(0) for name in names}, nothing, 0))

    @classmethod
    def of(cls, scores: FaceScores, bins: _Bins) -> Self:
        """Sum up the faces of a block."""
        face, piece = bins.pieces_of(scores.frame_row)
        seconds = bins.seconds_of(scores.person_id[face], piece)
        # A piece of a person's excluded stretch must not make a row of the table.
        kept = (seconds > 0) | (bins.piece_s[piece] == 0)
        face, piece, seconds = face[kept], piece[kept], seconds[kept]
        bin_, person_id, cell = _distinct(bins.bin[piece], scores.person_id[face])
        columns = {"face_s": np.ones(len(face)), "readable_s": scores.readable.astype(np.float64)[face]}
        columns |= {name: values[face] for name, values in scores.columns.items()}
        total = tally(columns, cell, len(bin_), seconds)
        # A face counts in the bin in which its frame starts.
        starts = piece == bins.first_piece[scores.frame_row[face]]
        return cls(bin_, person_id, np.bincount(cell[starts], minlength=len(bin_)), total)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Add up the sums of all blocks; a bin may be in two of them."""
        bin_, person_id, cell = _distinct(*(np.concatenate([getattr(part, name) for part in parts])
                                            for name in ("bin", "person_id")))  # fmt: skip
        n_faces = np.bincount(cell, np.concatenate([part.n_faces for part in parts]), len(bin_))
        total = regroup([part.total for part in parts], cell, len(bin_))
        return cls(bin_, person_id, n_faces.astype(np.int64), total)


def _distinct(bins: Int64Array, person_id: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Bin and person of the distinct pairs, in order, and for each row the index of its pair."""
    # One integer for a pair: np.unique sorts integers much faster than rows of two.
    most = int(person_id.max(initial=0)) + 1
    pairs, cell = np.unique(bins * most + person_id, return_inverse=True)
    return pairs // most, pairs % most, cell.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _TimelineRows:
    """Rows of the future timeline, without what is the same in every table. Arrays of length R."""

    bin: Int64Array
    person_id: Int64Array
    """0: the audience."""
    columns: Mapping[str, Float64Array | Int64Array]
    """All other columns, by name."""


def _person_rows(cells: _BinSums, bins: _Bins) -> _TimelineRows:
    seconds, face_s, readable_s = (
        bins.seconds_in(cells.person_id, cells.bin),
        cells.total.sums["face_s"],
        cells.total.sums["readable_s"],
    )
    columns = cells.total.means
    counts_there = readable_s >= LEAST_READABLE * seconds - _BIN_TOLERANCE
    for name in (measure.name for measure in MEASURES.values() if measure.majority):
        is_known = counts_there & ~np.isnan(columns[name])
        columns[name] = np.where(is_known, columns[name] >= REACTING_THRESHOLD, np.nan)
    counts = {
        "n_frames": bins.n_frames[cells.bin],
        "n_faces": cells.n_faces,
        "n_people": np.ones(len(cells.bin), dtype=np.int64),
        "n_readable": counts_there.astype(np.int64),
    }
    durations = {
        "seconds": seconds,
        "face_s": face_s,
        "readable_s": readable_s,
        "presence": ratio(face_s, seconds),
    }
    return _TimelineRows(cells.bin, cells.person_id, {**columns, **counts, **durations})


def _audience_rows(
    people: _TimelineRows,
    bins: _Bins,
    n_faces: Int64Array,
    with_face: npt.NDArray[np.bool_],
) -> _TimelineRows:
    """Means over people, and sums of their times; `n_faces` and `presence` are of all faces, untracked ones too.

    Of expressions, the means are over the people who are readable for long enough in the bin.
    """
    n_bins = len(bins.n_frames)

    def summed(name: str) -> Float64Array:
        return np.bincount(people.bin, people.columns[name], n_bins).astype(np.float64)

    is_readable = people.columns["n_readable"] > 0
    measures = {
        name: np.where(is_readable | (name in _OF_ALL_IN_VIEW), values, np.nan).astype(np.float64)
        for name, values in people.columns.items()
    }
    columns = tally(measures, people.bin, n_bins).means
    _, piece = bins.pieces_of(np.flatnonzero(with_face))
    face_time = np.bincount(bins.bin[piece], bins.piece_s[piece], n_bins)
    counts = {
        "n_frames": bins.n_frames,
        "n_faces": n_faces,
        "n_people": summed("n_people").astype(np.int64),
        "n_readable": summed("n_readable").astype(np.int64),
    }
    durations = {
        "seconds": bins.seconds,
        "face_s": summed("face_s"),
        "readable_s": summed("readable_s"),
        "presence": ratio(face_time, bins.seconds),
    }
    no_person = np.zeros(n_bins, dtype=np.int64)
    return _TimelineRows(np.arange(n_bins), no_person, {**columns, **counts, **durations})


def _table(
    audience_rows: _TimelineRows,
    people: _TimelineRows,
    video_id: str,
    bin_seconds: float,
    labels: Sequence[str],
) -> pa.Table:
    bins = np.concatenate([audience_rows.bin, people.bin])
    persons = np.concatenate([audience_rows.person_id, people.person_id])
    order = np.lexsort([persons, bins])
    schema = timeline_schema(labels)
    # Bounds are rounded, so that bin 3 of 0.1 s starts at 0.3 and not at 0.30000000000000004.
    values: dict[str, npt.NDArray[np.generic]] = {
        "video_id": np.repeat(video_id, len(order)),
        "bin_start_s": np.round(bins * bin_seconds, 9)[order],
        "bin_end_s": np.round((bins + 1) * bin_seconds, 9)[order],
    }
    for name in people.columns:
        values[name] = np.concatenate([audience_rows.columns[name], people.columns[name]])[order]
    # from_pandas turns NaN into null: in the tables, unknown is null.
    arrays = {name: pa.array(array, from_pandas=True) for name, array in values.items()}
    arrays["person_id"] = pa.array(persons[order], mask=persons[order] == 0)
    return pa.table(
        {name: arrays[name].cast(schema.field(name).type) for name in schema.names}, schema=schema
    )


# --- The timeline of a finished video, on disk -----------------------------------------------------------


def write_timeline(paths: VideoFiles, basis: Basis, bin_seconds: float) -> None:
    """Write the timeline of a finished video from its records.

    Raises:
        RecordsError: the records cannot be read, or make more bins than a timeline can have.
    """
    metadata = check_records(paths)
    check_n_bins(metadata, bin_seconds)
    # Before, what the analysis left fragmented; after, what this function read: the page is made next.
    release_memory()
    frames, faces = read_table(paths.frames), Persons.of(paths).faces(*score_columns(metadata.labels))
    scorer = Scorer.of(frames, faces, basis)
    table = _timeline(frames, faces, scorer, paths.video_id, bin_seconds)
    shifts = tuple(Shift(person, odds) for person, odds in sorted(scorer.shifts.items()))
    footer = replace(metadata, bin_seconds=bin_seconds, basis=replace(_footer_basis(basis), shifts=shifts))
    write_table(paths.timeline, table, footer)
    release_memory()


def person_timeline(persons: Persons) -> pa.Table:
    """TIMELINE of a finished video as far as it counts, with the persons that the user's list makes of its tracks.

    Where the lists change nothing it is the table on disk. Otherwise it is computed again from FRAMES and FACES, block
    by block, with the same bins. Of a part of the recording, the bins outside are empty, as are those that
    `corrections.csv` excludes; smoothing and calibration use all of it.

    Raises:
        RecordsError: a table is missing or cannot be read, or the timeline is of an earlier version.
    """
    paths, metadata = persons.paths, read_metadata(persons.paths.timeline)
    if not persons.is_changed and persons.counted == WHOLE_RECORDING:
        return read_timeline(paths)
    bin_seconds = metadata.bin_seconds or bin_length(read_table(paths.timeline))
    frames = read_table(paths.frames)
    faces = persons.of_whole_recording.faces(*score_columns(metadata.labels))
    scorer = person_scorer(persons, frames)
    return _timeline(frames, faces, scorer, paths.video_id, bin_seconds, persons.counted)


def person_scorer(persons: Persons, frames: pa.Table) -> Scorer:
    """What scores the faces of the whole recording, of the people who count in the part of it that counts.

    Args:
        persons: of a finished video.
        frames: FRAMES of all of it.

    Raises:
        RecordsError: FACES or the footer of TIMELINE cannot be read.
    """
    metadata = read_metadata(persons.paths.timeline)
    faces = persons.of_whole_recording.faces(*score_columns(metadata.labels))
    scorer = replace_fields(
        Scorer.of(frames, faces, Basis.stored(metadata)), relabels=persons.corrections.relabels
    )
    if persons.counted == WHOLE_RECORDING:
        return scorer
    return scorer.limited_to(persons.faces("frame_index", "score"), persons.times())


def counted_seconds(
    persons: Persons, bin_seconds: float, person_ids: Sequence[int]
) -> dict[int, Float64Array]:
    """Analysed time of each bin of `person_timeline` that counts for each of these people, float64 (bins,).

    Raises:
        RecordsError: FRAMES cannot be read.
    """
    bins = _Bins.of(persons.of_whole_recording.times(), bin_seconds, persons.counted)
    every = np.arange(len(bins.seconds))
    return {person: bins.seconds_in(np.full(len(every), person), every) for person in person_ids}


def check_n_bins(metadata: VideoMetadata, bin_seconds: float) -> None:
    """Refuse a video that is too long for a timeline.

    Raises:
        RecordsError: it has more than `MOST_BINS`.
    """
    if metadata.duration_s > MOST_BINS * bin_seconds:
        n_bins = metadata.duration_s / bin_seconds
        raise RecordsError(
            f"{metadata.video_id}: {n_bins:.3g} bins of {bin_seconds:g} s are more than {MOST_BINS}. "
            "Give a longer --bin; if the video is not that long, its timestamps are broken."
        )


def read_timeline(paths: VideoFiles) -> pa.Table:
    """TIMELINE of a finished video as it was stored.

    Raises:
        RecordsError: missing or unreadable, of an earlier version, or it holds what it must not.
    """
    metadata = read_metadata(paths.timeline)
    table = read_table(paths.timeline, timeline_schema(metadata.labels).names)
    if (problem := _find_problem(table, metadata)) is not None:
        raise refuse(paths.timeline, problem)
    return table


def _find_problem(table: pa.Table, metadata: VideoMetadata) -> str | None:
    """What a stored timeline holds that it must not, in words; None: nothing."""
    if table.schema.types != timeline_schema(metadata.labels).types:
        return "columns of other types"
    ranges = {name: measure.range for name, measure in timeline_measures(metadata.labels).items()}
    for name, (low, high) in (ranges | dict.fromkeys(_DURATIONS, (0, np.finfo(float).max))).items():
        values = column(table, name)
        if ((values < low - _RANGE_TOLERANCE) | (values > high + _RANGE_TOLERANCE)).any():
            return f"values of {name!r} that are not possible"
    bins = column(table, "bin_start_s") / (metadata.bin_seconds or bin_length(table))
    of_audience = table.column("person_id").is_null().to_numpy()
    n_bins = int(of_audience.sum())
    is_regular = np.allclose(bins[of_audience], np.arange(n_bins), atol=0.01)
    if not is_regular or (bins > n_bins - 0.5).any() or (metadata.counts.n_analysed and not n_bins):
        return "bins that do not follow each other"
    return None


def person_shifts(persons: Persons) -> Mapping[int, float]:
    """Calibrations in log odds by person, as `person_timeline` applies them.

    Raises:
        RecordsError: a table is missing or cannot be read.
    """
    basis = Basis.stored(read_metadata(persons.paths.timeline))
    if not basis.rest:
        return {}
    # Not those in the footer: a person whom names join of several may be at rest in any of their tracks.
    faces = persons.of_whole_recording.faces(*score_columns(basis.labels))
    return Scorer.of(read_table(persons.paths.frames), faces, basis).shifts


def is_current(paths: VideoFiles, basis: Basis, bin_seconds: float | None = None) -> bool:
    """Whether a finished video has its timeline, with today's measures, of this basis.

    Args:
        paths: of the video.
        basis: what its measures should be computed with.
        bin_seconds: length of its bins; None: any.
    """
    try:
        footer, metadata = read_metadata(paths.timeline), read_metadata(paths.faces)
        stored = pq.read_schema(local_path(paths.timeline))
    except (RecordsError, OSError, pa.ArrowException):
        return False
    made_of = replace(footer, bin_seconds=None, basis=None, schema_version=metadata.schema_version)
    return (
        footer.basis is not None
        and made_of == metadata
        and replace(footer.basis, shifts=()) == _footer_basis(basis)
        and bin_seconds in (None, footer.bin_seconds)
        # A measure may have been added since, by a user too.
        and all(field in stored for field in timeline_schema(basis.labels))
    )


def usual_bins(paths: VideoFiles) -> float:
    """Length of the bins of a video's timeline; if it has none, of the last run, since a folder has bins of one length.

    Raises:
        RecordsError: the records cannot be read.
    """
    try:
        found = read_metadata(paths.timeline).bin_seconds
    except RecordsError:
        found = None
    if found is not None:
        return found
    manifest = RunManifest.load(OutputFolder(paths.out).manifest)
    return (manifest.options if manifest else read_metadata(paths.faces).options).bin_seconds


def _footer_basis(basis: Basis) -> TimelineBasis:
    return TimelineBasis(definition=DEFINITION, neutral_prior=basis.neutral_prior, rest=basis.rest)
