"""Whether a source is still the one that was analysed.

`video_id_of` reads the ends of a file only, which is enough for a name. An edit in the middle that keeps the size is
detected here: first by size and modification time, which is cheap, then, where those differ, by a digest of all bytes.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ferflow.media.image_list import list_images
from ferflow.media.object_file import object_sha256
from ferflow.media.source_file import check_is_file
from ferflow.store.metadata import SourceInfo
from ferflow.store.object_store import is_object, parse_address, stat_object

MOST_HASHED_BYTES = 64 << 30
"""Of one file: six hours at 25 Mbit/s. A file may state any size without having as many bytes on the disk."""
_BLOCK_BYTES = 1 << 20


class Fingerprint(NamedTuple):
    """What a table's footer stores of its source."""

    signature: str
    sha256: str
    """Of the content; see `content_sha256`."""


def fingerprint(path: Path) -> Fingerprint:
    """Compute the fingerprint of a source.

    Raises:
        OSError, VideoError: it cannot be read.
    """
    return Fingerprint(signature(path), content_sha256(path))


def signature(path: Path) -> str:
    """Hash of sizes and modification times; of an object, of its size and version (ETag).

    Another signature does not mean other content: a copy has its own times.
    """
    if is_object(path):
        address = parse_address(path)
        found = stat_object(address)
        text = f"{address.name!r} {found.size} {found.etag}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    stats = [(file.name, file.stat()) for file in list_files(path)]
    # Names may be no valid UTF-8, hence `surrogateescape`; `!r` keeps a line break in a name from looking like two
    # files.
    text = "\n".join(f"{name!r} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def size_and_time(path: Path) -> tuple[int, float]:
    """Bytes of a source (of a folder: of its own entry), and when it was changed, in seconds since 1970.

    Raises:
        OSError: it cannot be read.
    """
    if is_object(path):
        found = stat_object(parse_address(path))
        return found.size, found.mtime
    stat = path.stat()
    return stat.st_size, stat.st_mtime


def content_sha256(path: Path) -> str:
    """Hash of a file's bytes, or of the names and bytes of a folder's images."""
    if is_object(path):
        return object_sha256(path)
    if not path.is_dir():
        return _sha256(path)
    parts = [f"{file.name!r} {_sha256(file)}" for file in list_files(path)]
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def has_changed(path: Path, stored: SourceInfo | Fingerprint) -> bool:
    """Whether a source has other content than when its footer was written.

    Args:
        path: the source.
        stored: `source` of the footer; one without a fingerprint counts as unchanged.
    """
    if stored.signature in (None, now := signature(path)):
        return False
    return _sha256_as_of(path, now) != stored.sha256


@lru_cache(maxsize=4096)
def _sha256_as_of(path: Path, signature: str) -> str:
    # A file may be compared with several, and reading an hour of video takes seconds.
    return content_sha256(path)


def list_files(path: Path) -> list[Path]:
    """The files that a source consists of: itself, or the images of a folder."""
    return list_images(path) if path.is_dir() else [path]


def _sha256(path: Path) -> str:
    """SHA-256 of a file; of one of more than `MOST_HASHED_BYTES`, of its size and that many bytes from its start."""
    check_is_file(path)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= MOST_HASHED_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        for _ in range(0, MOST_HASHED_BYTES, _BLOCK_BYTES):
            digest.update(file.read(_BLOCK_BYTES))
        return digest.hexdigest()
