"""Files of an output folder that the application shows: pages, what they load, and the videos that they play.

>>> find_file(Path("out"), "reports/talk-0123abcd.html")
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from ferflow.errors import RecordsError, VideoError
from ferflow.media.fingerprint import has_changed
from ferflow.media.inputs import VIDEO_SUFFIXES
from ferflow.plain_file import read_plain_file
from ferflow.store.contained import check_contained
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder

_SHOWN = re.compile(r"index\.html|reports/[^/]+\.html|reports/[^/]+\.clips/[^/]+\.mp4|assets/plotly\.min\.js")
_MOST_PAGE_BYTES = 256 << 20
_VIDEO_TAG = re.compile(rb'(<video id="video"[^>]* src=")[^"]*(")')


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


def read_page(path: Path, source_url: str | None) -> bytes:
    """A page, whose player gets its video from the application: the page's own path leads out of what is served.

    Raises:
        OSError: it cannot be read.
    """
    content = read_plain_file(path, _MOST_PAGE_BYTES)
    if source_url is None:
        return content
    return _VIDEO_TAG.sub(rb"\g<1>" + source_url.encode() + rb"\g<2>", content, count=1)


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
