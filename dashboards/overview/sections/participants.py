"""The table of participants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ferflow.analytics.cohort import Cohort, Participant
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.cohort import GroupName, format_value, group_colours
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sparkline import draw_sparkline, highest_value
from ferflow.dashboards.shared.number_format import percent, sanitize, score, signed, sort_key, timecode

MOST_PARTICIPANT_ROWS = 60


@dataclass(frozen=True, slots=True)
class VideoLink:
    """A video that a participant is seen in."""

    name: str
    link: str | None


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """Means over the bins of one participant."""

    name: str
    group: GroupName
    videos: tuple[VideoLink, ...]
    seconds: str
    spark: Markup | None
    value: str
    valence: str
    reacting: str
    sort_keys: dict[str, str]
    """The numbers that the table is sorted by, unrounded."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The participants by their mean of the leading measure, the highest first."""

    measure: str
    hint: str
    group_heading: str
    """Empty: there are no groups."""
    rows: tuple[ParticipantRow, ...]


def build_participants(folder: Folder) -> Participants | None:
    """None with fewer than two, or if the table of videos shows the same: one participant per video."""
    cohort = folder.cohort
    if not folder.has_cohort or _has_one_per_video(cohort, len(folder.finished)):
        return None
    name = LEADING
    longest = sorted(cohort.participants, key=lambda one: -one.seconds)[:MOST_PARTICIPANT_ROWS]
    ranked = sorted(longest, key=lambda one: -np.nan_to_num(one.mean(name), nan=-1.0))
    top = highest_value(one.curve(name) for one in ranked)
    return Participants(
        measure=MEASURES[name].title,
        hint=_hint(cohort, name, len(ranked)),
        group_heading=sanitize(folder.by or "").capitalize() if cohort.groups else "",
        rows=tuple(_build_row(folder, one, name, top) for one in ranked),
    )


def _hint(cohort: Cohort, name: str, n_listed: int) -> str:
    measure = MEASURES[name].title.lower()
    hint = f"Means over the bins of each participant, ranked by {measure}. All curves have the same scale."
    if hidden := len(cohort.participants) - n_listed:
        hint += (
            f" Only the {n_listed} longest in view are listed, {hidden} are not; `--csv` writes all of them."
        )
    return hint


def _has_one_per_video(cohort: Cohort, n_videos: int) -> bool:
    """Whether every video shows one participant, and each of them is in one video."""
    pairs = [one.video_ids for one in cohort.participants]
    return len(pairs) == n_videos and len(set(pairs)) == n_videos and all(len(ids) == 1 for ids in pairs)


def _build_row(folder: Folder, participant: Participant, name: str, top: float) -> ParticipantRow:
    colour = group_colours(folder.cohort).get(participant.group or "", MEASURES["engagement"].colour)
    words = f"{name} over time, mean {score(participant.mean(name))}"
    values = {
        "value": participant.mean(name), "seconds": participant.seconds,
        **{measure: participant.mean(measure) for measure in ("valence", "reacting")},
    }  # fmt: skip
    return ParticipantRow(
        name=sanitize(participant.name),
        group=GroupName.of(folder.cohort, participant.group),
        videos=_link_videos(folder, participant),
        seconds=timecode(participant.seconds),
        spark=draw_sparkline(participant.curve(name), top, colour, words),
        value=format_value(name, values["value"]),
        valence=signed(values["valence"]),
        reacting=percent(values["reacting"]),
        sort_keys={key: sort_key(value) for key, value in values.items()},
    )


def _link_videos(folder: Folder, participant: Participant) -> tuple[VideoLink, ...]:
    entries = {entry.video_id: entry for entry in folder.finished}
    return tuple(
        VideoLink(sanitize(entries[video_id].name), entries[video_id].link)
        for video_id in participant.video_ids
    )
