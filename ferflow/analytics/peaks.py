"""Peaks of a timeline: moments at which the audience's curve rises above its surroundings.

for peak in peaks(table):
    print(peak.time_s, peak.label, peak.track_ids)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.signal import find_peaks

from ferflow.analytics.measures import MEASURES, leading_measure
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import audience, bin_length, leading_label, probability_columns
from ferflow.types import Float64Array

SMOOTHING_SECONDS = 3.0
"""Window of the centred moving average on which peaks are found."""
PEAK_PROMINENCE = 0.05
"""Smallest prominence of a peak, in units of the curve."""
PEAK_SHARE = 0.2
"""Smallest prominence as a share of the largest one: in a video with one large reaction, small ripples do not count."""
PEAK_SPACING_SECONDS = 5.0
"""Of two peaks closer than this, the higher one is kept."""
PEAKS_SHOWN = 8
"""As many as a reader can look at one by one."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A moment at which the audience's curve rises above its surroundings."""

    time_s: float
    """Middle of the bin near the peak in which the curve before smoothing is highest."""
    start_s: float
    end_s: float
    """The smoothed curve is above half of the prominence from `start_s` to here."""
    height: float
    """Value of the curve in that bin, in [0, 1]."""
    prominence: float
    """Topographic prominence on the smoothed curve, in (0, 1]; see `scipy.signal.peak_prominences`."""
    curve: str
    """`engagement`; or `expressiveness`, where no pose is known in the whole video."""
    label: str | None
    """Most probable expression in that bin apart from neutral."""
    track_ids: tuple[int, ...]
    """The people who react in that bin; if none does, those with the highest value of the curve."""


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


def peak_curve(table: pa.Table) -> str:
    """The curve on which peaks are found: engagement, or expressiveness where no pose is known in the whole video."""
    return leading_measure({name for name in MEASURES if table.column(name).null_count < len(table)})


def peaks(table: pa.Table, *, most: int = PEAKS_SHOWN) -> list[Peak]:
    """Find the peaks of the audience's smoothed engagement, in order of time.

    Args:
        table: TIMELINE of one video.
        most: largest number of peaks; the most prominent ones are taken.
    """
    audience_rows = audience(table)
    if not len(audience_rows):
        return []
    name, bin_seconds = peak_curve(table), bin_length(audience_rows)
    values = column(audience_rows, name)
    curve = _bridge_gaps(values, bin_seconds)
    if curve is None:
        return []
    # Padded with the minimum at both ends, so that a reaction that opens or closes the video is a peak, too.
    padded = np.pad(curve, 1, constant_values=curve.min())
    spacing = max(1, round(PEAK_SPACING_SECONDS / bin_seconds))
    # width=0 excludes no peak: only with a width does SciPy also return where a peak starts and ends.
    found, facts = find_peaks(padded, prominence=PEAK_PROMINENCE, distance=spacing, width=0, rel_height=0.5)
    best = np.argsort(-facts["prominences"], kind="stable")[:most]
    best = best[facts["prominences"][best] >= PEAK_SHARE * facts["prominences"].max(initial=0.0)]
    # Less 1, since positions are those in the padded curve.
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
    """The highest bin of the unsmoothed curve near bin `k`, a peak of the smoothed one.

    The chart shows the unsmoothed curve: time and height in the table must be those of a point on it.
    """
    half = _half_window(bin_seconds)
    low = max(0, k - half)
    near = values[low : k + half + 1]
    return low + int(np.nanargmax(near)) if np.isfinite(near).any() else k


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


def _peak(table: pa.Table, name: str, k: int, *, prominence: float, span: tuple[float, float]) -> Peak:
    audience_rows = audience(table)
    start, end = (float(audience_rows.column(edge)[k].as_py()) for edge in ("bin_start_s", "bin_end_s"))
    length = end - start
    # Positions of a peak's span count from the middle of bin 0, hence the half.
    return Peak(
        time_s=(start + end) / 2,
        start_s=max(0.0, (span[0] + 0.5) * length),
        end_s=min((span[1] + 0.5) * length, float(audience_rows.column("bin_end_s")[-1].as_py())),
        height=_value(audience_rows, name, k),
        prominence=prominence,
        curve=name,
        label=leading_label(
            {field: _value(audience_rows, field, k) for field in probability_columns(audience_rows)}
        ),
        track_ids=_people_in(table, start, name),
    )


def _people_in(table: pa.Table, bin_start_s: float, name: str) -> tuple[int, ...]:
    here = pc.and_(pc.equal(table.column("bin_start_s"), bin_start_s), pc.is_valid(table.column("person_id")))
    rows = table.filter(here)
    tracks, reacting = column(rows, "person_id").astype(int), column(rows, "reacting") == 1
    if not reacting.any() and len(tracks):
        values = np.nan_to_num(column(rows, name))
        # People who are all at 0 are not the most engaged ones.
        reacting = values >= max(values.max(), 1e-9)
    return tuple(int(track) for track in tracks[reacting])


def peak_end(table: pa.Table) -> float:
    """`(peak happy + end happy) / 2` of the audience's smoothed curve, in [0, 1]; NaN without people.

    The end is the last bin with a person. After the peak-end rule (Kahneman et al., 1993), in the form of Realeyes'
    impact score.
    """
    audience_rows = audience(table)
    if "prob_happy" not in audience_rows.column_names or not len(audience_rows):
        return float("nan")
    curve = smooth(column(audience_rows, "prob_happy"), bin_length(audience_rows))
    known = np.flatnonzero(column(audience_rows, "n_people") > 0)
    return float((np.nanmax(curve) + curve[known[-1]]) / 2) if len(known) else float("nan")


def _value(table: pa.Table, name: str, row: int) -> float:
    value = table.column(name)[row].as_py()
    return float("nan") if value is None else float(value)
