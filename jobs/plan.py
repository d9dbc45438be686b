"""What a run would do: which inputs are new, which are finished, and which results must not be mixed.

>>> for task in plan(["sessions/"], Path("out"), options):
...     print(task.source, task.is_pending)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from ferflow.analytics.list_rows import read_rows
from ferflow.analytics.session_list import list_videos, read_regions
from ferflow.errors import OptionsError, RecordsError, VideoError
from ferflow.jobs.forget.record import leave_out_erased, leave_out_forgotten
from ferflow.jobs.job import Job
from ferflow.jobs.lists import find_session_list
from ferflow.jobs.shard import Shard
from ferflow.jobs.shard_inputs import ShardInputs, choose_inputs
from ferflow.media.fingerprint import has_changed
from ferflow.media.inputs import DiscoveredInput, discover, find_object_ids, size_of, video_id_of
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import SourceInfo, VideoMetadata, read_metadata
from ferflow.store.object_store import is_object, source_text
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest, VideoTask
from ferflow.store.shard_manifest import list_shards, load_shard
from ferflow.store.video_files import VideoFiles
from ferflow.text import pluralize, sanitize
from ferflow.version import __version__

log = logging.getLogger(__name__)

Footers = dict[str, VideoMetadata]
"""Metadata of finished videos by their id."""


def plan(
    inputs: Sequence[str | Path],
    out: Path,
    options: AnalyzeOptions,
    *,
    overwrite: bool = False,
    sessions: Path | None = None,
) -> list[VideoTask]:
    """What `run` would do, in order; nothing is written.

    Videos that were forgotten in the folder are left out, with a warning; so are finished ones from which a person was
    removed, where they would be analysed again.

    A source whose content changed since it was analysed is a problem of that input alone; with `overwrite` its
    earlier results are replaced. A video whose region in the session list has changed is pending again.

    Args:
        inputs: files, folders and globs.
        out: the output folder.
        options: how videos are analysed; the session list may give other regions for some.
        overwrite: analyse finished videos again.
        sessions: the session list; None: that of the output folder.

    Raises:
        OptionsError: the session list that is given cannot be read, or one has regions and cannot be used.
        RecordsError: the output folder holds results made with other options or another model; with `overwrite`,
            results of other inputs than these.
        ModelError: the model that options name is missing or altered.
    """
    return _plan(discover(inputs, out=out), out, options, overwrite=overwrite, sessions=sessions)


def plan_job(job: Job) -> list[VideoTask]:
    """What a run of a job or shard would do, in order; nothing is written. Raises as `plan` does."""
    if job.shard is not None:
        return plan_shard(job, job.shard)[1]
    found = find_inputs(job)
    return _plan(found, job.out, job.options, overwrite=job.overwrite, sessions=job.session_list)


def find_inputs(job: Job) -> list[DiscoveredInput]:
    """All inputs of a job, each once: those that it names, then those of its manifest.

    Raises:
        OptionsError: the manifest cannot be read.
    """
    listed = () if job.manifest is None else list_videos(job.manifest)
    return discover((*job.inputs, *listed), out=job.out)


def plan_shard(job: Job, shard: Shard) -> tuple[ShardInputs, list[VideoTask]]:
    """What one shard would do: its inputs, and a task for each that is not left out.

    A shard reads the tables of its own videos only: with many shards, reading all would take longer than the analysis.
    So a renamed file counts as a new one, and whether the rest of the folder was made in the same way is known by the
    manifests of the folder (`shard_run`).

    Raises:
        OptionsError, RecordsError, ModelError: as `plan`.
        VideoError: no input of any shard can be analysed.
    """
    found = find_inputs(job)
    if found and all(one.problem is not None for one in found):
        raise VideoError(f"{found[0].problem} None of {pluralize(len(found), 'input')} can be analysed.")
    own = choose_inputs(shard, found)
    others = [one.path for one in found if one.problem is None]
    tasks = _plan(own.inputs, job.out, job.options, overwrite=False, sessions=job.session_list, others=others)
    return own, tasks


def _plan(
    found: Sequence[DiscoveredInput],
    out: Path,
    options: AnalyzeOptions,
    *,
    overwrite: bool,
    sessions: Path | None,
    others: Sequence[Path] | None = None,
) -> list[VideoTask]:
    """As `plan`, of inputs that were found; `others` are those of all shards, where these are those of one."""
    taken: set[str] = set()
    folder = OutputFolder(out)
    ids = find_object_ids(found)

    def choose_files(source: Path) -> VideoFiles:
        base = ids.get(source) or video_id_of(source)
        return folder.video(
            choose_id(base, taken, lambda name: _is_of_another_file(folder.video(name), source))
        )

    tasks = [make_task(one, choose_files) for one in found]
    wanted = leave_out_forgotten(folder, tasks, overwrite=overwrite)
    # The results of those that are left out stay, and must match.
    taken -= {task.video_id or "" for task in tasks if task not in wanted}
    tasks = wanted
    # Results that are about to be replaced need not match the options of this run.
    known = folder.finished_videos() if others is None else _list_own(folder, tasks)
    finished = [video for video in known if not overwrite or video.video_id not in taken]
    footers, broken = _read_footers(finished)
    for video_id in broken.keys() - taken:
        log.warning("%s is left out. %s", sanitize(video_id), broken[video_id])
    tasks = [_recognize_renamed(task, folder, footers, taken) for task in tasks]
    if overwrite:
        footers = {id_: footer for id_, footer in footers.items() if id_ not in taken}
    regions = read_task_regions(out, sessions, options, tasks, _list_sources(tasks, footers, others or ()))
    tasks = [replace(task, region=regions.get(task.video_id or "")) for task in tasks]
    # Results of an earlier content of one of these files. (A file that was moved has its id among the tasks.)
    earlier = _group_by_source({id_: footer for id_, footer in footers.items() if id_ not in taken})
    replaced = {id_ for task in tasks for id_ in _find_earlier_ids(task, earlier)} if overwrite else set()
    # All tables of a folder are read as one, so all must be made with the same options, also those of other inputs.
    kept = {id_: footer for id_, footer in footers.items() if id_ not in replaced}
    remedy = "Use another -o, or --overwrite together with all videos of this folder."
    _refuse_other_results(kept, _Wanted(out, options, model_sha256(options), remedy), regions)
    if overwrite:
        return [replace(task, replaces=_find_earlier_ids(task, earlier)) for task in tasks]
    tasks = [replace(task, problem=task.problem or broken.get(task.video_id or "")) for task in tasks]
    tasks = [_determine_state(task, options, footers, _find_earlier_ids(task, earlier)) for task in tasks]
    # A region in the session list may have changed.
    pending = [task for task in tasks if task.is_pending]
    left_out = set(pending) - set(leave_out_erased(pending))
    return [task for task in tasks if task not in left_out]


def _list_sources(tasks: Sequence[VideoTask], footers: Footers, others: Sequence[Path]) -> dict[str, str]:
    """Sources of finished videos by id, and those of other shards by path: rows of the session list may name them."""
    own = {source_text(task.source) for task in tasks}
    names = map(source_text, others)
    found = {name: name for name in names if name not in own}
    return found | {id_: footer.source.path for id_, footer in footers.items()}


def _list_own(folder: OutputFolder, tasks: Sequence[VideoTask]) -> list[VideoFiles]:
    """The finished videos of a shard, and of earlier contents of its sources, as far as they are recorded."""
    ids = {task.video_id for task in tasks}
    sources = {os.path.realpath(task.source) for task in tasks}
    for manifest in _list_manifests(folder):
        ids |= {one.video_id for one in manifest.videos if os.path.realpath(one.source) in sources}
    videos = [folder.video(video_id) for video_id in sorted(filter(None, ids))]
    return [video for video in videos if video.is_finished]


def _list_manifests(folder: OutputFolder) -> Iterator[RunManifest]:
    """What runs and shards recorded; one at a time, since all of them may be large.

    Raises:
        RecordsError: `run.json` cannot be read.
    """
    manifest = RunManifest.load(folder.manifest)
    if manifest is not None:
        yield manifest
    for path in list_shards(folder):
        with suppress(RecordsError):  # its own shard writes it again
            yield load_shard(path)


def _read_footers(videos: Sequence[VideoFiles]) -> tuple[Footers, dict[str, str]]:
    """Metadata of finished videos, and why others have none that can be used, by id."""
    found, broken = Footers(), dict[str, str]()
    for video in videos:
        try:
            found[video.video_id] = read_metadata(video.faces)
        except RecordsError as error:
            broken[video.video_id] = str(error)
    return found, broken


def replan(task: VideoTask, options: AnalyzeOptions) -> VideoTask:
    """A task as it is now: a worker that died may have finished its video before."""
    if task.files is None or not task.files.is_finished:
        return task
    footer = read_metadata(task.files.faces)
    # With `overwrite`, these may still be the tables of the earlier analysis.
    is_of_this_run = (
        footer.ferflow_version == __version__
        and _find_difference(footer, task.options(options), model_sha256(options)) is None
    )
    return _determine_state(task, options, {task.files.video_id: footer}, ()) if is_of_this_run else task


def model_sha256(options: AnalyzeOptions) -> str:
    """Identifies the expression model that options name.

    Raises:
        ModelError: no such model, or its files are altered.
    """
    return resolve(options.model).sha256


def make_task(found: DiscoveredInput, choose_files: Callable[[Path], VideoFiles]) -> VideoTask:
    """The task of an input, with the files that are chosen for it; what is wrong with it is in the task."""
    if found.problem is not None:
        return VideoTask(found.path, None, problem=found.problem)
    try:
        return VideoTask(found.path, choose_files(found.path))
    except VideoError as error:
        return VideoTask(found.path, None, problem=str(error))
    except OSError as error:
        return VideoTask(found.path, None, problem=f"{found.path.name}: cannot be read ({error.strerror}).")


def choose_id(base: str, taken: set[str], is_of_another_file: Callable[[str], bool]) -> str:
    """The first id that neither another input nor the result of another file has; it is then taken.

    Ids do not see the middle of a file: raw recordings may share one, and a copy in another folder always does.
    """
    name, number = base, 2
    while name in taken or is_of_another_file(name):
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _is_of_another_file(files: VideoFiles, source: Path) -> bool:
    """Whether a finished video lies at another path and has another content, by its sha256."""
    if not files.is_finished:
        return False
    try:
        stored = read_metadata(files.faces).source
    except RecordsError:  # reported, or replaced, with the video
        return False
    return os.path.realpath(stored.path) != os.path.realpath(source) and has_changed(source, stored)


def _recognize_renamed(task: VideoTask, folder: OutputFolder, footers: Footers, taken: set[str]) -> VideoTask:
    """A task of a file that was analysed under another name has the results of that name."""
    if task.files is None or task.files.is_finished:
        return task
    for video_id, footer in footers.items():
        if video_id not in taken and _is_renamed(task.source, footer.source):
            taken.add(video_id)
            if task.source.name != footer.source.name:
                log.warning(
                    "%s: has the content of %s, which is no longer there. Its results are kept, as %s.",
                    sanitize(source_text(task.source)), sanitize(footer.source.name), video_id,
                )  # fmt: skip
            return replace(task, files=folder.video(video_id))
    return task


def _is_renamed(source: Path, stored: SourceInfo) -> bool:
    """Whether a source has the content of a stored one that is no longer there, or is at its path."""
    if stored.sha256 is None:  # of schema 1
        return False
    is_there = os.path.realpath(stored.path) == os.path.realpath(source)
    # Whether an object is still there is not asked: a copy of it would count as the renamed one.
    if not is_there and (is_object(stored.path) or os.path.lexists(stored.path)):
        return False
    try:
        # The size first: it costs nothing. That of a folder says nothing.
        return (source.is_dir() or size_of(source) == stored.size) and not has_changed(source, stored)
    except OSError:
        return False


def _group_by_source(footers: Footers) -> dict[str, list[str]]:
    """Ids by the path of their source."""
    found: dict[str, list[str]] = {}
    for video_id, footer in footers.items():
        found.setdefault(os.path.realpath(footer.source.path), []).append(video_id)
    return found


def _find_earlier_ids(task: VideoTask, earlier: dict[str, list[str]]) -> tuple[str, ...]:
    """Ids of results of an earlier content of this source."""
    return tuple(earlier.get(os.path.realpath(task.source), ())) if task.files else ()


def read_task_regions(
    out: Path,
    sessions: Path | None,
    options: AnalyzeOptions,
    tasks: Sequence[VideoTask],
    sources: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Parts of the picture to analyse, by video id, of the videos for which the session list decides it.

    Args:
        out: the output folder.
        sessions: the session list; None: that of the folder.
        options: of the run.
        tasks: inputs, which rows may name.
        sources: of other videos, which rows may name, by id or path.

    Raises:
        OptionsError: the list has regions and cannot be used.
    """
    if sessions is not None:
        read_rows(sessions, required=("video",))
    path = find_session_list(out, sessions)
    if path is None:
        return {}
    sources = {
        **sources,
        **{task.video_id: source_text(task.source) for task in tasks if task.video_id is not None},
    }
    found = {id_: region or options.region for id_, region in read_regions(path, sources).items()}
    for video_id, region in found.items():
        try:
            structs.replace(options, region=region)
        except OptionsError as error:
            raise OptionsError(f"{path}: {video_id}: {error}") from error
    return found


def _determine_state(
    task: VideoTask, options: AnalyzeOptions, footers: Footers, earlier: Sequence[str]
) -> VideoTask:
    """The task with its state: finished, pending, or with a problem because its source has changed."""
    if task.files is None:
        return task
    footer = footers.get(task.files.video_id)
    try:
        if footer is not None and not has_changed(task.source, footer.source):
            # Other differences than that of a region in the session list have been refused.
            return replace(task, is_finished=footer.options.region == task.options(options).region)
    except OSError as error:
        return replace(task, problem=f"{task.source.name}: cannot be read ({error.strerror}).")
    known = [task.files.video_id] if footer is not None else list(earlier)
    if not known:
        return task
    return replace(
        task,
        problem=f"{task.source.name}: has changed since it was analysed (as {', '.join(known)}). "
        "Replace those results with --overwrite, or use another -o.",
    )


def check_compatible(out: Path, options: AnalyzeOptions, model: str) -> None:
    """Refuse to record into a folder that holds results of other options or of another model.

    Args:
        out: the output folder; need not exist.
        options: of the recording.
        model: sha256 of its expression model.

    Raises:
        RecordsError: it does.
    """
    footers, _ = _read_footers(OutputFolder(out).finished_videos())
    # What is recorded cannot be recorded again, so there is no --overwrite.
    remedy = "Use another -o, or the options of that folder."
    _refuse_other_results(footers, _Wanted(out, options, model, remedy), {})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """New results of a folder."""

    out: Path
    options: AnalyzeOptions
    model: str
    remedy: str
    """What to do where they do not fit those that are there."""


def _refuse_other_results(footers: Footers, new: _Wanted, regions: Mapping[str, tuple[str, ...]]) -> None:
    for video_id, found in footers.items():
        # Where the session list decides the region, another one only means that this video is analysed again.
        wanted = (
            structs.replace(new.options, region=found.options.region) if video_id in regions else new.options
        )
        if (other := _find_difference(found, wanted, new.model)) is not None:
            raise RecordsError(f"{new.out}: holds results of {video_id} made with {other}. {new.remedy}")
    # Only a warning: refusing would mean to analyse everything again after each update of ferflow.
    versions = {footer.ferflow_version for footer in footers.values()} - {__version__}
    if versions:
        log.warning("%s: holds results of ferflow %s; this is %s", new.out, ", ".join(versions), __version__)


def _find_difference(footer: VideoMetadata, options: AnalyzeOptions, model: str) -> str | None:
    """What makes earlier results incompatible with new ones; None: nothing."""
    if footer.options_digest != options.digest():
        found = footer.options.list_differences(options)
        return f"other options ({'; '.join(found)})" if found else "other options"
    if footer.model.sha256 != model:
        return (
            f"another model ({footer.model.name} {footer.model.sha256[:8]}, now {options.model} {model[:8]})"
        )
    return None
