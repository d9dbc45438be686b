"""The user's lists in an output folder, without the rows about what is forgotten.

`people.csv`, `corrections.csv`, `coding/*.csv` and the session list, if it lies in the folder. Other rows, columns and
comments stay byte for byte; a note or comment that mentions what is forgotten goes, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.codings import REQUIRED as CODING_REQUIRED
from ferflow.analytics.correction_rows import COMMENT, Who
from ferflow.analytics.correction_rows import REQUIRED as CORRECTION_REQUIRED
from ferflow.analytics.csv_input import MOST_BYTES, Row
from ferflow.analytics.editable_csv import EditableCsv
from ferflow.analytics.list_rows import JSON_SUFFIXES, PARQUET_SUFFIXES
from ferflow.analytics.people_list import COLUMNS as PEOPLE_REQUIRED
from ferflow.analytics.session_list import find_videos
from ferflow.dashboards import last_options
from ferflow.errors import OptionsError
from ferflow.jobs.forget.request import Request, key_of
from ferflow.jobs.forget.traces import Words
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.store.output_folder import OutputFolder
from ferflow.text import sanitize

_NOTE = "note"


@dataclass(frozen=True, slots=True)
class ListEdit:
    """A list of the user's, and what it is to be."""

    path: Path
    content: bytes
    n_removed: int
    """Rows."""
    n_changed: int
    """Rows that stay, without what named the person."""


@dataclass(frozen=True, slots=True)
class _Decision:
    """What becomes of a row."""

    is_removed: bool = False
    cells: Mapping[str, str] | None = None
    """Those to be changed."""


_KEEP, _REMOVE = _Decision(), _Decision(is_removed=True)

_Decide = Callable[[Row], _Decision]


def edit_lists(folder: OutputFolder, request: Request) -> list[ListEdit]:
    """What becomes of the lists; those that stay as they are have no entry. Nothing is written.

    Raises:
        OptionsError: a list cannot be read.
    """
    found = [_edit(path, required, decide) for path, required, decide in _plan(folder, request)]
    return [edit for edit in found if edit is not None]


def write_lists(folder: OutputFolder, edits: list[ListEdit]) -> None:
    """Write the lists, each at once.

    Raises:
        RecordsError: one cannot be written.
    """
    for edit in edits:
        with atomic_write(edit.path, out=folder.path) as part:
            part.write_bytes(edit.content)


def find_lists_elsewhere(folder: OutputFolder) -> list[Path]:
    """Lists of the pages that lie outside of the folder, where nothing is changed."""
    options = last_options(folder.path)
    chosen = [path for path in (options.sessions, options.corrections) if path is not None]
    return [path for path in chosen if not _is_inside(folder, path)]


def _plan(folder: OutputFolder, request: Request) -> Iterator[tuple[Path, tuple[str, ...], _Decide]]:
    about = _About.of(request)
    yield folder.people_list, PEOPLE_REQUIRED, about.decide_people
    options = last_options(folder.path)
    for path in _own(folder, folder.corrections, options.corrections):
        yield path, CORRECTION_REQUIRED, about.decide_corrections
    for path in folder.codings:
        yield path, CODING_REQUIRED, about.decide_corrections
    for path in _own(folder, folder.session_list, options.sessions):
        yield path, ("video",), _SessionRows.read(folder, path, request).decide


def _own(folder: OutputFolder, usual: Path, chosen: Path | None) -> list[Path]:
    """The usual list, and the one of the pages, if it lies in the folder."""
    if chosen is None or not _is_inside(folder, chosen):
        return [usual]
    inside = folder.path / chosen.absolute().relative_to(folder.path.absolute())
    return list(dict.fromkeys([usual, inside]))


def _is_inside(folder: OutputFolder, path: Path) -> bool:
    return path.absolute().is_relative_to(folder.path.absolute())


@dataclass(frozen=True, slots=True)
class _About:
    """Whether a row is about what is forgotten."""

    sessions: frozenset[str]
    """Ids of those that are removed as a whole."""
    participant: str | None
    called: Mapping[str, frozenset[str]]
    """By id of a shared session: how rows may call the person."""
    words: Words

    @classmethod
    def of(cls, request: Request) -> _About:
        return cls(
            frozenset(one.video_id for one in request.sessions),
            request.participant,
            {one.video_id: frozenset(one.called) for one in request.shares},
            Words.of(request),
        )

    def decide_people(self, row: Row) -> _Decision:
        # `ferflow people --csv` writes the column person, which users keep.
        names = {row.values.get("name"), row.values.get("person")}
        is_named = self.participant is not None and self.participant in names
        return _REMOVE if is_named or row.values["video_id"] in self.sessions else self._decide_note(row)

    def decide_corrections(self, row: Row) -> _Decision:
        video_id, cell = row.values["video_id"], row.values.get("person", "")
        if video_id.startswith(COMMENT):
            return _REMOVE if self.words.are_in(" ".join(row.values.values())) else _KEEP
        if video_id in self.sessions:
            return _REMOVE
        is_named = self.participant is not None and cell.casefold() == self.participant.casefold()
        if is_named or (cell and key_of(Who.parse(cell)) in self.called.get(video_id, ())):
            return _REMOVE
        return self._decide_note(row)

    def _decide_note(self, row: Row) -> _Decision:
        is_mentioned = self.words.are_in(row.values.get(_NOTE, ""))
        return _Decision(cells={_NOTE: ""}) if is_mentioned else _KEEP


@dataclass(frozen=True, slots=True)
class _SessionRows:
    """Rows of a session list."""

    videos: Mapping[int, str | None]
    """Which video each row is about, by line."""
    about: _About

    @classmethod
    def read(cls, folder: OutputFolder, path: Path, request: Request) -> _SessionRows:
        content = _read(path)
        if content is None:
            return cls({}, _About.of(request))
        # The sources of the sessions, too, which an interrupted erasure may have removed already.
        sources = folder.find_sources() | {one.video_id: one.source for one in request.sessions}
        rows = EditableCsv.parse(content).rows(sanitize(path.name), ("video",), ())
        return cls(find_videos(rows, sanitize(path.name), sources), _About.of(request))

    def decide(self, row: Row) -> _Decision:
        video_id = self.videos.get(row.line)
        if video_id in self.about.sessions:
            return _REMOVE
        if self.about.participant is None or row.values.get("participant") != self.about.participant:
            return self.about._decide_note(row)
        is_shared = video_id is not None and list(self.videos.values()).count(video_id) == 1
        # The row of a session that goes on without this person holds what applies to the others.
        return _Decision(cells={"participant": ""}) if is_shared else _REMOVE


def _edit(path: Path, required: tuple[str, ...], decide: _Decide) -> ListEdit | None:
    content = _read(path)
    if content is None:
        return None
    name = sanitize(path.name)
    text = EditableCsv.parse(content)
    decisions = {row.line: decide(row) for row in text.rows(name, required, ())}
    touched = {line: one for line, one in decisions.items() if one != _KEEP}
    if not touched:
        return None
    # From the end: what is removed, or was on several lines, moves only the rows after it.
    for line, one in sorted(touched.items(), reverse=True):
        text = text.change(line, one.cells) if one.cells else text.remove([line])
    n_removed = sum(one.is_removed for one in touched.values())
    return ListEdit(path, text.encode(), n_removed, len(touched) - n_removed)


def _read(path: Path) -> bytes | None:
    if path.suffix.lower() in JSON_SUFFIXES | PARQUET_SUFFIXES and path.exists():
        raise OptionsError(
            f"{sanitize(path)}: only a CSV list can be edited. Remove the rows, move the file out of the "
            "folder, and run the same command again."
        )
    try:
        return read_plain_file(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error
