"""The table of peaks, and the clips around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ferflow import palette
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.peaks import PEAK_PROMINENCE, SMOOTHING_SECONDS, Peak
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import TimeButton
from ferflow.dashboards.shared.number_format import UNKNOWN, join_words, sanitize, score, timecode

MOST_NAMES = 8
"""People named in a row of the table."""


@dataclass(frozen=True, slots=True)
class PeakRow:
    """A peak in the table."""

    time: TimeButton
    span: str
    height: str
    width: str
    """Of the bar that shows the height, in percent."""
    prominence: str
    label: str
    colour: str
    people: str


@dataclass(frozen=True, slots=True)
class ClipPeak:
    """A peak that a clip shows."""

    number: int
    """In the table, from 1."""
    time: str
    label: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A short clip around one or several peaks."""

    url: str
    name: str
    peaks: tuple[ClipPeak, ...]


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of the session's leading measure."""

    measure: str
    hint: str
    peaks: tuple[PeakRow, ...]
    clips: tuple[Clip, ...]


def build_peaks(session: Session) -> Peaks | None:
    """None without people."""
    if not session.people:
        return None
    return Peaks(
        MEASURES[session.leading_measure].title,
        _hint(session),
        tuple(_build_row(session, peak) for peak in session.peaks),
        tuple(_build_clip(session, url, places) for url, places in session.clips.items()),
    )


def _hint(session: Session) -> str:
    measure = MEASURES[session.leading_measure].title.lower()
    smooth = f"averaged over {SMOOTHING_SECONDS:g} s"
    hint = f"A peak is a time at which {measure}, {smooth}, is clearly higher than before and after."
    if session.peaks and not session.pose_known:
        hint += " Head pose is unknown in this video, so expressiveness is used instead of engagement."
    if not session.peaks:
        hint = f"No peak: {measure}, {smooth}, never exceeds the values around it by {PEAK_PROMINENCE:g} or more."
    if math.isfinite(session.peak_end):
        end = score(session.peak_end)
        hint += f" The peak-end score of happy (mean of its highest and its last value) is {end}."
    return hint


def _build_row(session: Session, peak: Peak) -> PeakRow:
    return PeakRow(
        time=TimeButton.at(peak.time_s),
        span=f"{timecode(peak.start_s)} – {timecode(peak.end_s)}",
        height=score(peak.height),
        width=f"{100 * min(peak.height, 1.0):.1f}",
        prominence=score(peak.prominence),
        label=sanitize(peak.label or UNKNOWN),
        colour=palette.colours(session.labels).get(peak.label or "", "transparent"),
        people=_list_names(session, peak.track_ids),
    )


def _list_names(session: Session, track_ids: tuple[int, ...]) -> str:
    names = [sanitize(session.name_of(track)) for track in track_ids[:MOST_NAMES]]
    hidden = len(track_ids) - len(names)
    return join_words([*names, f"{hidden} more"] if hidden else names) or UNKNOWN


def _build_clip(session: Session, url: str, places: tuple[int, ...]) -> Clip:
    peaks = [(place + 1, session.peaks[place]) for place in places]
    return Clip(
        url,
        f"Clip of {join_words([f'peak {number}' for number, _ in peaks])}",
        tuple(
            ClipPeak(number, timecode(peak.time_s), sanitize(peak.label or UNKNOWN)) for number, peak in peaks
        ),
    )
