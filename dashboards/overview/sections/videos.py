"""The table of videos, and that of inputs without results."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.cohort import GroupName
from ferflow.dashboards.overview.overview_data import Entry, Folder
from ferflow.dashboards.overview.sparkline import draw_sparkline, highest_value
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    count,
    percent,
    sanitize,
    score,
    signed,
    sort_key,
    timecode,
)
from ferflow.store.run_manifest import Status

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

    rank: str
    name: str
    link: str | None
    group: GroupName
    participant: str
    status: str
    is_complete: bool
    reason: str
    duration: str
    people: str
    coverage: str
    engagement: str
    valence: str
    reacting: str
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
    """All inputs of the folder."""

    rows: tuple[VideoRow, ...]
    failed: tuple[FailedRow, ...]
    group_heading: str
    """Empty: no video has a group."""
    has_participants: bool


def build_videos(folder: Folder) -> Videos:
    """The videos by their mean engagement, the highest first."""
    done = folder.finished
    top = highest_value(entry.curve(LEADING) for entry in done)
    return Videos(
        rows=tuple(_build_row(folder, rank, entry, top) for rank, entry in enumerate(folder.ranked, 1)),
        failed=tuple(_build_failed(entry) for entry in folder.broken),
        group_heading=sanitize(folder.by or "").capitalize() if any(entry.group for entry in done) else "",
        has_participants=any(entry.participant for entry in done),
    )


def _build_row(folder: Folder, rank: int, entry: Entry, top: float) -> VideoRow:
    value = entry.mean(LEADING)
    return VideoRow(
        rank=str(rank) if math.isfinite(value) else UNKNOWN,
        name=sanitize(entry.name),
        link=entry.link,
        group=GroupName.of(folder.cohort, entry.group),
        participant=sanitize(entry.participant or UNKNOWN),
        status=_STATUS[entry.status],
        is_complete=entry.status in ("done", "skipped"),
        reason=sanitize(entry.reason),
        duration=timecode(entry.duration_s),
        people=count(entry.n_people),
        coverage=percent(entry.coverage),
        engagement=percent(value),
        valence=signed(entry.mean("valence")),
        reacting=percent(entry.mean("reacting")),
        spark=_draw_spark(entry, top),
        sort_keys=_sort_keys(entry),
    )


def _sort_keys(entry: Entry) -> dict[str, str]:
    values = {
        "engagement": entry.mean(LEADING), "valence": entry.mean("valence"), "reacting": entry.mean("reacting"),
        "people": entry.n_people, "duration": entry.duration_s, "coverage": entry.coverage,
    }  # fmt: skip
    return {name: sort_key(value) for name, value in values.items()}


def _draw_spark(entry: Entry, top: float) -> Markup | None:
    curve, name = entry.curve(LEADING), LEADING
    if not np.isfinite(curve).any():
        return None
    words = f"{name} over time, from {score(float(np.nanmin(curve)))} to {score(float(np.nanmax(curve)))}"
    return draw_sparkline(curve, top, MEASURES[name].colour, words)


def _build_failed(entry: Entry) -> FailedRow:
    return FailedRow(
        sanitize(entry.name), sanitize(entry.reason or "No tables of it were found."), _STATUS[entry.status]
    )
