"""The sessions that share a time: for each stimulus its video, its curves and what to see in them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ferflow import palette
from ferflow.analytics.cohort import Cohort
from ferflow.analytics.cohort_signals import clock_band, signal_names
from ferflow.analytics.intervals import Band, Interval, mean_interval
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.shared_clock import SharedClock
from ferflow.analytics.signals import split_unit
from ferflow.dashboards.overview.clock_chart.canvas import Scale
from ferflow.dashboards.overview.clock_chart.figure import build_clock_figure, common_scale
from ferflow.dashboards.overview.clock_chart.people_row import labels_of
from ferflow.dashboards.overview.clock_chart.scenes_row import scenes_of
from ferflow.dashboards.overview.clock_chart.signal_rows import row_id, shown_signals, signal_scale
from ferflow.dashboards.overview.cohort import (
    DASHES,
    MOST_GROUPS,
    GroupLook,
    count_people,
    format_interval,
    format_value,
    group_looks,
    list_left_out,
    looks_in,
)
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sections.headline import describe_share
from ferflow.dashboards.overview.sparkline import draw_sparkline, highest_value
from ferflow.dashboards.overview.stimulus_video import StimulusVideo
from ferflow.dashboards.shared.bins import find_largest
from ferflow.dashboards.shared.elements import Card, TimeButton
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    join_words,
    percent,
    pluralize,
    sanitize,
    sort_key,
    timecode,
)
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
class LabelColour:
    """An expression, in the lanes of participants."""

    label: str
    colour: str


@dataclass(frozen=True, slots=True)
class StimulusChart:
    """One stimulus: its video, the chart of its sessions, what explains it, and what is not in it."""

    title: str
    lead: str
    cards: tuple[Card, ...]
    video: StimulusVideo
    legend: tuple[LegendEntry, ...]
    labels: tuple[LabelColour, ...]
    description: str
    """The chart in words, for screen readers."""
    notes: tuple[str, ...]
    figure: Markup
    """JSON."""
    facts: Markup
    """JSON: what the script needs besides the figure."""
    end_s: str
    step_s: str


def build_stimuli(folder: Folder) -> tuple[StimulusChart, ...] | None:
    """One chart for each stimulus with the same scale; None where no sessions share a time."""
    looks = group_looks(folder.cohort)
    scale = common_scale(folder.clocks, looks)
    charts = tuple(
        _build_chart(folder, clock, looks, scale) for clock in folder.clocks if is_worth_a_chart(clock)
    )
    return charts or None


def is_worth_a_chart(clock: SharedClock) -> bool:
    """Whether a chart shows more than the page of the session does: a stimulus, or several people."""
    return clock.stimulus is not None or clock.cohort.n_participants > 1


def _build_chart(folder: Folder, clock: SharedClock, looks: list[GroupLook], scale: Scale) -> StimulusChart:
    video = _video_of(folder, clock)
    labels = labels_of(clock)
    colours = palette.colours(labels)
    shown = looks_in(clock.cohort, looks)
    return StimulusChart(
        title=title_of(folder, clock),
        lead=_lead(clock),
        cards=_cards(clock),
        video=video,
        legend=_legend(clock, shown) if folder.cohort.groups else (),
        labels=tuple(LabelColour(sanitize(label), colours[label]) for label in labels),
        description=_describe(clock, shown),
        notes=(*_explain(clock), *_excluded(clock), *_groups_in_part(clock.cohort)),
        figure=inline_json(build_clock_figure(clock, looks, scale).to_json()),
        facts=_facts(clock, shown),
        end_s=f"{clock.end_s:g}",
        step_s=f"{clock.step_s:g}",
    )


def title_of(folder: Folder, clock: SharedClock) -> str:
    """Name of a stimulus, or of the single session."""
    if clock.stimulus is None:
        return f"All people in {sanitize(clock.videos[0].name)}"
    return sanitize(folder.stimulus_videos[clock.stimulus].title)


def _video_of(folder: Folder, clock: SharedClock) -> StimulusVideo:
    if clock.stimulus is None:
        return StimulusVideo(title_of(folder, clock), None)
    return folder.stimulus_videos[clock.stimulus]


def _lead(clock: SharedClock) -> str:
    n = clock.cohort.n_participants
    groups = f" in {pluralize(len(clock.cohort.groups), 'group')}" if clock.cohort.groups else ""
    if clock.stimulus is None:
        return f"{count_people(n)}{groups}, on the time of the video."
    sessions = pluralize(len(clock.videos), "session")
    return (
        f"{sessions} with {count_people(n)}{groups}, over one another: 00:00 is the start of the stimulus, which they "
        "watched or did, in each."
    )


# --- Numbers --------------------------------------------------------------------------------------------


def _cards(clock: SharedClock) -> tuple[Card, ...]:
    ever, still = clock.ever_reacted(None), clock.still_there(None)
    return (
        _most_card(clock),
        Card(
            "Reacted at least once",
            f"{_members(ever)[-1]}",
            _share_at(ever, -1),
            unit=f"of {ever.n[-1]:.0f}",
        ),
        _still_card(still, clock.step_s),
    )


def _most_card(clock: SharedClock) -> Card:
    share = clock.band(None, "reacting")
    reacting = np.round(np.nan_to_num(share.mean * share.n), 6)
    if not reacting.any():
        return Card(
            "Most reacting at once", "0", "no participant shows an expression for half of a second or more"
        )
    k = find_largest(reacting, share.mean)
    at = (k + 0.5) * clock.step_s
    number = f"{reacting[k]:.0f}" if reacting[k] >= 1 else "<1"
    note = f"{number} of {share.n[k]:.0f} faces that can be read react"
    return Card("Most at once", timecode(at), note, time=TimeButton.at(at))


def _still_card(still: Band, step_s: float) -> Card:
    here = _members(still)
    # Not the last point: recordings end some moments apart.
    late, half = 9 * len(here) // 10, len(here) // 2
    note = (
        f"have their face seen after {timecode(late * step_s)}, {here[half]} after {timecode(half * step_s)}; a "
        "recording that ends earlier counts as leaving"
    )
    return Card("Still there", f"{here[late]}", note, unit=f"of {still.n[late]:.0f}")


def _members(band: Band) -> list[int]:
    """Number of participants that a share stands for, at each point."""
    return [round(float(value)) for value in band.mean * band.n]


def _share_at(band: Band, k: int) -> str:
    return describe_share(
        Interval(int(band.n[k]), float(band.mean[k]), float(band.low[k]), float(band.high[k]))
    )


# --- Words ----------------------------------------------------------------------------------------------


def _explain(clock: SharedClock) -> list[str]:
    joined = f" ({clock.bins_joined} rows of the tables)" if clock.bins_joined > 1 else ""
    return [
        f"Each participant counts once; each point is {clock.step_s:g} s{joined}. The shaded area is the 95 % interval "
        "at each single point: how far the value could be from that of many more such participants; docs/numbers.md of "
        "ferflow has the formulas.",
        *_explain_signals(clock),
    ]


def _explain_signals(clock: SharedClock) -> list[str]:
    n, shown = len(signal_names(clock.cohort)), shown_signals(clock)
    if not shown:
        return []
    rest = (
        f" Of {n} signals, the {len(shown)} that most sessions have are shown; --csv writes all."
        if n > len(shown)
        else ""
    )
    return [
        "Signals come from files; ferflow did not measure them. Their curves are means over the participants whose "
        f"sessions have the signal at that time, n at the cursor, with their 95 % interval.{rest}"
    ]


def _describe(clock: SharedClock, looks: list[GroupLook]) -> str:
    title = MEASURES[LEADING].title.lower()
    limits = MEASURES[LEADING].range
    signals = "".join(f"{sanitize(name)}, " for name in shown_signals(clock))
    values = {look: [one.mean(LEADING) for one in clock.cohort.of(look.group)] for look in looks}
    means = [
        f"{look.name} {format_value(LEADING, mean_interval(own, limits).mean)}"
        for look, own in values.items()
    ]
    return (
        f"Rows with one time axis: scenes, share reacting, expressiveness, net positivity, {signals}a lane for each "
        "participant, share who have reacted so far, share still there, and the number of faces that can be read. "
        f"Mean {title}: {join_words(means)}."
    )


def _legend(clock: SharedClock, looks: list[GroupLook]) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(look.name, look.colour, DASHES[look.dash], len(clock.cohort.of(look.group)))
        for look in looks
    )


def _facts(clock: SharedClock, looks: list[GroupLook]) -> Markup:
    scenes = [[scene.start_s, scene.end_s, sanitize(scene.label)] for scene in scenes_of(clock)]
    signals = [_signal_facts(clock, looks, k, name) for k, name in enumerate(shown_signals(clock))]
    return inline_json(json.dumps({"scenes": scenes, "signals": signals}))


def _signal_facts(
    clock: SharedClock, looks: list[GroupLook], k: int, name: str
) -> tuple[str, str, str, int | None]:
    """Row, title, unit and decimals."""
    title, unit = split_unit(name)
    scale = signal_scale([clock_band(clock, look.group, name) for look in looks])
    return row_id(k), sanitize(title), sanitize(unit), scale.digits


def _excluded(clock: SharedClock) -> list[str]:
    """Who is not counted, and who may be counted wrongly."""
    notes, cohort = [], clock.cohort
    if cohort.left_out:
        notes.append(f"Not counted here: {list_left_out(cohort.left_out)}.")
    if clock.other_bins:
        notes.append(
            f"Not counted here: {pluralize(len(clock.other_bins), 'video')} with bins of another length "
            f"({sanitize(_first_of(clock.other_bins))})."
        )
    return notes


def _groups_in_part(cohort: Cohort) -> list[str]:
    """Participants and groups that the curves or the comparison treat differently."""
    notes = []
    without_group = sum(one.group is None for one in cohort.participants)
    if cohort.groups and without_group:
        notes.append(f"{count_people(without_group)} without a group: in no curve and in no comparison.")
    if len(cohort.groups) > MOST_GROUPS:
        hidden = len(cohort.groups) - MOST_GROUPS
        notes.append(f"The {MOST_GROUPS} largest groups have curves; the table of groups has {hidden} more.")
    if n := cohort.n_in_several:
        notes.append(f"{count_people(n)} in several groups: the comparison counts them as different people.")
    return notes


def _first_of(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


# --- The stimuli beside each other ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StimulusRow:
    """One stimulus in the table of stimuli."""

    title: str
    n: str
    spark: Markup | None
    values: tuple[str, ...]
    sort_keys: dict[str, str]
    """The numbers that the table is sorted by, unrounded."""


@dataclass(frozen=True, slots=True)
class StimulusTable:
    """All stimuli, by name."""

    hint: str
    rows: tuple[StimulusRow, ...]


def build_stimulus_table(folder: Folder) -> StimulusTable | None:
    """The stimuli beside each other; None with fewer than two."""
    clocks = [clock for clock in folder.clocks if clock.stimulus is not None]
    if len(clocks) < 2:
        return None
    curves = [clock.band(None, LEADING).mean for clock in clocks]
    top = highest_value(curves)
    return StimulusTable(
        f"Means over participants with their 95 % intervals, in the order of the names. All curves have the same "
        f"scale, up to {percent(top)}, and the width of a curve is the length of its own stimulus.",
        tuple(_build_stimulus_row(folder, clock, top) for clock in clocks),
    )


def _build_stimulus_row(folder: Folder, clock: SharedClock, top: float) -> StimulusRow:
    cohort, curve = clock.cohort, clock.band(None, LEADING).mean
    found = {
        name: mean_interval((one.mean(name) for one in cohort.of(None)), MEASURES[name].range)
        for name in (LEADING, "valence")
    }
    ever = clock.ever_reacted(None)
    texts = [
        f"{format_value(name, one.mean)} ({format_interval(name, one)})" if math.isfinite(one.low) else
        format_value(name, one.mean) if math.isfinite(one.mean) else UNKNOWN
        for name, one in found.items()
    ]  # fmt: skip
    words = f"{LEADING} over time, mean {format_value(LEADING, found[LEADING].mean)}"
    return StimulusRow(
        title=title_of(folder, clock),
        n=str(cohort.n_participants),
        spark=draw_sparkline(curve, top, MEASURES[LEADING].colour, words),
        values=(*texts, f"{_members(ever)[-1]} of {ever.n[-1]:.0f}"),
        sort_keys={
            LEADING: sort_key(found[LEADING].mean), "valence": sort_key(found["valence"].mean),
            "ever": sort_key(float(ever.mean[-1])), "n": str(cohort.n_participants),
        },
    )  # fmt: skip
