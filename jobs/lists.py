"""The user's lists of people and sessions, and corrections, for one video or for the videos of a run.

A list that cannot be read costs no results here: the overview warns of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ferflow.analytics.correction_rows import NO_CORRECTIONS, Corrections
from ferflow.analytics.corrections import read_corrections
from ferflow.analytics.people_list import PeopleList, PersonNames, read_people
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.session_list import UNLISTED, SessionRow, Sessions, read_sessions
from ferflow.errors import OptionsError
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import PAGE_OPTIONS, OutputFolder
from ferflow.store.video_files import VideoFiles

_List = TypeVar("_List", PeopleList, Sessions, Corrections)


def find_session_list(out: Path, chosen: Path | None = None) -> Path | None:
    """The session list of a folder: the one chosen, else that of its pages, else `sessions.csv`; None without one."""
    folder = OutputFolder(out)
    if chosen is None and folder.page_status(PAGE_OPTIONS).exists():
        # Only here: what draws pages takes a quarter of a second to import, in each worker.
        from ferflow.dashboards import last_options

        chosen = last_options(out).sessions
    path = chosen or folder.session_list
    return path if path.exists() else None


def find_corrections(out: Path) -> Path | None:
    """The list of corrections that a command named in place of the folder's own; None: none did."""
    if not OutputFolder(out).page_status(PAGE_OPTIONS).exists():
        return None
    from ferflow.dashboards import last_options

    return last_options(out).corrections


def read_session(files: VideoFiles, source: str | Path, chosen: Path | None = None) -> SessionRow:
    """What the session list says of a video.

    Raises:
        OptionsError: the list cannot be read.
    """
    path = find_session_list(files.out, chosen)
    return UNLISTED if path is None else read_sessions(path, {files.video_id: str(source)}).of(files.video_id)


def read_name_lists(out: Path, sources: Mapping[str, str], chosen: Path | None = None) -> NameLists:
    """The lists in which people are named.

    Args:
        out: the output folder.
        sources: paths of the videos that are asked about, by id.
        chosen: the session list; None: that of the folder.
    """
    path = find_session_list(out, chosen)
    people = _or_default(lambda: read_people(out), PeopleList())
    return NameLists(
        people,
        _or_default(lambda: read_sessions(path, sources) if path else Sessions(), Sessions()),
        _or_default(lambda: read_corrections(out, people, find_corrections(out)), Corrections()),
    )


def read_names(files: VideoFiles, chosen: Path | None = None) -> PersonNames:
    """The names that the lists give in a finished video.

    Raises:
        RecordsError: the footer of FACES cannot be read.
    """
    sources = {files.video_id: read_metadata(files.faces).source.path}
    return read_name_lists(files.out, sources, chosen).of(files.video_id)


def read_persons(files: VideoFiles, names: PersonNames) -> Persons:
    """The persons of a finished video, as the lists say; without its corrections, if these do not fit the names.

    Raises:
        RecordsError: FRAMES or FACES cannot be read.
    """
    try:
        return Persons.of(files, names)
    except OptionsError:
        return Persons.of(files, replace(names, corrections=NO_CORRECTIONS))


def _or_default(read: Callable[[], _List], default: _List) -> _List:
    try:
        return read()
    except OptionsError:
        return default
