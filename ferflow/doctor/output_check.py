"""Whether an output folder is complete, and how to repair it.

>>> for finding in examine_folder(Path("out")):
...     print(finding.level, finding.what, finding.remedy)
>>> repair(Path("out"))
['run.json: rebuilt from the tables of 6 videos']
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from ferflow.analytics.codings import read_codings
from ferflow.analytics.corrections import read_corrections
from ferflow.analytics.markers import load_markers
from ferflow.analytics.people_list import read_people
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.session_list import read_sessions
from ferflow.analytics.signals import load_signals
from ferflow.analytics.timeline import check_n_bins, read_timeline
from ferflow.doctor.machine_check import Finding
from ferflow.errors import OptionsError, RecordsError
from ferflow.exchange.dataset.state import Dataset
from ferflow.jobs.forget.record import ForgottenVideos
from ferflow.jobs.lists import find_corrections, find_session_list, read_name_lists
from ferflow.jobs.live.interrupted import find_interrupted, finish_interrupted
from ferflow.jobs.shard_join import absorb_shards
from ferflow.store.atomic_files import rename
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import check_records
from ferflow.store.run_manifest import FINISHED, RunManifest, VideoTask, report_without_work
from ferflow.store.segment_files import find_segmented
from ferflow.store.shard_manifest import list_shards
from ferflow.store.video_files import VideoFiles
from ferflow.text import pluralize, sanitize, timecode

LOW_DISK_BYTES = 1 << 30
"""An hour of video makes some tens of MB of tables."""


def examine_folder(out: Path) -> Iterator[Finding]:
    """Check the files in an output folder; nothing is changed.

    Raises:
        RecordsError: there is no such folder, or it is not an output folder.
    """
    folder = _open_folder(out)
    is_locked = folder.is_locked()
    if is_locked:
        yield Finding("note", f"a run is in progress in {out}", "Wait for it: what follows may change.")
    if folder.is_shown():
        yield Finding("note", f"a ferflow app shows {out}", "It may analyse videos and change lists.")
    if not is_locked and folder.forget_journal.exists():
        yield Finding(
            "problem",
            "a ferflow forget was interrupted, and not all is removed",
            f"The next ferflow forget in {out} completes it first.",
        )
    yield from _check_tables(folder)
    yield from _check_manifest(folder)
    yield from _check_lists(folder)
    yield from _check_exports(folder)
    yield from _check_readable(folder)
    # Temporary files of a run in progress are its own, as is its recording.
    if not is_locked and (interrupted := find_interrupted(folder)):
        yield Finding(
            "problem",
            f"{pluralize(len(interrupted), 'live recording')} not finished: {', '.join(interrupted[:3])}",
            f"ferflow doctor {out} --repair makes its tables and page of what is on the disk.",
        )
    if not is_locked and (segmented := find_segmented(out)):
        yield Finding(
            "note",
            f"{pluralize(len(segmented), 'analysis', 'analyses')} in segments not finished: "
            f"{', '.join(list(segmented)[:3])}",
            "The same ferflow analyze continues it; ferflow forget --video removes it. It has pictures of faces.",
        )
    if not is_locked and (left := folder.find_leftovers()):
        yield Finding(
            "note",
            f"{pluralize(len(left), 'file')} of an interrupted run",
            "--repair, or the next run, removes them.",
        )
    free = shutil.disk_usage(out).free
    if free < LOW_DISK_BYTES:
        yield Finding("note", f"{free >> 20} MiB are free on this disk", "Free some before the next run.")


def repair(out: Path) -> list[str]:
    """Remove leftovers, finish live recordings that were interrupted, and rebuild `run.json` where that is needed.

    That is where it is missing, broken or does not match the tables. A broken one is kept under another name. Returns
    what was done, a line for each change.

    Raises:
        RecordsError: it is not an output folder, a run has locked it, or its tables cannot be read.
    """
    done, folder = list[str](), _open_folder(out)
    with folder.lock():
        if removed := folder.remove_leftovers():
            done.append(f"removed {pluralize(len(removed), 'file')} of an interrupted run")
        if shards := list_shards(folder):
            absorb_shards(folder)
            done.append(
                f"{folder.manifest.name}: joined with what {pluralize(len(shards), 'shard')} recorded"
            )
        done += _finish_recordings(folder)
        path = folder.manifest
        run = _load_manifest(path)
        if run is None or _find_mismatches(folder, run):
            rebuilt, left_out = _rebuild_manifest(folder)
            if run is None and path.exists():
                rename(path, path.with_name(f"{path.name}.broken"), out=folder.path)
                done.append(f"{path.name}: was broken, kept as {path.name}.broken")
            # The tables know nothing of inputs that failed.
            for entry in run.videos if run else ():
                if entry.status == "failed":
                    rebuilt.note(entry)
            rebuilt.save(path)
            done.append(
                f"{path.name}: rebuilt from the tables of "
                f"{pluralize(len(folder.finished_ids()) - len(left_out), 'video')}"
            )
            done += [f"left out: {reason}" for reason in left_out]
    return done


def _finish_recordings(folder: OutputFolder) -> list[str]:
    done = []
    for video_id in find_interrupted(folder):
        report = finish_interrupted(folder, video_id)
        if report is None:
            what = "nothing of this live recording was on the disk"
        elif report.error is not None:
            what = report.error
        else:
            what = f"tables made of {timecode(report.duration_s)} of a live recording"
        done.append(f"{sanitize(video_id)}: {what}")
    return done


def _open_folder(out: Path) -> OutputFolder:
    """The output folder at a path, which nothing here creates.

    Raises:
        RecordsError: there is no such folder, or it is not an output folder.
    """
    folder = OutputFolder(out)
    if not out.is_dir():
        raise RecordsError(f"{out}: no such folder. Give the output folder of a run (-o).")
    is_used = folder.manifest.exists() or folder.finished_ids() or folder.find_leftovers()
    if not is_used and not find_interrupted(folder) and not find_segmented(folder.path):
        raise RecordsError(f"{out}: not an output folder of ferflow. Give the output folder of a run (-o).")
    return folder


def _check_tables(folder: OutputFolder) -> Iterator[Finding]:
    """Check that the tables of each finished video are complete, and that all have the same options and model."""
    made: set[tuple[str, str]] = set()
    n_complete = 0
    for files in folder.finished_videos():
        try:
            footer = check_records(files)
            # A session list may give each video a region of its own.
            digest = (
                replace(footer.options, region=()).digest()
                if footer.options.region
                else footer.options_digest
            )
            made.add((digest, footer.model.sha256))
            check_n_bins(footer, footer.options.bin_seconds)
            _check_derived(files)
        except RecordsError as error:
            what, _, remedy = str(error).partition(". ")
            yield Finding("problem", f"{files.video_id}: {what}", remedy)
            continue
        n_complete += 1
        if not files.timeline.exists():
            yield Finding(
                "note", f"{files.video_id} has no timeline", "The same command makes it, without analysis."
            )
    if len(made) > 1:
        yield Finding(
            "problem", f"results of {len(made)} different sets of options or models are in one folder",
            "Analyse all videos of this folder again with --overwrite.",
        )  # fmt: skip
    yield Finding("fine" if n_complete else "note", f"{pluralize(n_complete, 'video')} with complete tables")


def _check_derived(files: VideoFiles) -> None:
    """Read what is stored next to FRAMES and FACES.

    Raises:
        RecordsError: it cannot be read, or holds what it must not.
    """
    load_markers(files)
    load_signals(files)
    if files.timeline.exists() and read_metadata(files.timeline).basis is not None:
        read_timeline(files)


def _check_manifest(folder: OutputFolder) -> Iterator[Finding]:
    path = folder.manifest
    run = _load_manifest(path)
    if (shards := list_shards(folder)) and (run is None or _find_unlisted(folder, run)):
        what = f"{path} lacks results of shards ({pluralize(len(shards), 'shard')} recorded some)"
        yield Finding("problem", what, f"ferflow merge {folder.path} adds them, also while shards run.")
        return
    if run is None:
        state = "cannot be read" if path.exists() else "is missing"
        yield Finding(
            "problem",
            f"{path} {state}",
            f"ferflow doctor {folder.path} --repair rebuilds it from the tables.",
        )
        return
    if mismatches := _find_mismatches(folder, run):
        what = f"{path} does not match the tables: {', '.join(sorted(mismatches)[:3])}"
        yield Finding("problem", what, f"ferflow doctor {folder.path} --repair rebuilds it from the tables.")
    if run.finished is None and not folder.is_locked():
        yield Finding("note", "the last run was interrupted", "The same command does the rest.")
        if unlisted := _find_unlisted(folder, run):
            what = f"{path} does not list {', '.join(sorted(unlisted)[:3])} yet"
            yield Finding("note", what, "The same command adds it, without analysis.")
    failed = [entry.source for entry in run.videos if entry.status == "failed"]
    if failed:
        yield Finding(
            "note", f"{pluralize(len(failed), 'input')} failed: {', '.join(failed[:3])}", f"{path} says why."
        )


def _check_readable(folder: OutputFolder) -> Iterator[Finding]:
    """Check that the lists can be read which other commands need."""
    sessions = find_session_list(folder.path)
    for read in (
        lambda: read_sessions(sessions, folder.find_sources()) if sessions else None,
        lambda: read_codings(folder.path),
        lambda: ForgottenVideos.load(folder),
    ):
        try:
            read()
        except (OptionsError, RecordsError) as error:
            yield _describe(error)


def _describe(error: Exception) -> Finding:
    what, _, remedy = str(error).rpartition(". ")
    return Finding("problem", what or str(error), remedy)


def _check_lists(folder: OutputFolder) -> Iterator[Finding]:
    """Check the user's `people.csv` and `corrections.csv`, and that the two fit the videos and each other."""
    try:
        people = read_people(folder.path)
        corrections = read_corrections(folder.path, people, find_corrections(folder.path))
        persons = [
            Persons.of(files, names.of(files.video_id))
            for names in (read_name_lists(folder.path, folder.find_sources()),)
            for files in folder.finished_videos()
            if files.video_id in corrections.videos
        ]
    except OptionsError as error:
        yield _describe(error)
        return
    except RecordsError:  # found with the tables
        return
    for warning in (*people.warnings, *corrections.warnings):
        yield Finding("note", warning.removesuffix("."), "Correct or delete them; they have no effect.")
    n_honoured = sum(len(one.corrections.honoured) for one in persons)
    if n_honoured:
        yield Finding("fine", f"{pluralize(n_honoured, 'correction')} of {corrections.file} honoured")
    for one in persons:
        for row in one.corrections.unknown:
            what = f"{corrections.file}: line {row.line}: {one.paths.video_id} has no {row.who}"
            yield Finding("note", what, "Correct the row or delete it; it has no effect.")


def _check_exports(folder: OutputFolder) -> Iterator[Finding]:
    """Check whether files of `ferflow export` and `ferflow compact` are older than what they were made from."""
    lists = (
        folder.people_list,
        find_corrections(folder.path) or folder.corrections,
        find_session_list(folder.path),
    )
    tables = [path for files in folder.finished_videos() for path in (files.faces, files.timeline)]
    times = [path.stat().st_mtime for path in (*lists, *tables) if path is not None and path.is_file()]
    older = [
        path
        for path in sorted(folder.exports.rglob("*"))
        if path.is_file() and path.stat().st_mtime < max(times, default=0.0)
    ]
    state = Dataset(folder.dataset).state
    if state.is_file() and state.stat().st_mtime < max(times, default=0.0):
        yield Finding(
            "note",
            f"{folder.dataset.name}: from before the last change of the tables or lists",
            f"ferflow compact {folder.path} brings it up to date.",
        )
    if older:
        first = sanitize(older[0].relative_to(folder.path))
        yield Finding(
            "note",
            f"{pluralize(len(older), 'exported file')} from before the last change of the tables or lists: {first}",
            f"ferflow export {folder.path} --format NAME --overwrite writes them again.",
        )


def _load_manifest(path: Path) -> RunManifest | None:
    """The manifest, or None if it is missing or broken."""
    try:
        return RunManifest.load(path)
    except RecordsError:
        return None


def _find_mismatches(folder: OutputFolder, run: RunManifest) -> set[str]:
    """Ids of finished videos that the manifest does not know, and of those it calls done that are not there."""
    done = {entry.video_id for entry in run.videos if entry.status in FINISHED}
    lost = {video_id or "" for video_id in done - set(folder.finished_ids())}
    # A run adds a video to the manifest after its tables are finished, and can be interrupted in between.
    return lost if run.finished is None else lost | _find_unlisted(folder, run)


def _find_unlisted(folder: OutputFolder, run: RunManifest) -> set[str]:
    """Ids of finished videos without an entry of any status: a page can fail after the tables are finished."""
    return set(folder.finished_ids()) - {entry.video_id for entry in run.videos}


def _rebuild_manifest(folder: OutputFolder) -> tuple[RunManifest, list[str]]:
    """Make a manifest from the tables' footers, in the order in which the videos were finished.

    What only a manifest knows is not in it: inputs that failed, how long the others took, and their stimuli.

    Returns:
        The manifest, and why videos are left out.

    Raises:
        RecordsError: the folder holds no finished video whose tables can be read.
    """
    videos, left_out = list[VideoFiles](), list[str]()
    for video in folder.finished_videos():
        try:
            read_metadata(video.faces)
        except RecordsError as error:
            left_out.append(str(error))
        else:
            videos.append(video)
    if not videos:
        raise RecordsError(f"{folder.path}: no finished video here, so run.json cannot be rebuilt.")
    # FACES get their name when a video is finished, and are not written again.
    videos.sort(key=lambda video: (video.faces.stat().st_mtime_ns, video.video_id))
    first, last = (_iso(video.faces.stat().st_mtime) for video in (videos[0], videos[-1]))
    options = read_metadata(videos[-1].faces).options
    manifest = RunManifest(options=options, started=first, finished=last)
    for video in videos:
        metadata = read_metadata(video.faces)
        entry = report_without_work(VideoTask(Path(metadata.source.path), video, is_finished=True))
        page = video.report.relative_to(folder.path).as_posix() if video.report.exists() else None
        manifest.note(replace(entry, report=page), made=metadata)
    return manifest, left_out


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
