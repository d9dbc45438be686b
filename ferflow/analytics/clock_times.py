"""Columns of times of day, as loggers write them next to a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.logged_columns import parse_numbers
from ferflow.analytics.wall_clock import parse_clock
from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.types import Float64Array, Int64Array

EPOCH_UNITS = ((1e8, 1e11, 1e9), (1e11, 1e14, 1e6), (1e14, 1e17, 1e3), (1e17, 9e18, 1.0))
"""Numbers from, and below, which are seconds, milliseconds, microseconds and nanoseconds since 1970, and the
nanoseconds of each: years 1973 to 2200 in every unit, none of which another unit could mean."""


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """Times of day of N rows."""

    ns: Int64Array
    """Nanoseconds since 1970-01-01 00:00, in UTC where the zone is known, else in the zone of whoever logged."""
    has_zone: bool

    def seconds_after(self, start: datetime) -> Float64Array:
        """Seconds from a moment to each time.

        Where only one of the two has a time zone, the other is taken as the local time of this computer.
        """
        if self.has_zone:
            moment = start.astimezone(UTC)
        else:
            moment = start.astimezone().replace(tzinfo=UTC) if start.tzinfo else start.replace(tzinfo=UTC)
        micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return np.asarray((self.ns - micros * 1000) / 1e9, dtype=np.float64)


def parse_clock_times(texts: pa.ChunkedArray, where: Callable[[int], str]) -> ClockTimes:
    """Read times of day: ISO 8601, or numbers since 1970 in seconds, milliseconds, microseconds or nanoseconds.

    Args:
        texts: (N,), without spaces around them.
        where: file and line of a row, for messages.

    Raises:
        OptionsError: a text is no such time, or some have a time zone and others none; one line says which row.
    """
    if not len(texts):
        return ClockTimes(np.zeros(0, dtype=np.int64), has_zone=True)
    plain = pc.replace_substring(texts, ",", ".")
    numbers = parse_numbers(plain)
    if np.isfinite(numbers).any():
        return ClockTimes(_epoch_ns(numbers, texts, where), has_zone=True)
    # A date alone would silently mean midnight.
    for zone in ("UTC", None) if pc.all(pc.match_substring(plain, ":")).as_py() else ():
        try:
            times = plain.cast(pa.timestamp("ns", zone))
        except pa.ArrowInvalid:  # a time without this kind of zone, or none at all
            continue
        return ClockTimes(np.asarray(times.cast(pa.int64()).to_numpy()), has_zone=zone is not None)
    return _parse_each(texts, where)


def _epoch_ns(numbers: Float64Array, texts: pa.ChunkedArray, where: Callable[[int], str]) -> Int64Array:
    first = numbers[np.isfinite(numbers)][0]
    units = [unit for unit in EPOCH_UNITS if unit[0] <= first < unit[1]]
    low, high, ns = units[0] if units else (np.inf, np.inf, 1.0)
    wrong = np.flatnonzero(~((numbers >= low) & (numbers < high)))
    if len(wrong):
        row = int(wrong[0])
        raise OptionsError(
            f"{where(row)}: {_quoted(texts, row)} is no time of day. Give ISO 8601, or seconds or milliseconds since "
            "1970; a column of seconds of the video is called time_s."
        )
    # Apart: their product has more digits than a float64.
    whole = np.floor(numbers)
    return np.asarray(whole.astype(np.int64) * int(ns) + np.round((numbers - whole) * ns).astype(np.int64))


def _parse_each(texts: pa.ChunkedArray, where: Callable[[int], str]) -> ClockTimes:
    """The same with Python's reader, which knows more forms, and finds the row that is wrong."""
    found = list[datetime]()
    for row, text in enumerate(texts.to_pylist()):
        try:
            moment = parse_clock(text)
        except OptionsError as error:
            raise OptionsError(f"{where(row)}: {error}") from error
        if found and (moment.tzinfo is None) != (found[0].tzinfo is None):
            raise OptionsError(
                f"{where(row)}: {_quoted(texts, row)} has {'no' if moment.tzinfo is None else 'a'} time zone, unlike "
                "the times before it. Write all of them alike."
            )
        found.append(moment)
    has_zone = found[0].tzinfo is not None
    epoch = datetime(1970, 1, 1, tzinfo=UTC if has_zone else None)
    ns = [((moment - epoch) // timedelta(microseconds=1)) * 1000 for moment in found]
    return ClockTimes(np.array(ns, dtype=np.int64), has_zone)


def _quoted(texts: pa.ChunkedArray, row: int) -> str:
    return repr(sanitize(texts[row].as_py()[:40]))
