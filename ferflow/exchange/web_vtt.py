"""WebVTT: the expressions of each person as subtitles, and markers and peaks as chapters, two files per session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TypeAlias

from ferflow.analytics.measures import NEUTRAL_LABEL
from ferflow.exchange.destination import Destination
from ferflow.exchange.plain_text import clean_line
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session

Cue: TypeAlias = tuple[float, float, str]
"""Start and end in seconds, and the text, whose markup is escaped."""


def write_vtt(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`vtt/<video_id>.vtt` and `vtt/<video_id>.chapters.vtt`."""
    for session in sessions:
        with to.write("vtt", f"{session.video_id}.vtt") as part:
            write_cues(_find_subtitles(session), part)
        with to.write("vtt", f"{session.video_id}.chapters.vtt") as part:
            write_cues(_find_chapters(session), part)


def write_cues(cues: Iterable[Cue], path: Path) -> None:
    """Write cues, by start."""
    blocks = [
        f"{_format_time(start)} --> {_format_time(end)}\n{text}\n"
        for start, end, text in sorted(cues)
        if round(end * 1000) > round(start * 1000)
    ]
    path.write_text("\n".join(["WEBVTT\n", *blocks]), encoding="utf-8")


def escape_cue(text: str) -> str:
    """A text as it stands in a cue: on one line, and without markup, arrows included."""
    return escape(clean_line(text), quote=False)


def _find_subtitles(session: Session) -> list[Cue]:
    return [
        (
            one.start_s,
            one.end_s,
            f"<v {_voice(session.find_person(one.person_id).name)}>{escape_cue(one.label)}</v>",
        )
        for one in session.events
        if one.kind == "expression" and one.label != NEUTRAL_LABEL
    ]


def _find_chapters(session: Session) -> list[Cue]:
    """Segments and peaks last as long as they do; a moment lasts until the next one, or for a second."""
    found = [(one.start_s, one.end_s, f"Peak: {one.label or one.curve}") for one in session.peaks]
    found += [
        (one.time_s, one.time_s + 1.0 if one.end_s is None else one.end_s, one.label)
        for one in session.markers
    ]
    inside = [(max(0.0, start), min(end, session.end_s), text) for start, end, text in found]
    return [(start, end, escape_cue(text)) for start, end, text in inside if start < end]


def _voice(name: str) -> str:
    return escape_cue(name).replace("\u00a0", " ") or "?"


def _format_time(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
