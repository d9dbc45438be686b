"""The table of peaks, and the clips around them."""

from __future__ import annotations

from dataclasses import dataclass

from ferflow import palette
from ferflow.analytics.peaks import Peak
from ferflow.dashboards.session_report.sections.headline import describe_shown
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import TimeButton
from ferflow.dashboards.shared.number_format import UNKNOWN, join_words, percent, sanitize, score, timecode

MOST_NAMES = 8
"""People named in a row of the table."""


@dataclass(frozen=True, slots=True)
class PeakRow:
    """A peak in the table."""

    time: TimeButton
    span: str
    what: str
    """What happens, with the value of the curve."""
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
    """The moments of a session that stand out."""

    hint: str
    peaks: tuple[PeakRow, ...]
    clips: tuple[Clip, ...]


def build_peaks(session: Session) -> Peaks | None:
    """None without people."""
    if not session.people:
        return None
    return Peaks(
        _hint(session),
        tuple(_build_row(session, peak) for peak in session.peaks),
        tuple(_build_clip(session, url, places) for url, places in session.clips.items()),
    )


def _hint(session: Session) -> str:
    if not session.peaks:
        return "No moment stands out: no person shows an expression that is clearly stronger than before and after."
    return (
        "Moments at which, for a few seconds, clearly more people react than before and after, faces are clearly more "
        "expressive, or net positivity changes."
    )


def _build_row(session: Session, peak: Peak) -> PeakRow:
    return PeakRow(
        time=TimeButton.at(peak.time_s),
        span=f"{timecode(peak.start_s)} – {timecode(peak.end_s)}",
        what=_describe(session, peak),
        label=describe_shown(peak.shown) if peak.shown else sanitize(peak.label or UNKNOWN),
        colour=palette.colours(session.labels).get(peak.label or "", "transparent"),
        people=_list_names(session, peak.person_ids),
    )


def _describe(session: Session, peak: Peak) -> str:
    """What rises, with its value."""
    if peak.curve == "valence":
        return f"net positivity {'rises' if peak.height > 0 else 'falls'} by {abs(peak.height):.2f}"
    if peak.curve == "expressiveness" or len(session.people) == 1:
        return f"expressiveness {score(_value(session, peak))}"
    return f"{percent(peak.height)} of the people whose faces can be read react"


def _value(session: Session, peak: Peak) -> float:
    """Expressiveness of the audience in the peak's bin."""
    return float(session.values("expressiveness")[int(peak.time_s / session.bin_seconds)])


def _list_names(session: Session, person_ids: tuple[int, ...]) -> str:
    names = [sanitize(session.name_of(person)) for person in person_ids[:MOST_NAMES]]
    hidden = len(person_ids) - len(names)
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
