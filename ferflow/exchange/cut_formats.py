"""The peaks of each session and its segments, as cut lists for video editors: EDL and OTIO, a file per session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferflow.exchange.cut_list import Cut, write_edl, write_otio
from ferflow.exchange.destination import Destination
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session


def write_otio_files(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`otio/<video_id>.otio`."""
    for session in sessions:
        with to.write("otio", f"{session.video_id}.otio") as part:
            write_otio(find_cuts(session), part, session.video.name)


def write_edl_files(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`edl/<video_id>.edl`."""
    for session in sessions:
        with to.write("edl", f"{session.video_id}.edl") as part:
            write_edl(find_cuts(session), part, session.video.name)


def find_cuts(session: Session) -> list[Cut]:
    """Peaks, and segments of markers, by start, as far as they lie within the video."""
    source, end_s = session.metadata.source, session.end_s
    stretches = [(one.start_s, one.end_s, f"peak: {one.label or one.curve}") for one in session.peaks]
    stretches += [(one.time_s, one.end_s, one.label) for one in session.markers if one.end_s is not None]
    inside = [(max(0.0, start), min(end, end_s), label) for start, end, label in stretches]
    return [
        Cut(Path(source.path), start, end, label, source.frame_rate)
        for start, end, label in sorted(inside)
        if start < end
    ]
