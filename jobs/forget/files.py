"""Which files of an output folder are about a session, and which show all sessions together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ferflow.analytics.markers import SUFFIX as MARKERS_SUFFIX
from ferflow.dashboards import remove_overview
from ferflow.dashboards.shared.notes import find_pictures
from ferflow.store.atomic_files import remove, remove_folder, remove_tree
from ferflow.store.output_folder import OutputFolder
from ferflow.store.segment_files import SegmentFiles
from ferflow.store.video_files import VideoFiles

_PRODUCT_SUFFIXES = frozenset(
    ".csv .png .svg .html .xlsx .duckdb .sav .eaf .boris .tsv .gz .json .vtt .otio .edl .txt".split()
)
"""Others are the user's."""
_DATASET_SUFFIXES = frozenset({".parquet", ".json", ".lock"})
"""The same of the folder of `ferflow compact`."""


def list_session_files(folder: OutputFolder, video_id: str) -> list[Path]:
    """All files of a session that are there, also of one that was never finished: results, and what the user gave."""
    files = folder.video(video_id)
    found = [
        files.faces,
        files.frames,
        files.timeline,
        files.markers,
        files.signals,
        # Set while it was recorded live, or later in the application.
        folder.path / f"{video_id}{MARKERS_SUFFIX}",
        *list_pictures(folder, files),
    ]
    private = (folder.recordings / video_id, SegmentFiles.of(files).folder)
    found += [files.report, *(path for place in private for path in sorted(_list_tree(place)))]
    found += _list_notes(folder, files)
    return [path for path in found if os.path.lexists(path)]


def remove_session_files(folder: OutputFolder, video_id: str) -> None:
    """Remove them; FACES first, durably: a session is there or not.

    Raises:
        RecordsError: one cannot be removed, or leads out of the folder.
    """
    files = folder.video(video_id)
    files.remove()
    for path in list_session_files(folder, video_id):
        if not path.is_relative_to(folder.recordings):
            remove(path, out=folder.path)
    SegmentFiles.of(files).remove()
    remove_pictures(folder, files)
    if folder.recordings.exists():
        remove_tree(folder.recordings / video_id, out=folder.path)
        remove_folder(folder.recordings, out=folder.path)


def list_pictures(folder: OutputFolder, files: VideoFiles) -> list[Path]:
    """What shows the people of a session, or was made of its page: clips, thumbnails, PDF, page for a mail."""
    found = [*sorted(files.clips.glob("*.mp4")), *sorted(files.thumbnails.glob("*.jpg"))]
    found += [files.report.with_suffix(".pdf"), folder.mail / files.report.name]
    return [path for path in found if os.path.lexists(path)]


def remove_pictures(folder: OutputFolder, files: VideoFiles) -> None:
    """Remove them, and what is stored about them.

    Raises:
        RecordsError: as `remove_session_files`.
    """
    for path in list_pictures(folder, files):
        remove(path, out=folder.path)
    for name in (files.report.with_suffix(".pdf").name, f"mail.{files.report.name}"):
        remove(folder.page_status(name), out=folder.path)
    for place in (files.clips, files.thumbnails):
        remove_folder(place, out=folder.path)


def list_products(folder: OutputFolder) -> list[Path]:
    """What was made of all sessions together, to be handed on."""
    found = [
        path
        for place in folder.products
        for path in sorted(_list_tree(place))
        if path.suffix in (_DATASET_SUFFIXES if place == folder.dataset else _PRODUCT_SUFFIXES)
    ]
    pdf = folder.index.with_suffix(".pdf")
    return [*found, pdf] if os.path.lexists(pdf) else found


def remove_products(folder: OutputFolder) -> None:
    """Remove them, and the overview.

    Raises:
        RecordsError: as `remove_session_files`.
    """
    remove_overview(folder.path)
    for path in list_products(folder):
        remove(path, out=folder.path)
    for name in ("csv", "figures.png", "figures.svg", folder.index.with_suffix(".pdf").name):
        remove(folder.page_status(name), out=folder.path)
    for status in sorted(folder.page_status("x").parent.glob("mail.*.json")):
        remove(status, out=folder.path)
    for place in folder.products:
        for inner in sorted(_list_folders(place), reverse=True):
            remove_folder(inner, out=folder.path)


def _list_notes(folder: OutputFolder, files: VideoFiles) -> list[Path]:
    """The notes of a session after the pictures that only they show."""
    if not os.path.lexists(files.notes):
        return []
    others = [path for path in (folder.notes, *folder.session_notes) if path != files.notes]
    shown = {picture for path in others for picture in find_pictures(path, folder.path)}
    own = [path for path in find_pictures(files.notes, folder.path) if _is_of_user(folder, path)]
    return [*(path for path in own if path not in shown), files.notes]


def _is_of_user(folder: OutputFolder, path: Path) -> bool:
    """Whether ferflow did not make a picture: what it made goes, or stays, for other reasons."""
    return not any(path.is_relative_to(place) for place in (*folder.products, folder.thumbnails))


def _list_tree(place: Path) -> Iterator[Path]:
    yield from (path / name for path, names in _walk(place) for name in names)


def _list_folders(place: Path) -> Iterator[Path]:
    yield from (path for path, _ in _walk(place))


def _walk(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders and the files in each; no link is followed."""
    if not place.is_symlink():
        yield from ((Path(where), names) for where, _, names in os.walk(place))
