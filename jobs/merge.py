"""Join what the shards of a run recorded into `run.json`; also while some still run, and any number of times.

>>> report = merge(Path("out"))
>>> report.missing
('shards 3, 17 of 64 have not finished',)
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import EXIT_PARTIAL, OptionsError, RecordsError, VideoError
from ferflow.jobs.copies import find_finished_copies
from ferflow.jobs.folder_pages import derive_others, remove_outdated, write_pages
from ferflow.jobs.job import Job
from ferflow.jobs.shard_join import (
    check_agreement,
    join_shards,
    list_missing,
    list_replaced,
    load_shards,
    remove_claims,
)
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport, timestamp
from ferflow.store.shard_manifest import list_shards
from ferflow.text import sanitize

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How a merge ended."""

    videos: tuple[TaskReport, ...]
    """All entries of `run.json`."""
    n_shards: int
    """Manifests of shards that were joined."""
    missing: tuple[str, ...]
    """What is still to be done, as one line each; empty: every input of the run has ended."""

    @property
    def failed(self) -> list[TaskReport]:
        """Inputs without results."""
        return [video for video in self.videos if video.status not in FINISHED]

    @property
    def exit_code(self) -> int:
        """That of a run; 10 also where shards are missing."""
        if self.missing:
            return EXIT_PARTIAL
        if self.videos and len(self.failed) == len(self.videos):
            return VideoError.exit_code
        has_gaps = any(video.status == "done_with_gaps" for video in self.videos)
        return EXIT_PARTIAL if self.failed or has_gaps else 0


def merge(out: Path, *, pages: bool = True) -> MergeReport:
    """Join the manifests of all shards of an output folder and write the overview.

    A finished video without an entry gets one from its tables, and what failed in one shard and was finished by
    another counts as finished. The manifests of the shards stay until a run of the whole folder.

    Args:
        out: the output folder.
        pages: write the overview, and pages that are missing or stale.

    Raises:
        OptionsError: there is no such folder.
        RecordsError: it holds results of shards with different options or models; it is locked by another run; or it
            cannot be written.
    """
    folder = OutputFolder(out)
    if not folder.is_used() and not list_shards(folder):  # a folder of this name may be of another program
        raise OptionsError(f"{sanitize(out)}: no output folder of ferflow. Give the -o of the shards.")
    with ExitStack() as locks:
        is_alone = _lock(folder, locks)
        shards, broken = load_shards(folder)
        check_agreement(folder, shards)
        manifest = join_shards(folder, shards)
        missing = [*(problem.removesuffix(".") for problem in broken), *list_missing(shards)]
        if manifest is not None:
            missing += list_replaced(manifest)
            if not shards and manifest.finished is None:
                missing.append("the last run was interrupted. The same command does the rest")
        if is_alone:
            folder.remove_leftovers()
            if manifest is not None:
                _update_timelines(folder, manifest, pages=pages)
        if manifest is not None:
            if not missing:
                manifest.finished = manifest.finished or timestamp()
            manifest.save(folder.manifest)
            for warning in find_finished_copies(folder):
                log.warning("%s", warning)
        if is_alone:
            remove_claims(folder)
        _write_pages(folder, pages=pages)
    return MergeReport(tuple(manifest.videos if manifest else ()), len(shards), tuple(missing))


def _lock(folder: OutputFolder, locks: ExitStack) -> bool:
    """Lock the folder: exclusively if no shard runs, else shared; returns whether exclusively."""
    locks.enter_context(folder.lock_merge())
    try:
        locks.enter_context(folder.lock())
    except RecordsError:
        locks.enter_context(
            folder.lock_shared(waits_for_merge=False)
        )  # fails if it is no shard that has locked the folder
        return False
    return True


def _update_timelines(folder: OutputFolder, manifest: RunManifest, *, pages: bool) -> None:
    """Give all videos timelines with the bins of this run."""
    job = Job(inputs=(), out=folder.path, options=manifest.options, pages=pages)
    derive_others(job, folder, manifest, set())


def _write_pages(folder: OutputFolder, *, pages: bool) -> None:
    if pages and folder.finished_ids():
        write_pages(folder)
    else:
        remove_outdated(folder)
