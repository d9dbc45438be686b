"""What a request for erasure is about: whole sessions, and a person's tracks in sessions that others share."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from ferflow.analytics.correction_rows import Correction, Who
from ferflow.analytics.csv_input import Row
from ferflow.analytics.erasure import Piece, find_pieces
from ferflow.analytics.markers import load_markers
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.session_list import find_videos
from ferflow.analytics.sightings import find_counted
from ferflow.analytics.signals import load_signals
from ferflow.dashboards import load_names
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.uploads import identify_uploads
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write, remove
from ferflow.store.metadata import VideoId, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from ferflow.store.segment_files import SEGMENTS, find_segmented
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize

_MOST_BYTES = 64 << 20


UploadName = Annotated[str, Meta(pattern=r"^[^/\\]+/[^/\\]+$")]
"""`<job>/<name>`, see `jobs.uploads`."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that is removed as a whole."""

    video_id: VideoId
    source: str = ""
    """Path of its video; empty: unknown."""
    uploads: tuple[UploadName, ...] = ()
    """Its video, as often as it was uploaded to the application."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A session of which one person is removed."""

    video_id: VideoId
    pieces: tuple[Piece, ...]
    """The person's tracks, of which the lists may not know later that they were this person's."""
    called: tuple[str, ...]
    """What rows of `corrections.csv` and of coders call this person besides the name, see `name_of`."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be removed."""

    participant: str | None = None
    sessions: tuple[Session, ...] = ()
    shares: tuple[Share, ...] = ()
    has_pages: bool = False
    """Whether pages are to be written again."""
    has_tables: bool = False
    """Whether `csv/` is to be written again."""

    @property
    def is_empty(self) -> bool:
        """Whether no session is concerned."""
        return not (self.sessions or self.shares)


@dataclass(frozen=True, slots=True)
class Found:
    """What a request is about, and what could not be looked into."""

    request: Request
    unread: tuple[str, ...] = ()
    """Why sessions may hold this person, a line each."""
    similar: tuple[str, ...] = ()
    """Names like the one that was asked for, if there is none."""


def find_video(folder: OutputFolder, text: str) -> Request:
    """A request about one session.

    Args:
        folder: the output folder.
        text: the video's id, or its file name or path, as in a session list.

    Raises:
        OptionsError: several videos have this name.
        RecordsError: the id leads out of the folder.
    """
    run = RunManifest.load(folder.manifest)
    noted = {entry.video_id: entry.source for entry in (run.videos if run else ()) if entry.video_id}
    sources = find_segmented(folder.path) | noted | folder.find_sources()
    uploads = _Uploads.find(folder)
    # Also of one that was never finished: it may have markers, signals or rows in lists, or wait in the application.
    known = _find_id(text, sources) or _find_id(text, uploads.sources)
    return _complete(folder, Request(sessions=(uploads.describe(known or text, sources),)))


def _find_id(text: str, sources: Mapping[str, str]) -> str | None:
    return find_videos([Row(1, {"video": text})], "--video", sources)[1]


@dataclass(frozen=True, slots=True)
class _Uploads:
    """Videos in the folder that were uploaded to the application, with the ids of their sessions."""

    folder: OutputFolder
    ids: Mapping[Path, str] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: OutputFolder) -> Self:
        return cls(folder, identify_uploads(folder))

    @property
    def sources(self) -> dict[str, str]:
        """Their paths, by id."""
        return {video_id: str(path) for path, video_id in self.ids.items()}

    def describe(self, video_id: str, sources: Mapping[str, str]) -> Session:
        """A session that is removed as a whole; `sources`: where the videos of sessions are."""
        self.folder.video(video_id)
        own = [path for path, one in self.ids.items() if one == video_id]
        names = tuple(path.relative_to(self.folder.uploads).as_posix() for path in own)
        source = sources.get(video_id) or self.sources.get(video_id, "")
        return Session(video_id=video_id, source=source, uploads=names)


def find_participant(folder: OutputFolder, name: str) -> Found:
    """A request about a person, by the name that the lists give, in all sessions.

    A session in which nobody else counts is removed as a whole.

    Raises:
        OptionsError: a list cannot be read, or the name is a number that means somebody else in each session.
    """
    name = unicodedata.normalize("NFC", name.strip())
    names = load_names(folder.path)
    known: set[str] = set()
    uploads = _Uploads.find(folder)
    sessions, shares, unread = list[Session](), list[Share](), list[str]()
    unread += [
        f"{video_id}: its analysis was interrupted, and whose faces are in {SEGMENTS} is not known."
        for video_id in find_segmented(folder.path)
    ]
    for files in folder.finished_videos():
        try:
            source = read_metadata(files.faces).source.path
            video = _Video(files.video_id, Persons.of(files, names.of(files.video_id)), names)
        except RecordsError as error:
            unread.append(f"{files.video_id}: {error}")
            continue
        known |= video.given
        ids = video.find(name)
        if ids and video.is_of(ids):
            sessions.append(uploads.describe(files.video_id, {files.video_id: source}))
        elif ids or name in video.regions:
            # They are written again, and one that cannot be read must not end the erasure half-way.
            if (problem := _why_unreadable(files)) is not None:
                unread.append(f"{files.video_id}: {problem}")
            else:
                shares.append(video.share(ids))
    if not (sessions or shares) and Who.parse(name).kind in ("person", "track"):
        raise OptionsError(
            f"{sanitize(name)}: that is another person in each session. Give the person a name in people.csv first "
            "(ferflow people OUT lists all), or use --video."
        )
    request = Request(participant=name, sessions=tuple(sessions), shares=tuple(shares))
    similar = () if sessions or shares else _find_similar(name, known)
    return Found(_complete(folder, request), tuple(unread), similar)


def _why_unreadable(files: VideoFiles) -> str | None:
    try:
        load_markers(files)
        load_signals(files)
    except RecordsError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class _Video:
    """The people of one session."""

    video_id: str
    persons: Persons
    names: NameLists

    @property
    def regions(self) -> set[str]:
        """Names of parts of the picture."""
        return set(self.persons.names.of_region.values())

    @property
    def given(self) -> set[str]:
        """All names that the user gave in this session, by a list, a region or a file."""
        of_persons = self.persons.names
        listed = self.names.sessions.of(self.video_id).participants
        return {*of_persons.by_person.values(), *of_persons.of_file.values(), *listed}

    def find(self, name: str) -> set[int]:
        """Ids of the person; several where tracks without a name count as one participant."""
        if name not in self.given:
            return set()
        return set(self.persons.know(self.names.of(self.video_id)).by_name.get(name, ()))

    def is_of(self, ids: set[int]) -> bool:
        """Whether nobody else counts in this session."""
        persons = self.persons.of_whole_recording
        counted = find_counted(
            persons.faces("frame_index", "score"), persons.times(), enough=len(persons.ids) + 1
        )
        return not (set(counted) - ids)

    def share(self, ids: set[int]) -> Share:
        """The person's part of the session."""
        lists = self.names.of(self.video_id)
        rows = [*lists.corrections.rows, *(row for coding in lists.codings for row in coding.rows)]
        return Share(
            video_id=self.video_id,
            pieces=find_pieces(self.persons, ids),
            called=tuple(sorted({key_of(row.who) for row in self._find_rows(rows, ids)})),
        )

    def _find_rows(self, rows: list[Correction], ids: set[int]) -> Iterator[Correction]:
        known = self.persons.know(self.names.of(self.video_id))
        for row in rows:
            found = known.find(row)
            if found and set(found) <= ids:
                yield row


def key_of(who: Who) -> str:
    """How a cell that says who is meant is compared."""
    return who.name.casefold() if who.kind == "name" else f"{who.kind} {who.number}"


def _complete(folder: OutputFolder, request: Request) -> Request:
    return msgspec.structs.replace(
        request, has_pages=folder.index.exists(), has_tables=folder.csv_tables.is_dir()
    )


def _find_similar(name: str, known: set[str]) -> tuple[str, ...]:
    by_key = {one.casefold(): one for one in sorted(known)}
    return tuple(by_key[key] for key in get_close_matches(name.casefold(), by_key, n=3, cutoff=0.6))


def write_journal(folder: OutputFolder, request: Request) -> None:
    """Note what is being removed, before anything is.

    Raises:
        RecordsError: it cannot be written.
    """
    with atomic_write(folder.forget_journal, out=folder.path) as part:
        # Python's own JSON: names of files may be no valid text, which msgspec refuses.
        part.write_text(json.dumps(msgspec.to_builtins(request)), encoding="utf-8")


def read_journal(folder: OutputFolder) -> Request | None:
    """What an interrupted erasure was to remove; None: there was none.

    Raises:
        RecordsError: the journal cannot be read.
    """
    try:
        return msgspec.convert(json.loads(read_plain_file(folder.forget_journal, _MOST_BYTES)), Request)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordsError(
            f"{folder.forget_journal}: cannot be read ({sanitize(str(error))[:100]}). Delete it, and repeat the "
            "request."
        ) from error


def remove_journal(folder: OutputFolder) -> None:
    """Note that all is removed."""
    remove(folder.forget_journal, out=folder.path)
