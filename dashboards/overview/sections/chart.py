"""The chart of groups, or of all participants, over time."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ferflow.analytics.cohort import CONFIDENCE, LEAST_SECONDS, Cohort, mean_interval
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.cohort import (
    DASHES,
    MOST_GROUPS,
    describe_grouping,
    drawn_groups,
    format_value,
    group_colours,
)
from ferflow.dashboards.overview.cohort_figure import build_cohort_figure
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.number_format import join_words, pluralize, sanitize
from ferflow.dashboards.shared.page import inline_json


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A group with a curve."""

    name: str
    colour: str
    dashes: str
    """SVG's `stroke-dasharray`."""
    n: int


@dataclass(frozen=True, slots=True)
class CohortChart:
    """The chart, what explains it, and what is not in it."""

    title: str
    hint: str
    description: str
    """The chart in words, for screen readers."""
    legend: tuple[LegendEntry, ...]
    notes: tuple[str, ...]
    figure: Markup
    """JSON."""


def build_chart(folder: Folder) -> CohortChart | None:
    """None with fewer than two participants."""
    cohort = folder.cohort
    if not folder.has_cohort:
        return None
    return CohortChart(
        title=f"Groups{describe_grouping(folder)} over time" if cohort.groups else "All participants",
        hint=_hint(cohort),
        description=_describe(cohort),
        legend=_legend(cohort),
        notes=(*_excluded(cohort), *_groups_in_part(cohort)),
        figure=inline_json(build_cohort_figure(cohort).to_json()),
    )


def _hint(cohort: Cohort) -> str:
    joined = f" ({cohort.bins_joined} bins of the tables)" if cohort.bins_joined > 1 else ""
    return (
        f"Means over participants, each counted once; each point is {cohort.step_s:g} s{joined}. The band is the "
        f"{CONFIDENCE * 100:.0f} % confidence interval of the mean at each single point (Student's t). It is missing "
        "where fewer than two participants are in view. 00:00 is the first frame of each session, or the "
        "offset_s that the session list gives."
    )


def _describe(cohort: Cohort) -> str:
    name = LEADING
    title = MEASURES[name].title.lower()
    groups: list[str | None] = [*drawn_groups(cohort)] or [None]
    found = {group: mean_interval(one.mean(name) for one in cohort.of(group)) for group in groups}
    means = [
        f"{sanitize(group or 'all participants')} {format_value(name, mean)}"
        for group, (_, mean, *_) in found.items()
    ]
    return (
        f"Four rows with one time axis: {title}, share of people reacting, net positivity, and the number of people "
        f"in view. Mean {title}: {join_words(means)}."
    )


def _legend(cohort: Cohort) -> tuple[LegendEntry, ...]:
    colours = group_colours(cohort)
    return tuple(
        LegendEntry(sanitize(group), colour, dashes, len(cohort.of(group)))
        for (group, colour), dashes in zip(colours.items(), DASHES.values(), strict=False)
    )


def _excluded(cohort: Cohort) -> list[str]:
    """Who is not counted, and who may be counted wrongly."""
    notes = []
    if cohort.n_brief:
        notes.append(
            f"Not counted: {pluralize(cohort.n_brief, 'person', 'people')} in view for less than {LEAST_SECONDS:g} "
            f"s, or, in a session shorter than {2 * LEAST_SECONDS:g} s, for less than half of it."
        )
    if cohort.other_bins:
        notes.append(
            f"Not counted: {pluralize(len(cohort.other_bins), 'video')} with bins of another length "
            f"({sanitize(_first_of(cohort.other_bins))})."
        )
    if cohort.ambiguous:
        notes.append(
            f"{pluralize(len(cohort.ambiguous), 'video')} with a named participant but several people in view: the "
            f"mean of all of them counts as the participant ({sanitize(_first_of(cohort.ambiguous))}). To change that, "
            "give the participant's name to the right tracks in people.csv."
        )
    return notes


def _groups_in_part(cohort: Cohort) -> list[str]:
    """Participants and groups that the curves or the comparison treat differently."""
    notes = []
    without_group = sum(one.group is None for one in cohort.participants)
    if cohort.groups and without_group:
        notes.append(
            f"{pluralize(without_group, 'participant')} without a group: in no curve and in no comparison."
        )
    if hidden := len(cohort.groups) - len(drawn_groups(cohort)):
        notes.append(f"The {MOST_GROUPS} largest groups have curves; the table of groups has {hidden} more.")
    if n := cohort.n_in_several:
        notes.append(
            f"{pluralize(n, 'participant')} in several groups: the comparison counts them as different people."
        )
    return notes


def _first_of(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
