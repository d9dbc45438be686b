"""The page of `ferflow clips`: a list of clips that plays them, next to their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ferflow.dashboards.shared.number_format import pluralize, sanitize, timecode
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.dashboards.shared.settings import Theme
from ferflow.version import __version__


@dataclass(frozen=True, slots=True)
class PageClip:
    """A clip on the page."""

    file: str
    """Its name in the folder of the page."""
    title: str
    start_s: float
    end_s: float
    """In the session, seconds."""
    warning: str = ""
    """What a viewer must know; empty: nothing."""


@dataclass(frozen=True, slots=True)
class PageSession:
    """A session and its clips."""

    name: str
    clips: tuple[PageClip, ...]


@dataclass(frozen=True, slots=True)
class _Clip:
    url: str
    title: str
    times: str
    warning: str


@dataclass(frozen=True, slots=True)
class _Session:
    name: str
    clips: tuple[_Clip, ...]


def write_clip_page(
    path: Path, sessions: Sequence[PageSession], *, chosen: str, is_anonymous: bool, theme: Theme = "auto"
) -> None:
    """Write the page.

    Args:
        path: of the page; the clips are next to it.
        sessions: with their clips.
        chosen: how the clips were chosen, in words.
        is_anonymous: whether faces are covered.
        theme: colours.
    """
    shown = [_Session(sanitize(one.name), tuple(_build_clip(clip) for clip in one.clips)) for one in sessions]
    n_clips = sum(len(one.clips) for one in shown)
    lead = f"{pluralize(n_clips, 'clip')} of {pluralize(len(shown), 'session')} · {sanitize(chosen)}"
    page = render(
        "clips.html.j2",
        theme=theme,
        sessions=shown,
        lead=lead,
        shows_faces=not is_anonymous,
        is_anonymous=is_anonymous,
        more_style=template_text("clips.css"),
        script=template_text("clips.js"),
        version=__version__,
    )
    write_text(path, page, out=None)


def _build_clip(clip: PageClip) -> _Clip:
    times = f"{timecode(clip.start_s)} to {timecode(clip.end_s)}"
    return _Clip(quote(clip.file), sanitize(clip.title), times, sanitize(clip.warning))
