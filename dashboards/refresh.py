"""Which pages are stale, and the updates of those that are.

Nothing else decides whether a page is current. `.pages/` holds a digest of all inputs of each page, in a file per page
so that workers that run in parallel never write the same file. Inputs of a session's page: size and time of its
tables, markers, signals, clips and video file, the markers next to its stimulus, the names of its people, its
corrections, what coders saw, the part of it that counts, its notes, theme, title and logo, and ferflow's own code.
Inputs of the overview: the same of all finished videos as far as it shows them, the manifest of the run, the lists,
the stimuli, its notes, and the options.

Code that replaces a table of a finished video calls `VideoFiles.remove_page` first: if the process is killed, no page
of older data stays next to new tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

from ferflow import version
from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists
from ferflow.analytics.timeline import is_current, usual_bins, write_timeline
from ferflow.dashboards.overview.index import write_folder
from ferflow.dashboards.overview.lists import load_lists
from ferflow.dashboards.overview.overview_data import load_folder, stimulus_files
from ferflow.dashboards.session_report.page import write_session_report
from ferflow.dashboards.session_report.video_player import url_between
from ferflow.dashboards.shared.notes import load_notes
from ferflow.dashboards.shared.page import ensure_assets, write_text
from ferflow.dashboards.shared.page_digests import read_status
from ferflow.dashboards.shared.session_stimulus import find_session_stimulus
from ferflow.dashboards.shared.settings import PageOptions, SavedPageOptions
from ferflow.errors import FerflowError
from ferflow.models.timeline_basis import find_basis
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import is_disk_full, remove
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OVERVIEW_CONTENT, PAGE_OPTIONS, OutputFolder
from ferflow.store.records import check_records
from ferflow.store.run_manifest import RunManifest
from ferflow.store.video_files import VideoFiles
from ferflow.version import __version__

# In a bare checkout this folder lies outside the package.
_ROOM = Path(__file__).parent
_MOST_BYTES = 64 << 20
"""Of a list, `run.json` and the options of the pages; larger ones are refused where they are read."""
_SOURCES = {".py", ".j2", ".js", ".css"}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What happened to the pages of a folder."""

    written: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    """They are up to date."""
    failed: dict[str, str] = field(default_factory=dict)
    """The reason, by video id."""
    warnings: tuple[str, ...] = ()
    """Problems in the lists of people and sessions, and in notes."""


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    """`.pages/options.json`."""

    options: SavedPageOptions
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageStatus:
    """What `.pages/` says about an output folder."""

    folder: OutputFolder
    options: PageOptions = field(default_factory=PageOptions)
    """The last ones used."""
    warnings: tuple[str, ...] = ()
    """What the overview says about the lists."""

    @classmethod
    def load(cls, folder: OutputFolder) -> Self:
        """Read it; if it is missing or invalid, every page is stale."""
        try:
            saved = msgspec.json.decode(
                read_plain_file(folder.page_status(PAGE_OPTIONS), _MOST_BYTES), type=_Saved
            )
        except (OSError, RecursionError, msgspec.DecodeError):
            return cls(folder)
        return cls(folder, PageOptions.from_saved(saved.options), saved.warnings)

    def save(self) -> None:
        """Keep options and warnings for the next call."""
        content = msgspec.json.encode(_Saved(options=self.options.to_saved(), warnings=self.warnings))
        write_text(self.folder.page_status(PAGE_OPTIONS), content.decode(), out=self.folder.path)

    def is_fresh(self, page: Path, digest: str) -> bool:
        """Whether a page exists and was made from inputs with this digest."""
        try:
            return page.exists() and read_status(self.folder, page.name) == digest
        except OSError:
            return False

    def discard(self, page: Path) -> None:
        """Make a page stale, before it is written or removed."""
        remove(self.folder.page_status(page.name), out=self.folder.path, durable=False)

    def record(self, page: Path, digest: str) -> None:
        """Note what a page was made from, once it is written."""
        write_text(self.folder.page_status(page.name), digest, out=self.folder.path)


def refresh(out: Path, options: PageOptions | None = None, *, forgiving: bool = False) -> Refreshed:
    """Write every page of a folder that is stale; a video without a timeline gets one first.

    Args:
        out: the output folder.
        options: of the pages; None: the last ones used.
        forgiving: leave out a list of people or sessions that cannot be read, with a warning on the overview.

    Returns:
        What happened to each page. Errors in the tables of one video are in it and not raised.

    Raises:
        OptionsError: a list cannot be read, or lacks a column.
        RecordsError: `run.json` cannot be read.
    """
    folder = OutputFolder(out)
    status = PageStatus.load(folder)
    status = replace(status, options=options or status.options)
    names = load_lists(out, status.options, folder.find_sources(), forgiving=forgiving).names
    written, kept, failed = list[Path](), list[Path](), dict[str, str]()
    for files in folder.finished_videos():
        try:
            made = _update_session(files, names.of(files.video_id), status)
        except FerflowError as error:
            if is_disk_full(error):  # nothing else can be written, either
                raise
            failed[files.video_id] = str(error)
        else:
            (written if made else kept).append(files.report)
    warnings = _update_index(status, forgiving)
    (kept if warnings is None else written).append(folder.index)
    status = status if warnings is None else replace(status, warnings=warnings)
    status.save()
    return Refreshed(
        tuple(written), tuple(kept), failed, (*status.warnings, *_find_problems_of_notes(folder))
    )


def save_options(
    out: Path, *, title: str | None, logo: Path | None, sessions: Path | None, corrections: Path | None = None
) -> None:
    """Remember options for all pages of a folder that are written from now on; None: as before.

    Raises:
        OptionsError: the title is empty or too long, or the logo cannot be used.
    """
    status = PageStatus.load(OutputFolder(out))
    options = status.options.updated(title=title, logo=logo, sessions=sessions, corrections=corrections)
    if options != status.options:  # shards of one run all give the same
        replace(status, options=options).save()


def last_options(out: Path) -> PageOptions:
    """The options that the pages of a folder were last made with; the defaults if these are unknown."""
    return PageStatus.load(OutputFolder(out)).options


def load_names(out: Path) -> NameLists:
    """The lists in which the people of a folder are named, as its pages were last made with.

    Raises:
        OptionsError: one cannot be read.
    """
    folder = OutputFolder(out)
    return load_lists(out, last_options(out), folder.find_sources()).names


def refresh_session(out: Path, video_id: str) -> Path:
    """Write the page of one video if it is stale, with the options last used.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    folder = OutputFolder(out)
    files, status = folder.video(video_id), PageStatus.load(folder)
    _update_session(files, _names_in(files, status), status)
    return files.report


def remove_stale_page(out: Path, video_id: str) -> None:
    """Remove the page of a video unless it is up to date: for a run that writes no pages.

    Raises:
        RecordsError: the tables cannot be read.
    """
    folder = OutputFolder(out)
    files, status = folder.video(video_id), PageStatus.load(folder)
    if not files.report.exists():
        return
    if not status.is_fresh(files.report, _session_digest(files, _names_in(files, status), status.options)):
        files.remove_page()


def remove_stale_overview(out: Path) -> None:
    """Remove the overview unless it is up to date: for a run that writes no pages.

    Raises:
        RecordsError: `run.json` cannot be read.
    """
    status = PageStatus.load(OutputFolder(out))
    page, content = status.folder.index, _index_content_digest(status.folder, status.options)
    if page.exists() and read_status(status.folder, OVERVIEW_CONTENT) != content:
        status.discard(page)
        remove(status.folder.page_status(OVERVIEW_CONTENT), out=status.folder.path, durable=False)
        remove(page, out=status.folder.path, durable=False)


def remove_overview(out: Path) -> None:
    """Remove the overview, and what the folder remembers that it said: for what must not be shown any more."""
    status = PageStatus.load(OutputFolder(out))
    folder = status.folder
    for path in (folder.page_status(folder.index.name), folder.page_status(OVERVIEW_CONTENT), folder.index):
        remove(path, out=out)
    if status.warnings:
        replace(status, warnings=()).save()


def _update_session(files: VideoFiles, names: PersonNames, status: PageStatus) -> bool:
    """Update one page; whether it was stale."""
    basis = find_basis(Persons.of(files, names))
    if not is_current(files, basis):
        files.remove_page()
        write_timeline(files, basis, usual_bins(files))
    digest = _session_digest(files, names, status.options)
    if status.is_fresh(files.report, digest):
        # The page is current, but the script that it shares may have been removed.
        ensure_assets(files.out)
        return False
    check_records(files)
    # Before the page: if the process is killed in between and the inputs then change back, the digest of the old
    # inputs would make the new page pass for current.
    status.discard(files.report)
    write_session_report(files.out, files.video_id, names, status.options)
    status.record(files.report, digest)
    return True


def _update_index(status: PageStatus, forgiving: bool) -> tuple[str, ...] | None:
    """Update the overview; problems in the lists, or None if it was up to date."""
    out, page = status.folder.path, status.folder.index
    digest = _index_digest(status.folder, status.options)
    if status.is_fresh(page, digest):
        return None
    status.discard(page)
    folder = load_folder(out, status.options, forgiving=forgiving)
    write_folder(out, folder, status.options)
    if not folder.left_out:  # a strict call must raise, not find the page up to date
        status.record(page, digest)
        content = _index_content_digest(status.folder, status.options)
        write_text(status.folder.page_status(OVERVIEW_CONTENT), content, out=out)
    return folder.warnings


def _find_problems_of_notes(folder: OutputFolder) -> list[str]:
    """What pages do not show of their notes, up to date or not, and notes that no page shows."""
    pages = {files.notes: files.report for files in folder.finished_videos()}
    found = [
        f"{path.relative_to(folder.path)}: no finished video has this name. Name the file like the video's page."
        for path in folder.session_notes
        if path not in pages
    ]
    for path, page in {folder.notes: folder.index, **pages}.items():
        found += load_notes(path, page=page, out=folder.path).problems
    return found


def _names_in(files: VideoFiles, status: PageStatus) -> PersonNames:
    """The names that the lists give in one video; a list that cannot be read gives none."""
    # Only this video: a worker must not read the footers of all others for each of its own.
    sources = {files.video_id: read_metadata(files.faces).source.path}
    return load_lists(files.out, status.options, sources, forgiving=True).names.of(files.video_id)


# --- Digests of what a page is made from ----------------------------------------------------------------


def _session_digest(files: VideoFiles, names: PersonNames, options: PageOptions) -> str:
    video = Path(read_metadata(files.faces).source.path)
    inputs = [
        files.frames,
        files.faces,
        files.timeline,
        files.markers,
        files.signals,
        video,
        *sorted(files.clips.glob("*.mp4")),
    ]
    # The page refers to the video by a relative path, which changes if the folder is moved.
    link = url_between(files.report, video)
    header = options.theme, options.title, options.logo
    notes = load_notes(files.notes, page=files.report, out=files.out)
    given = sorted(names.by_track.items()), sorted(names.by_person.items()), names.participant, names.limits
    corrections = [names.corrections.file, *(asdict(row) for row in names.corrections.rows)]
    codings = [asdict(coding) for coding in names.codings]
    stimulus = find_session_stimulus(files, options)
    scenes = (stimulus.offset_s, _stat_files([stimulus.markers_file])) if stimulus.markers_file else None
    shown = notes.html, notes.problems, scenes, files.has_thumbnails
    return _digest(_stat_files(inputs), link, given, corrections, codings, header, *shown)


def _index_digest(folder: OutputFolder, options: PageOptions) -> str:
    # The overview says when the last run started.
    return _digest(_index_content_digest(folder, options), _hash_content(folder.manifest))


def _index_content_digest(folder: OutputFolder, options: PageOptions) -> str:
    """Digest of what the overview shows, but for when the last run started."""
    run, videos = RunManifest.load(folder.manifest), folder.finished_videos()
    corrections = options.corrections or folder.corrections
    lists = [folder.people_list, corrections, *folder.codings, options.sessions or folder.session_list]
    notes = load_notes(folder.notes, page=folder.index, out=folder.path)
    return _digest(
        _stat_files(
            path for files in videos for path in (files.faces, files.timeline, files.markers, files.signals)
        ),
        [
            (url_between(folder.index, path), _stat_files([path]))
            for path in stimulus_files(folder.path, options)
        ],
        run and [msgspec.to_builtins(run.videos), run.stimuli],
        folder.has_clips,
        folder.has_thumbnails,
        # The overview links to the pages that exist.
        [files.report.exists() for files in videos],
        [_hash_content(path) for path in lists],
        msgspec.to_builtins(options.to_saved()),
        notes.html,
        notes.problems,
    )


def _stat_files(paths: Iterable[Path]) -> list[tuple[str, int, int] | None]:
    """Name, size and time of files; None for one that is missing."""
    found: list[tuple[str, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((path.name, stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _hash_content(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_plain_file(path, _MOST_BYTES)).hexdigest()
    except OSError:
        return None


def _digest(*parts: object) -> str:
    # ASCII only: a file name that is no valid text has characters that UTF-8 cannot encode.
    text = json.dumps([__version__, _hash_code(), *parts], ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _hash_code() -> str:
    """Digest of ferflow's own code: another state of the same version makes every page stale."""
    rooms = {Path(version.__file__).parent, _ROOM}
    # All folders below: a flat listing would go blind, without an error, when a module moves.
    files = sorted({path for room in rooms for path in room.rglob("*") if path.suffix in _SOURCES})
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
