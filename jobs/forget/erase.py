"""Carry out a request for erasure, in an order in which it can be interrupted and repeated.

A journal comes first and goes last. Tables come before the lists that say whose they are; pages, which show both, are
removed before and written again after.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from msgspec.structs import replace

from ferflow.analytics.erasure import Erased, count_faces, erase_faces, unname_regions
from ferflow.analytics.markers import load_markers
from ferflow.dashboards import last_options, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.exports.export_status import record_tables
from ferflow.errors import RecordsError
from ferflow.jobs.forget.files import (
    list_pictures,
    list_products,
    list_session_files,
    remove_pictures,
    remove_products,
    remove_session_files,
)
from ferflow.jobs.forget.lists import edit_lists, find_lists_elsewhere, write_lists
from ferflow.jobs.forget.record import record_video
from ferflow.jobs.forget.request import Request, Session, Share, remove_journal, write_journal
from ferflow.jobs.forget.traces import Traces, Words, find_traces
from ferflow.jobs.timelines import update_timeline
from ferflow.jobs.uploads import identify_uploads, list_files_of, remove_upload
from ferflow.store.atomic_files import remove
from ferflow.store.metadata import read_markers_metadata, read_metadata, read_signals_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people, read_table, write_table
from ferflow.store.run_manifest import RunManifest, TaskReport
from ferflow.store.video_files import VideoFiles
from ferflow.text import pluralize, sanitize


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an erasure could not do."""

    stays: tuple[str, ...]
    """What lies elsewhere, or cannot be separated, a line each."""
    traces: Traces
    problems: tuple[str, ...] = ()
    """Why pages were not written again."""


def describe(folder: OutputFolder, request: Request) -> list[str]:
    """What `carry_out` removes, a line each; nothing is changed.

    Raises:
        OptionsError: a list cannot be read.
        RecordsError: a table or the manifest cannot be read.
    """
    RunManifest.load(folder.manifest)
    lines = [line for one in request.sessions for line in _describe_session(folder, one)]
    lines += [line for share in request.shares for line in _describe_share(folder, share, request)]
    for edit in edit_lists(folder, request):
        name = sanitize(edit.path.relative_to(folder.path))
        changed = f", and names in {pluralize(edit.n_changed, 'other row')}" if edit.n_changed else ""
        lines.append(f"{name}: {pluralize(edit.n_removed, 'row')}{changed}")
    if lines and not request.is_empty and (products := list_products(folder)):
        lines.append(f"made of all sessions: {_count(folder, products)}; pages and CSV are written again")
    return lines


def _describe_session(folder: OutputFolder, session: Session) -> Iterator[str]:
    if files := list_session_files(folder, session.video_id):
        yield f"{sanitize(session.video_id)}: the whole session, {_count(folder, files)}"
    for path in _list_uploads(folder, session):
        if own := list_files_of(path):
            markers = ", and its markers" if len(own) > 1 else ""
            yield f"{sanitize(path.relative_to(folder.path))}: the video that was uploaded to ferflow app{markers}"


def _list_uploads(folder: OutputFolder, session: Session) -> list[Path]:
    return [folder.uploads / name for name in session.uploads]


def _describe_share(folder: OutputFolder, share: Share, request: Request) -> Iterator[str]:
    files, name = folder.video(share.video_id), sanitize(request.participant or "")
    if files.is_finished:
        n = count_faces(files, share.pieces, _regions(request))
        yield f"{sanitize(share.video_id)}: {pluralize(n, 'face')} of {name}; the other people stay"
    if pictures := list_pictures(folder, files):
        yield f"{sanitize(share.video_id)}: what may show {name}, {_count(folder, pictures)}"


def _count(folder: OutputFolder, files: list[Path]) -> str:
    """How many files there are, and in which folders."""
    places = sorted({path.relative_to(folder.path).parts[0] for path in files})
    return f"{pluralize(len(files), 'file')} ({', '.join(map(sanitize, places))})"


def carry_out(folder: OutputFolder, request: Request, *, record: bool = True) -> Outcome:
    """Remove everything; the folder must be locked.

    Args:
        folder: the output folder.
        request: what is to be removed.
        record: note, as hashes, which videos must not be analysed in this folder again.

    Raises:
        OptionsError: a list cannot be read; nothing is changed.
        RecordsError: something cannot be read, written or removed. The next erasure continues where this one ended.
    """
    RunManifest.load(folder.manifest)
    edit_lists(folder, request)
    write_journal(folder, request)
    stays = [] if request.is_empty else list(_remove_results(folder, request, record=record))
    with folder.lock_lists():
        write_lists(folder, edit_lists(folder, request))
    for share in request.shares:
        if (files := folder.video(share.video_id)).is_finished:
            update_timeline(files)
    _clean_manifest(folder, request)
    problems = write_pages(folder) if request.has_pages else ()
    if request.has_tables:
        write_tables(folder.path, last_options(folder.path))
        record_tables(folder)
    remove_journal(folder)
    return Outcome((*stays, *_list_elsewhere(folder, request)), find_traces(folder, request), problems)


def _remove_results(folder: OutputFolder, request: Request, *, record: bool) -> Iterator[str]:
    """Remove tables and what was made of them; yields what stays."""
    remove_products(folder)
    for session in request.sessions:
        # Before the tables, which say where the video is.
        if record and not _record(folder, session):
            yield (
                f"{sanitize(session.video_id)}: its video is not where it was analysed; ferflow analyze will not "
                "recognise it as forgotten."
            )
        # Once the tables are gone, the application writes no markers of this session.
        with folder.lock_lists():
            remove_session_files(folder, session.video_id)
            for upload in _list_uploads(folder, session):
                remove_upload(upload, folder.path)
    for share in request.shares:
        files = folder.video(share.video_id)
        remove_pictures(folder, files)
        if files.is_finished:
            erased = erase_faces(files, share.pieces, _regions(request))
            _clean_tables(files, Words.of(request))
            yield from _describe_rest(files, erased, request)


def _record(folder: OutputFolder, session: Session) -> bool:
    """Note that a video was forgotten; False: it is not there."""
    uploads = _list_uploads(folder, session)
    places = [*uploads, *([Path(session.source)] if session.source else [])]
    # An upload that is gone was recorded and removed by this request before it was interrupted.
    is_removed = any(not upload.exists() for upload in uploads)
    return is_removed or any(record_video(folder, place) for place in places)


def _regions(request: Request) -> list[str]:
    return [request.participant] if request.participant else []


def _describe_rest(files: VideoFiles, erased: Erased, request: Request) -> Iterator[str]:
    video_id, name = sanitize(files.video_id), sanitize(request.participant or "")
    if erased.n_unnamed:
        yield (
            f"{video_id}: {pluralize(erased.n_unnamed, 'face')} without a person, as of somebody seen briefly: whether "
            f"one is {name}'s is not known. --video {video_id} removes the whole session."
        )
    if files.markers.exists() or files.signals.exists():
        yield f"{video_id}: markers, speech and signals that do not name {name}: whose they are is not known."


def _clean_tables(files: VideoFiles, words: Words) -> None:
    """Remove markers, stretches at rest and signals that name the person."""
    if files.markers.exists():
        table, footer = load_markers(files), read_markers_metadata(files.markers)
        texts = zip(table.column("label").to_pylist(), table.column("kind").to_pylist(), strict=True)
        is_kept = [not words.are_in(f"{label}\n{kind}") for label, kind in texts]
        rest = tuple(text for text in footer.rest if not words.are_in(text))
        source, speech = (
            None if file is not None and words.are_in(file.name) else file
            for file in (footer.source, footer.speech)
        )
        cleaned = replace(footer, rest=rest, source=source, speech=speech)
        if not all(is_kept) or cleaned != footer:
            write_table(files.markers, table.filter(pa.array(is_kept)), cleaned)
    if files.signals.exists():
        signals, about = read_table(files.signals), read_signals_metadata(files.signals)
        names = signals.column("name").cast(pa.string())
        is_kept = [not words.are_in(name) for name in names.to_pylist()]
        if not all(is_kept):
            place = signals.schema.get_field_index("name")
            field = signals.schema.field(place)
            kept = signals.filter(pa.array(is_kept))
            used = kept.column("name").cast(pa.string()).combine_chunks().dictionary_encode().cast(field.type)
            left_out = tuple(name for name in about.left_out if not words.are_in(name))
            write_table(files.signals, kept.set_column(place, field, used), replace(about, left_out=left_out))


def _clean_manifest(folder: OutputFolder, request: Request) -> None:
    """Remove the entries of forgotten sessions, and count the people of the others again."""
    # What `doctor --repair` kept of a broken one.
    remove(folder.manifest.with_name(f"{folder.manifest.name}.broken"), out=folder.path)
    run = RunManifest.load(folder.manifest)
    if run is None:
        return
    ids, sources = ({getattr(one, name) for one in request.sessions} for name in ("video_id", "source"))
    kept = [entry for entry in run.videos if entry.video_id not in ids and entry.source not in sources - {""}]
    shared = {share.video_id for share in request.shares}
    cleaned = replace(
        run,
        options=unname_regions(run.options, _regions(request)),
        videos=[_count_again(folder, entry) if entry.video_id in shared else entry for entry in kept],
        stimuli={video_id: text for video_id, text in run.stimuli.items() if video_id not in ids},
    )
    if cleaned != run:
        cleaned.save(folder.manifest)


def _count_again(folder: OutputFolder, entry: TaskReport) -> TaskReport:
    files = folder.video(entry.video_id or "")
    with suppress(RecordsError):
        n_faces = read_metadata(files.faces).counts.n_faces
        return replace(entry, n_faces=n_faces, n_people=count_people(files))
    return entry


def write_pages(folder: OutputFolder) -> tuple[str, ...]:
    """Write the pages that are not up to date; why not, for each session whose page cannot be made.

    Raises:
        RecordsError: the overview cannot be written.
    """
    done = refresh(folder.path, forgiving=True)
    return tuple(f"{name}: no page. {why}" for name, why in done.failed.items())


def _list_elsewhere(folder: OutputFolder, request: Request) -> Iterator[str]:
    """What is not in the folder, and so not touched."""
    shared = {share.video_id for share in request.shares}
    videos = [one.source for one in request.sessions if one.source]
    videos += [
        read_metadata(files.faces).source.path
        for files in map(folder.video, sorted(shared))
        if files.is_finished
    ]
    uploads = [path for path, video_id in identify_uploads(folder).items() if video_id in shared]
    for path in {os.path.realpath(path): path for path in (*map(str, uploads), *videos)}.values():
        if os.path.lexists(path):
            yield f"{sanitize(path)}: the video itself."
    for listed in find_lists_elsewhere(folder):
        yield f"{sanitize(listed)}: a list of the pages, outside of {sanitize(folder.path)}."
    yield (
        "copies, backups, logs, job files, files next to the videos, what ferflow annotate, clips and export wrote "
        "elsewhere, and what was handed on."
    )
