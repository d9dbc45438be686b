"""Times of a video in the cells of users' files: seconds or timecodes, before its start if they are negative.

>>> parse_seconds("-1:30,5", "trial.csv, line 2: time_s")
-90.5
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from ferflow.errors import OptionsError
from ferflow.options import TimePoint
from ferflow.text import sanitize

LATEST_SECONDS = 1e7
"""Four months: a larger number is a clock time or milliseconds, not seconds of a video."""

MINUS_SIGNS = ("-", "\u2212")
"""As on a keyboard, and as in print."""


def parse_seconds(text: str, where: str) -> float:
    """Seconds of a video from seconds or a timecode; the decimal sign may be a comma.

    Args:
        text: a cell.
        where: what it is and where it stands, for messages.

    Raises:
        OptionsError: no such time, or too large a number.
    """
    plain = text.strip().replace(",", ".")
    is_negative = plain.startswith(MINUS_SIGNS)
    seconds = _parse_positive(plain[is_negative:])
    if seconds is None:
        given = sanitize(text[:40])
        raise OptionsError(f"{where}: {given!r} is not a time. Give seconds (12.5) or a timecode (1:30.5).")
    if seconds > LATEST_SECONDS:
        given = sanitize(text[:40])
        raise OptionsError(f"{where}: {given} s is no place in a video. Give seconds after its start.")
    return -seconds if is_negative else seconds


def _parse_positive(text: str) -> float | None:
    """Seconds of a text without a sign; None if it is no time."""
    try:
        return TimePoint.parse(text).seconds
    except OptionsError:
        return _parse_huge(text)


def _parse_huge(text: str) -> float | None:
    """A number that is far too large for a time, so that it is refused as such; None for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds > LATEST_SECONDS and not math.isnan(seconds) else None


def looks_like_milliseconds(times: Sequence[float], duration_s: float) -> bool:
    """Whether times are hardly seconds of a video, but may be milliseconds of it.

    All of them but 0 lie after its end; as milliseconds they would lie within it, and most are a second or more.
    """
    later = [time for time in times if time]
    if not later or min(later) < duration_s:
        return False
    # Some programs write the length of the film itself, or a little more.
    return median(later) >= 1000 and max(later) / 1000 <= 1.1 * duration_s
