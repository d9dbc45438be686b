"""From the arguments of the command line to a list of videos, and a name on disk for each.

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

from ferflow.media.container import check_is_file
from ferflow.media.image_sequence import IMAGE_SUFFIXES, list_images

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .wmv .asf .flv .ogv .3gp .3g2 .mxf .gif "
    ".mjpeg .mjpg .ivf .nut .y4m .vob .dv .apng".split(" ")
)
"""Files in a folder that are taken for videos; a file given by name is tried, whatever its ending is."""

_FINGERPRINT_BYTES = 1 << 20
_MAX_STEM_BYTES = 120
"""Of UTF-8: file systems allow 255 for a name, and a suffix and a number must fit, too."""


@dataclass(frozen=True, slots=True)
class DiscoveredInput:
    """One input: a path, or the reason why there is none."""

    path: Path
    problem: str | None = None


def discover(inputs: Sequence[str | Path], *, out: Path) -> list[DiscoveredInput]:
    """Expand files, folders (recursively) and globs, in sorted order, each video once.

    Hidden files and the output folder are skipped; a folder of numbered images without videos is
    one video.
    """
    found = [item for text in inputs for item in _expand(str(text), out.absolute())]
    return list({_identity(item): item for item in found}.values())


def video_id_of(path: Path) -> str:
    """A name for the files of a video: its stem without special characters, and eight digits of a content hash.

    The hash covers the file's name, size, first and last MiB, so that a moved file keeps its id, and one that
    was cut or encoded again gets another. The id of a folder of images follows from their names and sizes.

    Raises:
        VideoError: not a file that can be read.
    """
    path = path.resolve() if not path.name else path  # `.` has no name of its own
    digest = hashlib.sha256(path.name.encode(errors="surrogateescape"))
    if path.is_dir():
        for image in list_images(path):
            digest.update(f"{image.name!r} {image.stat().st_size}".encode())
    else:
        check_is_file(path)
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest.update(str(size).encode())
            for start in (0, max(size - _FINGERPRINT_BYTES, 0)):
                file.seek(start)
                digest.update(file.read(_FINGERPRINT_BYTES))
    # A readable start, for people who look into the folder; the digits make it unique.
    stem = path.name if path.is_dir() else path.stem
    # Word characters of any script; no separators, no leading dot or dash, no surrogates.
    readable = re.sub(r"[^\w.-]+", "_", stem.encode(errors="ignore").decode())
    short = readable.encode()[:_MAX_STEM_BYTES].decode(errors="ignore").strip("._-")
    return f"{short or 'video'}-{digest.hexdigest()[:8]}"


def _identity(item: DiscoveredInput) -> str:
    # Not `Path.resolve`, which raises for links that form a cycle.
    return item.problem or os.path.realpath(item.path)


def _expand(text: str, out: Path) -> Iterator[DiscoveredInput]:
    path = Path(text)
    # `os.path` answers where `Path` raises: names too long, folders that may not be looked into.
    if "\0" in text:
        yield DiscoveredInput(path, f"{text!r}: no file can have such a name.")
    elif os.path.isdir(path):  # noqa: PTH112
        yield from _list_folder(path, out)
    elif os.path.lexists(path):
        yield DiscoveredInput(path)
    elif glob.has_magic(text):
        matches = _match_pattern(path)
        if not matches:
            yield DiscoveredInput(
                path, f"{text}: the pattern matches no file. Check it, and quote it in the shell."
            )
        for match in matches:
            yield from _expand(str(match), out)
    else:
        yield DiscoveredInput(
            path, f"{text}: no such file or folder, or none that may be read. Check the path."
        )


def _match_pattern(pattern: Path) -> list[Path]:
    """What a pattern names, sorted, hidden files apart.

    `**` does not follow links to folders: two that lead back up would make it endless.
    """
    n_plain = next(n for n, part in enumerate(pattern.parts) if glob.has_magic(part))
    base, rest = Path(*pattern.parts[:n_plain]), pattern.parts[n_plain:]
    wants_hidden = any(part.startswith(".") for part in rest)
    try:
        found = sorted(base.glob(str(Path(*rest))))
    except ValueError:  # `**` inside a name
        return []
    return [
        path
        for path in found
        if wants_hidden or not any(part.startswith(".") for part in path.relative_to(base).parts)
    ]


def _list_folder(folder: Path, out: Path) -> Iterator[DiscoveredInput]:
    found = list(_walk_folder(folder, out))
    yield from found
    if not found:
        yield DiscoveredInput(
            folder, f"{folder}: no videos in this folder or below. Known endings: {_known_endings()}."
        )


def _walk_folder(folder: Path, out: Path) -> Iterator[DiscoveredInput]:
    refused: list[OSError] = []
    # Links to folders are not followed: they can form a cycle.
    for where, folders, files in os.walk(folder, onerror=refused.append):
        here = Path(where)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).absolute() != out)
        names = sorted(name for name in files if not name.startswith("."))
        videos = [here / name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        yield from map(DiscoveredInput, videos)
        try:
            # Images in a folder of videos are posters and thumbnails.
            if not videos and len(list_images(here)) > 1:
                yield DiscoveredInput(here)
        except OSError as error:
            refused.append(error)
    for refusal in refused:
        path = Path(refusal.filename or folder)
        yield DiscoveredInput(path, f"{path}: cannot be read ({refusal.strerror}). Check its permissions.")


def _known_endings() -> str:
    return " ".join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
