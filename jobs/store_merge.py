"""Join the results in an object store into one record and one overview, and bring an output folder to the local disk.

>>> merge_in_store(PublishedFolder(parse_address("s3://bucket/out")), pages=True).missing
()
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from msgspec import structs

from ferflow.errors import FerflowError, OptionsError, RecordsError
from ferflow.jobs.merge import MergeReport, merge
from ferflow.store.atomic_files import atomic_write, is_temporary
from ferflow.store.object_store import (
    ObjectStat,
    parse_address,
)
from ferflow.store.output_folder import LOCKS, OutputFolder
from ferflow.store.published import Commit, PublishedFolder
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport
from ferflow.store.scratch import scratch_folder

log = logging.getLogger(__name__)

_NOT_MERGED = ("reports", "assets", "csv", "figures", "export", "mail", "dataset")
"""Folders that a merge writes, or that it does not read; clips in `reports` are read."""


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What was brought to the local disk."""

    n_videos: int
    n_files: int
    """Files that were fetched; others were there."""
    n_bytes: int


def merge_address(address: Path, *, pages: bool = True) -> MergeReport:
    """Merge in a store; see `merge_in_store`.

    Raises:
        OptionsError: there is no output folder at this address.
    """
    published = PublishedFolder(parse_address(address))
    if not published.is_used():
        raise OptionsError(f"{published.address}: no output folder of ferflow. Give the -o of the shards.")
    return merge_in_store(published, pages=pages)


def merge_in_store(published: PublishedFolder, *, pages: bool) -> MergeReport:
    """Give all committed results their final names, then write `run.json`, pages and overview.

    May run at any time and any number of times. The tables of all videos are fetched to the local disk for it.

    Raises:
        RecordsError: the store cannot be used, there is too little local disk, or results do not fit together.
    """
    with scratch_folder() as scratch:
        folder = OutputFolder(scratch / "out")
        folder.path.mkdir()
        (folder.path / "faces").mkdir()  # an output folder, also without any result
        version, _ = _fetch(published, folder.path, for_merge=True)
        before = dict(_stamps(folder.path))
        with _naming_the_store(folder.path, published):
            report = merge(folder.path, pages=pages)
            _note_pages(folder)
        _store_changes(published, folder, before, version)
    return report


def fetch(address: Path, target: Path) -> FetchReport:
    """Bring an output folder from a store to the local disk, where all commands can use it; repeating it continues.

    Raises:
        OptionsError: there is no output folder at this address.
        RecordsError: the store cannot be used, or the folder cannot be written.
    """
    published = PublishedFolder(parse_address(address))
    if not published.is_used():
        raise OptionsError(f"{published.address}: no output folder of ferflow.")
    folder = OutputFolder(target)
    with folder.lock():
        return _fetch(published, folder.path, for_merge=False)[1]


def _fetch(published: PublishedFolder, target: Path, *, for_merge: bool) -> tuple[str | None, FetchReport]:
    """Returns the ETag of `run.json`, too; None: there is none."""
    commits = published.load_commits(published.list_commits())
    finished = published.list_finished()
    for video_id in sorted(commits.keys() - finished):
        published.finish(commits[video_id])
    if for_merge:
        published.remove_lost_attempts(sorted(commits))
    digests = {file.name: file.sha256 for commit in commits.values() for file in commit.files}
    listed = [
        (name, stat)
        for name, stat in published.list_files()
        if not (for_merge and name.parts[0] in _NOT_MERGED and name.suffix != ".mp4")
        and _is_result_of(name, commits)
    ]
    wanted = [
        (name, stat) for name, stat in listed if not _is_there(target / name, stat, digests.get(str(name)))
    ]
    _check_room(published, target, sum(stat.size for _, stat in wanted))
    # FACES last: they mark a video as finished.
    for name, stat in sorted(wanted, key=lambda one: one[0].parts[0] == "faces"):
        _fetch_file(published, name, target, digests.get(str(name)))
        os.utime(target / name, (stat.mtime, stat.mtime))  # what was joined when is known by these times
    etag = next((stat.etag for name, stat in listed if str(name) == "run.json"), None)
    return etag, FetchReport(len(commits), len(wanted), sum(stat.size for _, stat in wanted))


def _is_result_of(name: PurePosixPath, commits: dict[str, Commit]) -> bool:
    """Whether a table belongs to a committed result; true of everything that is no table."""
    is_table = name.suffix == ".parquet" and name.parts[0] in ("frames", "faces", "timeline")
    return not is_table or name.stem in commits


def _is_there(path: Path, stat: ObjectStat, sha256: str | None) -> bool:
    """Whether a file was fetched before: by its size and digest, or by the time at which it was stored."""
    if not path.is_file() or path.stat().st_size != stat.size:
        return False
    return path.stat().st_mtime == stat.mtime if sha256 is None else _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_room(published: PublishedFolder, target: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(target).free
    if n_bytes > free * 0.9:
        raise RecordsError(
            f"{published.address}: {n_bytes >> 20:,} MiB of results do not fit on the disk of {target.parent} "
            f"({free >> 20:,} MiB free). Free some, or set TMPDIR to a larger disk."
        )


def _fetch_file(published: PublishedFolder, name: PurePosixPath, target: Path, sha256: str | None) -> None:
    path = target / name
    with atomic_write(path, out=target) as part:
        published.fetch(name, part)
        if sha256 is not None and _sha256(part) != sha256:
            raise RecordsError(
                f"{published.address}/{name}: not what was published (another sha256). Remove its commit and run again."
            )


def _note_pages(folder: OutputFolder) -> None:
    """Name the pages in `run.json`: only the merge writes them, and after it."""
    manifest = RunManifest.load(folder.manifest)
    if manifest is None:
        return
    before = manifest.videos
    manifest.videos = [_with_page(entry, folder) for entry in before]
    if manifest.videos != before:
        manifest.save(folder.manifest)


def _with_page(entry: TaskReport, folder: OutputFolder) -> TaskReport:
    if entry.video_id is None or entry.status not in FINISHED:
        return entry
    page = folder.video(entry.video_id).report
    return structs.replace(entry, report=page.relative_to(folder.path).as_posix() if page.exists() else None)


def _stamps(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for where, _, names in os.walk(folder):
        for path in (Path(where, name) for name in names):
            if path.name not in LOCKS and not is_temporary(path):
                stat = path.stat()
                yield path.relative_to(folder).as_posix(), (stat.st_size, stat.st_mtime_ns)


def _store_changes(
    published: PublishedFolder, folder: OutputFolder, before: dict[str, tuple[int, int]], version: str | None
) -> None:
    """Store what a merge has written: the overview last, since it refers to the rest."""
    after = dict(_stamps(folder.path))
    changed = [name for name, stamp in after.items() if before.get(name) != stamp and name != "run.json"]
    for name in sorted(changed, key=lambda name: (name == "index.html", name)):
        published.store(PurePosixPath(name), folder.path / name)
    if after.get("run.json") != before.get("run.json") and not published.replace(
        "run.json", folder.manifest.read_bytes(), version
    ):
        log.warning(
            "%s: another ferflow merge has written run.json meanwhile, and it stays. Merge again when all have ended.",
            published.address,
        )


@contextmanager
def _naming_the_store(path: Path, published: PublishedFolder) -> Iterator[None]:
    """Errors of a merge name the store in place of the scratch folder."""
    try:
        yield
    except FerflowError as error:
        raise type(error)(str(error).replace(str(path), str(published.address))) from error
