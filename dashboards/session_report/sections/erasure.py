"""That somebody's faces were removed on request."""

from __future__ import annotations

from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import Notice
from ferflow.dashboards.shared.number_format import timecode


def build_erasure(session: Session) -> Notice | None:
    """What that means for the numbers of the page; None where nothing was removed."""
    erasure = session.metadata.erasure
    if erasure is None:
        return None
    alone_s = sum(end - start for start, end in erasure.alone)
    text = "The numbers of this page are of everybody else."
    if alone_s > 0:
        text += (
            f" For {timecode(alone_s)} nobody else was in view: that time was analysed, and the row Coverage shows it "
            "as excluded, not as time without a face."
        )
    # Without a timeline there is no player.
    if session.video.is_source and len(session.timeline):
        text += " The player shows the video itself, which still shows that person."
    return Notice("Somebody was removed from this session on request.", text)
