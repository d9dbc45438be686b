"""Cells of the session list that say which part of a video counts, and where it belongs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ferflow.analytics.csv_input import Row, is_missing
from ferflow.analytics.video_times import parse_seconds
from ferflow.analytics.wall_clock import parse_clock
from ferflow.errors import OptionsError
from ferflow.text import sanitize

NEVER_MISSING = ("video", "participant")
"""Columns in which `NA` is a name."""


def without_missing(row: Row) -> Row:
    """A row whose cells are empty where they say that there is no value, such as `NA`."""
    values = {
        name: "" if name not in NEVER_MISSING and is_missing(cell) else cell
        for name, cell in row.values.items()
    }
    return Row(row.line, values)


def parse_offset(values: Mapping[str, str], where: str) -> float:
    """Time in the video at which its stimulus starts, of `offset_s`; 0 if it is empty.

    Raises:
        OptionsError: it is no time.
    """
    text = values.get("offset_s", "")
    return parse_seconds(text, f"{where}: offset_s") if text else 0.0


def parse_stretch(values: Mapping[str, str], where: str) -> tuple[float, float]:
    """The part of a video that counts, of `start` and `end`; 0 and infinity where they are empty.

    Raises:
        OptionsError: one is no time of a video, or the end does not lie after the start.
    """
    start, end = values.get("start", ""), values.get("end", "")
    if _is_clock(start):
        raise OptionsError(
            f"{where}: start: {sanitize(start[:40])!r} is a time of day. Write when the recording started into column "
            "recording_start; start is the time of the video from which on it counts."
        )
    start_s = parse_seconds(start, f"{where}: start") if start else 0.0
    end_s = parse_seconds(end, f"{where}: end") if end else math.inf
    if end_s <= max(start_s, 0.0):
        raise OptionsError(f"{where}: end ({end}) must lie after start ({start or 0}).")
    return start_s, end_s


def parse_part(values: Mapping[str, str], where: str) -> int | None:
    """Which of several files of a participant a video is, of `part`; 0 for `auto`; None if it is empty.

    Raises:
        OptionsError: it is no whole number from 1, or the row names no participant.
    """
    text = values.get("part", "")
    if not text:
        return None
    is_auto = text.lower() == "auto"
    if not is_auto and not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise OptionsError(
            f"{where}: part must be auto or a whole number from 1, got {sanitize(text[:40])!r}."
        )
    if not values.get("participant"):
        raise OptionsError(f"{where}: part {text} of whom? Give the participant, too.")
    return 0 if is_auto else int(text)


def _is_clock(text: str) -> bool:
    try:
        parse_clock(text)
    except OptionsError:
        return False
    return True
