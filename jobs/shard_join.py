"""What the shards of a folder recorded, as one `run.json`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import remove, remove_folder
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport, timestamp
from ferflow.store.shard_manifest import ShardManifest, list_shards, load_shard
from ferflow.text import pluralize, sanitize

log = logging.getLogger(__name__)


def absorb_shards(folder: OutputFolder) -> None:
    """Join what shards recorded into `run.json` and remove their files, before a run of the whole folder.

    The folder must be locked. A manifest that cannot be read is dropped, with a warning: the tables hold the same.

    Raises:
        RecordsError: `run.json` cannot be read or written.
    """
    if not folder.shards.is_dir():
        return
    shards, broken = load_shards(folder)
    for problem in broken:
        log.warning("%s", problem)
    manifest = join_shards(folder, shards)
    if shards and manifest is not None:
        if not broken and not list_missing(shards):
            manifest.finished = timestamp()
        manifest.save(folder.manifest)
    for path in list_shards(folder):
        remove(path, out=folder.path, durable=False)
    remove_claims(folder)
    remove_folder(folder.shards, out=folder.path)


def remove_claims(folder: OutputFolder) -> None:
    """Remove the lock files of videos; the folder must be locked."""
    for path in folder.claims.glob("*.lock"):
        remove(path, out=folder.path, durable=False)
    if os.path.lexists(folder.claims):
        remove_folder(folder.claims, out=folder.path)


def load_shards(folder: OutputFolder) -> tuple[list[ShardManifest], list[str]]:
    """Manifests in the order in which their shards began, and why others cannot be read."""
    shards, broken = list[ShardManifest](), list[str]()
    for path in list_shards(folder):
        try:
            shards.append(load_shard(path))
        except RecordsError as error:
            broken.append(str(error))
    return sorted(shards, key=lambda shard: shard.start_time), broken


def check_agreement(folder: OutputFolder, shards: Sequence[ShardManifest]) -> None:
    """Refuse shards with different options or models: all tables of a folder are read as one."""
    for one, other in pairwise(shards):
        names = f"shards {one.number}/{one.count} and {other.number}/{other.count}"
        remedy = "Analyse into two folders, one for each."
        if one.options.digest() != other.options.digest():
            found = "; ".join(one.options.list_differences(other.options))
            raise RecordsError(f"{folder.path}: {names} have other options ({found}). {remedy}")
        if one.model_sha256 != other.model_sha256:
            raise RecordsError(f"{folder.path}: {names} have other models. {remedy}")


def join_shards(folder: OutputFolder, shards: Sequence[ShardManifest]) -> RunManifest | None:
    """`run.json` with the entries of all shards; None: there is nothing to record."""
    if not shards:
        return RunManifest.load(folder.manifest)
    newest = shards[-1]
    manifest = RunManifest.start(folder.manifest, options=newest.options, started=shards[0].started)
    finished = set(folder.finished_ids())
    entries = [entry for shard in shards for entry in shard.videos if _is_true(entry, finished)]
    manifest.videos = _latest(manifest.videos, entries)
    for shard in shards:
        manifest.stimuli |= shard.stimuli
        if shard.model is not None:
            manifest.model, manifest.detector = shard.model, shard.detector
    _add_unrecorded(folder, manifest, finished)
    places = {source: place for shard in shards for source, place in shard.places.items()}
    manifest.arrange(sorted(places, key=places.__getitem__))
    return manifest


def _is_true(entry: TaskReport, finished: set[str]) -> bool:
    """Whether an entry is still true: an input that failed may have been finished by another process since."""
    return entry.status in FINISHED or entry.video_id not in finished


def _latest(known: Sequence[TaskReport], entries: Sequence[TaskReport]) -> list[TaskReport]:
    """The last entry about each input: as `RunManifest.note` one by one, in linear instead of quadratic time."""
    found = {entry.video_id or entry.source: entry for entry in (*known, *entries)}
    by_source: dict[str, list[str]] = {}
    for key, entry in found.items():
        by_source.setdefault(entry.source, []).append(key)
    # An entry without an id gives way to one about the same path that has one.
    return [entry for key, entry in found.items() if entry.video_id or by_source[entry.source] == [key]]


def _add_unrecorded(folder: OutputFolder, manifest: RunManifest, finished: set[str]) -> None:
    """Add the finished videos that no manifest lists, as after the end of a machine."""
    listed = {entry.video_id for entry in manifest.videos if entry.status in FINISHED}
    for video_id in sorted(finished - listed):
        files = folder.video(video_id)
        try:
            metadata = read_metadata(files.faces)
        except RecordsError as error:
            log.warning("%s", error)
            continue
        entry = TaskReport.of_records(Path(metadata.source.path), metadata, status=metadata.status)
        page = files.report.relative_to(files.out).as_posix() if files.report.exists() else None
        manifest.videos.append(replace(entry, n_people=count_people(files), report=page))


def list_missing(shards: Sequence[ShardManifest]) -> list[str]:
    """What the shards of the last run still have to do."""
    if not shards:
        return []
    count = shards[-1].count
    current = [shard for shard in shards if shard.count == count]
    done = {shard.number for shard in current if shard.finished is not None}
    missing = []
    if left := sorted(set(range(1, count + 1)) - done):
        verb = "has" if len(left) == 1 else "have"
        noun = "shard" if len(left) == 1 else "shards"
        missing.append(f"{noun} {_ranges(left)} of {count} {verb} not finished")
    if len({shard.inputs for shard in current}) > 1:
        found = ", ".join(str(n) for n in sorted({shard.inputs.n_inputs for shard in current}))
        missing.append(
            f"the shards found different inputs ({found}), so some may belong to none. Run all of them again: what is "
            "finished is skipped"
        )
    if not_started := sum(entry.status == "not_started" for shard in current for entry in shard.videos):
        missing.append(f"{pluralize(not_started, 'input')} of shards that stopped early")
    return missing


def list_replaced(manifest: RunManifest) -> list[str]:
    """Inputs of which two contents have results, as after one has changed while shards ran."""
    found: dict[str, list[str]] = {}
    for entry in manifest.videos:
        if entry.video_id is not None and entry.status in FINISHED:
            found.setdefault(os.path.abspath(entry.source), []).append(entry.video_id)  # noqa: PTH100 - a text
    return [
        f"{sanitize(source)}: has changed since it was analysed, and counts {len(ids)} times (as {', '.join(ids)}). "
        "Analyse it again with --overwrite, without --shard"
        for source, ids in found.items()
        if len(ids) > 1
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in ascending order as text: `3, 7-9`."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in _runs(numbers))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
