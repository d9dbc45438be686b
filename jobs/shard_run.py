"""Run one shard: analyse its part of the inputs and record it in a manifest of its own."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator

from ferflow.errors import RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.page_options import save_page_options
from ferflow.jobs.plan import model_sha256, plan_shard
from ferflow.jobs.processing import process_tasks
from ferflow.jobs.run_events import Finished, Planned, RunEvent, RunReport
from ferflow.jobs.shard import Shard
from ferflow.jobs.shard_inputs import ShardInputs
from ferflow.options import AnalyzeOptions
from ferflow.store.object_store import source_text
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import FINISHED, RunManifest, TaskReport, VideoTask, timestamp
from ferflow.store.shard_manifest import ShardManifest, list_shards, load_shard, shard_path

log = logging.getLogger(__name__)


def run_shard(job: Job, shard: Shard) -> Generator[RunEvent, None, None]:
    """Carry out one shard of a job; yields what happens, as `run.run_events` does.

    Other shards may run in the same folder at the same time, this one included: a video that another process analyses
    is waited for. Pages of videos are written, the overview is not: `jobs.merge` writes it.

    Raises:
        OptionsError, ModelError, RecordsError, VideoError: nothing can be analysed at all, or the disk is full.
    """
    folder = OutputFolder(job.out)
    own, tasks = plan_shard(job, shard)
    with folder.lock_shared():
        manifest = start_manifest(folder, job, shard, own, tasks)
        save_page_options(job, folder)
        yield Planned(tuple(tasks))
        path = shard_path(folder, shard.number, shard.count)
        manifest.save(path)
        reports = yield from process_tasks(tasks, job, manifest, path)
        manifest.finished = timestamp()
        manifest.arrange([source_text(task.source) for task in tasks])
        manifest.save(path)
        yield Finished(RunReport(job.out, tuple(reports[task] for task in tasks)))


def start_manifest(
    folder: OutputFolder, job: Job, shard: Shard, own: ShardInputs, tasks: list[VideoTask]
) -> ShardManifest:
    """The manifest of a shard that starts, with the entries of earlier runs about its inputs.

    Raises:
        RecordsError: other shards of the folder, or an earlier run, have other options or another model.
    """
    sha256 = model_sha256(job.options)
    _check_agreement(folder, job, sha256)
    manifest = ShardManifest(
        options=job.options,
        started=timestamp("microseconds"),  # merging sorts shards by it
        number=shard.number,
        count=shard.count,
        inputs=own.all_inputs,
        places={source_text(one.path): place for one, place in zip(own.inputs, own.places, strict=True)},
        model_sha256=sha256,
    )
    # Entries of earlier runs say how long a finished video took.
    ids, sources = {task.video_id for task in tasks}, {source_text(task.source) for task in tasks}
    for earlier in _find_earlier(folder, shard):
        known = [
            one
            for one in earlier.videos
            if one.video_id in ids or one.source in sources or _is_only_here(one, earlier, folder)
        ]
        manifest.videos = [*manifest.videos, *known]
        manifest.model, manifest.detector = earlier.model, earlier.detector
        manifest.stimuli |= {id_: text for id_, text in earlier.stimuli.items() if id_ in ids}
    return manifest


def _is_only_here(entry: TaskReport, earlier: RunManifest, folder: OutputFolder) -> bool:
    """Whether the shard has finished an input that is no longer in its share: no other record may tell of it."""
    return (
        isinstance(earlier, ShardManifest)
        and entry.video_id is not None
        and entry.status in FINISHED
        and folder.video(entry.video_id).is_finished
    )


def _find_earlier(folder: OutputFolder, shard: Shard) -> list[RunManifest]:
    """What an earlier process recorded of this shard, if any did; else what the folder's runs did."""
    path = shard_path(folder, shard.number, shard.count)
    if path.exists():
        try:
            return [load_shard(path)]
        except RecordsError as error:  # this run writes it again
            log.warning("%s", error)
    earlier = RunManifest.load(folder.manifest)
    return [] if earlier is None else [earlier]


def _check_agreement(folder: OutputFolder, job: Job, sha256: str) -> None:
    remedy = "Use another -o, or the same options and model for all shards."
    for name, options, model in _list_earlier_settings(folder):
        if options.digest() != job.options.digest():
            found = "; ".join(options.list_differences(job.options))
            raise RecordsError(f"{folder.path}: {name} had other options ({found}). {remedy}")
        if model is not None and model != sha256:
            raise RecordsError(
                f"{folder.path}: {name} had another model ({model[:8]}, now {sha256[:8]}). {remedy}"
            )


def _list_earlier_settings(folder: OutputFolder) -> Iterator[tuple[str, AnalyzeOptions, str | None]]:
    """Name, options and sha256 of the model of another shard and of the last run, as far as there are any."""
    for path in list_shards(folder):
        try:
            other = load_shard(path)
        except RecordsError as error:
            log.debug("%s", error)  # its own shard writes it again, and merging names it
            continue
        yield f"shard {other.number}/{other.count}", other.options, other.model_sha256
        break  # the others agree with it
    last = RunManifest.load(folder.manifest)
    if last is not None and folder.finished_ids():
        yield "the last run", last.options, None if last.model is None else last.model.sha256
