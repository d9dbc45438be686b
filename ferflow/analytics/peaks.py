"""Peaks of a timeline: moments at which something happens on the faces.

Three curves of the audience are searched: the share of people who react, expressiveness, and the change of net
positivity (a turn from sad to happy need not change the other two).

for peak in peaks(table):
    print(peak.time_s, peak.curve, peak.label, peak.person_ids)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.local_peaks import find_peaks
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import audience, bin_length, leading_label, shown_columns
from ferflow.types import Float64Array, Int64Array

SMOOTHING_SECONDS = 3.0
"""Window of the centred moving average on which peaks are found; also what is compared before and after a change."""
PEAK_PROMINENCE = 0.1
"""Smallest prominence of a peak of reacting or expressiveness, in units of the curve."""
CHANGE_PROMINENCE = 0.5
"""The same of a turn of net positivity."""
LEAST_SIDE = 0.2
"""Net positivity that a turn needs on both of its sides: the end of a smile is no turn."""
PEAK_SHARE = 0.2
"""Smallest prominence as a share of the largest one: in a video with one large reaction, small ripples do not count."""
PEAK_SPACING_SECONDS = 5.0
"""Of two peaks closer than this, the more prominent one is kept."""
PEAKS_SHOWN = 8
"""As many as a reader can look at one by one."""

Curve: TypeAlias = Literal["reacting", "expressiveness", "valence"]
"""What rises at a peak; `valence`: net positivity changes."""


Shown: TypeAlias = tuple[tuple[str, int], ...]
"""What the people who react show, and how many of them, the most frequent label first."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A moment at which one of the audience's curves rises above its surroundings."""

    time_s: float
    """Middle of the bin within the peak in which the most people react, then faces are most expressive; of a turn the
    bin in which it is largest."""
    start_s: float
    end_s: float
    """The smoothed curve is above half of the prominence from `start_s` to here."""
    height: float
    """Value of the curve in that bin; of `valence` the change, in [-2, 2]."""
    prominence: float
    """Topographic prominence on the smoothed curve, as SciPy defines it."""
    curve: Curve
    label: str | None
    """The label apart from neutral that most of them show; without any, that of the audience."""
    person_ids: tuple[int, ...]
    """The people who react in that bin."""
    shown: Shown = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """The bin in which the most people react, or, of equal bins, in which faces are most expressive."""

    time_s: float
    """Middle of the bin."""
    n_reacting: int
    n_readable: int
    label: str | None
    person_ids: tuple[int, ...]
    shown: Shown = ()


def smooth(values: Float64Array, bin_seconds: float) -> Float64Array:
    """Centred moving average over about `SMOOTHING_SECONDS`, an odd number of bins; NaN does not count and is not 0.

    Args:
        values: float64 (bins,).
        bin_seconds: length of a bin.
    """
    half = _half_window(bin_seconds)
    if half < 1 or not len(values):
        return values
    window = np.ones(2 * half + 1)
    known = np.isfinite(values)
    sums = np.convolve(np.where(known, values, 0.0), window)[half : half + len(values)]
    return ratio(sums, np.convolve(known, window)[half : half + len(values)])


def peaks(table: pa.Table, *, most: int = PEAKS_SHOWN) -> list[Peak]:
    """Find the peaks of the audience, in order of time.

    Args:
        table: TIMELINE of one video.
        most: largest number of peaks; the most prominent ones are taken.
    """
    table = _without_empty_ends(table)
    rows = audience(table)
    if not len(rows):
        return []
    candidates = [
        *_find(table, "reacting", column(rows, "reacting"), PEAK_PROMINENCE),
        *_find(table, "expressiveness", column(rows, "expressiveness"), PEAK_PROMINENCE),
        *_find_changes(table, rows),
    ]
    kept: list[Peak] = []
    for peak in sorted(candidates, key=lambda one: -one.prominence):
        if all(abs(peak.time_s - other.time_s) >= PEAK_SPACING_SECONDS for other in kept):
            kept.append(peak)
    return sorted(kept[:most], key=lambda peak: peak.time_s)


def _without_empty_ends(table: pa.Table) -> pa.Table:
    """The bins from the first to the last with analysed time: beyond them, a curve would seem to go on."""
    rows = audience(table)
    analysed = np.flatnonzero(column(rows, "seconds") > 0)
    if not len(analysed):
        return table.slice(0, 0)
    first, last = (rows.column("bin_start_s")[int(k)].as_py() for k in analysed[[0, -1]])
    starts = column(table, "bin_start_s")
    return table.filter(pa.array((starts >= first) & (starts <= last)))


def strongest_moment(table: pa.Table) -> Moment | None:
    """The strongest moment of a TIMELINE; None if no person reacts in any bin."""
    rows = audience(table)
    share, readable = column(rows, "reacting"), column(rows, "n_readable")
    # A whole number of people, but the share is a float32.
    reacting = np.round(np.nan_to_num(share * readable))
    if not reacting.any():
        return None
    k = _strongest(rows, np.arange(len(rows)))
    persons, shown = _reacting_in(table, rows, k)
    return Moment(
        _middle(rows, k), int(reacting[k]), int(readable[k]), _label(rows, k, shown), persons, shown
    )


def _find(table: pa.Table, curve: Curve, values: Float64Array, least: float) -> list[Peak]:
    """Peaks of one curve at which at least one person reacts."""
    rows, bin_seconds = audience(table), bin_length(table)
    smoothed = _bridge_gaps(values, bin_seconds)
    if smoothed is None:
        return []
    starts = column(rows, "bin_start_s")
    # Padded with the minimum at both ends, so that a reaction that opens or closes the video is a peak, too.
    padded = np.pad(smoothed, 1, constant_values=smoothed.min())
    spacing = max(1, round(PEAK_SPACING_SECONDS / bin_seconds))
    found = find_peaks(padded, prominence=least, distance=spacing)
    enough = PEAK_SHARE * max((peak.prominence for peak in found), default=0.0)
    made = []
    for peak in found:
        if peak.prominence < enough:
            continue
        # Less 1, since positions are those in the padded curve; they count from the middle of the first bin.
        start_s = max(starts[0], starts[0] + (peak.start - 0.5) * bin_seconds)
        end_s = min(starts[0] + (peak.end - 0.5) * bin_seconds, _end(rows))
        within = np.flatnonzero((starts + bin_seconds > start_s) & (starts < end_s))
        k = _largest(values, within) if curve == "valence" else _strongest(rows, within, peak.index - 1)
        persons, shown = _reacting_in(table, rows, k)
        if not persons and curve != "valence":
            continue
        made.append(
            Peak(
                time_s=_middle(rows, k),
                # The span contains the bin itself, which the unsmoothed curve may have a little beside it.
                start_s=min(start_s, starts[k]),
                end_s=min(max(end_s, starts[k] + bin_seconds), _end(rows)),
                height=float(values[k]),
                prominence=peak.prominence,
                curve=curve,
                label=_label(rows, k, shown),
                person_ids=persons,
                shown=shown,
            )
        )
    return made


def _find_changes(table: pa.Table, rows: pa.Table) -> list[Peak]:
    """Moments at which net positivity changes most; `height` is the change with its sign."""
    change = _change(column(rows, "valence"), bin_length(rows))
    starts = column(rows, "bin_start_s")
    found = []
    for peak in _find(table, "valence", np.abs(change), CHANGE_PROMINENCE):
        k = int(np.searchsorted(starts, peak.time_s)) - 1
        found.append(replace(peak, height=float(change[k])))
    return found


def _change(values: Float64Array, bin_seconds: float) -> Float64Array:
    """Mean over `SMOOTHING_SECONDS` from each bin on, less that before it, where the sign changes; else 0."""
    n = max(1, round(SMOOTHING_SECONDS / bin_seconds))
    known = np.isfinite(values)
    sums, counts = (
        np.concatenate([[0.0], np.cumsum(part)]) for part in (np.where(known, values, 0.0), known)
    )
    here = np.arange(len(values))
    low, high = np.maximum(here - n, 0), np.minimum(here + n, len(values))

    def mean(start: Int64Array, stop: Int64Array) -> Float64Array:
        return ratio(sums[stop] - sums[start], counts[stop] - counts[start])

    before, after = mean(low, here), mean(here, high)
    turns = (before * after < 0) & (np.minimum(np.abs(before), np.abs(after)) >= LEAST_SIDE)
    # 0 and not NaN: a stretch without a turn is known, and peaks are measured against it.
    return np.where(np.isnan(before + after), np.nan, np.where(turns, after - before, 0.0))


def _strongest(rows: pa.Table, bins: Int64Array, default: int = 0) -> int:
    """Of some bins, the one in which the most people react, then the one with the most expressive faces.

    A bin that the video only begins does not count, if there is another one.
    """
    whole = bins[column(rows, "seconds")[bins] >= bin_length(rows) / 2]
    bins = whole if len(whole) else bins
    if not len(bins):
        return default
    reacting = np.round(np.nan_to_num(column(rows, "reacting") * column(rows, "n_readable")))
    expressive: Float64Array = np.nan_to_num(column(rows, "expressiveness"))
    return int(bins[np.lexsort((expressive[bins], reacting[bins]))[-1]])


def _largest(values: Float64Array, bins: Int64Array) -> int:
    """Of some bins, the first one with the largest value."""
    return int(bins[np.nan_to_num(values[bins]).argmax()])


def _half_window(bin_seconds: float) -> int:
    """Bins on each side of the middle one: with an odd number of bins, the average is not shifted in time."""
    return max(0, round((SMOOTHING_SECONDS / bin_seconds - 1) / 2))


def _bridge_gaps(values: Float64Array, bin_seconds: float) -> Float64Array | None:
    """The smoothed curve with straight lines over its gaps, on which no peak can lie; None without known values."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return None
    curve = smooth(values, bin_seconds)[known]
    return np.asarray(np.interp(np.arange(len(values)), known, curve), dtype=np.float64)


def _middle(rows: pa.Table, k: int) -> float:
    """Of a bin, as far as the video reaches into it."""
    start = float(rows.column("bin_start_s")[k].as_py())
    return (start + min(float(rows.column("bin_end_s")[k].as_py()), _end(rows))) / 2


def _end(rows: pa.Table) -> float:
    """Where the video ends: in the last bin after its analysed time."""
    last = rows.slice(len(rows) - 1)
    bound, start, seconds = (
        float(last.column(name)[0].as_py()) for name in ("bin_end_s", "bin_start_s", "seconds")
    )
    return min(bound, start + seconds)


def _label(rows: pa.Table, k: int, shown: Shown) -> str | None:
    if shown:
        return shown[0][0]
    values = {name: rows.column(name)[k].as_py() for name in shown_columns(rows)}
    return leading_label({name: value or 0.0 for name, value in values.items()})


def _reacting_in(table: pa.Table, rows: pa.Table, k: int) -> tuple[tuple[int, ...], Shown]:
    """The people who react in bin `k` of the audience's rows, and what they show."""
    here = pc.and_(
        pc.equal(table.column("bin_start_s"), rows.column("bin_start_s")[k]),
        pc.is_valid(table.column("person_id")),
    )
    people = table.filter(here)
    people = people.filter(pa.array(column(people, "reacting") == 1))
    labels = [
        leading_label({name: row[name] or 0.0 for name in shown_columns(people)})
        for row in people.to_pylist()
    ]
    counts = Counter(label for label in labels if label is not None)
    return tuple(people.column("person_id").to_pylist()), tuple(counts.most_common())
