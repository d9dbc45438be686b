"""An output folder: the place and name of every file in it, who has locked it, and what interrupted runs left in it.

>>> folder = OutputFolder(Path("out"))
>>> with folder.lock():
...     folder.remove_leftovers()
>>> folder.video("talk-0123abcd").faces
PosixPath('out/faces/talk-0123abcd.parquet')
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock, Timeout

from ferflow.errors import FolderInUseError, RecordsError
from ferflow.store.atomic_files import (
    is_abandoned,
    is_being_written,
    is_temporary,
    make_folder,
    remove,
    remove_folder,
)
from ferflow.store.contained import check_contained
from ferflow.store.lock_files import (
    check_shared_locks,
    hold_lock,
    is_lock_file,
    is_locked,
    share_lock,
)
from ferflow.store.metadata import read_metadata
from ferflow.store.run_manifest import RunManifest
from ferflow.store.segment_files import SEGMENTS
from ferflow.store.video_files import PAGE_STATUSES, THUMBNAILS, VideoFiles

log = logging.getLogger(__name__)

LOCK = ".ferflow.lock"
LISTS_LOCK = ".lists.lock"
APP_LOCK = ".app.lock"
MERGE_LOCK = ".merge.lock"
LOCKS = (LOCK, LISTS_LOCK, APP_LOCK, MERGE_LOCK)
PAGE_OPTIONS = "options"
OVERVIEW_CONTENT = "index.content"
"""Names of files in `VideoFiles.PAGE_STATUSES`, next to those of pages."""
PEOPLE_LIST = "people.csv"
CORRECTIONS = "corrections.csv"
RECORDINGS = "live"
CODINGS = "coding"
UPLOADS = "uploads"
SHARDS = "shards"
PRODUCTS = ("csv", "figures", "export", "mail", "dataset")
"""Folders of what is made of all pages or tables together, to be handed on; each can be made again."""

_FOLDERS = (
    "frames", "faces", "timeline", "markers", "signals", "reports", "assets", *PRODUCTS, THUMBNAILS, PAGE_STATUSES,
    RECORDINGS, SHARDS, SEGMENTS,
)  # fmt: skip
"""Folders that ferflow makes in an output folder."""

_WRITTEN_BY_APP = (CODINGS, UPLOADS)
"""Folders of the user's, into which the application writes while a run may have locked the folder."""

_LOCK_TIMEOUT_SECONDS = 0.5
"""Time for the workers of a killed run to end."""
_LISTS_TIMEOUT_SECONDS = 10.0
"""Time for another edit of a list, which takes a fraction of a second."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Paths of the files in an output folder."""

    path: Path

    @property
    def tables(self) -> list[Path]:
        """Folders of FRAMES, FACES and TIMELINE, a file per video."""
        return [self.path / name for name in ("frames", "faces", "timeline")]

    @property
    def manifest(self) -> Path:
        """`run.json`, see `RunManifest`."""
        return self.path / "run.json"

    @property
    def index(self) -> Path:
        """The overview page."""
        return self.path / "index.html"

    @property
    def people_list(self) -> Path:
        """Names of tracks, from the user; see `analytics.people_list`."""
        return self.path / PEOPLE_LIST

    @property
    def corrections(self) -> Path:
        """What the user corrects in the results; see `analytics.corrections`."""
        return self.path / CORRECTIONS

    @property
    def codings(self) -> list[Path]:
        """What human coders saw, from the user, a file per coder, sorted by name; see `analytics.codings`."""
        return sorted((self.path / CODINGS).glob("*.csv"))

    def coding(self, coder: str) -> Path:
        """The file of one coder."""
        return self.path / CODINGS / f"{coder}.csv"

    @property
    def session_list(self) -> Path:
        """Who was in which video, from the user, unless the list lies elsewhere; see `analytics.session_list`."""
        return self.path / "sessions.csv"

    @property
    def notes(self) -> Path:
        """Notes from the user, in Markdown, for the overview; `VideoFiles.notes` are for the page of a video."""
        return self.path / "notes.md"

    @property
    def session_notes(self) -> list[Path]:
        """All notes for pages of videos, sorted by name."""
        return sorted((self.path / "notes").glob("*.md"))

    @property
    def thumbnails(self) -> Path:
        """Folder of pictures of persons, a folder per video; exists only if they were asked for."""
        return self.path / THUMBNAILS

    @property
    def has_clips(self) -> bool:
        """Whether it holds clips of any video; they show faces."""
        return next((self.path / "reports").glob("*.clips/*.mp4"), None) is not None

    @property
    def has_thumbnails(self) -> bool:
        """Whether it holds pictures of persons of any video."""
        return next(self.thumbnails.glob("*/*.jpg"), None) is not None

    @property
    def plotly(self) -> Path:
        """The script that all pages share."""
        return self.path / "assets" / "plotly.min.js"

    @property
    def csv_tables(self) -> Path:
        """Folder of the tables of all pages as CSV."""
        return self.path / "csv"

    @property
    def figures(self) -> Path:
        """Folder of the figures of all pages as pictures."""
        return self.path / "figures"

    @property
    def exports(self) -> Path:
        """Folder of files in the formats of other tools, unless the user names another one."""
        return self.path / "export"

    @property
    def dataset(self) -> Path:
        """Folder of the tables of all videos for other engines, unless the user names another one."""
        return self.path / "dataset"

    @property
    def products(self) -> list[Path]:
        """Folders of what is made of all pages or tables together."""
        return [self.path / name for name in PRODUCTS]

    @property
    def mail(self) -> Path:
        """Folder of pages that need no other file."""
        return self.path / "mail"

    @property
    def forgotten(self) -> Path:
        """Which videos must not be analysed here again, as hashes; see `jobs.forget.record`."""
        return self.path / "forgotten.json"

    @property
    def forget_journal(self) -> Path:
        """What an erasure in progress removes; see `jobs.forget.request`."""
        return self.path / ".forget.json"

    @property
    def recordings(self) -> Path:
        """Folder of live recordings in progress, and of those that were interrupted; see `jobs.live.segments`."""
        return self.path / RECORDINGS

    @property
    def uploads(self) -> Path:
        """Folder of the videos that were uploaded to the application; see `jobs.uploads`."""
        return self.path / UPLOADS

    @property
    def shards(self) -> Path:
        """Folder of what shards of a run record until `ferflow merge` joins it; see `store.shard_manifest`."""
        return self.path / SHARDS

    @property
    def claims(self) -> Path:
        """Folder of the lock files of videos that shards analyse."""
        return self.shards / "claims"

    def find_sources(self, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """Path of the source of each finished video, by id; empty if its tables cannot be read.

        Args:
            known: paths of some videos, by id, whose footers are not read.
        """
        found = {}
        for files in self.finished_videos():
            try:
                path = known.get(files.video_id)
                found[files.video_id] = read_metadata(files.faces).source.path if path is None else path
            except RecordsError:  # a list of sessions cannot find a video without its path
                found[files.video_id] = ""
        return found

    @property
    def has_pages(self) -> bool:
        """Whether a page was ever written."""
        return (self.path / PAGE_STATUSES).is_dir()

    def page_status(self, name: str) -> Path:
        """What a page of this name was made from; `PAGE_OPTIONS`: the options of all pages."""
        return self.path / PAGE_STATUSES / f"{name}.json"

    def video(self, video_id: str) -> VideoFiles:
        """Files of a video, finished or not.

        Raises:
            RecordsError: the id is no plain name.
        """
        return VideoFiles(self.path, video_id)

    def finished_ids(self) -> list[str]:
        """Ids of the finished videos, sorted."""
        return sorted(path.stem for path in (self.path / "faces").glob("*.parquet"))

    def finished_videos(self) -> list[VideoFiles]:
        """Files of the finished videos, sorted by id."""
        return [self.video(video_id) for video_id in self.finished_ids()]

    def is_used(self) -> bool:
        """Whether ferflow has written into the folder."""
        return (self.path / "faces").is_dir() or self.manifest.is_file()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs out; the operating system releases the lock when the process ends, however it ends.

        So a lock file without an owner is no obstacle. On a file system without locks, `filelock` writes the owner
        into the file, and takes it over from a process that does not exist any more.

        Raises:
            RecordsError: another run has locked it, it cannot be written, or a part of it lies elsewhere.
        """
        try:
            make_folder(self.path, out=None)
            self._check_contained()
            lock = FileLock(self.path / LOCK, timeout=_LOCK_TIMEOUT_SECONDS)
            lock.acquire()
        except Timeout:
            raise self._in_use() from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RecordsError(f"{self.path}: cannot be written ({reason}). Use another -o.") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def lock_shared(self, *, waits_for_merge: bool = True) -> Iterator[None]:
        """Keep runs of the whole folder out, as `lock` does, and let other shards of a run in.

        On a file system without such locks, nothing is kept out, and a warning says so.

        Args:
            waits_for_merge: wait for a merge that has locked the folder; not for a merge itself.

        Raises:
            RecordsError: a run has locked the folder, it cannot be written, or a part of it lies elsewhere.
            OptionsError: this system has no shared locks.
        """
        check_shared_locks()
        try:
            make_folder(self.path, out=None)
            self._check_contained()
            file = self._share_lock(waits_for_merge=waits_for_merge)
        except Timeout:
            raise self._in_use() from None
        except OSError as error:
            raise RecordsError(
                f"{self.path}: cannot be written ({error.strerror}). Use another -o."
            ) from error
        try:
            yield
        finally:
            os.close(file)

    @contextmanager
    def claim(self, video_id: str) -> Iterator[None]:
        """Keep other shards from analysing a video; waits for one that does. The lock ends with the process.

        Raises:
            RecordsError: the folder cannot be written.
        """
        make_folder(self.claims, out=self.path)
        lock = FileLock(self.claims / f"{self.video(video_id).video_id}.lock")
        with hold_lock(lock, "", "Use another -o."):
            yield

    @contextmanager
    def lock_merge(self) -> Iterator[None]:
        """Keep other merges out.

        Raises:
            RecordsError: there is one, or the folder cannot be written.
        """
        lock = FileLock(self.path / MERGE_LOCK, timeout=_LOCK_TIMEOUT_SECONDS)
        with hold_lock(
            lock, f"{self.path}: another ferflow merge is running. Wait for it.", "Use another -o."
        ):
            yield

    @contextmanager
    def lock_lists(self) -> Iterator[None]:
        """Keep other processes from writing the user's lists, between reading one and replacing it.

        Runs read the lists without this lock: a list is replaced at once. A thread that has locked them may lock them
        again, as for several files that must change together.

        Raises:
            RecordsError: another process has locked them for long, or the folder cannot be written.
        """
        busy = f"{self.path}: another program is changing the lists. Try again when it has finished."
        lock = FileLock(self.path / LISTS_LOCK, timeout=_LISTS_TIMEOUT_SECONDS, is_singleton=True)
        with hold_lock(lock, busy, "Check its permissions."):
            yield

    @contextmanager
    def lock_app(self) -> Iterator[None]:
        """Keep other applications out, as long as one shows the folder; its analyses lock the folder as others do.

        A folder that is made for it and stays empty is removed again.

        Raises:
            RecordsError: another one shows it, or it cannot be written.
        """
        is_new = not self.path.exists()
        try:
            make_folder(self.path, out=None)
        except OSError as error:
            raise RecordsError(
                f"{self.path}: cannot be made ({error.strerror}). Give another OUT."
            ) from error
        busy = f"{self.path}: another ferflow app shows this folder. End it, or give another OUT."
        lock = FileLock(self.path / APP_LOCK, timeout=_LOCK_TIMEOUT_SECONDS)
        with hold_lock(lock, busy, "Give another OUT."):
            try:
                yield
            finally:
                if is_new and [path.name for path in self.path.iterdir()] == [APP_LOCK]:
                    remove(self.path / APP_LOCK, out=self.path, durable=False)
                    remove_folder(self.path, out=self.path)

    def is_locked(self) -> bool:
        """Whether a run has locked the folder now; a folder that may only be read answers, too."""
        return is_locked(self.path / LOCK)

    def is_shown(self) -> bool:
        """Whether an application shows the folder now; answers as `is_locked` does."""
        return is_locked(self.path / APP_LOCK)

    def find_leftovers(self) -> list[Path]:
        """Files that only an interrupted run leaves: incomplete ones, and what belongs to unfinished videos."""
        # FACES get their name last. A run that is killed before leaves FRAMES, or an old timeline, without FACES.
        # Markers and signals are not looked for: they are the user's data, not results.
        finished = set(self.finished_ids())
        incomplete = [
            *(
                path
                for path in self._list_files()
                if self._is_incomplete(path) or self._is_orphan(path, finished)
            ),
            *(path for name in _WRITTEN_BY_APP for path in _walk(self.path / name) if is_abandoned(path)),
        ]
        tables = [path for name in ("frames", "timeline") for path in (self.path / name).glob("*.parquet")]
        orphans = [path for path in tables if path.stem not in finished and _is_ours(path)]
        videos = [self.video(path.stem) for path in orphans]
        pages = {page for video in videos for page in (video.report, video.page_status)}
        return sorted([*incomplete, *orphans, *(page for page in pages if page.exists())])

    def _list_files(self) -> Iterator[Path]:
        """Files directly in the folder, and at every depth in the folders that ferflow makes; no link is followed."""
        yield from (path for path in self.path.iterdir() if path.is_symlink() or not path.is_dir())
        for name in _FOLDERS:
            yield from _walk(self.path / name)

    def _is_incomplete(self, path: Path) -> bool:
        # The user's lists lie directly in the folder, and the application replaces them while a run has locked it.
        return is_temporary(path) and not (path.parent == self.path and is_being_written(path))

    def _is_orphan(self, path: Path, finished: Set[str]) -> bool:
        """Whether a file is a clip or a picture of people of an unfinished video, or a segment of a finished one."""
        match path.relative_to(self.path).parts:
            case ("reports", folder, _) if folder.endswith(".clips") and path.suffix == ".mp4":
                return folder.removesuffix(".clips") not in finished
            case (str(place), video_id, _) if place == THUMBNAILS and path.suffix == ".jpg":
                return video_id not in finished
            case (str(place), video_id, _) if place == SEGMENTS:
                return video_id in finished
        return False

    def remove_leftovers(self) -> list[Path]:
        """Remove what `find_leftovers` finds; returns that.

        The folder must be locked: the incomplete files of a run in progress look the same.
        """
        leftovers = self.find_leftovers()
        for path in leftovers:
            remove(path, out=self.path)
        if leftovers:
            log.info("%s: removed %d files of an interrupted run", self.path, len(leftovers))
        return leftovers

    def _check_contained(self) -> None:
        """Refuse a folder with links in the places of folders, before anything in it is changed."""
        clips, thumbnails = (self.path / "reports").glob("*.clips"), self.thumbnails.glob("*")
        for folder in (*(self.path / name for name in _FOLDERS), *clips, *thumbnails):
            if folder.is_symlink():
                check_contained(folder / "file", self.path)
        if os.path.lexists(self.path / LOCK) and not is_lock_file(self.path / LOCK):
            raise RecordsError(f"{self.path / LOCK}: not a file of ferflow. Remove it, or use another -o.")

    def _share_lock(self, *, waits_for_merge: bool) -> int:
        is_announced = False
        while True:
            try:
                return share_lock(self.path / LOCK, _LOCK_TIMEOUT_SECONDS)
            except Timeout:
                if not waits_for_merge or not is_locked(self.path / MERGE_LOCK):
                    raise
            if not is_announced:
                log.warning("%s: waiting for ferflow merge, which is writing here.", self.path)
                is_announced = True

    def _in_use(self) -> FolderInUseError:
        return FolderInUseError(
            f"{self.path}: another ferflow{self._lock_owner()} is writing here. Wait for it, or use another -o."
        )

    def _lock_owner(self) -> str:
        """Who has locked the folder, as far as its manifest says."""
        # The refusal is reported also if the manifest is broken.
        with suppress(RecordsError):
            if (run := RunManifest.load(self.manifest)) is not None and run.host is not None:
                return f" (process {run.host.pid} on {run.host.name}, since {run.started})"
        return ""


def _walk(folder: Path) -> Iterator[Path]:
    """Files at every depth; no link is followed."""
    if not folder.is_symlink():
        for where, _, names in os.walk(folder):
            yield from (Path(where, name) for name in names)


def is_output_folder(path: Path) -> bool:
    """Whether a folder is an output folder, whatever its name is, by what ferflow leaves in each."""
    marks = (path / LOCK, path / "run.json")
    return any(map(os.path.isfile, marks)) and any(os.path.isdir(path / name) for name in ("frames", "faces"))  # noqa: PTH112


def find_maker(path: Path) -> Path | None:
    """The output folder of which a file or folder is a product, however it is reached; None: of none.

    Files that the user has put next to ferflow's own folders are no products.
    """
    real = Path(os.path.realpath(path))
    places = pairwise((real, *real.parents))
    return next(
        (folder for place, folder in places if place.name in _FOLDERS and is_output_folder(folder)), None
    )


def _is_ours(path: Path) -> bool:
    """Whether ferflow wrote a table, and completely; files of others must not be removed."""
    with suppress(RecordsError):
        read_metadata(path)
        return True
    return False
