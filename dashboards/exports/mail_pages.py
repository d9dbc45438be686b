"""Pages that need no other file, for a mail: `mail/index.html` and `mail/<video_id>.html`.

They have everything inside: the charts' script compressed, notes' pictures, a small copy of the video on request. What
would lead to another file is text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.dashboards.exports.export_status import forget_mail, is_mail_current, record_mail
from ferflow.dashboards.overview.index import render_index
from ferflow.dashboards.overview.overview_data import Folder, load_folder
from ferflow.dashboards.session_report.page import render_session
from ferflow.dashboards.session_report.session_data import Session, load_session
from ferflow.dashboards.session_report.video_player import PageVideo
from ferflow.dashboards.shared.notes import Notes, load_notes
from ferflow.dashboards.shared.page import write_text
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.dashboards.shared.single_file import SingleFile
from ferflow.errors import FerflowError, OptionsError
from ferflow.store.atomic_files import is_disk_full
from ferflow.store.output_folder import OutputFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferflow.store.metadata import VideoMetadata

    CopyVideo = Callable[[VideoMetadata, int, Path, bool], bytes]
    """Makes a small copy of a video, MP4 of so many bytes at most, with the help of a temporary file next to a path,
    and with faces covered if asked for; raises VideoError."""

MOST_VIDEO_MB = 100.0
"""Browsers keep a page, and what it has inside, in memory several times."""

_NO_FACE = "This file holds all that it shows, and no image of a face."
_PICTURES = (
    "This file holds all that it shows. The pictures in its notes were added by its author; it has no other image of a "
    "face."
)
_LEFT_OUT = "This file holds all that it shows. What could show a face was left out, as requested."
_COVERED = (
    "This file holds all that it shows, with a small copy of the video in which faces are covered, as requested, "
    "without its sound. What else could show a face was left out."
)
_VIDEO = (
    "This file holds all that it shows, with a small copy of the video, which shows faces, as requested: protect it "
    "like the recording."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOptions:
    """What pages for a mail have inside."""

    video_mb: float | None = None
    """Size of the copy of a video at most, in units of 10^6 bytes; None: no video."""
    anonymize: bool = False
    """Leave out what could show a face, such as the pictures of notes; cover the faces in the video."""

    def __post_init__(self) -> None:
        if self.video_mb is not None and not 0 < self.video_mb <= MOST_VIDEO_MB:
            raise OptionsError(
                f"video-mb must be above 0 and at most {MOST_VIDEO_MB:g}, got {self.video_mb:g}"
            )


@dataclass(frozen=True, slots=True)
class Mailed:
    """What was written."""

    written: tuple[Path, ...]
    """Also those that were there, and current."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a session has no page, or its page no video, by video id."""


def write_mail_pages(
    out: Path, options: PageOptions, mail: MailOptions, copy_video: CopyVideo | None = None
) -> Mailed:
    """Write the pages that are not there, or are of an earlier state.

    Args:
        out: the output folder, whose own pages are up to date.
        options: of the pages.
        mail: what they have inside.
        copy_video: see `CopyVideo`; needed where `mail` asks for videos.

    Raises:
        OptionsError, RecordsError: the overview cannot be made.
    """
    folder, paths = load_folder(out, options), OutputFolder(out)
    written, failed = list[Path](), dict[str, str]()
    for entry in folder.finished:
        try:
            problem = _write_session(paths, entry.video_id, folder, options, mail, copy_video)
        except FerflowError as error:
            if is_disk_full(error):  # nothing else can be written, either
                raise
            failed[entry.video_id] = f"no page. {error}"
            continue
        written.append(paths.mail / paths.video(entry.video_id).report.name)
        if problem:
            failed[entry.video_id] = f"page without a video. {problem}"
    if not is_mail_current(paths, paths.index, mail):
        notes = load_notes(paths.notes, page=paths.index, out=out, single=True, pictures=not mail.anonymize)
        page = render_index(_without_links(folder), options, notes, single=_describe(notes, mail, False))
        forget_mail(paths, paths.index)
        write_text(paths.mail / paths.index.name, page, out=out)
        record_mail(paths, paths.index, mail)
    return Mailed((paths.mail / paths.index.name, *written), failed)


def _write_session(
    paths: OutputFolder,
    video_id: str,
    folder: Folder,
    options: PageOptions,
    mail: MailOptions,
    copy_video: CopyVideo | None,
) -> str:
    """Write the page of a session, unless it is current; why it has no video, if it should have one."""
    files = paths.video(video_id)
    if is_mail_current(paths, files.report, mail):
        return ""
    session = load_session(paths.path, video_id, folder.names.of(video_id), options)
    video = _embed_video(session, mail, copy_video, paths.mail / f"{video_id}.mp4")
    notes = load_notes(
        files.notes, page=files.report, out=paths.path, single=True, pictures=not mail.anonymize
    )
    session = replace(
        session,
        video=video,
        boxes=session.boxes if video.url else None,
        clips={},
        has_clips=False,
        has_thumbnails=False,
    )
    single = _describe(notes, mail, video.url is not None)
    page = render_session(session, options, notes, single=single)
    forget_mail(paths, files.report)
    write_text(paths.mail / files.report.name, page, out=paths.path)
    is_complete = mail.video_mb is None or video.url is not None
    # A page without its video says what the session's page says, and is tried again with any options.
    record_mail(paths, files.report, mail if is_complete else "without the video")
    return "" if is_complete else video.problem


def _embed_video(session: Session, mail: MailOptions, copy_video: CopyVideo | None, place: Path) -> PageVideo:
    if mail.video_mb is None or copy_video is None:
        return PageVideo(None, "This file has no video inside.")
    try:
        content = copy_video(session.metadata, round(mail.video_mb * 1e6), place, mail.anonymize)
    except FerflowError as error:
        if is_disk_full(error):
            raise
        return PageVideo(None, f"This file has no video inside. {error}")
    url = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
    return PageVideo(url, "", may_have_sound=False)


def _without_links(folder: Folder) -> Folder:
    """A folder whose page leads nowhere: what is next to it is not sent."""
    entries = tuple(replace(entry, link=None) for entry in folder.entries)
    videos = {stimulus: replace(video, url=None) for stimulus, video in folder.stimulus_videos.items()}
    return replace(folder, entries=entries, stimulus_videos=videos, has_clips=False, has_thumbnails=False)


def _describe(notes: Notes, mail: MailOptions, has_video: bool) -> SingleFile:
    if has_video:
        return SingleFile.stating(_COVERED if mail.anonymize else _VIDEO)
    if mail.anonymize:
        return SingleFile.stating(_LEFT_OUT)
    return SingleFile.stating(_PICTURES if "<img" in notes.html else _NO_FACE)
