"""What a run into an object store would do; as `plan` does for a folder, by the commits of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferflow.jobs.forget.record import leave_out_forgotten
from ferflow.jobs.job import Job
from ferflow.jobs.plan import choose_id, make_task, read_task_regions
from ferflow.media.fingerprint import Fingerprint, has_changed
from ferflow.media.inputs import DiscoveredInput, find_object_ids, video_id_of
from ferflow.store.object_store import absolute_source
from ferflow.store.output_folder import OutputFolder
from ferflow.store.published import Commit, PublishedFolder
from ferflow.store.run_manifest import VideoTask
from ferflow.store.video_files import VideoFiles


@dataclass(frozen=True, slots=True)
class StorePlan:
    """Tasks in the order of the inputs, and the results that are there."""

    tasks: list[VideoTask]
    """Their files are in a folder on the local disk."""
    commits: dict[str, Commit]
    """Of the inputs, by video id; of all videos if the run has no shards."""
    unfinished: list[str]
    """Ids of commits whose files do not have their final names yet."""


def plan_store(
    job: Job, local: OutputFolder, published: PublishedFolder, found: Sequence[DiscoveredInput]
) -> StorePlan:
    """What a run into a store would do with these inputs; nothing is written.

    Args:
        job: the request, with `out` on the local disk.
        local: where it analyses; may hold the user's lists.
        published: where results are published.
        found: the inputs of the run or of the shard.

    Raises:
        OptionsError: the session list has regions and cannot be used.
        RecordsError: the store cannot be used.
    """
    known = set(published.list_commits())
    # A shard reads only what concerns its own inputs.
    commits = published.load_commits(sorted(known)) if job.shard is None else {}
    planner = _Planner(local, published, known, commits, find_object_ids(found))
    tasks = [make_task(one, planner.choose_files) for one in found]
    tasks = leave_out_forgotten(local, tasks, overwrite=False)
    sources = {id_: commit.source for id_, commit in commits.items()}
    regions = read_task_regions(job.out, job.session_list, job.options, tasks, sources)
    tasks = [replace(task, region=regions.get(task.video_id or "")) for task in tasks]
    earlier = _group_by_source(commits, {task.video_id for task in tasks})
    tasks = [_determine_state(task, job, commits, earlier) for task in tasks]
    finished = published.list_finished()
    return StorePlan(tasks, commits, sorted(commits.keys() - finished))


@dataclass(slots=True)
class _Planner:
    local: OutputFolder
    published: PublishedFolder
    known: Set[str]
    """Ids of all videos with a commit."""
    commits: dict[str, Commit]
    """Those that were read."""
    ids: Mapping[Path, str]
    """Of inputs that were asked for together."""
    _taken: set[str] = field(default_factory=set)

    def choose_files(self, source: Path) -> VideoFiles:
        base = self.ids.get(source) or video_id_of(source)
        return self.local.video(
            choose_id(base, self._taken, lambda video_id: self._is_of_another_file(video_id, source))
        )

    def _is_of_another_file(self, video_id: str, source: Path) -> bool:
        if video_id not in self.known:
            return False
        if video_id not in self.commits:
            self.commits |= self.published.load_commits([video_id])
        commit = self.commits.get(video_id)
        return (
            commit is not None
            and commit.source != absolute_source(source)
            and has_changed(source, _fingerprint(commit))
        )


def _determine_state(
    task: VideoTask, job: Job, commits: Mapping[str, Commit], earlier: Mapping[str, Sequence[str]]
) -> VideoTask:
    if task.files is None or task.problem is not None:
        return task
    name, commit = task.source.name, commits.get(task.files.video_id)
    known = [task.files.video_id] if commit else list(earlier.get(absolute_source(task.source), ()))
    try:
        is_same = commit is not None and not has_changed(task.source, _fingerprint(commit))
    except OSError as error:
        return replace(task, problem=f"{name}: cannot be read ({error.strerror}).")
    if commit is not None and is_same:
        if commit.region == task.options(job.options).region:
            return replace(task, is_finished=True)
        return replace(task, problem=f"{name}: was analysed with another region. Use another -o.")
    if known:
        problem = f"{name}: has changed since it was analysed (as {', '.join(known)}). Use another -o."
        return replace(task, problem=problem)
    return task


def _group_by_source(commits: Mapping[str, Commit], own: Set[str | None]) -> dict[str, list[str]]:
    """Ids of other results by the path of their source."""
    found: dict[str, list[str]] = {}
    for video_id, commit in commits.items():
        if video_id not in own:
            found.setdefault(commit.source, []).append(video_id)
    return found


def _fingerprint(commit: Commit) -> Fingerprint:
    return Fingerprint(commit.signature or "", commit.sha256 or "")
