"""What the sections of the overview share about a cohort: its groups, their colours, its measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ferflow import palette
from ferflow.analytics.cohort import Cohort
from ferflow.analytics.measures import MEASURES, page_measures
from ferflow.analytics.session_list import GROUP
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.number_format import UNKNOWN, format_measure, sanitize

MOST_GROUPS = len(palette.GROUPS)
"""Groups with a curve of their own, the largest ones."""

DASHES = {
    "solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4", "longdashdot": "11 3 2 3",
}  # fmt: skip
"""Of the groups' curves, by plotly's names and as SVG draws them: for print, and for readers who cannot tell the
colours apart."""


@dataclass(frozen=True, slots=True)
class GroupName:
    """A group as a table shows it."""

    name: str
    colour: str
    """`transparent` for a group without a curve."""

    @classmethod
    def of(cls, cohort: Cohort, group: str | None) -> GroupName:
        """A group of the cohort; None: of no group."""
        return cls(sanitize(group or UNKNOWN), group_colours(cohort).get(group or "", "transparent"))


def group_colours(cohort: Cohort) -> dict[str, str]:
    """A colour per drawn group, in the groups' order."""
    return dict(zip(drawn_groups(cohort), palette.GROUPS, strict=False))


def drawn_groups(cohort: Cohort) -> list[str]:
    """The groups with a curve: the `MOST_GROUPS` largest."""
    largest = sorted(cohort.groups, key=lambda group: (-len(cohort.of(group)), group))[:MOST_GROUPS]
    return sorted(largest)


def known_measures(cohort: Cohort) -> list[str]:
    """Measures that are known of any participant, in the order of the page."""
    return [
        measure.name
        for measure in page_measures()
        if any(math.isfinite(one.mean(measure.name)) for one in cohort.participants)
    ]


def describe_grouping(folder: Folder) -> str:
    """` by <column>`; empty if the column is called "group"."""
    return "" if folder.by in (None, GROUP) else f" by {sanitize(folder.by)}"


def format_value(name: str, value: float) -> str:
    """A value of a measure as pages write it."""
    return format_measure(MEASURES[name], value)


def format_interval(name: str, low: float, high: float) -> str:
    """An interval, cut off at the range of the measure."""
    if not math.isfinite(low):
        return UNKNOWN
    bottom, top = MEASURES[name].range
    return f"{format_value(name, max(low, bottom))} to {format_value(name, min(high, top))}"
