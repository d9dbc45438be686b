"""An output folder in an object store: who may publish the result of a video, and what is visible of it.

A store has no locks and no renaming, but it can create an object only if there is none. So:

1. The files of an attempt are stored below `attempts/<video_id>/<attempt>/`, where no reader looks.
2. `commits/<video_id>.json`, which names the attempt and its files, is created if there is none. The attempt that
   creates it is the result of this video; every other one is removed.
3. The files are copied to their final names, FACES last. This may be repeated by any process, since the commit says
   what to copy.

>>> published = PublishedFolder(parse_address("s3://bucket/out"))
>>> published.publish(files, describe)
Commit(video_id='talk-0123abcd', ...)
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from ferflow.errors import RecordsError
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import VideoId, from_json_values, to_json_values
from ferflow.store.object_store import (
    Address,
    ObjectStat,
    copy_object,
    create_object,
    delete_objects,
    download,
    exists,
    keeps_created,
    list_objects,
    permit,
    put_object,
    read_object,
    relative_name,
    stat_object,
    update_object,
)
from ferflow.store.run_manifest import TaskReport
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize
from ferflow.version import __version__

log = logging.getLogger(__name__)

MARKER = "ferflow.json"
"""Object that marks an output folder in a store, and says how all of its videos are analysed."""
ATTEMPTS = "attempts"
COMMITS = "commits"
INTERNAL = (ATTEMPTS, COMMITS, MARKER)
"""What an output folder on a disk does not have."""

_READERS = 16
"""Commits read at the same time: each is small, and most of the time is spent waiting for the store."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How all videos of an output folder are analysed; contents of `MARKER`."""

    schema_version: int = 1
    ferflow_version: str = __version__
    options: AnalyzeOptions
    model_sha256: str


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a video."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+/[^\0/\\]+(/[^\0/\\]+)?$")]
    """Relative to the output folder."""
    size: int
    sha256: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempt has the result of a video."""

    schema_version: int = 1
    ferflow_version: str = __version__
    video_id: VideoId
    attempt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
    source: str
    """The video: a path from the root, or an address."""
    signature: str | None
    sha256: str | None
    """As `SourceInfo` has both."""
    region: tuple[str, ...]
    """Parts of the picture that were analysed."""
    files: tuple[PublishedFile, ...]
    """FACES last."""
    report: TaskReport


@dataclass(frozen=True, slots=True)
class Source:
    """What a commit says about the video."""

    path: str
    signature: str | None
    sha256: str | None
    region: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublishedFolder:
    """An output folder in a store."""

    address: Address

    def __post_init__(self) -> None:
        """An output folder in a store is one that the user has named."""
        permit(self.address)

    def agree_on(self, settings: Settings) -> None:
        """Store how videos are analysed, or compare with what is stored: all tables of a folder are read as one.

        Raises:
            RecordsError: the folder has other settings or other contents, or the store cannot be used.
        """
        marker = self.address / MARKER
        with self._naming_errors():
            found = self._read_settings()
            if found is None:
                if next(list_objects(self.address / "faces"), None) is not None:
                    raise RecordsError(
                        f"{self.address}: holds tables that no run has published there. Use another -o, or fetch them "
                        "and continue in that folder."
                    )
                create_object(marker, _encode(settings))
                if not keeps_created(marker, _encode(settings) + b"\n"):
                    delete_objects([marker])
                    raise RecordsError(
                        f"{self.address}: this store ignores conditions of a put (If-None-Match), so two runs could "
                        "overwrite each other's results. Write to a folder and copy it."
                    )
        self.check_settings(settings)

    def check_settings(self, settings: Settings) -> None:
        """Refuse options or a model other than those of the results that are there; nothing is written.

        Raises:
            RecordsError: they are others, or the store cannot be used.
        """
        with self._naming_errors():
            found = self._read_settings()
        if found is None:
            return
        remedy = "Use another -o, or the same options and model."
        if found.options.digest() != settings.options.digest():
            differences = "; ".join(found.options.list_differences(settings.options))
            raise RecordsError(
                f"{self.address}: holds results made with other options ({differences}). {remedy}"
            )
        if found.model_sha256 != settings.model_sha256:
            raise RecordsError(
                f"{self.address}: holds results made with another model ({found.model_sha256[:8]}, now "
                f"{settings.model_sha256[:8]}). {remedy}"
            )
        if found.ferflow_version != __version__:
            log.warning(
                "%s: holds results of ferflow %s; this is %s",
                self.address,
                sanitize(found.ferflow_version),
                __version__,
            )

    def is_used(self) -> bool:
        """Whether a run has published here.

        Raises:
            RecordsError: the store cannot be used.
        """
        with self._naming_errors():
            return exists(self.address / MARKER)

    def list_commits(self) -> list[str]:
        """Ids of all videos with a result, sorted."""
        with self._naming_errors():
            return [address.name.removesuffix(".json") for address, _ in list_objects(self.address / COMMITS)]

    def list_finished(self) -> set[str]:
        """Ids of the videos whose files have their final names."""
        with self._naming_errors():
            return {
                address.name.removesuffix(".parquet") for address, _ in list_objects(self.address / "faces")
            }

    def load_commits(self, video_ids: Sequence[str]) -> dict[str, Commit]:
        """The commits of some videos, by id; those without one are left out.

        Raises:
            RecordsError: one cannot be read.
        """
        with self._naming_errors(), ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(self.load_commit, video_ids))
        return {commit.video_id: commit for commit in found if commit is not None}

    def load_commit(self, video_id: str) -> Commit | None:
        """The commit of a video; None: there is none.

        Raises:
            RecordsError: it cannot be read.
        """
        address = self._commit(video_id)
        with self._naming_errors():
            try:
                content = read_object(address)
            except FileNotFoundError:
                return None
        try:
            found = from_json_values(json.loads(content), Commit)
        except (ValueError, RecursionError) as error:
            raise RecordsError(
                f"{address}: cannot be read as a commit. Remove it and run again: the video is analysed again."
            ) from error
        if found.video_id != video_id:
            raise RecordsError(f"{address}: the commit of another video. Remove it and run again.")
        return found

    def publish(self, files: VideoFiles, source: Source, report: TaskReport) -> Commit:
        """Store the files of a video and make them its result, unless another attempt was first.

        Returns:
            The commit of the attempt that has the result.

        Raises:
            RecordsError: the store does not take it. The next run finds out whether it did.
        """
        attempt = secrets.token_hex(16)
        own = [(_describe(path, files.out), path) for path in list_files(files)]
        commit = Commit(
            video_id=files.video_id, attempt=attempt, source=source.path, signature=source.signature,
            sha256=source.sha256, region=source.region, files=tuple(file for file, _ in own), report=report,
        )  # fmt: skip
        with self._naming_errors():
            for file, path in own:
                put_object(self._attempt(commit) / file.name, path)
            if create_object(self._commit(files.video_id), _encode(commit)):
                self.finish(commit)
                return commit
        winner = self.load_commit(files.video_id)
        with self._naming_errors():
            # What is not removed here is, when the folder is merged.
            with suppress(OSError):
                delete_objects([self._attempt(commit) / file.name for file in commit.files])
            if winner is None:
                raise RecordsError(f"{self._commit(files.video_id)}: was removed meanwhile. Run again.")
            self.finish(winner)
        return winner

    def finish(self, commit: Commit) -> None:
        """Give the files of a commit their final names; several processes may do it at the same time.

        Raises:
            RecordsError: the store cannot be used, or files of the attempt are gone.
        """
        attempt = self._attempt(commit)
        with self._naming_errors():
            for file in commit.files:
                _copy(attempt / file.name, self.address / file.name, file.size)
            delete_objects([attempt / file.name for file in commit.files])

    def remove_lost_attempts(self, committed: Sequence[str]) -> int:
        """Remove what attempts left that can no longer win; returns the number of objects.

        Args:
            committed: ids of videos whose commits are finished.
        """
        with self._naming_errors():
            ids = set(committed)
            left = [
                address
                for address, _ in list_objects(self.address / ATTEMPTS)
                if relative_name(address, self.address / ATTEMPTS).parts[0] in ids
            ]
            delete_objects(left)
        return len(left)

    def list_files(self) -> Iterator[tuple[PurePosixPath, ObjectStat]]:
        """The files that an output folder on a disk has, too, relative to it."""
        with self._naming_errors():
            for address, stat in list_objects(self.address):
                name = relative_name(address, self.address)
                if name.parts and name.parts[0] not in INTERNAL:
                    yield name, stat

    def fetch(self, name: PurePosixPath, target: Path) -> None:
        """Copy a file to the disk; its folder must exist."""
        with self._naming_errors():
            download(self.address / str(name), target)

    def store(self, name: PurePosixPath, content: bytes | Path) -> None:
        """Store a file that is no result of a video, in place of an earlier one."""
        with self._naming_errors():
            put_object(self.address / str(name), content)

    def load_text(self, name: str) -> bytes | None:
        """A small file; None: there is none."""
        with self._naming_errors():
            try:
                return read_object(self.address / name)
            except FileNotFoundError:
                return None

    def create(self, name: str, content: bytes) -> bool:
        """Store a small file if there is none; whether this content is there now."""
        with self._naming_errors():
            return create_object(self.address / name, content)

    def replace(self, name: str, content: bytes, etag: str | None) -> bool:
        """Store a small file in place of the version with this ETag, or of none; whether it is there now."""
        with self._naming_errors():
            address = self.address / name
            if etag is None:
                return create_object(address, content)
            return update_object(address, content, etag)

    def _read_settings(self) -> Settings | None:
        marker = self.address / MARKER
        try:
            content = read_object(marker)
        except FileNotFoundError:
            return None
        try:
            return from_json_values(json.loads(content), Settings)
        except (ValueError, RecursionError) as error:
            raise RecordsError(f"{marker}: cannot be read. Use another -o.") from error

    def _commit(self, video_id: str) -> Address:
        return self.address / COMMITS / f"{video_id}.json"

    def _attempt(self, commit: Commit) -> Address:
        return self.address / ATTEMPTS / commit.video_id / commit.attempt

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.filename is not None and not str(error.filename).startswith(self.address.scheme):
                raise  # of the disk
            is_wrong = isinstance(error, PermissionError | FileNotFoundError)
            advice = (
                "Check the address and the credentials."
                if is_wrong
                else "What is finished is kept; run the same command again."
            )
            raise RecordsError(f"{self.address}: {error.strerror or error}. {advice}") from error


def list_files(files: VideoFiles) -> list[Path]:
    """The files of a finished video that are published, FACES last."""
    tables = [files.frames, files.timeline, files.markers, files.signals]
    return [
        *(path for path in tables if path.exists()),
        *sorted(files.clips.glob("*.mp4")),
        files.faces,
    ]


def _copy(source: Address, target: Address, size: int) -> None:
    """Copy a file of an attempt to its final name.

    One that is there already is replaced: it may be left of a result whose commit was removed by hand.
    """
    try:
        copy_object(source, target)
    except FileNotFoundError:
        # Another process has copied it, and has removed the attempt.
        if stat_object(target).size != size:
            raise


def _describe(path: Path, out: Path) -> PublishedFile:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return PublishedFile(name=path.relative_to(out).as_posix(), size=path.stat().st_size, sha256=sha256)


def _encode(content: msgspec.Struct) -> bytes:
    # Python's own JSON: file names that are no valid text become escapes, which msgspec refuses.
    return json.dumps(to_json_values(content), indent=1).encode()
