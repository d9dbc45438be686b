"""The lists of people and sessions of a folder, with what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ferflow.analytics.codings import read_codings
from ferflow.analytics.correction_rows import Codings, Corrections
from ferflow.analytics.corrections import read_corrections
from ferflow.analytics.people_list import NO_NAMES, PeopleList, count_unknown, read_people
from ferflow.analytics.person_faces import Overlap, Persons, find_overlaps
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.session_list import Sessions
from ferflow.dashboards.shared.number_format import join_words
from ferflow.dashboards.shared.placed_sessions import read_placed_sessions
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import OptionsError, RecordsError
from ferflow.store.output_folder import PEOPLE_LIST, OutputFolder
from ferflow.text import sanitize

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Lists:
    """What the user's lists say about the videos of a folder."""

    people: PeopleList
    sessions: Sessions
    corrections: Corrections
    codings: Codings
    by: str | None
    """Column of the session list that makes the groups."""
    problems: tuple[str, ...]
    """Why a list or a column is not used."""

    @property
    def names(self) -> NameLists:
        """What they say of people."""
        return NameLists(self.people, self.sessions, self.corrections, self.codings)


def load_lists(
    out: Path, options: PageOptions, sources: Mapping[str, str], *, forgiving: bool = False
) -> Lists:
    """Read the lists of a folder.

    Args:
        out: the output folder.
        options: which session list, and which of its columns makes the groups.
        sources: path of each finished video, by id.
        forgiving: continue without a list that cannot be read.

    Raises:
        OptionsError: a list cannot be read, or the column is missing; see also `PageOptions.remembered`.
    """
    people, of_people = _attempt(lambda: read_people(out), PeopleList(), forgiving, "left out: ")
    corrections, problems = _attempt(
        lambda: _read_corrections(out, people, options), Corrections(), forgiving, "left out: "
    )
    codings, of_codings = _attempt(lambda: read_codings(out), Codings(), forgiving, "left out: ")
    problems = (*of_people, *problems, *of_codings)
    if _is_gone(options, "corrections"):
        gone = (
            f"corrections {options.corrections}: no longer there, so nothing is corrected. Put it back, name another "
            "with --corrections, or use --forget."
        )
        problems = (*problems, gone)
    if _is_gone(options, "sessions"):
        gone = (
            f"session list {options.sessions}: no longer there, so the overview has no list and no groups. Put it "
            "back, name another with --sessions, or use --forget."
        )
        return Lists(people, Sessions(), corrections, codings, None, (*problems, gone))
    sessions, more = _attempt(
        lambda: _read_sessions(out, options, sources), Sessions(), forgiving, "left out: "
    )
    forgiving_column = forgiving or "by" in options.remembered
    by, last = _attempt(lambda: sessions.grouping(options.by), sessions.grouping(None), forgiving_column, "")
    return Lists(people, sessions, corrections, codings, by, (*problems, *more, *last))


def find_problems_of_names(out: Path, people: PeopleList) -> list[str]:
    """What is wrong with the names of `people.csv`: tracks and persons that do not exist, tracks that cannot be one."""
    known, problems = dict[str, tuple[list[int], list[int]]](), list[str]()
    for files in OutputFolder(out).finished_videos():
        if (names := people.of(files.video_id)) != NO_NAMES:
            with suppress(RecordsError):  # a video without readable tables is reported as such
                stored = Persons.of(files)
                known[files.video_id] = list(stored.person_of), stored.ids
                problems += [
                    _describe_overlap(files.video_id, one) for one in find_overlaps(Persons.of(files, names))
                ]
    return [*count_unknown(people, known), *problems]


def _describe_overlap(video_id: str, overlap: Overlap) -> str:
    return (
        f"{PEOPLE_LIST}: {sanitize(video_id)}: tracks {join_words([*map(str, overlap.tracks)])} are all "
        f"{sanitize(overlap.name)}, but in view at the same time for {overlap.seconds:.1f} s; the face of only one "
        "of them counts then. Give different people different names."
    )


def _attempt(
    read: Callable[[], _Value], default: _Value, forgiving: bool, prefix: str
) -> tuple[_Value, tuple[str, ...]]:
    """The value, or the default and why: an error of the user's is only a problem if that is forgiven."""
    try:
        return read(), ()
    except OptionsError as error:
        if not forgiving:
            raise
        return default, (f"{prefix}{error}",)


def _is_gone(options: PageOptions, name: Literal["sessions", "corrections"]) -> bool:
    """Whether a list that an earlier command named no longer exists."""
    path: Path | None = getattr(options, name)
    if path is None or name not in options.remembered:
        return False
    return not os.path.exists(path)  # noqa: PTH110 - False, no error, for a share that is not mounted


def _read_corrections(out: Path, people: PeopleList, options: PageOptions) -> Corrections:
    if _is_gone(options, "corrections"):
        return Corrections()
    return read_corrections(out, people, options.corrections)


def _read_sessions(out: Path, options: PageOptions, sources: Mapping[str, str]) -> Sessions:
    path = options.sessions or OutputFolder(out).session_list
    return read_placed_sessions(path, out, sources) if options.sessions or path.exists() else Sessions()
