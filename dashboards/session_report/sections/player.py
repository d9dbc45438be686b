"""The video, and the values at the current time."""

from __future__ import annotations

from dataclasses import dataclass

from ferflow.dashboards.session_report.downsample import downsample
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.video_player import PageVideo


@dataclass(frozen=True, slots=True)
class Player:
    """The video, if the page can show it, and the slider through its time."""

    video: PageVideo
    has_peaks: bool
    end_s: str
    step_s: str


def build_player(session: Session) -> Player | None:
    """None without a timeline, whose values it shows."""
    if not len(session.timeline):
        return None
    drawn = downsample(session)
    return Player(
        session.video, bool(session.people and session.peaks), f"{drawn.end_s:g}", f"{drawn.step_s:g}"
    )
