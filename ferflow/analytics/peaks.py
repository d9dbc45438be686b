"""Peaks of a timeline: moments at which the audience's curve stands out.

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
from ferflow.analytics.tally import (
    column,
    ratio,
)
from ferflow.analytics.timeline import audience, leading_label, probability_columns
from ferflow.types import Float64Array

SMOOTHING_SECONDS = 3.0
"""Window of the centred moving average that peaks are looked for on."""
PEAK_PROMINENCE = 0.05
"""A peak stands out from its surroundings by at least this much engagement."""
PEAK_SHARE = 0.2
"""And by this share of what the most prominent one does: beside a great moment, ripples are none."""
PEAK_SPACING_SECONDS = 5.0
"""Of two peaks closer than this, the higher stays."""
PEAKS_SHOWN = 8


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
    return leading_measure({name for name in MEASURES if table.column(name).null_count < len(table)})


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


def _bin_seconds(whole: pa.Table) -> float:
    return float(whole.column("bin_end_s")[0].as_py()) - float(whole.column("bin_start_s")[0].as_py())


def _first(table: pa.Table, name: str, row: int) -> float:
    value = table.column(name)[row].as_py()
    return float("nan") if value is None else float(value)
