"""Copies of one file among the inputs of a run and the results that are there: named before they are analysed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.copies import describe_copies
from ferflow.errors import RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.lists import read_name_lists
from ferflow.media.fingerprint import content_sha256, list_files
from ferflow.media.inputs import size_of
from ferflow.store.metadata import read_metadata
from ferflow.store.object_store import is_object, source_text
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import VideoTask


@dataclass(frozen=True, slots=True)
class _File:
    """A source that is analysed, or will be."""

    video_id: str
    path: str
    size: int
    region: tuple[str, ...]
    is_input: bool
    """Of this run; otherwise finished in its folder."""
    sha256: str | None = None
    """None: not computed yet."""


def find_copies(tasks: Sequence[VideoTask], job: Job) -> list[str]:
    """A warning for each content that several inputs have, or an input and a video that is finished.

    Files of different sizes are not read. Two videos of one content of which different regions or stretches count, as
    the session list may say, are no copies.
    """
    files = [*_list_finished(OutputFolder(job.out), tasks), *_list_tasks(tasks, job)]
    keyed = _find_keys(files, job.out, job.session_list)
    # Copies that were analysed before are no business of this run; the overview names them.
    concerned = {key for file, key in keyed if file.is_input}
    return describe_copies((file.path, key) for file, key in keyed if key in concerned)


def find_finished_copies(folder: OutputFolder) -> list[str]:
    """A warning for each content that several finished videos of a folder have, as `find_copies` of all of them."""
    keyed = _find_keys(list(_list_finished(folder, ())), folder.path, None)
    return describe_copies((file.path, key) for file, key in keyed)


def _find_keys(files: Sequence[_File], out: Path, sessions: Path | None) -> list[tuple[_File, Hashable]]:
    """What two copies have in common, of each file that has the size of another one."""
    often = Counter(file.size for file in files)
    alike = [(file, sha256) for file in files if often[file.size] > 1 and (sha256 := _hash(file))]
    if not alike:
        return []
    lists = read_name_lists(out, {file.video_id: file.path for file, _ in alike}, sessions)
    return [(file, (sha256, file.region, lists.of(file.video_id).limits)) for file, sha256 in alike]


def _list_finished(folder: OutputFolder, tasks: Sequence[VideoTask]) -> Iterator[_File]:
    """The finished videos that are no input of this run."""
    planned = {task.video_id for task in tasks}
    for files in folder.finished_videos():
        if files.video_id in planned:
            continue
        try:
            metadata = read_metadata(files.faces)
        except RecordsError:  # reported elsewhere
            continue
        source = metadata.source
        if source.sha256 is not None:
            yield _File(
                files.video_id, source.path, source.size, metadata.options.region, False, source.sha256
            )


def _list_tasks(tasks: Sequence[VideoTask], job: Job) -> Iterator[_File]:
    for task in tasks:
        if task.files is None or task.problem is not None:
            continue
        try:
            size = (
                size_of(task.source)
                if is_object(task.source)
                else sum(os.stat(file).st_size for file in list_files(task.source))  # noqa: PTH116 - long names
            )
        except OSError:  # reported with the video
            continue
        yield _File(
            task.files.video_id, source_text(task.source), size, task.options(job.options).region, True
        )


def _hash(file: _File) -> str | None:
    if file.sha256 is None and is_object(file.path):
        return None  # not fetched for a warning; once it is analysed, its tables have the digest
    try:
        return file.sha256 or content_sha256(Path(file.path))
    except OSError:
        return None
