"""Corrections that contradict each other, or `people.csv`: errors that name both rows.

Rows that overlap in time contradict each other if one takes a person out of it and the other says what this person
shows, or if they give two labels. Where everybody has a label, a person may still be excluded or dropped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ferflow.analytics.correction_rows import EVERYBODY, Correction, VideoCorrections
from ferflow.analytics.people_list import PeopleList
from ferflow.errors import OptionsError
from ferflow.store.output_folder import CORRECTIONS, PEOPLE_LIST
from ferflow.text import sanitize


def refuse_contradictions(
    video_id: str,
    rows: Iterable[Correction],
    find_persons: Callable[[Correction], Iterable[object]] = lambda row: [row.who],
    file: str = CORRECTIONS,
) -> None:
    """Compare the corrections of one video.

    Args:
        video_id: of the video.
        rows: its corrections.
        find_persons: whom a correction is about; of one about everybody, `EVERYBODY`.
        file: name of the list.

    Raises:
        OptionsError: two of them contradict each other.
    """
    by_who: dict[object, list[Correction]] = {}
    for row in rows:
        for person in find_persons(row):
            by_who.setdefault(person, []).append(row)
    of_everybody = _Latest.of(by_who.pop(EVERYBODY, ()))
    where = file, video_id
    of_everybody.check_against_each_other(where)
    for own in by_who.values():
        _Latest.of(own).check_against_each_other(where)
        for row in own:
            if row.action == "relabel":
                _refuse(where, row, of_everybody.find_contradiction(row))


def refuse_named_numbers(corrections: Mapping[str, VideoCorrections], people: PeopleList) -> None:
    """Compare the corrections with `people.csv`, which alone says who is who.

    A correction may not be about a person by number whom the list gives a name: the name is then the person. It may
    not drop a track to which the list gives a name.

    Raises:
        OptionsError: a row does.
    """
    for video_id, found in corrections.items():
        names = people.of(video_id)
        for row in found.rows:
            given: Mapping[int, str] = {}
            if row.who.kind == "person":
                given = names.by_person
            elif row.who.kind == "track":
                given = {track: next(iter(pieces.values())) for track, pieces in names.by_track.items()}
            # The list may say that person 3 is called `Person 3`, as when somebody else was split off.
            if given.get(row.who.number, row.who.name) != row.who.name:
                line = names.lines.get((row.who.kind, row.who.number))
                raise OptionsError(
                    f"{found.file}: line {row.line} is about {row.who} of {sanitize(video_id[:200])}, which "
                    f"{PEOPLE_LIST}: line {line} calls {sanitize(given[row.who.number][:80])!r}. Write the name, or "
                    "remove one of the rows."
                )


def _refuse(where: tuple[str, str], row: Correction, other: Correction | None) -> None:
    if other is not None:
        first, second = sorted((row, other), key=lambda one: one.line)
        raise OptionsError(
            f"{where[0]}: line {second.line} ({second.describe()}) contradicts line {first.line} "
            f"({first.describe()}) in {sanitize(where[1][:200])}. Change one of the two."
        )


@dataclass(frozen=True, slots=True)
class _Latest:
    """Rows by start, and which of the rows up to each end last: one search finds a contradiction."""

    rows: Sequence[Correction]
    """By start."""
    starts: Sequence[float] = field(default_factory=list)
    ends_last: Sequence[tuple[Correction, Correction | None]] = field(default_factory=list)
    """Of the rows up to each: the one that ends last, and the one that does of those with another content."""

    @classmethod
    def of(cls, rows: Iterable[Correction]) -> Self:
        ordered = sorted(rows, key=lambda one: one.start_s)
        found: list[tuple[Correction, Correction | None]] = []
        for row in ordered:
            found.append(_add(found[-1], row) if found else (row, None))
        return cls(ordered, [row.start_s for row in ordered], found)

    def find_contradiction(self, row: Correction, n: int | None = None) -> Correction | None:
        """A row, of the first `n`, that reaches into the time of a row and says something else; None: there is none."""
        k = bisect_left(self.starts, row.end_s) if n is None else n
        for other in self.ends_last[k - 1] if k else ():
            if other is not None and other.content != row.content and other.end_s > row.start_s:
                return other
        return None

    def check_against_each_other(self, where: tuple[str, str]) -> None:
        for k, row in enumerate(self.rows):
            _refuse(where, row, self.find_contradiction(row, k))


def _add(
    latest: tuple[Correction, Correction | None], row: Correction
) -> tuple[Correction, Correction | None]:
    first, second = latest
    if row.content == first.content:
        return (row, second) if row.end_s > first.end_s else latest
    if row.end_s > first.end_s:
        return row, first
    return (first, row) if second is None or row.end_s > second.end_s else latest
