"""Files of an output folder that the application shows: pages, what they load, and the videos that they play.

>>> find_file(Path("out"), "reports/talk-0123abcd.html")
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ferflow.errors import RecordsError, VideoError
from ferflow.media.fingerprint import has_changed
from ferflow.media.inputs import VIDEO_SUFFIXES
from ferflow.plain_file import read_plain_file
from ferflow.store.contained import check_contained
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.text import sanitize

_SHOWN = re.compile(r"index\.html|reports/[^/]+\.html|reports/[^/]+\.clips/[^/]+\.mp4|assets/plotly\.min\.js")
_MOST_PAGE_BYTES = 256 << 20
_HEADER = b'<header class="top">'
_VIDEO_TAG = re.compile(rb'(<video id="video"[^>]* src=")[^"]*(")')


@dataclass(frozen=True, slots=True)
class ShownVideo:
    """A finished video."""

    video_id: str
    name: str


def find_file(out: Path, name: str) -> Path | None:
    """A file that may be shown, or None.

    Args:
        out: the output folder.
        name: path in it, with slashes.
    """
    if _SHOWN.fullmatch(name) is None or ".." in name.split("/") or "\0" in name or "\\" in name:
        return None
    path = out / name
    try:
        check_contained(path, out)
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except (OSError, RecordsError):
        return None
    return path if is_file else None


def read_page(path: Path, video_id: str | None) -> bytes:
    """A page with a way back to the application; the player of a session's gets its video from the application.

    The page's own path of the video leads out of what is served.

    Args:
        path: of the page.
        video_id: of its session; None: it is the overview.

    Raises:
        OSError: it cannot be read.
    """
    content = read_plain_file(path, _MOST_PAGE_BYTES)
    quoted = quote(video_id or "", safe="")
    edit = f"/edit/{quoted}" if video_id else "/edit"
    links = f'<p class="brand screen"><a href="/">Application</a> · <a href="{edit}">Edit</a></p>'
    content = content.replace(_HEADER, _HEADER + links.encode(), 1)
    if video_id is None:
        return content
    return _VIDEO_TAG.sub(rb"\g<1>" + f"../source/{quoted}".encode() + rb"\g<2>", content, count=1)


def list_videos(out: Path) -> list[ShownVideo]:
    """The finished videos of a folder, by name."""
    found = []
    for files in OutputFolder(out).finished_videos():
        try:
            found.append(ShownVideo(files.video_id, sanitize(read_metadata(files.faces).source.name)))
        except RecordsError:  # the overview and `doctor` report it
            continue
    return sorted(found, key=lambda one: (one.name.casefold(), one.video_id))


def find_source(out: Path, video_id: str) -> Path | None:
    """The video that was analysed, if it is still the same file: a footer may name any path.

    Raises:
        RecordsError: the id leads out of the output folder, or its table cannot be read.
    """
    files = OutputFolder(out).video(video_id)
    check_contained(files.faces, out)
    if not files.faces.is_file() or files.faces.is_symlink():
        return None
    source = read_metadata(files.faces).source
    path = Path(source.path)
    try:
        is_same = path.is_file() and path.stat().st_size == source.size and not has_changed(path, source)
    except (OSError, VideoError):
        return None
    return path if is_same and path.suffix.lower() in VIDEO_SUFFIXES else None
