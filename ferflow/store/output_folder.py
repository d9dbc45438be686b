"""An output folder as a whole: who holds it, and what a run that was cut short left in it.

>>> with held(Path("out")):
...     sweep(Path("out"))
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import is_temporary, make_folder, remove
from ferflow.store.metadata import read_metadata
from ferflow.store.records import RecordPaths, finished_videos
from ferflow.store.run_manifest import RunManifest

log = logging.getLogger(__name__)

ROOMS = ("frames", "faces", "timeline", "markers", "reports", "assets", "csv", "figures", ".pages")
"""Folders in an output folder that are ours."""

LOCK = ".ferflow.lock"

RUN_MANIFEST = "run.json"

_PATIENCE_SECONDS = 0.5
"""So long a worker may live on after its run was killed."""


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold the folder alone; the operating system lets go of it when the process ends, however it ends.

    So a lock file without a holder is no obstacle. Where a file system knows no locks, `filelock` writes who holds
    it, and takes it from a process that is gone.

    Raises:
        RecordsError: another run holds it, it cannot be written, or a part of it lies elsewhere.
    """
    try:
        make_folder(out)
        _check_contained(out)
        lock = FileLock(out / LOCK, timeout=_PATIENCE_SECONDS)
        lock.acquire()
    except Timeout:
        raise RecordsError(
            f"{out}: another ferflow{_holder(out)} is writing here. Wait for it, or use another -o."
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordsError(f"{out}: cannot be written ({reason}). Use another -o.") from error
    try:
        yield
    finally:
        lock.release()


def is_held(out: Path) -> bool:
    """Whether a run holds the folder now."""
    if not (out / LOCK).exists():
        return False
    try:
        with FileLock(out / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def leftovers(out: Path) -> list[Path]:
    """Files that only a run that was cut short leaves: half-written ones, and tables of unfinished videos."""
    places = [out, *(out / room for room in ROOMS)]
    half = [path for place in places if place.is_dir() for path in place.iterdir() if is_temporary(path)]
    finished = set(finished_videos(out))
    tables = [path for room in ("frames", "timeline") for path in (out / room).glob("*.parquet")]
    alone = [path for path in tables if path.stem not in finished and _is_ours(path)]
    of_alone = [RecordPaths(out, path.stem) for path in alone]
    pages = {page for paths in of_alone for page in (paths.report, paths.page_status)}
    return sorted([*half, *alone, *(page for page in pages if page.exists())])


def sweep(out: Path) -> list[Path]:
    """Remove leftovers; the folder must be held. Returns what went."""
    gone = leftovers(out)
    for path in gone:
        remove(path)
    if gone:
        log.info("%s: removed %d files of a run that was cut short", out, len(gone))
    return gone


def _is_ours(path: Path) -> bool:
    """Whether a table is one that ferflow wrote whole; what it did not write is not its to remove."""
    with suppress(RecordsError):
        return read_metadata(path).video_id == path.stem
    return False


def _check_contained(out: Path) -> None:
    """A link in the place of one of our folders would lead what we write, and remove, somewhere else."""
    for room in ROOMS:
        place = out / room
        if place.exists() and not place.resolve().is_relative_to(out.resolve()):
            raise RecordsError(
                f"{place}: leads out of {out} (to {place.resolve()}). Remove it, or use another -o."
            )


def _holder(out: Path) -> str:
    """Who holds the folder, as far as its manifest says."""
    with suppress(RecordsError):
        if (run := RunManifest.load(out / RUN_MANIFEST)) is not None and run.host is not None:
            return f" (process {run.host.pid} on {run.host.name}, since {run.started})"
    return ""
