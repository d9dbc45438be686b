"""What a timeline says in short: its peaks, its people, how much it rests on.

for peak in peaks(table):
print(peak.time_s, peak.label, peak.track_ids)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.signal import find_peaks

from ferflow.analytics.tally import (
    NEUTRAL_LABEL,
    Faces,
    FaceScores,
    Scorer,
    Tally,
    blocks,
    column,
    frame_rows,
    ratio,
    rows_by_value,
    tally,
)
from ferflow.analytics.timeline import bin_of
from ferflow.store.records import UNTRACKED
from ferflow.types import Float64Array, Int64Array

SMOOTHING_SECONDS = 3.0
"""Window of the centred moving average that peaks are looked for on."""
PEAK_PROMINENCE = 0.05
"""A peak stands out from its surroundings by at least this much engagement."""
PEAK_SHARE = 0.2
"""And by this share of what the most prominent one does: beside a great moment, ripples are none."""
PEAK_SPACING_SECONDS = 5.0
"""Of two peaks closer than this, the higher stays."""
PEAKS_SHOWN = 8
SMALL_FACE_PX = 30.0
"""Below this side in pixels of the source, a face is a guess: the models see 48 px or more."""
HOLE_STEPS = 1.75
"""Where frames are known to have failed, a gap of so many usual steps is where they were."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A moment that stands out of the audience's curve."""

    time_s: float
    """Middle of the bin in which the curve itself is highest there."""
    start_s: float
    end_s: float
    """The stretch around it in which the smoothed curve stays above half of the prominence."""
    height: float
    """The curve in that bin, in [0, 1]."""
    prominence: float
    """How far it rises above its surroundings, in (0, 1]."""
    curve: str
    """`engagement`; or `expressiveness`, where no pose is known in the whole video."""
    label: str | None
    """Most probable expression there apart from neutral."""
    track_ids: tuple[int, ...]
    """Who is reacting there; if nobody is, the most expressive person."""


def audience(table: pa.Table) -> pa.Table:
    """The audience rows of a timeline, one per bin."""
    return table.filter(pc.is_null(table.column("track_id")))


def smoothed(values: Float64Array, bin_seconds: float, seconds: float = SMOOTHING_SECONDS) -> Float64Array:
    """Centred moving average over about `seconds`, an odd number of bins; NaN is left out, not zero.

    Args:
        values: float64 (bins,).
        bin_seconds: length of a bin.
        seconds: length of the window.
    """
    half = round((seconds / bin_seconds - 1) / 2)
    if half < 1 or not len(values):
        return values
    window = np.ones(2 * half + 1)
    known = np.isfinite(values)
    sums = np.convolve(np.where(known, values, 0.0), window)[half : half + len(values)]
    return ratio(sums, np.round(np.convolve(known, window)[half : half + len(values)]))


def peak_curve(table: pa.Table) -> str:
    """The curve peaks are looked for on: engagement, or expressiveness where no pose is known at all."""
    column_known = table.column("engagement").null_count < len(table)
    return "engagement" if column_known else "expressiveness"


def peaks(table: pa.Table, *, most: int = PEAKS_SHOWN, prominence: float = PEAK_PROMINENCE) -> list[Peak]:
    """Moments at which the audience's smoothed engagement stands out, in order of time.

    Args:
        table: TIMELINE of one video.
        most: how many to give, the most prominent first to be taken.
        prominence: smallest rise above the surroundings.
    """
    whole = audience(table)
    if not len(whole):
        return []
    name, bin_seconds = peak_curve(table), _bin_seconds(whole)
    values = column(whole, name)
    curve = _bridged(values, bin_seconds)
    if curve is None:
        return []
    # Held down at both ends, so that a reaction that opens or closes the video is a peak too.
    held = np.pad(curve, 1, constant_values=curve.min())
    spacing = max(1, round(PEAK_SPACING_SECONDS / bin_seconds))
    found, facts = find_peaks(held, prominence=prominence, distance=spacing, width=0, rel_height=0.5)
    best = np.argsort(-facts["prominences"], kind="stable")[:most]
    best = best[facts["prominences"][best] >= PEAK_SHARE * facts["prominences"].max(initial=0.0)]
    made = [
        _peak(
            table,
            name,
            _highest(values, int(found[k]) - 1, bin_seconds),
            prominence=float(facts["prominences"][k]),
            span=(float(facts["left_ips"][k]) - 1, float(facts["right_ips"][k]) - 1),
        )
        for k in best
    ]
    return sorted(made, key=lambda peak: peak.time_s)


def _highest(values: Float64Array, k: int, bin_seconds: float) -> int:
    """The highest bin near a peak of the smoothed curve: what a reader points at must be what the table says."""
    half = max(0, round((SMOOTHING_SECONDS / bin_seconds - 1) / 2))
    low = max(0, k - half)
    near = values[low : k + half + 1]
    return low + int(np.nanargmax(near)) if np.isfinite(near).any() else k


def _bridged(values: Float64Array, bin_seconds: float) -> Float64Array | None:
    """The smoothed curve with straight lines over its gaps, where no peak can then lie; None if all is gap."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    curve = smoothed(values, bin_seconds)[known]
    return np.asarray(np.interp(np.arange(len(values)), known, curve), dtype=np.float64)


def _peak(table: pa.Table, name: str, k: int, *, prominence: float, span: tuple[float, float]) -> Peak:
    whole = audience(table)
    start, end = (float(whole.column(edge)[k].as_py()) for edge in ("bin_start_s", "bin_end_s"))
    length = end - start
    return Peak(
        time_s=(start + end) / 2,
        start_s=max(0.0, (span[0] + 0.5) * length),
        end_s=min((span[1] + 0.5) * length, float(whole.column("bin_end_s")[-1].as_py())),
        height=_first(whole, name, k),
        prominence=prominence,
        curve=name,
        label=leading_label({field: _first(whole, field, k) for field in probability_columns(whole)}),
        track_ids=_involved(table, start, name),
    )


def _involved(table: pa.Table, bin_start_s: float, name: str) -> tuple[int, ...]:
    here = pc.and_(pc.equal(table.column("bin_start_s"), bin_start_s), pc.is_valid(table.column("track_id")))
    rows = table.filter(here)
    tracks, reacting = column(rows, "track_id").astype(int), column(rows, "reacting") == 1
    if not reacting.any() and len(tracks):
        values = np.nan_to_num(column(rows, name))
        reacting = values >= max(values.max(), 1e-9)
    return tuple(int(track) for track in tracks[reacting])


def probability_columns(table: pa.Table) -> list[str]:
    """`prob_<label>` columns, in the model's order."""
    return [name for name in table.column_names if name.startswith("prob_")]


def leading_label(means: dict[str, float], *, neutral: bool = False) -> str | None:
    """Label with the highest mean probability; None if none is known.

    Args:
        means: by column name `prob_<label>`.
        neutral: whether neutral may lead.
    """
    named = {name.removeprefix("prob_"): value for name, value in means.items() if np.isfinite(value)}
    if not neutral:
        named.pop(NEUTRAL_LABEL, None)
    return max(named, key=lambda label: named[label]) if named else None


@dataclass(frozen=True, slots=True)
class Person:
    """One track over the whole video. Means are over its faces; NaN where unknown."""

    track_id: int
    first_s: float
    last_s: float
    seconds: float
    """Time on screen: the sum over frames with the face."""
    n_faces: int
    means: dict[str, float]
    """`attention`, `expressiveness`, `engagement`, `valence`, `positive`, `negative`, `prob_<label>`, and
    `reacting`: share of faces that pass the threshold."""
    pose_known: float
    """Share of faces with a known pose."""
    label: str | None
    """Most probable expression on the whole, neutral included."""
    leading: str | None
    """Most probable expression apart from neutral."""


def people(frames: pa.Table, faces: Faces, labels: Sequence[str]) -> list[Person]:
    """Everybody in a video, longest on screen first.

    Args:
        frames: FRAMES of the video.
        faces: FACES of the video, whole or in blocks.
        labels: the model's labels.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    scorer, time_s = Scorer.of(frames, faces, labels), column(frames, "time_s")
    seen: dict[int, list[_Seen]] = {}
    for block in blocks(faces):
        scores = scorer(block)
        for track, rows in rows_by_value(scores.track_id).items():
            seen.setdefault(track, []).append(_Seen.of(scores, rows, time_s[scores.frame_row[rows]]))
    everybody = [_person(track, parts) for track, parts in seen.items()]
    return sorted(everybody, key=lambda person: (-person.seconds, person.track_id))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a block shows of one person."""

    first_s: float
    last_s: float
    seconds: float
    n_faces: int
    total: Tally

    @classmethod
    def of(cls, scores: FaceScores, rows: Int64Array, time_s: Float64Array) -> _Seen:
        one = np.zeros(len(rows), dtype=np.int64)
        total = tally({name: values[rows] for name, values in scores.columns.items()}, one, 1)
        seconds = float(scores.seconds[rows].sum())
        return cls(float(time_s.min()), float(time_s.max()), seconds, len(rows), total)


def _person(track: int, parts: Sequence[_Seen]) -> Person:
    total = sum((part.total for part in parts), start=Tally())
    means = {name: float(values[0]) for name, values in total.means.items()}
    probabilities = {name: value for name, value in means.items() if name.startswith("prob_")}
    n_faces = sum(part.n_faces for part in parts)
    return Person(
        track_id=track,
        first_s=min(part.first_s for part in parts),
        last_s=max(part.last_s for part in parts),
        seconds=sum(part.seconds for part in parts),
        n_faces=n_faces,
        means=means,
        pose_known=float(total.counts["attention"][0]) / n_faces,
        label=leading_label(probabilities, neutral=True),
        leading=leading_label(probabilities),
    )


def peak_end(table: pa.Table) -> float:
    """`(peak happy + end happy) / 2` of the audience's smoothed curve, in [0, 1]; NaN if nobody was seen.

    The end is the last bin with somebody in it. After the peak-end rule, as Realeyes' impact has it.
    """
    whole = audience(table)
    if "prob_happy" not in whole.column_names or not len(whole):
        return float("nan")
    curve = smoothed(column(whole, "prob_happy"), _bin_seconds(whole))
    known = np.flatnonzero(column(whole, "n_people") > 0)
    return float((np.nanmax(curve) + curve[known[-1]]) / 2) if len(known) else float("nan")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a video the numbers rest on."""

    n_frames: int
    n_frames_with_face: int
    n_faces: int
    n_untracked: int
    n_pose_unknown: int
    """Among all faces."""
    n_people: int

    @property
    def share(self) -> float:
        """Analysed frames with a face, of all analysed; NaN without any."""
        return float(ratio(self.n_frames_with_face, self.n_frames))


def coverage(frames: pa.Table, faces: Faces) -> Coverage:
    """Count frames and faces of one video."""
    n_faces, n_untracked, n_pose_unknown, tracks = 0, 0, 0, set[int]()
    for block in blocks(faces):
        ids = column(block, "track_id").astype(np.int64)
        n_faces += len(ids)
        n_untracked += int((ids == UNTRACKED).sum())
        n_pose_unknown += int(np.isnan(column(block, "yaw")).sum())
        tracks |= set(np.unique(ids[ids != UNTRACKED]).tolist())
    return Coverage(
        n_frames=len(frames),
        n_frames_with_face=int((column(frames, "n_faces") > 0).sum()),
        n_faces=n_faces,
        n_untracked=n_untracked,
        n_pose_unknown=n_pose_unknown,
        n_people=len(tracks),
    )


STRIP = pa.schema(
    [
        ("bin_start_s", pa.float64()),
        ("face", pa.float64()),
        ("small", pa.float64()),
        ("nobody", pa.float64()),
        ("missing", pa.float64()),
        ("outside", pa.float64()),
    ]
)
"""What became of the time of each bin, in seconds: analysed with a face, with none but small ones, with nobody;
without a frame that could be read; and outside of the range that was asked for."""


def strip(frames: pa.Table, faces: Faces, *, bin_seconds: float, failed: bool, ranged: bool) -> pa.Table:
    """What became of the time of every bin, a table of `STRIP`.

    A frame stands for the time until the next one; a longer gap is `missing` from one usual step on. It is a
    gap when it is longer than a second and than twice the usual step; where frames are known to have failed,
    when it is `HOLE_STEPS` usual steps or longer.

    Args:
        frames: FRAMES of one video, in order.
        faces: FACES of it, `frame_index` and `face_px`, whole or in blocks.
        bin_seconds: length of a bin.
        failed: whether frames of this video could not be decoded.
        ranged: whether a start was asked for; time before the first frame then lies outside.
    """
    time_s = column(frames, "time_s")
    ends = _frame_ends(time_s, bin_seconds, failed=failed)
    n_bins = int(bin_of(time_s[-1:], bin_seconds).max(initial=-1)) + 1
    edges: Float64Array = np.arange(n_bins + 1, dtype=np.float64) * bin_seconds
    state = _frame_states(frames, faces)
    columns = {
        name: _seconds_between(edges, time_s[state == k], ends[state == k])
        for k, name in enumerate(("face", "small", "nobody"))
    }
    before = _seconds_between(edges, np.zeros(len(time_s[:1])), time_s[:1])
    gaps = _seconds_between(edges, ends[:-1], time_s[1:])
    columns["missing"] = gaps if ranged else gaps + before
    columns["outside"] = before if ranged else np.zeros(len(before))
    return pa.table({"bin_start_s": edges[:-1], **columns}, schema=STRIP)


def _frame_ends(time_s: Float64Array, bin_seconds: float, *, failed: bool) -> Float64Array:
    """Where the time that each frame stands for ends; one alone stands for a bin."""
    if len(time_s) < 2:
        return time_s + bin_seconds
    steps = np.diff(time_s)
    usual = float(np.median(steps))
    gap = steps >= HOLE_STEPS * usual if failed else steps > max(1.0, 2 * usual)
    lengths = np.append(np.where(gap, usual, steps), usual)
    return np.asarray(time_s + lengths, dtype=np.float64)


def _frame_states(frames: pa.Table, faces: Faces) -> Int64Array:
    """Of every frame, int64 (N,): 0 with a face, 1 with small ones only, 2 with none."""
    index, largest = column(frames, "frame_index").astype(np.int64), np.zeros(len(frames))
    for block in blocks(faces):
        np.maximum.at(largest, frame_rows(index, block), column(block, "face_px"))
    seen = column(frames, "n_faces") > 0
    return np.where(seen, np.where(largest >= SMALL_FACE_PX, 0, 1), 2).astype(np.int64)


def _seconds_between(edges: Float64Array, starts: Float64Array, ends: Float64Array) -> Float64Array:
    """How much of each stretch between two edges is filled by intervals in order that do not overlap."""
    filled = np.concatenate([[0.0], np.cumsum(ends - starts)])
    before = np.searchsorted(starts, edges)
    over = np.append(ends, 0.0)[before - 1] - edges
    return np.asarray(np.diff(filled[before] - np.where(before > 0, np.maximum(over, 0.0), 0.0)))


def _bin_seconds(whole: pa.Table) -> float:
    return float(whole.column("bin_end_s")[0].as_py()) - float(whole.column("bin_start_s")[0].as_py())


def _first(table: pa.Table, name: str, row: int) -> float:
    value = table.column(name)[row].as_py()
    return float("nan") if value is None else float(value)
