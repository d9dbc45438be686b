"""The table of participants, also of those who are not counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ferflow.analytics.cohort import Cohort, LeftOut, Part, Participant
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.cohort import GroupName, describe_reason, describe_rule
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sparkline import describe_scale, draw_sparkline, highest_value
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    percent,
    pluralize,
    sanitize,
    signed,
    sort_key,
    timecode,
)
from ferflow.types import Float64Array

MOST_PARTICIPANT_ROWS = 80


@dataclass(frozen=True, slots=True)
class VideoLink:
    """A video that a participant is seen in."""

    name: str
    link: str | None


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """Means over the readable time of one participant."""

    name: str
    group: GroupName
    videos: tuple[VideoLink, ...]
    spark: Markup | None
    value: str
    valence: str
    attention: str
    readable: str
    not_counted: str
    """The reason; empty for a participant who is counted."""
    sort_keys: dict[str, str]
    """The numbers that the table is sorted by, unrounded."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The participants by group and name, then those who are not counted."""

    hint: str
    group_heading: str
    """Empty: there are no groups."""
    rows: tuple[ParticipantRow, ...]


def build_participants(folder: Folder) -> Participants | None:
    """None without participants, or if the table of videos shows the same: one participant per video."""
    cohort = folder.cohort
    everybody = [*cohort.participants, *(one.participant for one in cohort.left_out)]
    if len(everybody) < 2 or _has_one_per_video(everybody, len(folder.finished)):
        return None
    shown = cohort.participants[:MOST_PARTICIPANT_ROWS]
    others = cohort.left_out[: MOST_PARTICIPANT_ROWS - len(shown)]
    top = highest_value(_curve(one) for one in shown)
    rows = [_build_row(folder, place, one, top) for place, one in enumerate(shown)]
    rows += [
        _build_left_out(folder, place, one) for place, one in enumerate(others, len(cohort.participants))
    ]
    return Participants(
        hint=_hint(cohort, len(everybody) - len(rows), top),
        group_heading=sanitize(folder.by or "").capitalize() if cohort.groups else "",
        rows=tuple(rows),
    )


def _hint(cohort: Cohort, n_hidden: int, top: float) -> str:
    hint = (
        "In the order of the names; a click on a heading sorts by it. Engagement: the share of the time in which the "
        f"face can be read that shows any expression. {describe_scale(top)}"
    )
    if cohort.left_out:
        hint += f" Those in grey are not counted. {describe_rule()}"
    if n_hidden:
        hint += f" {pluralize(n_hidden, 'more is', 'more are')} not listed; --csv writes all of them."
    return hint


def _has_one_per_video(everybody: list[Participant], n_videos: int) -> bool:
    """Whether every video shows one participant, and each of them is in one video."""
    pairs = [one.video_ids for one in everybody]
    return len(pairs) == n_videos and len(set(pairs)) == n_videos and all(len(ids) == 1 for ids in pairs)


def _curve(participant: Participant) -> Float64Array:
    """The leading measure over time; sessions one after the other, float64 (bins,), NaN where unknown."""
    return np.concatenate([_curve_in(part) for part in participant.parts])


def _curve_in(part: Part) -> Float64Array:
    n_bins = int(part.bins.max(initial=-1)) + 1
    return part.tally(part.bins, n_bins, [LEADING]).mean(LEADING)


def _build_row(folder: Folder, place: int, participant: Participant, top: float) -> ParticipantRow:
    look = GroupName.of(folder.cohort, participant.group)
    colour = look.colour if look.colour.startswith("#") else MEASURES[LEADING].colour
    mean = participant.mean(LEADING)
    words = f"Engagement over time, {percent(mean)} on the whole"
    values = {
        "value": mean, "valence": participant.mean("valence"), "attention": participant.mean("attention"),
        "seconds": participant.readable_s,
    }  # fmt: skip
    return ParticipantRow(
        name=sanitize(participant.name),
        group=look,
        videos=_link_videos(folder, participant),
        spark=draw_sparkline(_curve(participant), top, colour, words),
        value=percent(mean),
        valence=signed(values["valence"]),
        attention=percent(values["attention"]),
        readable=timecode(participant.readable_s),
        not_counted="",
        sort_keys={key: sort_key(value) for key, value in values.items()} | {"name": str(place)},
    )


def _build_left_out(folder: Folder, place: int, left_out: LeftOut) -> ParticipantRow:
    one = left_out.participant
    return ParticipantRow(
        name=sanitize(one.name),
        group=GroupName.of(folder.cohort, one.group),
        videos=_link_videos(folder, one),
        spark=None,
        value=UNKNOWN,
        valence=UNKNOWN,
        attention=UNKNOWN,
        readable=timecode(one.readable_s),
        not_counted=f"{describe_reason(left_out)}, not counted",
        sort_keys={"name": str(place), "seconds": sort_key(one.readable_s)},
    )


def _link_videos(folder: Folder, participant: Participant) -> tuple[VideoLink, ...]:
    entries = {entry.video_id: entry for entry in folder.finished}
    return tuple(
        VideoLink(sanitize(entries[video_id].name), entries[video_id].link)
        for video_id in participant.video_ids
    )
