"""Markers from files of other programs: what all readers share."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from ferflow.analytics.markers import LONGEST_LABEL, MOST_MARKERS, REST_KIND, Marker, normalize_kind
from ferflow.analytics.video_times import LATEST_SECONDS
from ferflow.errors import OptionsError
from ferflow.exchange.plain_text import clean_line

MOST_BYTES = 64 * 2**20
"""Of a text: a table of PsychoPy has hundreds of columns."""

UNNAMED = "event"
"""Label of an event without a name."""


def make_marker(time_s: float, end_s: float | None, label: str, kind: str, where: str) -> Marker:
    """A marker; texts that are too long are cut, and an end that is not after the start is none.

    Args:
        time_s: in seconds.
        end_s: None for a moment.
        label: empty or spaces: `event`.
        kind: may be empty.
        where: file and place in it, for messages.

    Raises:
        OptionsError: no time of a video.
    """
    for time in (time_s, 0.0 if end_s is None else end_s):
        if not math.isfinite(time) or abs(time) > LATEST_SECONDS:
            raise OptionsError(f"{where}: {time:g} s is no place in a video.")
    end = end_s if end_s is not None and end_s > time_s else None
    plain = normalize_kind(_shorten(kind))
    if plain == REST_KIND and end is None:  # a rest has an end
        plain = ""
    return Marker(time_s, end, _shorten(label) or UNNAMED, plain)


def check_number(markers: Iterable[Marker], name: str) -> list[Marker]:
    """The markers by time, if they are a list that a page can show.

    Raises:
        OptionsError: there are none, or too many.
    """
    found = []
    for one in markers:
        found.append(one)
        if len(found) > MOST_MARKERS:
            raise OptionsError(f"{name}: more than {MOST_MARKERS} markers. Export those that matter.")
    if not found:
        raise OptionsError(f"{name}: no events in it. Export those that you want as markers.")
    return sorted(found, key=lambda marker: marker.time_s)


def _shorten(text: str) -> str:
    plain = unicodedata.normalize("NFC", clean_line(text).strip())
    return plain if len(plain) <= LONGEST_LABEL else plain[: LONGEST_LABEL - 1] + "\u2026"
