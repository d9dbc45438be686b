"""BORIS: a project with an observation per session, and its aggregated events as a table.

`ferflow.boris` opens in BORIS 7 and later, with people as subjects and expressions as behaviours (state events).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from ferflow.exchange.destination import Destination
from ferflow.exchange.person_bins import STATES
from ferflow.exchange.plain_text import clean_line
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session

AGGREGATED = (
    "Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)",
    "Media duration (s)", "FPS (frame/s)", "Subject", "Behavior", "Behavioral category", "Modifiers", "Behavior type",
    "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start", "Image index stop",
    "Image file path start", "Image file path stop", "Comment start", "Comment stop",
)  # fmt: skip
"""Columns of "Export aggregated events" of BORIS 8."""
MISSING = "NA"
EXPRESSION, STATE, MARKER = CATEGORIES = ("expression", "no expression", "marker")


def write_boris(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`boris/ferflow.boris` and `boris/aggregated_events.tsv`."""
    with to.write("boris", "ferflow.boris") as part:
        part.write_text(json.dumps(_build_project(sessions), indent=1), encoding="utf-8")
    with (
        to.write("boris", "aggregated_events.tsv") as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(AGGREGATED)
        for session in sessions:
            writer.writerows(_aggregated_rows(session))


def _aggregated_rows(session: Session) -> Iterator[list[object]]:
    source, name = session.metadata.source, clean_line(session.video.name)
    common = [session.video_id, _date(session), "", "Media file(s)", f"player #1:{name}", 0.0,
              round(session.end_s, 3), source.frame_rate or MISSING]  # fmt: skip
    for event in session.events:
        person = clean_line(session.find_person(event.person_id).name)
        category = EXPRESSION if event.kind == "expression" else STATE
        yield [*common, person, event.label, category, "", "STATE", *_times(event.start_s, event.end_s),
               name, MISSING, MISSING, MISSING, MISSING, "", ""]  # fmt: skip
    for marker in session.markers:
        times = _times(marker.time_s, marker.time_s if marker.end_s is None else marker.end_s)
        kind = "POINT" if marker.end_s is None else "STATE"
        if marker.end_s is None:
            times[2] = MISSING
        yield [*common, "No focal subject", clean_line(marker.label), MARKER, "", kind, *times, name,
               MISSING, MISSING, MISSING, MISSING, clean_line(marker.kind), ""]  # fmt: skip


def _times(start_s: float, end_s: float) -> list[object]:
    start, end = round(start_s, 3), round(end_s, 3)
    return [start, end, round(end - start, 3)]


def _date(session: Session) -> str:
    """When the video was last changed: BORIS asks for a date of each observation."""
    return datetime.fromtimestamp(session.metadata.source.mtime).isoformat(sep="T", timespec="seconds")


def _build_project(sessions: Sequence[Session]) -> dict[str, object]:
    labels = dict.fromkeys(label for session in sessions for label in session.metadata.labels)
    behaviours = [(label, EXPRESSION, "State event") for label in labels]
    behaviours += [(state, STATE, "State event") for state in STATES if state != "readable"]
    of_markers = {
        (clean_line(one.label), one.end_s is None) for session in sessions for one in session.markers
    }
    known = {label for label, _, _ in behaviours}
    behaviours += [
        (label, MARKER, "Point event" if is_moment else "State event")
        for label, is_moment in sorted(of_markers)
        if label not in known
    ]
    people = dict.fromkeys(clean_line(one.name) for session in sessions for one in session.people)
    return {
        "time_format": "hh:mm:ss",
        "project_date": max((_date(session) for session in sessions), default=""),
        "project_name": "ferflow",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(k): {"key": "", "name": name, "description": ""} for k, name in enumerate(people)
        },
        "behaviors_conf": {
            str(k): {"type": kind, "key": chr(97 + k % 26), "code": label, "description": "", "category": category,
                     "modifiers": "", "excluded": "", "coding map": ""}
            for k, (label, category, kind) in enumerate(behaviours)
        },
        "observations": {session.video_id: _build_observation(session) for session in sessions},
        "behavioral_categories": list(CATEGORIES),
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }  # fmt: skip


def _build_observation(session: Session) -> dict[str, object]:
    source, path = session.metadata.source, clean_line(session.metadata.source.path)
    events: list[tuple[float, str, str, str, str]] = []
    for event in session.events:
        person = clean_line(session.find_person(event.person_id).name)
        events += [(round(time, 3), person, event.label, "", "") for time in (event.start_s, event.end_s)]
    for marker in session.markers:
        times = [marker.time_s] if marker.end_s is None else [marker.time_s, marker.end_s]
        events += [
            (round(time, 3), "", clean_line(marker.label), "", clean_line(marker.kind)) for time in times
        ]
    return {
        "file": {"1": [path]},
        "type": "MEDIA",
        "date": _date(session),
        "description": "",
        "time offset": 0.0,
        "events": sorted(events, key=lambda one: one[0]),
        "independent_variables": {},
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {path: round(session.end_s, 3)},
            "fps": {path: source.frame_rate or 25.0},
            "hasVideo": {path: True},
            "hasAudio": {path: False},
            "offset": {"1": 0.0},
        },
    }
