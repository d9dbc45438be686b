"""From what the user typed to a list of videos, and a name on disk for each.

>>> discover(["sessions/", "extra/*.mkv"], out=Path("out"))
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow.sequence import IMAGE_SUFFIXES, images_in
from ferflow.source import check_is_file

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .wmv .asf .flv .ogv .3gp .3g2 .mxf .gif "
    ".mjpeg .mjpg .ivf .nut .y4m .vob .dv .apng".split(" ")
)
"""Files in a folder that are taken for videos; a file given by name is tried, whatever it is called."""

_FINGERPRINT_BYTES = 1 << 20
_MAX_STEM = 60


@dataclass(frozen=True, slots=True)
class Found:
    """One input: a path, or why there is none."""

    path: Path
    problem: str | None = None


def discover(inputs: Sequence[str | Path], *, out: Path) -> list[Found]:
    """Expand files, folders (recursively) and globs, in sorted order, each video once.

    A folder's hidden files and the output folder are passed over; a folder of numbered images without videos is
    one video.
    """
    found = [item for text in inputs for item in _expanded(str(text), out.absolute())]
    return list({item.path.resolve(): item for item in found}.values())


def video_id_of(path: Path) -> str:
    """A name for the files of a video: its stem made harmless, and eight digits of a content hash.

    The hash covers the file's name, size, first and last MiB, so that a moved file keeps its id, and one that
    was cut or coded anew gets another. A folder of images is known by the names and sizes in it.

    Raises:
        VideoError: not a file that can be read.
    """
    path = path.resolve() if not path.name else path  # `.` has no name of its own
    digest = hashlib.sha256(path.name.encode(errors="surrogateescape"))
    if path.is_dir():
        for image in images_in(path):
            digest.update(f"{image.name!r} {image.stat().st_size}".encode())
    else:
        check_is_file(path)
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(str(size).encode())
            for start in (0, max(size - _FINGERPRINT_BYTES, 0)):
                file.seek(start)
                digest.update(file.read(_FINGERPRINT_BYTES))
    stem = path.name if path.is_dir() else path.stem
    # Word characters of any script; no separators, no leading dot or dash, no surrogates.
    readable = re.sub(r"[^\w.-]+", "_", stem.encode(errors="ignore").decode()).strip("._-")[:_MAX_STEM]
    return f"{readable or 'video'}-{digest.hexdigest()[:8]}"


def _expanded(text: str, out: Path) -> Iterator[Found]:
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path, out)
    elif os.path.lexists(path):
        yield Found(path)
    elif glob.has_magic(text):
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 it takes absolute patterns too
        if not matches:
            yield Found(path, f"{text}: the pattern matches no file. Check it, and quote it in the shell.")
        for match in matches:
            yield from _expanded(match, out)
    else:
        yield Found(path, f"{text}: no such file or folder. Check the path.")


def _in_folder(folder: Path, out: Path) -> Iterator[Found]:
    try:
        videos = list(_videos_under(folder, out))
    except OSError as error:
        yield Found(folder, f"{folder}: cannot be read ({error.strerror}).")
        return
    if not videos:
        yield Found(
            folder, f"{folder}: no videos in this folder or below. Known endings: {_known_endings()}."
        )
    yield from (Found(path) for path in videos)


def _videos_under(folder: Path, out: Path) -> Iterator[Path]:
    # Links to folders are not followed: they can lead in circles.
    for where, folders, files in os.walk(folder, onerror=_raised):
        here = Path(where)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).absolute() != out)
        names = sorted(name for name in files if not name.startswith("."))
        videos = [here / name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        yield from videos
        # Images beside videos are posters and thumbnails.
        if not videos and len(images_in(here)) > 1:
            yield here


def _raised(error: OSError) -> None:
    raise error


def _known_endings() -> str:
    return " ".join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
