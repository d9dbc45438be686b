"""Means of a timeline over segments, and its curves around markers. Tables in, tables out.

segments(timeline, markers)              a row per segment
locked_curves(timeline, markers)         a row per label, measure and lag
summarize_curves(curves, "engagement")   means before and after the markers of each label

The formulas are in `docs/numbers.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.markers import SEGMENT_KIND, Marker, markers_in, times_by_label
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import (
    audience,
    bin_of,
    person_rows,
    probability_columns,
    shown_columns,
    weighted_means_of_parts,
)
from ferflow.types import Float64Array

BEFORE_SECONDS = 5.0
AFTER_SECONDS = 10.0
"""A marker-locked curve runs from this long before its markers to this long after."""
LEAST_LAG_SECONDS = 0.1
"""Lags closer than this say nothing new: reactions take tenths of a second, and a curve has 151 points at most."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a video, [start_s, end_s)."""

    start_s: float
    end_s: float
    label: str
    kind: str


def segments_of(markers: pa.Table, end_s: float, start_s: float = 0.0) -> list[Segment]:
    """The segments that a table of MARKERS states, by start, clipped to [`start_s`, `end_s`)."""
    rows = markers_in(markers)
    ends = _open_segment_ends([row.time_s for row in rows if _is_open_segment(row)], end_s)
    found = []
    for row in rows:
        end = ends[row.time_s] if _is_open_segment(row) else row.end_s
        part = max(row.time_s, start_s), min(row.time_s if end is None else end, end_s)
        if part[0] < part[1]:
            found.append(Segment(*part, row.label, row.kind))
    return sorted(found, key=lambda segment: (segment.start_s, segment.end_s))


def instants_in(markers: pa.Table) -> list[Marker]:
    """The markers of a table of MARKERS that have no length, in their order."""
    return [marker for marker in markers_in(markers) if marker.end_s is None and not _is_open_segment(marker)]


def _is_open_segment(marker: Marker) -> bool:
    return marker.end_s is None and marker.kind == SEGMENT_KIND


def _open_segment_ends(starts: Sequence[float], end_s: float) -> dict[float, float]:
    ordered = sorted(set(starts))
    return dict(zip(ordered, [*ordered[1:], end_s], strict=False))


def segments(timeline: pa.Table, markers: pa.Table) -> pa.Table:
    """Means over the people and the readable time of each segment.

    Args:
        timeline: TIMELINE of one video.
        markers: MARKERS of it.

    Returns:
        A row per segment, by start: `label, kind, start_s, end_s, n_people` (people with a row in its bins),
        `presence` (share of its analysed time with any face), and means of all measures, `prob_*` and `shown_*`, as
        `timeline.weighted_means`. Of a bin that lies in the segment in part, that part of its time counts.
    """
    everybody, people = audience(timeline), person_rows(timeline)
    found = segments_of(markers, _end_of(everybody))
    names = [*MEASURES, *probability_columns(timeline), *shown_columns(timeline)]
    schema = pa.schema([*_SEGMENT_FIELDS, *((name, pa.float64()) for name in names)])
    # In blocks, since each segment has a share of each row: 20,000 segments of an hour would need gigabytes.
    blocks = [
        _means_of_segments(everybody, people, found[k : k + _SEGMENTS_AT_ONCE])
        for k in range(0, len(found), _SEGMENTS_AT_ONCE)
    ]
    tables = [
        pa.table({each.name: pa.array(block[each.name], each.type, from_pandas=True) for each in schema})
        for block in blocks
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _means_of_segments(
    everybody: pa.Table, people: pa.Table, found: Sequence[Segment]
) -> dict[str, Sequence[str | int] | Float64Array]:
    """Columns of `segments`."""
    parts = _parts_in(people, found)
    # Of each person, whether a row lies in the segment.
    ids = column(people, "person_id")
    in_view = [(parts[:, ids == one] > 0).any(axis=1) for one in np.unique(ids)]
    return {
        "label": [one.label for one in found],
        "kind": [one.kind for one in found],
        "start_s": np.array([one.start_s for one in found]),
        "end_s": np.array([one.end_s for one in found]),
        "n_people": np.sum(in_view, axis=0) if in_view else np.zeros(len(found)),
        "presence": _presence(everybody, found),
        **weighted_means_of_parts(people, parts),
    }


_SEGMENTS_AT_ONCE = 128
_SEGMENT_FIELDS = [
    ("label", pa.string()),
    ("kind", pa.string()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("n_people", pa.int32()),
    ("presence", pa.float64()),
]


def _parts_in(rows: pa.Table, found: Sequence[Segment]) -> Float64Array:
    """Share of each row's bin that lies in each segment, float64 (segments, rows)."""
    starts, ends = column(rows, "bin_start_s"), column(rows, "bin_end_s")
    first, last = (np.array([getattr(one, name) for one in found])[:, None] for name in ("start_s", "end_s"))
    inside = np.clip(np.minimum(ends, last) - np.maximum(starts, first), 0, None)
    return ratio(inside, np.broadcast_to(ends - starts, inside.shape))


def _presence(everybody: pa.Table, found: Sequence[Segment]) -> Float64Array:
    parts, seconds = _parts_in(everybody, found), column(everybody, "seconds")
    return ratio(parts @ (np.nan_to_num(column(everybody, "presence")) * seconds), parts @ seconds)


def lags(bin_seconds: float) -> Float64Array:
    """Seconds from a marker at which its curve is read, multiples of the bin's length; float64 (lags,)."""
    # The tolerances keep 0.1 / 0.1 and 10 / 0.1 integers in floating point.
    step = bin_seconds * max(1, np.ceil(LEAST_LAG_SECONDS / bin_seconds - 1e-9))
    low, high = np.ceil(-BEFORE_SECONDS / step - 1e-9), np.floor(AFTER_SECONDS / step + 1e-9)
    return np.asarray(np.arange(low, high + 1) * step, dtype=np.float64)


def locked_curves(
    timeline: pa.Table,
    markers: pa.Table,
    *,
    extra: Mapping[str, Float64Array] | None = None,
    most: int | None = None,
) -> pa.Table:
    """Event-related averages: the audience's measures around all markers of one label, from -5 s to +10 s.

    At each lag, a marker's value is that of the bin that contains `time_s + lag`. A curve is the mean over markers, its
    spread their standard deviation (n - 1). No baseline is subtracted.

    Args:
        timeline: TIMELINE of one video.
        markers: MARKERS of it; a segment counts with its start, a marker outside of the video does not count.
        extra: further columns by name, float64 (bins of the audience,), such as signals.
        most: largest number of labels, those with most markers; None: all.

    Returns:
        A row per label, measure (`engagement`, `valence`, ..., `prob_*`, then `extra`) and lag: `label, n_markers,
        measure, lag_s, mean, sd, n` (markers with a known value there; `sd` is null below 2). Labels with most
        markers come first.
    """
    parts = list(islice(curves_by_label(timeline, markers, extra=extra), most))
    return pa.concat_tables(parts) if parts else _LOCKED.empty_table()


def curves_by_label(
    timeline: pa.Table, markers: pa.Table, *, extra: Mapping[str, Float64Array] | None = None
) -> Iterator[pa.Table]:
    """The rows of `locked_curves` label by label, so that memory stays flat with thousands of labels."""
    audience_rows = audience(timeline)
    names = [*MEASURES, *probability_columns(audience_rows), *shown_columns(audience_rows)]
    columns = {name: column(audience_rows, name) for name in names} | dict(extra or {})
    times_s = column(markers, "time_s")
    inside = markers.filter(pa.array((times_s >= 0) & (times_s < _end_of(audience_rows))))
    # Not `bin_length`: bounds are rounded to nanoseconds, and the error would add up over the bins of a long video.
    step = _end_of(audience_rows) / max(len(audience_rows), 1)
    for label, times in times_by_label(inside).items():
        yield _curves_of(columns, label, np.array(times), step)


_LOCKED = pa.schema(
    [
        ("label", pa.string()),
        ("n_markers", pa.int32()),
        ("measure", pa.string()),
        ("lag_s", pa.float64()),
        ("mean", pa.float64()),
        ("sd", pa.float64()),
        ("n", pa.int32()),
    ]
)


def _curves_of(
    columns: Mapping[str, Float64Array], label: str, times: Float64Array, bin_seconds: float
) -> pa.Table:
    at, n_bins = lags(bin_seconds), len(next(iter(columns.values())))
    bins = bin_of(times[:, None] + at, bin_seconds)
    inside = (bins >= 0) & (bins < n_bins)
    # Clipped only to be valid indices; what is outside of the video becomes NaN.
    indices = np.clip(bins, 0, n_bins - 1)
    found = [_mean_sd_n(np.where(inside, known[indices], np.nan)) for known in columns.values()]
    mean, sd, n = (np.concatenate(part) for part in zip(*found, strict=True))
    # One table of all measures: with a table for each, thousands of labels take minutes.
    rows = {
        "label": np.repeat(label, len(mean)), "n_markers": np.repeat(len(times), len(mean)),
        "measure": np.repeat(list(columns), len(at)), "lag_s": np.tile(at, len(columns)), "mean": mean, "sd": sd,
        "n": n,
    }  # fmt: skip
    arrays = [pa.array(rows[field.name], field.type, from_pandas=True) for field in _LOCKED]
    return pa.Table.from_arrays(arrays, schema=_LOCKED)


def _mean_sd_n(values: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Mean, standard deviation and count of the known values over the first axis."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    mean = ratio(np.where(known, values, 0.0).sum(axis=0), n)
    # In two passes: sums of squares would lose digits where a curve varies little. `ratio` makes n - 1 = 0 unknown.
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(ratio(squares, n - 1)), n


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """Summary of the curves of one label; NaN where nothing is known."""

    label: str
    n_markers: int
    before: float
    """Mean of the measure's curve over lags below 0."""
    after: float
    """Mean of it over lags from 0 on."""
    highest: float
    """Largest value of it from lag 0 on."""
    highest_lag_s: float
    """Lag of that value."""
    spread: float
    """Standard deviation between markers at that lag."""
    valence_before: float
    valence_after: float


def summarize_curves(curves: pa.Table, measure: str) -> list[CurveSummary]:
    """Summarize the curves of each label.

    Args:
        curves: a table that `locked_curves` returned.
        measure: name of one of its measures.
    """
    labels = list(dict.fromkeys(curves.column("label").to_pylist()))
    return [
        _summarize(curves.filter(pc.equal(curves.column("label"), label)), label, measure) for label in labels
    ]


def _summarize(rows: pa.Table, label: str, measure: str) -> CurveSummary:
    main, valence = (rows.filter(pc.equal(rows.column("measure"), name)) for name in (measure, "valence"))
    before, after = _means_before_and_after(main)
    valence_before, valence_after = _means_before_and_after(valence)
    highest, lag_s, spread = _highest_after(main)
    return CurveSummary(
        label=label, n_markers=rows.column("n_markers")[0].as_py(), before=before, after=after, highest=highest,
        highest_lag_s=lag_s, spread=spread, valence_before=valence_before, valence_after=valence_after,
    )  # fmt: skip


def _highest_after(rows: pa.Table) -> tuple[float, float, float]:
    """(mean, lag, spread) at the highest value from lag 0 on; NaN if none is known."""
    lag_s, mean, sd = (column(rows, name) for name in ("lag_s", "mean", "sd"))
    there = np.flatnonzero((lag_s >= 0) & np.isfinite(mean))
    if not len(there):
        return (float("nan"),) * 3
    k = there[np.argmax(mean[there])]
    return float(mean[k]), float(lag_s[k]), float(sd[k])


def _means_before_and_after(rows: pa.Table) -> tuple[float, float]:
    """Mean of a curve over lags below 0, and over lags from 0 on."""
    lag_s, mean = column(rows, "lag_s"), column(rows, "mean")
    known = np.isfinite(mean)
    before, after = mean[known & (lag_s < 0)], mean[known & (lag_s >= 0)]
    return float(ratio(before.sum(), len(before))), float(ratio(after.sum(), len(after)))


def _end_of(audience_rows: pa.Table) -> float:
    return float(audience_rows.column("bin_end_s")[-1].as_py()) if len(audience_rows) else 0.0
