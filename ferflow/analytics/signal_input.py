"""Files of signals: continuous values from a session besides its video, such as health, score or heart rate.

    time_s,health,heart rate [bpm]         timestamp;name;value
    0.0,100,71                             2024-05-12T10:00:01;score;1200

or JSONL with the same keys. One column says when: `time_s` in seconds of the video, or `timestamp` as a time of day,
which needs the start of the recording. Each further column is a signal; or `name` and `value` give one value per line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.analytics.clock_times import ClockTimes, parse_clock_times
from ferflow.analytics.csv_columns import read_csv_columns
from ferflow.analytics.csv_input import clean_cell
from ferflow.analytics.json_lines import read_json_columns
from ferflow.analytics.logged_columns import (
    LARGEST,
    LoggedColumns,
    Numbers,
    find_given,
    is_huge,
    parse_numbers,
)
from ferflow.analytics.video_times import LATEST_SECONDS, parse_seconds
from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.types import Float64Array, Int64Array

SUFFIXES = (".signals.csv", ".signals.jsonl")
"""`play.signals.csv` in the folder of `play.mp4` is found without being given."""
MOST_BYTES = 2**28
"""Two hours of twenty signals at 60 Hz take half of it."""
MOST_ROWS = 10_000_000
MOST_SIGNALS = 64
LONGEST_NAME = 100

_TIME, _CLOCK, _NAME, _VALUE = "time_s", "timestamp", "name", "value"
_NOT_SIGNALS = {_TIME, _CLOCK, "video_id"}


@dataclass(frozen=True, slots=True)
class SignalFile:
    """Contents of a file of signals."""

    file: str
    """Its path, for messages."""
    times: Float64Array | ClockTimes
    """Of each row: seconds of the video, or times of day."""
    samples: Mapping[str, Numbers]
    """By name of signal, in the order of the file."""
    left_out: tuple[str, ...]
    """Columns without any number."""

    @property
    def needs_start(self) -> bool:
        """Whether the start of the recording must be known."""
        return isinstance(self.times, ClockTimes)

    def assumed_zone(self, start: datetime) -> str | None:
        """The time zone of this computer, such as "UTC+02:00", if only the times or only the start have one."""
        if not isinstance(self.times, ClockTimes) or self.times.has_zone == (start.tzinfo is not None):
            return None
        return timezone(start.astimezone().utcoffset() or timedelta(0)).tzname(None)

    def seconds(self, start: datetime | None) -> Float64Array:
        """Seconds of the video of each row.

        Args:
            start: when the first frame of the video was recorded; not used where times are seconds already.
        """
        if isinstance(self.times, ClockTimes):
            assert start is not None
            return self.times.seconds_after(start)
        return self.times


def find_signals_file(video: Path) -> Path | None:
    """Path of `<stem>.signals.csv` or `.jsonl` in the folder of a video; None if there is no such file.

    Raises:
        OptionsError: there are both.
    """
    paths = [video.with_name(video.stem + suffix) for suffix in SUFFIXES]
    found = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113 - Path.is_file raises for long names
    if len(found) > 1:
        names = " and ".join(sanitize(path.name) for path in found)
        raise OptionsError(f"{names}: two files of signals next to one video. Keep one of them.")
    return found[0] if found else None


def read_signal_file(path: Path) -> SignalFile:
    """Read a file of signals; its suffix `.jsonl` or `.ndjson` tells JSONL from CSV.

    Raises:
        OptionsError: it cannot be used; one line says why and where.
    """
    is_json = path.suffix.lower() in (".jsonl", ".ndjson")
    read = read_json_columns if is_json else read_csv_columns
    columns = read(path, most_bytes=MOST_BYTES, most_rows=MOST_ROWS)
    if is_json and not columns.names:  # an empty file of CSV lacks its header, one of JSONL lacks nothing
        return SignalFile(columns.file, np.zeros(0), {}, ())
    time = _find_time_column(columns)
    times, rows = _parse_times(columns, time)
    samples = _find_samples(columns, time)
    _check_names(columns.file, list(samples))
    known = {name: found for name, found in samples.items() if np.isfinite(found.values).any()}
    if len(rows) and not known:
        raise OptionsError(f"{columns.file}: {_explain_no_numbers(columns, time)}")
    return SignalFile(
        file=columns.file,
        times=times,
        samples={name: _at_times(found, rows, columns) for name, found in known.items()},
        left_out=tuple(name for name in samples if name not in known),
    )


def _find_time_column(columns: LoggedColumns) -> str:
    """`time_s`; else `timestamp`, or a name that ends in it, such as "Phone timestamp"."""
    by_name = {name.lower(): name for name in columns.names}
    clocks = [name for lower, name in by_name.items() if lower.endswith(_CLOCK)]
    found = [by_name[name] for name in (_TIME, _CLOCK) if name in by_name] + clocks
    if not found:
        has = sanitize(", ".join(columns.names)[:80]) or "nothing"
        raise OptionsError(
            f"{columns.file}: no column of times. Call it time_s (seconds of the video) or timestamp (time of day); it "
            f"has: {has}."
        )
    return found[0]


def _parse_times(columns: LoggedColumns, name: str) -> tuple[Float64Array | ClockTimes, Int64Array]:
    """Times, and the row of each: a row may be blank."""
    texts = columns.texts(name)
    rows = find_given(texts)
    texts = texts if len(rows) == len(texts) else texts.take(pa.array(rows))

    def where(k: int) -> str:
        return columns.where(int(rows[k]))

    is_clock = name.lower() != _TIME
    if not is_clock:
        columns.check_decimal_signs(name, texts, rows)
    return (parse_clock_times(texts, where) if is_clock else _parse_video_times(texts, where)), rows


def _parse_video_times(texts: pa.ChunkedArray, where: Callable[[int], str]) -> Float64Array:
    """Seconds of the video: numbers, which may lie before its start, or timecodes."""
    seconds = parse_numbers(texts, decimal_comma=True)
    for k in np.flatnonzero(np.isnan(seconds)):
        seconds[k] = parse_seconds(texts[int(k)].as_py(), f"{where(int(k))}: {_TIME}")
    wrong = np.flatnonzero(np.abs(seconds) > LATEST_SECONDS)
    if len(wrong):
        raise OptionsError(
            f"{where(int(wrong[0]))}: {_TIME}: {seconds[wrong[0]]:g} s is no place in a video. Give seconds after its "
            f"start, or call the column {_CLOCK} if these are times of day."
        )
    return seconds


def _find_samples(columns: LoggedColumns, time: str) -> dict[str, Numbers]:
    """Numbers by name of signal."""
    by_name = {name.lower(): name for name in columns.names}
    if {_NAME, _VALUE} <= by_name.keys():
        return _split_by_name(columns, by_name[_NAME], by_name[_VALUE])
    names = [name for name in columns.names if name != time and name.lower() not in _NOT_SIGNALS]
    return {name: columns.numbers(name) for name in names}


def _split_by_name(columns: LoggedColumns, name_column: str, value_column: str) -> dict[str, Numbers]:
    found, named = columns.numbers(value_column), columns.texts(name_column)
    coded = named.combine_chunks().dictionary_encode()
    names = [clean_cell(name) for name in coded.dictionary.to_pylist()]
    # One signal may be written in two ways, with accents composed and decomposed.
    distinct = {name: k for k, name in enumerate(dict.fromkeys(names))}
    _check_names(columns.file, list(distinct))
    codes = np.array([distinct[name] for name in names], dtype=np.int64)[coded.indices.to_numpy()][found.rows]
    nameless = np.flatnonzero(codes == distinct.get("", -1))
    if len(nameless):
        raise OptionsError(f"{columns.where(int(found.rows[nameless[0]]))}: a value without a name. Name it.")
    return {
        name: Numbers(found.rows[codes == k], found.values[codes == k])
        for name, k in distinct.items()
        if name
    }


def _explain_no_numbers(columns: LoggedColumns, time: str) -> str:
    """Why no column has a number that can be used."""
    others = [columns.texts(name) for name in columns.names if name != time]
    if any(is_huge(text) for texts in others for text in texts.slice(0, 1000).to_pylist()):
        return (
            f"all its numbers are infinite or beyond {LARGEST:g}, which no instrument gives. Leave cells empty whose "
            "value is not known."
        )
    return "no column of numbers. A signal is a column of numbers under its name."


def _check_names(file: str, names: list[str]) -> None:
    if len(names) > MOST_SIGNALS:
        raise OptionsError(f"{file}: {len(names)} signals, more than {MOST_SIGNALS}. Keep those that matter.")
    if long := [name for name in names if len(name) > LONGEST_NAME]:
        shown = sanitize(long[0][:40])
        raise OptionsError(
            f"{file}: {shown!r}... is a name of more than {LONGEST_NAME} characters. Shorten it."
        )


def _at_times(found: Numbers, rows: Int64Array, columns: LoggedColumns) -> Numbers:
    """Numbers with places among the times in place of rows."""
    places = np.searchsorted(rows, found.rows)
    untimed = (
        np.flatnonzero(rows[np.minimum(places, len(rows) - 1)] != found.rows) if len(rows) else found.rows
    )
    if len(untimed):
        row = int(found.rows[untimed[0]]) if len(rows) else int(found.rows[0])
        raise OptionsError(f"{columns.where(row)}: a value without a time. Give one, or delete the line.")
    return Numbers(places, found.values)
