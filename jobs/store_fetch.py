"""Bring an output folder from an object store to the local disk.

>>> fetch(Path("s3:/bucket/out"), Path("out"))
FetchReport(n_videos=3, n_files=12, n_bytes=1048576)
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ferflow.errors import OptionsError, RecordsError
from ferflow.store.atomic_files import atomic_write
from ferflow.store.fetched import FetchedRecord
from ferflow.store.object_store import ObjectStat, parse_address
from ferflow.store.output_folder import OutputFolder
from ferflow.store.published import Commit, PublishedFolder
from ferflow.text import pluralize

log = logging.getLogger(__name__)

_PRODUCTS = ("reports", "assets", ".pages", "csv", "figures", "export", "mail", "dataset")
"""Folders of what is made from the rest; clips in `reports` are results."""


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What was brought to the local disk."""

    n_videos: int
    n_files: int
    """Files that were fetched; others were there."""
    n_bytes: int


def fetch(address: Path, target: Path) -> FetchReport:
    """Bring an output folder from a store to the local disk, where all commands can use it; repeating it continues.

    What was changed or removed in the local folder since an earlier call stays as it is, with a warning.

    Raises:
        OptionsError: there is no output folder at this address.
        RecordsError: the store cannot be used, or the folder cannot be written, or has results of its own.
    """
    published = PublishedFolder(parse_address(address))
    if not published.is_used():
        raise OptionsError(f"{published.address}: no output folder of ferflow.")
    folder = OutputFolder(target)
    record = FetchedRecord.load(folder.path)
    is_of_another = record is not None and record.address != str(published.address)
    if is_of_another or (record is None and folder.is_used()):
        raise RecordsError(
            f"{target}: holds results that were not fetched from {published.address}. Give another FOLDER."
        )
    with folder.lock():
        folder.remove_leftovers()
        record = record or FetchedRecord(folder.path, str(published.address))
        record.save()  # first: a fetch that is killed is continued
        try:
            return _fetch_new(published, record)
        finally:
            record.save()


def _fetch_new(published: PublishedFolder, record: FetchedRecord) -> FetchReport:
    commits = finish_commits(published)
    digests = list_digests(commits)
    wanted, kept = list[tuple[PurePosixPath, ObjectStat]](), list[str]()
    for name, stat in list_results(published, commits):
        text = str(name)
        state = record.state_of(text, stat)
        if state == "changed" and _is_whole(record.folder / name, digests.get(text)):
            record.note(text, stat)  # of a fetch that was killed before it could note it
        elif state in ("new", "outdated"):
            wanted.append((name, stat))
        elif state in ("changed", "removed") and not is_product(name):
            kept.append(text)
    _check_room(published, record.folder, wanted)
    for name, stat in _faces_last(wanted):
        fetch_file(published, name, stat, record.folder, digests.get(str(name)))
        record.note(str(name), stat)
    if kept:
        log.warning(
            "%s: %s changed or removed here, and stay so (%s%s).",
            record.folder, f"{pluralize(len(kept), 'file')} {'was' if len(kept) == 1 else 'were'}",
            ", ".join(kept[:3]), ", ..." if len(kept) > 3 else "",
        )  # fmt: skip
    return FetchReport(len(commits), len(wanted), sum(stat.size for _, stat in wanted))


def fetch_for_merge(published: PublishedFolder, target: Path) -> str | None:
    """Bring what a merge reads to an empty folder; returns the ETag of `run.json`, None: there is none.

    Raises:
        RecordsError: the store cannot be used, or the local disk has too little room.
    """
    commits = finish_commits(published)
    published.remove_lost_attempts(sorted(commits))
    digests = list_digests(commits)
    wanted = [
        (name, stat)
        for name, stat in list_results(published, commits)
        if name.parts[0] == ".pages" or not is_product(name)
    ]
    _check_room(published, target, wanted)
    for name, stat in _faces_last(wanted):
        fetch_file(published, name, stat, target, digests.get(str(name)))
    return next((stat.etag for name, stat in wanted if str(name) == "run.json"), None)


def finish_commits(published: PublishedFolder) -> dict[str, Commit]:
    """All commits by video id; files of those that a killed run has left get their final names."""
    commits = published.load_commits(published.list_commits())
    finished = published.list_finished()
    for video_id in sorted(commits.keys() - finished):
        published.finish(commits[video_id])
    return commits


def list_digests(commits: dict[str, Commit]) -> dict[str, str]:
    """SHA-256 of the files of all commits, by name."""
    return {file.name: file.sha256 for commit in commits.values() for file in commit.files}


def list_results(
    published: PublishedFolder, commits: dict[str, Commit]
) -> Iterator[tuple[PurePosixPath, ObjectStat]]:
    """Files of the folder without tables of videos that have no commit."""
    for name, stat in published.list_files():
        is_table = name.suffix == ".parquet" and name.parts[0] in ("frames", "faces", "timeline")
        if not is_table or name.stem in commits:
            yield name, stat


def is_product(name: PurePosixPath) -> bool:
    """Whether a file is made from the others, and can be made again."""
    return str(name) == "index.html" or (name.parts[0] in _PRODUCTS and name.suffix != ".mp4")


def fetch_file(
    published: PublishedFolder, name: PurePosixPath, stat: ObjectStat, target: Path, sha256: str | None
) -> None:
    """Bring one file, whole, with the time at which it was stored.

    Raises:
        RecordsError: it cannot be read or written, or is not what was published.
    """
    path = target / name
    with atomic_write(path, out=target) as part:
        published.fetch(name, part)
        if not _is_whole(part, sha256) and sha256 is not None:
            raise RecordsError(
                f"{published.address}/{name}: not what was published (another sha256). Remove its commit and run again."
            )
    os.utime(path, (stat.mtime, stat.mtime))  # what was joined when is known by these times


def _faces_last(files: list[tuple[PurePosixPath, ObjectStat]]) -> list[tuple[PurePosixPath, ObjectStat]]:
    """FACES mark a video as finished."""
    return sorted(files, key=lambda one: one[0].parts[0] == "faces")


def _is_whole(path: Path, sha256: str | None) -> bool:
    """Whether a file has this digest; false without one."""
    if sha256 is None:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _check_room(
    published: PublishedFolder, target: Path, wanted: list[tuple[PurePosixPath, ObjectStat]]
) -> None:
    n_bytes, free = sum(stat.size for _, stat in wanted), shutil.disk_usage(target).free
    if n_bytes > free * 0.9:
        raise RecordsError(
            f"{published.address}: {n_bytes >> 20:,} MiB of results do not fit on the disk of {target.parent} "
            f"({free >> 20:,} MiB free). Free some, or set TMPDIR to a larger disk."
        )
