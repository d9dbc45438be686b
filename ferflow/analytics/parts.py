"""Several files of one participant as one recording: chapters of a camera, splits of a recorder.

The session list numbers them in column `part`, or says `auto`: then they follow one another by the creation times in
the files or, where these say nothing, by their names. A part starts on the common clock where the part before it ends.

>>> place_parts(sessions, {"GX010001-1a2b3c4d": FileFacts("GX010001.MP4", 708.0, None), ...})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from ferflow.analytics.cohort import natural_key
from ferflow.analytics.session_list import AUTO_PART, SessionRow, Sessions
from ferflow.text import sanitize


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the place of a part depends on."""

    name: str
    """Of the file."""
    length_s: float
    created: datetime | None = None
    """As the file says."""


def place_parts(sessions: Sessions, facts: Mapping[str, FileFacts]) -> Sessions:
    """Give each part the `offset_s` at which the parts before it end, with a warning where one is missing.

    A part whose row gives `offset_s` keeps it, and later parts follow it.

    Args:
        sessions: the list.
        facts: of every finished video, by id.
    """
    recordings: dict[tuple[tuple[str, ...], str | None], list[str]] = {}
    for video_id, row in sessions.rows.items():
        if row.part is not None and video_id in facts:
            recordings.setdefault((row.participants, row.stimulus), []).append(video_id)
    rows, warnings = dict(sessions.rows), list(sessions.warnings)
    for (participants, _), video_ids in recordings.items():
        ordered = _in_order(video_ids, sessions, facts)
        rows |= _place(ordered, sessions, facts)
        warnings += _find_missing(participants, [sessions.rows[one].part or AUTO_PART for one in ordered])
    return replace(sessions, rows=rows, warnings=tuple(warnings))


def _in_order(video_ids: Sequence[str], sessions: Sessions, facts: Mapping[str, FileFacts]) -> list[str]:
    by_name = sorted(video_ids, key=lambda one: natural_key(facts[one].name))
    parts = {one: sessions.rows[one].part for one in by_name}
    if AUTO_PART not in parts.values():
        return sorted(by_name, key=lambda one: parts[one] or 0)
    # Chapters of one recording may all have its creation time.
    created = {one: time for one in by_name if (time := facts[one].created) is not None}
    is_known = len(created) == len(by_name) == len(set(created.values()))
    return sorted(by_name, key=lambda one: created[one]) if is_known else by_name


def _place(
    ordered: Sequence[str], sessions: Sessions, facts: Mapping[str, FileFacts]
) -> dict[str, SessionRow]:
    placed = {}
    # Time of the clock at which the next part starts; the clock starts at `offset_s` of the first one.
    start_s = -sessions.rows[ordered[0]].offset_s
    for video_id in ordered:
        row = sessions.rows[video_id]
        if row.values.get("offset_s"):
            start_s = -row.offset_s
        placed[video_id] = replace(row, offset_s=-start_s)
        start_s += facts[video_id].length_s
    return placed


def _find_missing(participants: Sequence[str], parts: Sequence[int]) -> list[str]:
    if AUTO_PART in parts:
        return []
    who = ", ".join(map(sanitize, participants))
    return [
        f"session list: of {who}, part {before + 1} is missing, so that part {after} follows part {before}"
        for before, after in pairwise([0, *parts])
        if after > before + 1 and before
    ] + [
        f"session list: of {who}, part 1 is missing, so that the clock starts with part {parts[0]}"
        for _ in range(parts[0] > 1)
    ]
