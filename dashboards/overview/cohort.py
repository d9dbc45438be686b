"""What the sections of the overview share about a cohort: its groups, their colours, its measures, who is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ferflow import palette
from ferflow.analytics.cohort import LEAST_SECONDS, LEAST_SHORT_SECONDS, Cohort, LeftOut, explain_outside
from ferflow.analytics.intervals import Interval
from ferflow.analytics.measures import MEASURES, page_measures
from ferflow.analytics.session_list import GROUP
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    format_measure,
    join_words,
    pluralize,
    sanitize,
    timecode,
)

MOST_GROUPS = len(palette.GROUPS)
"""Groups with a curve of their own, the largest ones."""

DASHES = {
    "solid": "", "dash": "6 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "11 4", "longdashdot": "11 3 2 3",
}  # fmt: skip
"""Of the groups' curves, by plotly's names and as SVG draws them: for print, and for readers who cannot tell the
colours apart."""

EVERYBODY = "all participants"


@dataclass(frozen=True, slots=True)
class GroupLook:
    """How a group is drawn."""

    group: str | None
    """None: all participants."""
    name: str
    """For people; not escaped."""
    colour: str
    dash: str
    """In plotly's words, see `DASHES`."""


_EVERYBODY_LOOK = GroupLook(None, EVERYBODY, MEASURES["engagement"].colour, "solid")


@dataclass(frozen=True, slots=True)
class GroupName:
    """A group as a table shows it."""

    name: str
    colour: str
    """`transparent` for a group without a curve."""

    @classmethod
    def of(cls, cohort: Cohort, group: str | None) -> GroupName:
        """A group of the cohort; None: of no group."""
        colours = {look.group: look.colour for look in group_looks(cohort)}
        return cls(
            sanitize(group or UNKNOWN), colours[group] if group in colours and group else "transparent"
        )


def group_looks(cohort: Cohort) -> list[GroupLook]:
    """The groups with a curve, the `MOST_GROUPS` largest, in their order; all participants if there are no groups."""
    if not cohort.groups:
        return [_EVERYBODY_LOOK]
    largest = sorted(cohort.groups, key=lambda group: (-len(cohort.of(group)), group))[:MOST_GROUPS]
    return [
        GroupLook(group, sanitize(group), colour, dash)
        for group, colour, dash in zip(sorted(largest), palette.GROUPS, DASHES, strict=False)
    ]


def looks_in(cohort: Cohort, looks: Sequence[GroupLook]) -> list[GroupLook]:
    """The groups that have a participant in a part of the cohort; all participants if none has."""
    return [look for look in looks if cohort.of(look.group)] or [_EVERYBODY_LOOK]


def known_measures(cohort: Cohort) -> list[str]:
    """Measures of the page that are known of any participant, in the order of the page.

    Without those that say of a bin whether something is so: over all bins of a participant they are nearly the same as
    the measure that they are made from.
    """
    return [
        measure.name
        for measure in page_measures()
        if measure.has_column
        and not measure.majority
        and any(math.isfinite(one.mean(measure.name)) for one in cohort.participants)
    ]


def describe_measure(name: str) -> str:
    """What a measure says, in a sentence without its subject: `is the share of ...`."""
    return MEASURES[name].description.split(". ")[0].removesuffix(".") + "."


def describe_grouping(folder: Folder) -> str:
    """` by <column>`; empty if the column is called "group"."""
    return "" if folder.by in (None, GROUP) else f" by {sanitize(folder.by)}"


def format_value(name: str, value: float) -> str:
    """A value of a measure as pages write it."""
    return format_measure(MEASURES[name], value)


def format_interval(name: str, interval: Interval) -> str:
    """The ends of an interval of a measure."""
    if not math.isfinite(interval.low):
        return UNKNOWN
    return f"{format_value(name, interval.low)} to {format_value(name, interval.high)}"


# --- Who is not counted ----------------------------------------------------------------------------------


def describe_reason(left_out: LeftOut) -> str:
    """Why somebody is not counted, as the end of a sentence: `seen for 4 s`."""
    one = left_out.participant
    match left_out.reason:
        case "outside":
            return explain_outside(one.parts[0].video)
        case "excluded":
            return "left out by corrections.csv"
        case "unseen":
            return "no face was seen for a second or longer"
        case "unreadable":
            return f"seen for {_seconds(one.face_s)}, but turned away, too small or too blurred to be read"
        case "short":
            return f"a recording of only {_seconds(one.length_s)}"
        case "brief":
            return f"seen for {_seconds(one.face_s)}"
        case "little":
            return f"readable for only {_seconds(one.readable_s)} of the {_seconds(one.face_s)} in view"


def list_left_out(left_out: tuple[LeftOut, ...], most: int = 5) -> str:
    """`Fred (seen for 4 s) and Gina (no face was seen for a second or longer)`."""
    found = [f"{sanitize(one.participant.name)} ({describe_reason(one)})" for one in left_out[:most]]
    if hidden := len(left_out) - most:
        found += [f"{hidden} more"] if hidden > 0 else []
    return join_words(found)


def describe_rule() -> str:
    """Who is counted, in a sentence."""
    return (
        f"A participant counts if the face can be read for {LEAST_SECONDS:g} s or more, or, where all recordings are "
        f"shorter than {2 * LEAST_SECONDS:g} s, for half of the longest one, but {LEAST_SHORT_SECONDS:g} s at least."
    )


def describe_pooling(cohort: Cohort) -> str:
    """`over 2 stimuli`, where means of participants pool several; else empty."""
    if len(cohort.stimuli) < 2:
        return ""
    without = " and sessions without one" if None in cohort.stimuli else ""
    return f"over {pluralize(len(cohort.stimuli - {None}), 'stimulus', 'stimuli')}{without}"


def count_people(n: int) -> str:
    """`1 participant`, `2 participants`."""
    return pluralize(n, "participant")


def _seconds(seconds: float) -> str:
    """Seconds below a minute, a time code beyond."""
    if seconds >= 60:
        return timecode(seconds)
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
