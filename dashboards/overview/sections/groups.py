"""The tables of groups and of their differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from ferflow.analytics.cohort import Cohort, Comparison, compare, mean_interval
from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.overview.cohort import (
    GroupName,
    format_interval,
    format_value,
    group_colours,
    known_measures,
)
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sparkline import draw_interval
from ferflow.dashboards.shared.number_format import UNKNOWN, sanitize, signed

MeanInterval: TypeAlias = tuple[int, float, float, float]
"""n, mean, lower and upper end of the interval."""

MOST_GROUPS_COMPARED = 5
"""With more groups than these, the page compares no pairs; the CSV does."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The mean of a measure over the participants of one group."""

    group: GroupName
    n: int
    mean: str
    interval: str
    picture: Markup | None


@dataclass(frozen=True, slots=True)
class MeasureRows:
    """One measure, a row per group."""

    title: str
    rows: tuple[GroupRow, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """The difference between two groups in one measure."""

    measure: str
    first: str
    second: str
    n: str
    difference: str
    g: str
    delta: str


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All pairs of groups in all measures; no rows if there are too many groups."""

    hint: str
    rows: tuple[ComparisonRow, ...]


def build_groups(folder: Folder) -> tuple[MeasureRows, ...] | None:
    """Means of all groups, measure by measure; None without groups."""
    cohort = folder.cohort
    if not folder.has_cohort or not cohort.groups:
        return None
    return tuple(
        MeasureRows(MEASURES[name].title, _build_rows(cohort, name)) for name in known_measures(cohort)
    )


def _build_rows(cohort: Cohort, name: str) -> tuple[GroupRow, ...]:
    found = {group: mean_interval(one.mean(name) for one in cohort.of(group)) for group in cohort.groups}
    edges = [value for _, *ends in found.values() for value in ends if math.isfinite(value)]
    # 0 is always within the scale, since its mark shows on which side an interval lies.
    bounds = (min([0.0, *edges]), max([0.0, *edges]))
    return tuple(_build_row(cohort, name, group, bounds, values) for group, values in found.items())


def _build_row(
    cohort: Cohort, name: str, group: str, bounds: tuple[float, float], found: MeanInterval
) -> GroupRow:
    n, mean, low, high = found
    value, span = format_value(name, mean), format_interval(name, low, high)
    colour = group_colours(cohort).get(group, MEASURES["negative"].colour)
    words = f"{value}, 95 % interval {span}"
    return GroupRow(
        group=GroupName.of(cohort, group),
        n=n,
        mean=value,
        interval=span,
        picture=draw_interval(mean, low, high, bounds=bounds, colour=colour, words=words),
    )


# --- Differences ----------------------------------------------------------------------------------------


def build_comparisons(folder: Folder) -> Comparisons | None:
    """None with fewer than two groups."""
    cohort = folder.cohort
    if not folder.has_cohort or len(cohort.groups) < 2:
        return None
    if len(cohort.groups) > MOST_GROUPS_COMPARED:
        return Comparisons(
            f"{len(cohort.groups)} groups make too many pairs to show here. `ferflow report OUT --csv` writes all of "
            "them.",
            (),
        )
    rows = tuple(_build_comparison(found) for found in compare(cohort, known_measures(cohort)))
    return Comparisons(_comparison_hint(len(rows)), rows)


def _comparison_hint(n: int) -> str:
    return (
        "First group minus second; n is the number of participants in the first and in the second. The values are "
        "means over participants. Hedges' g is the difference divided by the pooled standard deviation. Cliff's delta "
        "is the share of pairs in which the participant of the first group has the higher value, minus the share in "
        "which the participant of the second has. 95 % intervals are in brackets. This page makes "
        f"{n} comparisons; even if the groups did not differ, about one interval in twenty would not contain 0."
    )


def _build_comparison(found: Comparison) -> ComparisonRow:
    return ComparisonRow(
        measure=MEASURES[found.measure].title,
        first=sanitize(found.first),
        second=sanitize(found.second),
        n=f"{found.n[0]} · {found.n[1]}",
        difference=_with_interval(found.difference, found.low, found.high),
        g=_with_interval(found.hedges_g, found.g_low, found.g_high),
        delta=signed(found.cliffs_delta),
    )


def _format_effect(value: float) -> str:
    """A number without bounds, with its sign and two digits."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{'−' if value < 0 else '+'}{abs(value):.2f}" if value else "0"


def _with_interval(value: float, low: float, high: float) -> str:
    if not math.isfinite(low):
        return _format_effect(value)
    return f"{_format_effect(value)} [{_format_effect(low)}, {_format_effect(high)}]"
