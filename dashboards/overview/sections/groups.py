"""The tables of groups and of their differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from ferflow.analytics.cohort import Cohort
from ferflow.analytics.group_comparison import LEAST_PARTICIPANTS, Comparison, compare
from ferflow.analytics.intervals import Interval, mean_interval
from ferflow.analytics.measures import MEASURES
from ferflow.dashboards.overview.cohort import (
    GroupName,
    describe_measure,
    describe_pooling,
    format_interval,
    format_value,
    known_measures,
)
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sparkline import draw_interval
from ferflow.dashboards.shared.number_format import UNKNOWN, join_words, pluralize, sanitize

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
    explanation: str
    rows: tuple[GroupRow, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """All measures."""

    pooled: str
    """`over 2 stimuli`; empty if the means do not pool several."""
    measures: tuple[MeasureRows, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """The difference between two groups in one measure."""

    measure: str
    first: str
    second: str
    n: str
    too_few: str
    """In place of the numbers, where a group is too small; empty otherwise."""
    difference: str
    pairs: str
    """In how many of 100 pairs the participant of the first group has the higher value."""
    g: str


@dataclass(frozen=True, slots=True)
class Comparisons:
    """All pairs of groups in all measures; no rows if there are too many groups."""

    hint: str
    rows: tuple[ComparisonRow, ...]


def build_groups(folder: Folder) -> Groups | None:
    """Means of all groups, measure by measure; None without groups."""
    cohort = folder.cohort
    if not folder.has_cohort or not cohort.groups:
        return None
    measures = tuple(
        MeasureRows(MEASURES[name].title, describe_measure(name), _build_rows(cohort, name))
        for name in known_measures(cohort)
    )
    return Groups(describe_pooling(cohort), measures)


def _build_rows(cohort: Cohort, name: str) -> tuple[GroupRow, ...]:
    limits = MEASURES[name].range
    found = {
        group: mean_interval((one.mean(name) for one in cohort.of(group)), limits) for group in cohort.groups
    }
    edges = [
        value for one in found.values() for value in (one.mean, one.low, one.high) if math.isfinite(value)
    ]
    # 0 is always within the scale, since its mark shows on which side an interval lies.
    bounds = (min([0.0, *edges]), max([0.0, *edges]))
    return tuple(_build_row(cohort, name, group, bounds, values) for group, values in found.items())


def _build_row(
    cohort: Cohort, name: str, group: str, bounds: tuple[float, float], found: Interval
) -> GroupRow:
    value, span = format_value(name, found.mean), format_interval(name, found)
    look = GroupName.of(cohort, group)
    colour = look.colour if look.colour.startswith("#") else MEASURES["negative"].colour
    words = f"{value}, 95 % interval {span}"
    picture = draw_interval(found.mean, found.low, found.high, bounds=bounds, colour=colour, words=words)
    return GroupRow(look, found.n, value, span, picture)


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
    small = [group for group in cohort.groups if len(cohort.of(group)) < LEAST_PARTICIPANTS]
    if len(cohort.groups) - len(small) < 2:
        names = join_words([f"{sanitize(group)} ({len(cohort.of(group))})" for group in small])
        return Comparisons(
            f"Too few to compare: a comparison needs {LEAST_PARTICIPANTS} participants in each of two groups. Fewer "
            f"are in {names}. The means above are those of the people who took part, and no more.",
            (),
        )
    rows = tuple(_build_comparison(found) for found in compare(cohort, known_measures(cohort)))
    return Comparisons(_pooling_note(cohort) + _comparison_hint(len(rows)), rows)


def _pooling_note(cohort: Cohort) -> str:
    pooled = describe_pooling(cohort)
    return (
        f"Differences of means {pooled}: a participant of several counts once, with all of them. "
        if pooled
        else ""
    )


def _comparison_hint(n: int) -> str:
    return (
        "Difference: the mean of the first group minus that of the second, with its 95 % interval in brackets; an "
        "interval that contains 0 leaves open which is higher. Pairs: of 100 pairs of one participant from each group, "
        "in how many the one of the first group has the higher value (50: no difference). Hedges' g: the difference in "
        f"units of the spread between participants. This page makes {pluralize(n, 'comparison')}; even if the groups "
        "did not differ, about one interval in twenty would not contain 0."
    )


def _build_comparison(found: Comparison) -> ComparisonRow:
    too_few = "" if found.has_enough else f"too few to compare (at least {LEAST_PARTICIPANTS} in each group)"
    return ComparisonRow(
        measure=MEASURES[found.measure].title,
        first=sanitize(found.first),
        second=sanitize(found.second),
        n=f"{found.n[0]} · {found.n[1]}",
        too_few=too_few,
        difference=_difference(found),
        pairs=_pairs(found.cliffs_delta),
        g=_with_interval(found.hedges_g, found.g_low, found.g_high),
    )


def _difference(found: Comparison) -> str:
    values = (found.difference, found.low, found.high)
    if MEASURES[found.measure].format == "share":
        texts = [_points(value) for value in values]
        return texts[0] if UNKNOWN in texts[1:] else f"{texts[0]} [{texts[1]}, {texts[2]}] points"
    return _with_interval(*values)


def _points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{'−' if value < 0 else '+'}{abs(100 * value):.0f}" if value else "0"


def _pairs(delta: float) -> str:
    """Cliff's delta as pairs of 100; ties count as a half."""
    return UNKNOWN if not math.isfinite(delta) else f"{50 * (1 + delta):.0f}"


def _format_effect(value: float) -> str:
    """A number without bounds, with its sign and two digits."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{'−' if value < 0 else '+'}{abs(value):.2f}" if value else "0"


def _with_interval(value: float, low: float, high: float) -> str:
    if not math.isfinite(low):
        return _format_effect(value)
    return f"{_format_effect(value)} [{_format_effect(low)}, {_format_effect(high)}]"
