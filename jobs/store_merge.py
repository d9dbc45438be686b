"""Join the results in an object store into one record and one overview.

>>> merge_in_store(PublishedFolder(parse_address("s3://bucket/out")), pages=True).missing
()
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from msgspec import structs

from ferflow.errors import FerflowError, OptionsError
from ferflow.jobs.merge import MergeReport, merge
from ferflow.jobs.store_fetch import fetch_for_merge
from ferflow.store.atomic_files import is_temporary
from ferflow.store.object_store import (
    parse_address,
)
from ferflow.store.output_folder import LOCKS, OutputFolder
from ferflow.store.published import PublishedFolder
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport
from ferflow.store.scratch import scratch_folder

log = logging.getLogger(__name__)


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
        version = fetch_for_merge(published, folder.path)
        before = dict(_stamps(folder.path))
        with _naming_the_store(folder.path, published):
            report = merge(folder.path, pages=pages)
            _note_pages(folder)
        _store_changes(published, folder, before, version)
    return report


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
