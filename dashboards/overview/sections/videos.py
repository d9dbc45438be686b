"""The table of videos, and that of inputs without results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from markupsafe import Markup

from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.cohort import GroupName, describe_reason
from ferflow.dashboards.overview.overview_data import Entry, Folder
from ferflow.dashboards.overview.sparkline import describe_scale, draw_sparkline, highest_value
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    join_words,
    percent,
    pluralize,
    sanitize,
    signed,
    sort_key,
    timecode,
)
from ferflow.store.run_manifest import Status

MOST_NAMES = 3
"""Of the people in a video."""

_STATUS: dict[Status, str] = {
    "done": "done",
    "done_with_gaps": "done, with gaps",
    "skipped": "done earlier",
    "failed": "failed",
    "not_started": "not started",
}


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A video with results."""

    name: str
    link: str | None
    group: GroupName
    stimulus: str
    people: str
    status: str
    is_complete: bool
    reason: str
    not_counted: str
    """Why none of its people is counted; empty if one is."""
    duration: str
    visible: str
    engagement: str
    valence: str
    spark: Markup | None
    sort_keys: dict[str, str]
    """The numbers that the table is sorted by, unrounded."""


@dataclass(frozen=True, slots=True)
class FailedRow:
    """An input without results."""

    name: str
    reason: str
    status: str


@dataclass(frozen=True, slots=True)
class Videos:
    """All inputs of the folder, by name."""

    hint: str
    rows: tuple[VideoRow, ...]
    failed: tuple[FailedRow, ...]
    group_heading: str
    """Empty: no video has a group."""
    has_stimuli: bool


def build_videos(folder: Folder) -> Videos:
    """The videos in the order of their names."""
    done = folder.finished
    top = highest_value(entry.curve(LEADING) for entry in done)
    excluded = _excluded(folder)
    return Videos(
        hint=_hint(top),
        rows=tuple(
            _build_row(folder, place, entry, top, excluded.get(entry.video_id, ""))
            for place, entry in enumerate(done)
        ),
        failed=tuple(_build_failed(entry) for entry in folder.broken),
        group_heading=sanitize(folder.by or "").capitalize() if any(entry.group for entry in done) else "",
        has_stimuli=any(entry.stimulus for entry in done),
    )


def _hint(top: float) -> str:
    return (
        "In the order of the names; a click on a heading sorts by it. Engagement: the share of the time in which a "
        f"face can be read that shows any expression, over all people in the video. {describe_scale(top)} Net "
        "positivity: the score of happy minus the highest score of angry, disgust, fear and sad. Face in view: the "
        "share of the analysed time that shows a face, readable or not. "
        "Videos with different content are not ranked: a high value here is not a better video."
    )


def _excluded(folder: Folder) -> dict[str, str]:
    """Why none of the people of a video is counted, by id of the video."""
    names = {entry.video_id: entry.name for entry in folder.finished}
    counted = {video_id for one in folder.cohort.participants for video_id in one.video_ids}
    found: dict[str, list[str]] = {}
    for one in folder.cohort.left_out:
        for video_id in one.participant.video_ids:
            if video_id not in counted:
                name = one.participant.name
                # A person without a name is called by that of the file, which stands above.
                who = (
                    ""
                    if name == PurePath(names[video_id]).stem
                    else f"{sanitize(name.removesuffix(f', {names[video_id]}'))}: "
                )
                found.setdefault(video_id, []).append(f"{who}{describe_reason(one)}, not counted")
    return {video_id: "; ".join(words[:2]) for video_id, words in found.items()}


def _build_row(folder: Folder, place: int, entry: Entry, top: float, not_counted: str) -> VideoRow:
    stimulus = folder.stimulus_videos[entry.stimulus].title if entry.stimulus else UNKNOWN
    return VideoRow(
        name=sanitize(entry.name),
        link=entry.link,
        group=GroupName.of(folder.cohort, entry.group),
        stimulus=sanitize(stimulus),
        people=name_people(entry.people),
        status=_STATUS[entry.status],
        is_complete=entry.status in ("done", "skipped"),
        reason=sanitize(entry.reason),
        not_counted=not_counted,
        duration=timecode(entry.duration_s),
        visible=percent(min(entry.coverage, 1.0)),
        engagement=percent(entry.mean(LEADING)),
        valence=signed(entry.mean("valence")),
        spark=_draw_spark(entry, top),
        sort_keys=_sort_keys(entry) | {"name": str(place)},
    )


def name_people(names: list[str]) -> str:
    """The first names, and how many more there are."""
    if not names:
        return UNKNOWN
    shown = [sanitize(name) for name in names[:MOST_NAMES]]
    hidden = len(names) - len(shown)
    return join_words([*shown, *([pluralize(hidden, "more", "more")] if hidden else [])])


def _sort_keys(entry: Entry) -> dict[str, str]:
    values = {
        "engagement": entry.mean(LEADING), "valence": entry.mean("valence"), "people": entry.n_people,
        "duration": entry.duration_s, "coverage": entry.coverage,
    }  # fmt: skip
    return {name: sort_key(value) for name, value in values.items()}


def _draw_spark(entry: Entry, top: float) -> Markup | None:
    curve = entry.curve(LEADING)
    if not np.isfinite(curve).any():
        return None
    lowest, highest = (percent(float(edge(curve))) for edge in (np.nanmin, np.nanmax))
    words = f"Engagement over time, from {lowest} to {highest}"
    return draw_sparkline(curve, top, MEASURES[LEADING].colour, words)


def _build_failed(entry: Entry) -> FailedRow:
    return FailedRow(
        sanitize(entry.name), sanitize(entry.reason or "No tables of it were found."), _STATUS[entry.status]
    )
