"""One row of `corrections.csv`, see `corrections`.

>>> parse_correction("corrections.csv", Row(2, {"action": "exclude", "start": "10", "end": "0:20"})).describe()
'exclude everybody from 00:10.0 to 00:20.0'
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias, get_args

from ferflow.analytics.csv_input import Row, is_missing
from ferflow.analytics.limits import Stretch
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.store.output_folder import CORRECTIONS
from ferflow.text import sanitize, timecode

COLUMNS = ("video_id", "action", "start", "end", "person", "value", "note")
REQUIRED = ("video_id", "action")
TIMES = ("start", "end")

COMMENT = "#"
"""A row that begins with it is a comment."""

Action: TypeAlias = Literal["exclude", "drop", "relabel"]

LONGEST_TEXT = 1000
"""Characters of a cell at most."""

_TRACK = re.compile(r"track\s*(\d{1,9})", re.IGNORECASE | re.ASCII)
_PERSON = re.compile(r"person\s*(?:no\.\s*)?(\d{1,9})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a correction is about."""

    kind: Literal["everybody", "track", "person", "name"]
    number: int = 0
    """Of a track or a person."""
    name: str = ""
    """As pages show it; also `Person 3`, which may be a name."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a cell."""
        if not text:
            return cls("everybody")
        if match := _TRACK.fullmatch(text):
            return cls("track", int(match[1]))
        if match := _PERSON.fullmatch(text):
            return cls("person", int(match[1]), text)
        return cls("name", 0, text)

    def __str__(self) -> str:
        """In a sentence."""
        match self.kind:
            case "everybody":
                return "everybody"
            case "name":
                return sanitize(self.name[:80])
        return f"{self.kind} {self.number}"


EVERYBODY = Who("everybody")


@dataclass(frozen=True, slots=True)
class Correction:
    """One row."""

    line: int
    """In the file, from 1."""
    action: Action
    who: Who
    start_s: float = 0.0
    end_s: float = math.inf
    value: str = ""
    """The label of `relabel`."""
    note: str = ""

    @property
    def stretch(self) -> Stretch:
        """From when until when."""
        return self.start_s, self.end_s

    @property
    def content(self) -> tuple[str, str]:
        """What it says of its time; two that say the same may overlap."""
        return ("relabel", self.value) if self.action == "relabel" else ("out", "")

    def describe(self) -> str:
        """In a few words."""
        if self.action == "drop":
            return f"drop {self.who}"
        times = f"from {timecode(self.start_s)}"
        times += f" to {timecode(self.end_s)}" if math.isfinite(self.end_s) else " on"
        label = f" as {sanitize(self.value)}" if self.value else ""
        return f"{self.action} {self.who}{label} {times}"


@dataclass(frozen=True, slots=True)
class VideoCorrections:
    """The corrections of one video."""

    rows: tuple[Correction, ...] = ()
    """In the order of the file."""
    file: str = CORRECTIONS
    """What the list is called, for pages and messages."""

    def count(self, action: Action) -> int:
        """How many there are of one kind."""
        return sum(row.action == action for row in self.rows)


NO_CORRECTIONS = VideoCorrections()


@dataclass(frozen=True, slots=True)
class Corrections:
    """What `corrections.csv` says."""

    videos: Mapping[str, VideoCorrections] = field(default_factory=dict)
    """By video id."""
    warnings: tuple[str, ...] = ()
    """Rows without effect, counted."""
    file: str = CORRECTIONS
    """What the list is called."""

    def of(self, video_id: str) -> VideoCorrections:
        """The corrections of one video."""
        return self.videos.get(video_id, NO_CORRECTIONS)


@dataclass(frozen=True, slots=True)
class Coding:
    """What one coder saw in one video."""

    coder: str
    rows: tuple[Correction, ...]
    """Of action `relabel`, with the coder's label as `value`."""


@dataclass(frozen=True, slots=True)
class Codings:
    """What all coders saw."""

    videos: Mapping[str, tuple[Coding, ...]] = field(default_factory=dict)
    """By video id, in the order of the coders' names."""
    warnings: tuple[str, ...] = ()

    def of(self, video_id: str) -> tuple[Coding, ...]:
        """What coders saw in one video."""
        return self.videos.get(video_id, ())


def parse_correction(name: str, row: Row) -> Correction:
    """The correction of a row.

    Args:
        name: of the file, for messages.
        row: its cells by column.

    Raises:
        OptionsError: it is none.
    """
    where, cells = f"{name}: line {row.line}", _read_cells(row)
    action = _parse_action(cells["action"], where)
    if long := next((key for key, cell in cells.items() if len(cell) > LONGEST_TEXT), None):
        raise OptionsError(f"{where}: {long} has more than {LONGEST_TEXT} characters. Shorten it.")
    start_s, end_s = _parse_times(cells, where)
    who = Who.parse(cells["person"])
    found = Correction(row.line, action, who, start_s, end_s, cells["value"], cells["note"])
    _CHECKS[action](found, cells, where)
    return found


def _read_cells(row: Row) -> dict[str, str]:
    """All columns, with empty cells for those that are missing or say that there is no value."""
    cells = {name: row.values.get(name, "") for name in COLUMNS}
    # A person, and a video, may be called NA.
    return {
        name: "" if name not in ("video_id", "person") and is_missing(cell) else cell
        for name, cell in cells.items()
    }


def _parse_action(text: str, where: str) -> Action:
    for action in get_args(Action):
        if text.casefold() == action:
            return action  # type: ignore[no-any-return]
    known = ", ".join(get_args(Action))
    raise OptionsError(f"{where}: {sanitize(text[:40])!r} is no action. Use one of {known}.")


def _parse_times(cells: Mapping[str, str], where: str) -> Stretch:
    start, end = cells["start"], cells["end"]
    start_s = parse_seconds(start, f"{where}: start") if start else 0.0
    end_s = parse_seconds(end, f"{where}: end") if end else math.inf
    if end_s <= max(start_s, 0.0):
        raise OptionsError(
            f"{where}: end ({sanitize(end[:40])}) must lie after start ({sanitize(start[:40]) or 0})."
        )
    return start_s, end_s


def _check_exclude(found: Correction, cells: Mapping[str, str], where: str) -> None:
    _refuse_value(cells, where)
    if found.who.kind == "track":
        raise OptionsError(
            f"{where}: exclude is about a person or everybody. To leave out a track, use drop."
        )
    if not (cells["start"] or cells["end"]):
        remedy = "" if found.who == EVERYBODY else " To leave out all of a person, use drop."
        raise OptionsError(f"{where}: exclude needs a start or an end.{remedy}")


def _check_drop(found: Correction, cells: Mapping[str, str], where: str) -> None:
    _refuse_value(cells, where)
    if found.who == EVERYBODY:
        raise OptionsError(f"{where}: drop whom? Give the person's name, 'Person 3', or 'track 7'.")
    if cells["start"] or cells["end"]:
        raise OptionsError(f"{where}: drop is about all of the video. To leave out a stretch, use exclude.")


def _check_relabel(found: Correction, cells: Mapping[str, str], where: str) -> None:
    if not found.value:
        raise OptionsError(f"{where}: relabel needs the expression in the column value, such as happy.")
    if not (cells["start"] and cells["end"]):
        raise OptionsError(f"{where}: relabel needs a start and an end.")
    if found.who.kind == "track":
        raise OptionsError(f"{where}: relabel is about a person or everybody. Give the track's person.")


_CHECKS = {"exclude": _check_exclude, "drop": _check_drop, "relabel": _check_relabel}


def _refuse_value(cells: Mapping[str, str], where: str) -> None:
    if cells["value"]:
        raise OptionsError(f"{where}: only relabel has a value. Put a reason into the column note.")
