"""Markers from tables of other programs: PsychoPy, BORIS, BIDS events, labels of Audacity.

Excel's dialects are read as everywhere (`analytics.csv_input`): semicolons with decimal commas, byte order marks,
UTF-16.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ferflow.analytics.csv_input import Row, clean_cell, find_dialect, is_missing, parse_csv
from ferflow.analytics.markers import Marker
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.exchange.foreign_marker import check_number, make_marker

_STARTED, _STOPPED = ".started", ".stopped"
_NOBODY = "no focal subject"
_AUDACITY = re.compile(r"\d+[.,]\d+\t\d+[.,]\d+\t[^\t]*")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?([eE][-+]?[0-9]+)?")


def _header(text: str) -> list[str]:
    lines = text[: 2**20].splitlines()
    dialect = find_dialect(text)
    line = lines[dialect.n_before] if len(lines) > dialect.n_before else ""
    return [clean_cell(cell).strip('"').casefold() for cell in line.split(dialect.delimiter)]


# --- PsychoPy -----------------------------------------------------------------------------------------------------


def is_psychopy(text: str) -> bool:
    """Whether a table is a data file of PsychoPy."""
    names = _header(text)
    return "psychopyversion" in names or any(
        name.endswith((_STARTED, ".thisn", ".thisrepn")) for name in names
    )


def read_psychopy(text: str, name: str) -> list[Marker]:
    """A marker per component and row that started: `image.started` to `image.stopped`, with the label `image`.

    The kind is the loop that the row belongs to. Times count from the start of the experiment.

    Raises:
        OptionsError: no column `*.started`, or no row with a time.
    """
    names = _header(text)
    columns = [one for one in names if one.endswith((_STARTED, _STOPPED))]
    rows = parse_csv(text, name, required=(), numbers=columns)
    started = [one for one in columns if one.endswith(_STARTED)]
    if not started:
        raise OptionsError(
            f"{name}: a data file of PsychoPy without a column *.started. Save onset times in PsychoPy."
        )
    spelled = _spell_columns(text)
    return check_number(_find_components(rows, started, spelled, name), name)


def _find_components(
    rows: Sequence[Row], started: Sequence[str], spelled: dict[str, str], name: str
) -> Iterator[Marker]:
    loops = [one.removesuffix(".thisn") for one in spelled if one.endswith(".thisn")]
    for row in rows:
        loop = next((spelled[f"{one}.thisn"][:-6] for one in loops if row.values.get(f"{one}.thisn")), "")
        for column in started:
            start = _read_number(row, column)
            if start is not None:
                component = spelled.get(column, column).rpartition(".")[0]
                end = _read_number(row, column.removesuffix(_STARTED) + _STOPPED)
                yield make_marker(start, end, component, loop, f"{name}, line {row.line}: {column[:60]}")


def _read_number(row: Row, column: str) -> float | None:
    """A cell; None for a component that did not run, which PsychoPy writes as None or leaves empty."""
    text = row.values.get(column, "")
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _spell_columns(text: str) -> dict[str, str]:
    """Names of columns as the file has them, by their lower case."""
    dialect = find_dialect(text)
    lines = text[: 2**20].splitlines()
    cells = [clean_cell(cell).strip('"') for cell in lines[dialect.n_before].split(dialect.delimiter)]
    return {cell.casefold(): cell for cell in cells}


# --- BORIS --------------------------------------------------------------------------------------------------------


def is_boris(text: str) -> bool:
    """Whether a table is an export of events of BORIS, aggregated or not."""
    return _find_boris_header(text) is not None


def read_boris(text: str, name: str) -> list[Marker]:
    """Point events are moments, state events segments; the kind is the subject.

    A state that starts and does not stop is a moment.

    Raises:
        OptionsError: several observations, or a row without a time.
    """
    start = _find_boris_header(text)
    rows = parse_csv(
        text[start or 0 :], name, required=("behavior",), numbers=("time", "start (s)", "stop (s)")
    )
    observations = {row.values.get("observation id", "") for row in rows}
    if len(observations) > 1:
        raise OptionsError(f"{name}: {len(observations)} observations in one table. Export one per video.")
    if rows and "start (s)" in rows[0].values:
        return check_number((_read_aggregated(row, name) for row in rows), name)
    return check_number(_pair_events(rows, name), name)


def _find_boris_header(text: str) -> int | None:
    """Where the line with the names of columns begins; older exports have lines before it."""
    place = 0
    for line in text[:65536].splitlines(keepends=True)[:200]:
        names = {cell.strip().strip('"').casefold() for cell in re.split("[\t,;]", line)}
        if "behavior" in names and names & {"time", "start (s)"}:
            return place
        place += len(line)
    return None


def _read_aggregated(row: Row, name: str) -> Marker:
    where, values = f"{name}, line {row.line}", row.values
    start = parse_seconds(values["start (s)"], f"{where}: Start (s)")
    stop = values.get("stop (s)", "")
    end = None if is_missing(stop) else parse_seconds(stop, f"{where}: Stop (s)")
    return make_marker(start, end, _label(values), _subject(values), where)


def _pair_events(rows: Sequence[Row], name: str) -> Iterator[Marker]:
    open_states: dict[tuple[str, str], tuple[float, str]] = {}
    for row in rows:
        where, values = f"{name}, line {row.line}", row.values
        time = parse_seconds(values.get("time", ""), f"{where}: Time")
        key = _subject(values), _label(values)
        status = (values.get("status") or values.get("behavior type") or "").casefold()
        if status.endswith("start"):
            if (earlier := open_states.pop(key, None)) is not None:
                yield make_marker(earlier[0], None, key[1], key[0], earlier[1])
            open_states[key] = time, where
        elif status.endswith("stop") and key in open_states:
            begun, _ = open_states.pop(key)
            yield make_marker(begun, time, key[1], key[0], where)
        else:
            yield make_marker(time, None, key[1], key[0], where)
    for (subject, label), (time, where) in open_states.items():
        yield make_marker(time, None, label, subject, where)


def _label(values: dict[str, str]) -> str:
    modifiers = values.get("modifiers", "")
    return values["behavior"] + ("" if is_missing(modifiers) else f" ({modifiers})") or "event"


def _subject(values: dict[str, str]) -> str:
    subject = values.get("subject", "")
    return "" if is_missing(subject) or subject.casefold() == _NOBODY else subject


# --- BIDS and Audacity --------------------------------------------------------------------------------------------


def is_bids(text: str) -> bool:
    """Whether a table is one of BIDS events."""
    return {"onset", "duration"} <= set(_header(text))


def read_bids(text: str, name: str) -> list[Marker]:
    """`trial_type`, else `value`, is the label.

    Raises:
        OptionsError: a row without an onset.
    """
    rows = parse_csv(text, name, required=("onset", "duration"), numbers=("onset", "duration"))
    return check_number((_read_event(row, name) for row in rows), name)


def _read_event(row: Row, name: str) -> Marker:
    where, values = f"{name}, line {row.line}", row.values
    onset = parse_seconds(values["onset"], f"{where}: onset")
    lasts = values["duration"]
    seconds = 0.0 if is_missing(lasts) else parse_seconds(lasts, f"{where}: duration")
    labels = (values.get(one, "") for one in ("trial_type", "value"))
    label = next((one for one in labels if not is_missing(one)), "event")
    return make_marker(onset, onset + seconds, label, "", where)


def is_audacity(text: str) -> bool:
    """Whether a text is a label track of Audacity: start, end and label, without names of columns."""
    return _AUDACITY.fullmatch(text.partition("\n")[0].rstrip("\r")) is not None


def read_audacity(text: str, name: str) -> list[Marker]:
    """Labels of a track.

    Raises:
        OptionsError: a line is no label.
    """
    return check_number(_find_labels(text, name), name)


def _find_labels(text: str, name: str) -> Iterator[Marker]:
    for line, cells in enumerate((one.split("\t") for one in text.splitlines()), 1):
        where = f"{name}, line {line}"
        if len(cells) == 3:
            start, end = (parse_seconds(cell, where) for cell in cells[:2])
            yield make_marker(start, end, cells[2] or "label", "", where)
        elif (
            "".join(cells).strip() and cells[0] != "\\"
        ):  # such a line has the frequencies of the label before
            raise OptionsError(f"{where}: no label of Audacity.")
