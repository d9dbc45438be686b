"""The sessions that share nothing that is known, beside each other: a small curve each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.dashboards.overview.overview_data import Entry, Folder
from ferflow.dashboards.overview.sections.videos import name_people
from ferflow.dashboards.overview.sparkline import describe_scale, draw_sparkline, highest_value
from ferflow.dashboards.shared.number_format import percent, pluralize, sanitize, timecode

MOST_SESSIONS = 24
"""Curves on the page, the first by name; the table of videos has all."""


@dataclass(frozen=True, slots=True)
class SessionCurve:
    """One session."""

    name: str
    link: str | None
    people: str
    spark: Markup | None
    value: str
    duration: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions without a stimulus, by name."""

    hint: str
    how: str
    """How to say that sessions share a stimulus."""
    curves: tuple[SessionCurve, ...]


def build_sessions(folder: Folder) -> Sessions | None:
    """None for a single video, or if each has a stimulus."""
    alone = [entry for entry in folder.finished if entry.stimulus is None]
    if len(folder.finished) < 2 or not alone:
        return None
    shown = alone[:MOST_SESSIONS]
    top = highest_value(entry.curve(LEADING) for entry in shown)
    return Sessions(
        hint=_hint(len(alone) - len(shown), top),
        how="If people watched or did the same thing, say so: add the column stimulus to the session list (the path of "
        "the video they watched, or any text, such as Level 1), or give --stimulus to ferflow analyze (in a job file: "
        'stimulus = "..."). The sessions of one stimulus are then shown over one another, with the video if there is '
        "one.",
        curves=tuple(_build_curve(entry, top) for entry in shown),
    )


def _hint(n_hidden: int, top: float) -> str:
    hidden = f" {pluralize(n_hidden, 'more is', 'more are')} in the table of videos." if n_hidden else ""
    return (
        "There is no common curve: nothing says that these people watched or did the same thing, so a mean at a point "
        "of time would mean nothing. Each curve is the engagement, over the length of its own session. "
        f"{describe_scale(top)} The number is the engagement of the whole session.{hidden}"
    )


def _build_curve(entry: Entry, top: float) -> SessionCurve:
    curve = entry.curve(LEADING)
    words = "Engagement over time"
    if np.isfinite(curve).any():
        words += f", from {percent(float(np.nanmin(curve)))} to {percent(float(np.nanmax(curve)))}"
    return SessionCurve(
        name=sanitize(entry.name),
        link=entry.link,
        people=name_people(entry.people),
        spark=draw_sparkline(curve, top, MEASURES[LEADING].colour, words),
        value=percent(entry.mean(LEADING)),
        duration=timecode(entry.duration_s),
    )
