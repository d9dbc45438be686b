"""Turn the arguments of the command line into a list of videos, and give each a name on disk.

>>> discover(["sessions/", "extra/*.mkv"], out=Path("out"))
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import VideoError
from ferflow.media.image_list import IMAGE_SUFFIXES, count_images, list_images
from ferflow.media.object_inputs import expand_address
from ferflow.media.source_file import check_is_file
from ferflow.store.object_store import (
    Address,
    file_address_to_path,
    is_object,
    parse_address,
    read_range,
    redact_address,
    stat_object,
)
from ferflow.store.output_folder import find_maker, is_output_folder
from ferflow.text import is_address, sanitize

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .wmv .asf .flv .ogv .3gp .3g2 .mxf .gif "
    ".mjpeg .mjpg .ivf .nut .y4m .vob .dv .apng".split(" ")
)
"""Files in a folder with these suffixes are taken as videos; a file given by name is opened whatever its suffix is."""

_FINGERPRINT_BYTES = 1 << 20
_REQUESTS = 16
"""Objects whose ends are fetched at the same time: most of that time is spent waiting for the store."""
_MAX_STEM_BYTES = 120
"""In UTF-8: file systems allow 255 bytes for a name, and a suffix and a number must fit, too."""


@dataclass(frozen=True, slots=True)
class DiscoveredInput:
    """One input: a path, and the problem with it, if there is one."""

    path: Path
    problem: str | None = None
    size: int | None = None
    """Bytes, where listing has found them; None: `size_of` says."""


def discover(inputs: Sequence[str | Path], *, out: Path, warn: bool = True) -> list[DiscoveredInput]:
    """Expand files, folders (recursively), globs and addresses of stores, in sorted order, each video once.

    Hidden files, the output folder, and what ferflow made in this or another output folder are skipped; a folder of
    numbered images without videos is one video. With `warn`, a warning names each skipped output folder.
    """
    skipped = _Skipped(Path(os.path.realpath(out)), set(), parse_address(out) if is_object(out) else None)
    found = [item for text in inputs for item in _expand(str(text), skipped)]
    for folder in sorted(skipped.folders - {skipped.out}) if warn else ():
        log.warning(
            "%s: an output folder of ferflow, skipped: what ferflow makes is no input.", sanitize(folder)
        )
    if not found and skipped.folders:
        path = Path(inputs[0])
        found = [DiscoveredInput(path, f"{path}: made by ferflow. Give the videos that it was made from.")]
    # A dictionary keeps the place of the first item of each video.
    return list({_identity(item): item for item in found}.values())


@dataclass(frozen=True, slots=True)
class _Skipped:
    """The output folders that are no inputs."""

    out: Path
    """That of this run, which need not exist."""
    folders: set[Path]
    """Those that were found, as real paths."""
    address: Address | None = None
    """Of the run's output folder, if it is in a store."""

    def has_folder(self, folder: Path) -> bool:
        """Whether a folder is one of them, or is in one."""
        real = Path(os.path.realpath(folder))
        return real == self.out or self._note(real if is_output_folder(real) else find_maker(real))

    def has_made(self, path: Path) -> bool:
        """Whether ferflow made a file."""
        return self._note(find_maker(path))

    def _note(self, maker: Path | None) -> bool:
        self.folders.update({maker} if maker else ())
        return maker is not None


def video_id_of(path: Path) -> str:
    """A name for the files of a video: its stem without special characters, and eight digits of a content hash.

    The hash covers the file's name, size, first and last MiB, so that a moved file keeps its id, and a file that
    was cut or encoded again gets another one. The id of a folder of images follows from their names and sizes.

    Raises:
        VideoError: not a file that can be read.
    """
    path = path.resolve() if not path.name else path  # `.` has no name of its own
    digest = hashlib.sha256(path.name.encode(errors="surrogateescape"))
    _hash_content(path, digest)
    # The stem is for people who look into the folder; the digits make the name unique.
    stem = path.name if path.is_dir() else path.stem
    # Word characters of any script; no separators, no leading dot or dash, no surrogates.
    readable = re.sub(r"[^\w.-]+", "_", stem.encode(errors="ignore").decode())
    short = readable.encode()[:_MAX_STEM_BYTES].decode(errors="ignore").strip("._-")
    return f"{short or 'video'}-{digest.hexdigest()[:8]}"


def find_object_ids(found: Sequence[DiscoveredInput]) -> dict[Path, str]:
    """Ids of those inputs that are in a store, several requests at a time; one that cannot be read is left out."""
    objects = [one.path for one in found if one.problem is None and is_object(one.path)]
    if not objects:
        return {}
    with ThreadPoolExecutor(_REQUESTS) as pool:
        ids = pool.map(_try_id, objects)
    return {path: video_id for path, video_id in zip(objects, ids, strict=True) if video_id is not None}


def _try_id(path: Path) -> str | None:
    try:
        return video_id_of(path)
    except (OSError, VideoError):
        return None


def content_key(path: Path) -> bytes:
    """What `video_id_of` hashes, without the name: the same after a file was renamed.

    Raises:
        OSError, VideoError: not a file that can be read.
    """
    digest = hashlib.sha256()
    _hash_content(path, digest)
    return digest.digest()


def size_of(path: Path) -> int:
    """Bytes of a source, or of all files in a folder of images; 0 if it cannot be read."""
    try:
        if is_object(path):
            return stat_object(parse_address(path)).size
        if path.is_dir():
            return sum(file.stat().st_size for file in path.iterdir())
        return path.stat().st_size
    except OSError:
        return 0


def _hash_content(path: Path, digest: hashlib._Hash) -> None:
    if path.is_dir():
        for image in list_images(path):
            digest.update(f"{image.name!r} {image.stat().st_size}".encode())
        return
    check_is_file(path)
    if is_object(path):
        _hash_object(parse_address(path), digest)
        return
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        for start in (0, max(size - _FINGERPRINT_BYTES, 0)):
            file.seek(start)
            digest.update(file.read(_FINGERPRINT_BYTES))


def _hash_object(address: Address, digest: hashlib._Hash) -> None:
    """As of a file with the same name and content; fetches its ends only."""
    found = stat_object(address)
    digest.update(str(found.size).encode())
    length = min(_FINGERPRINT_BYTES, found.size)
    for start in (0, found.size - length):
        digest.update(read_range(address, start, length, found.etag))


def _identity(item: DiscoveredInput) -> str:
    # Not `Path.resolve`, which raises for links that form a cycle. A problem is an item of its own.
    return item.problem or os.path.realpath(item.path)


def _expand(text: str, skipped: _Skipped) -> Iterator[DiscoveredInput]:
    text = file_address_to_path(text)
    if is_object(text) and not os.path.lexists(text):
        for found in expand_address(text, skipped=skipped.address, suffixes=VIDEO_SUFFIXES):
            yield DiscoveredInput(found.path, found.problem, found.size)
        return
    # A local folder may be called `s3:`; its path must not look like an address.
    yield from _expand_local(str(Path(text).absolute()) if is_object(text) else text, skipped)


def _expand_local(text: str, skipped: _Skipped) -> Iterator[DiscoveredInput]:
    path = Path(text)
    # `os.path` returns False where `Path` raises: names that are too long, folders without permission.
    if "\0" in text:
        yield DiscoveredInput(path, f"{text!r}: no file can have such a name.")
    elif os.path.isdir(path):  # noqa: PTH112
        yield from _list_folder(path, skipped)
    elif os.path.lexists(path):
        if not skipped.has_made(path):
            yield DiscoveredInput(path)
    elif glob.has_magic(text) and not is_address(text):
        matches = _match_pattern(path)
        if not matches:
            yield DiscoveredInput(
                path, f"{path}: the pattern matches no file. Check it, and quote it in the shell."
            )
        for match in matches:
            if not (match.is_dir() and skipped.has_folder(match)):
                yield from _expand(str(match), skipped)
    elif is_address(text):
        yield DiscoveredInput(
            Path(redact_address(text)),
            f"{redact_address(text)}: an address that ferflow does not read. It reads files and objects of s3://, "
            "gs:// and az://: download it, or mount the storage as a folder.",
        )
    else:
        yield DiscoveredInput(
            path, f"{path}: no such file or folder, or no permission to read it. Check the path."
        )


def _match_pattern(pattern: Path) -> list[Path]:
    """Files and folders that match a pattern, sorted, without hidden ones unless the pattern names them.

    `**` does not follow links to folders: two links to a parent folder would make the search endless.
    """
    n_plain = next(n for n, part in enumerate(pattern.parts) if glob.has_magic(part))
    base, rest = Path(*pattern.parts[:n_plain]), pattern.parts[n_plain:]
    names_hidden = any(part.startswith(".") for part in rest)
    try:
        found = sorted(base.glob(str(Path(*rest))))
    except ValueError:  # `**` inside a name
        return []
    return [
        path
        for path in found
        if names_hidden or not any(part.startswith(".") for part in path.relative_to(base).parts)
    ]


def _list_folder(folder: Path, skipped: _Skipped) -> Iterator[DiscoveredInput]:
    if skipped.has_made(folder):
        return
    found = list(_walk_folder(folder, skipped))
    yield from found
    if not found:
        yield DiscoveredInput(folder, f"{folder}: no videos in this folder or below. {_advice(folder)}")


def _advice(folder: Path) -> str:
    """What to do with a folder without videos; it may hold photographs."""
    if n_images := sum(count_images(Path(where)) for where, _, _ in os.walk(folder)):
        return (
            f"It holds {n_images} image{'s' * (n_images != 1)}: two or more with numbers in their names are the "
            "frames of one video; photographs are given to `ferflow predict`, or one by one, as FOLDER/*.jpg."
        )
    return f"Known suffixes: {' '.join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))}."


def _walk_folder(folder: Path, skipped: _Skipped) -> Iterator[DiscoveredInput]:
    refused: list[OSError] = []
    # Links to folders are not followed: they can form a cycle.
    for where, folders, files in os.walk(folder, onerror=refused.append):
        here = Path(where)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and not skipped.has_folder(here / f))
        names = sorted(name for name in files if not name.startswith("."))
        videos = [here / name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES]
        yield from (DiscoveredInput(video) for video in videos if not skipped.has_made(video))
        try:
            # Images in a folder of videos are mostly posters and thumbnails, and one image is no sequence.
            if not videos and len(list_images(here)) > 1:
                yield DiscoveredInput(here)
        except OSError as error:
            refused.append(error)
    for refusal in refused:
        path = Path(refusal.filename or folder)
        yield DiscoveredInput(path, f"{path}: cannot be read ({refusal.strerror}). Check its permissions.")
