"""A source as a file to read from, wherever it is stored: on disk, or as an object of a store.

>>> with open_source(Path("s3:/bucket/a.mp4")) as file:
...     file.read(12)

An object is fetched by ranges, block by block, when they are needed, and blocks stay on the local disk as long as there
is room for them: a demuxer that reads on gets a stream, one that jumps about finds most blocks there, and each byte is
fetched once if the object is not larger than `most_cached_bytes`.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

from ferflow.errors import OptionsError, VideoError
from ferflow.store.object_store import (
    Address,
    ChangedObjectError,
    ObjectStat,
    is_object,
    parse_address,
    read_range,
    stat_object,
)

BLOCK_BYTES = 4 << 20
"""Of one request: large enough that the time to the first byte counts little."""

CACHE_VARIABLE = "FERFLOW_CACHE_MB"
_DEFAULT_CACHE_BYTES = 2 << 30
_LEAST_BLOCKS = 4


def open_source(path: Path) -> BinaryIO:
    """Open a file or an object to read its bytes.

    Raises:
        OSError: it cannot be opened; for an object, `strerror` says why.
        VideoError: later, when an object is replaced while it is read.
    """
    if not is_object(path):
        return path.open("rb")
    # Typed as what it stands in for; it has all of its methods.
    return cast(BinaryIO, io.BufferedReader(_ObjectReader(_open_object(path)), 256 << 10))


def object_sha256(path: Path) -> str:
    """SHA-256 of an object's bytes; fetches those that were not read yet.

    Raises:
        OSError, VideoError: as `open_source`.
    """
    return _open_object(path).sha256()


def forget_failures(path: Path) -> None:
    """Begin a new attempt to read a source: what `check_complete` raises is of this attempt."""
    if is_object(path):
        _failures.pop(parse_address(path), None)


def check_complete(path: Path) -> None:
    """Raise what stopped a fetch of an object's bytes, in case a decoder took it for the end of the file.

    Raises:
        OSError, VideoError: a fetch failed since `forget_failures`.
    """
    if is_object(path) and (failure := _failures.pop(parse_address(path), None)) is not None:
        raise failure


class _ObjectBytes:
    """The bytes of one version of an object, with a cache of blocks in a file that has no name.

    A file without a name is gone when the process ends, however it ends.
    """

    def __init__(self, address: Address, stat: ObjectStat) -> None:
        self.address, self.stat = address, stat
        n_blocks = -(-stat.size // BLOCK_BYTES)
        self._n_slots = max(min(n_blocks, _most_cached_bytes() // BLOCK_BYTES), min(n_blocks, _LEAST_BLOCKS))
        self._file = tempfile.TemporaryFile(buffering=0, prefix="ferflow-")  # noqa: SIM115 - lives as long as this object
        self._block_in_slot: dict[int, int] = {}
        self._digest, self._n_hashed = hashlib.sha256(), 0
        self._lock = threading.RLock()
        self._ahead: tuple[int, Future[bytes]] | None = None
        self._fetcher = ThreadPoolExecutor(1, thread_name_prefix="ferflow-fetch")
        weakref.finalize(self, self._fetcher.shutdown, wait=False, cancel_futures=True)

    def read(self, start: int, length: int) -> bytes:
        """At most `length` bytes from `start` on, up to the end of a block; empty at the end of the object."""
        if start >= self.stat.size or length <= 0:
            return b""
        number, offset = divmod(start, BLOCK_BYTES)
        with self._lock:
            self._load(number)
            length = min(length, self._length_of(number) - offset)
            return self._read_cache(self._place_of(number) + offset, length)

    def sha256(self) -> str:
        """Of all bytes."""
        with self._lock:
            while self._n_hashed * BLOCK_BYTES < self.stat.size:
                self._load(self._n_hashed)
                self._hash_cached()
            return self._digest.hexdigest()

    def _load(self, number: int) -> None:
        """Make sure that a block is in the cache, and begin to fetch the next one."""
        if not self._has(number):
            self._take_ahead(number)
        if not self._has(number):
            try:
                self._store(number, self._fetch(number))
            except Exception as error:
                _failures[self.address] = error
                raise
        self._fetch_ahead(number + 1)

    def _store(self, number: int, content: bytes) -> None:
        self._file.seek(self._place_of(number))
        self._file.write(content)
        self._block_in_slot[number % self._n_slots] = number
        self._hash_cached()

    def _take_ahead(self, wanted: int) -> None:
        """Store the block that was fetched ahead; waits for it only if it is the one that is wanted."""
        if self._ahead is None or (self._ahead[0] != wanted and not self._ahead[1].done()):
            return
        (number, future), self._ahead = self._ahead, None
        if (
            future.exception() is None
        ):  # otherwise it is fetched when it is needed, and that says what is wrong
            self._store(number, future.result())

    def _fetch_ahead(self, number: int) -> None:
        """Begin to fetch a block while the one before it is decoded."""
        is_there = number * BLOCK_BYTES >= self.stat.size or self._has(number)
        if not is_there and self._ahead is None:
            self._ahead = number, self._fetcher.submit(self._fetch, number)

    def _fetch(self, number: int) -> bytes:
        try:
            return read_range(
                self.address, number * BLOCK_BYTES, self._length_of(number), self.stat.etag or None
            )
        except (ChangedObjectError, FileNotFoundError):
            # Without its cause, which would count as transient: a retry would read other content under the same id.
            raise VideoError(
                f"{self.address.name}: changed while it was analysed. Wait until it is complete, then run again."
            ) from None

    def _hash_cached(self) -> None:
        """Hash the next blocks as long as they are in the cache."""
        while self._n_hashed * BLOCK_BYTES < self.stat.size and self._has(self._n_hashed):
            number = self._n_hashed
            self._digest.update(self._read_cache(self._place_of(number), self._length_of(number)))
            self._n_hashed += 1

    def _read_cache(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        content = self._file.read(length)
        assert content is not None
        return content

    def _has(self, number: int) -> bool:
        return self._block_in_slot.get(number % self._n_slots) == number

    def _place_of(self, number: int) -> int:
        return number % self._n_slots * BLOCK_BYTES

    def _length_of(self, number: int) -> int:
        return min(BLOCK_BYTES, self.stat.size - number * BLOCK_BYTES)


class _ObjectReader(io.RawIOBase):
    """One position in an object."""

    def __init__(self, content: _ObjectBytes) -> None:
        super().__init__()
        self.name = content.address.name  # FFmpeg recognises some formats by it, too
        self._content, self._position = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.stat.size}[whence]
        if base + offset < 0:
            raise ValueError("position before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._content.read(self._position, len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


_failures: dict[Address, Exception] = {}
"""Why objects could not be read completely."""

_last: list[_ObjectBytes] = []
"""The object that was opened last in this process: it is opened again for its pictures, its digest and its clips."""


def _latest() -> _ObjectBytes | None:
    return _last[0] if _last else None


def _open_object(path: Path) -> _ObjectBytes:
    address = parse_address(path)
    stat = stat_object(address)
    found = _latest()
    if found is None or (found.address, found.stat) != (address, stat):
        found = _ObjectBytes(address, stat)
        _last[:] = [found]
    return found


def _most_cached_bytes() -> int:
    """Room for blocks on the local disk, for each process: half of what is free at most."""
    text = os.environ.get(CACHE_VARIABLE, "")
    if text and not text.isdecimal():
        raise OptionsError(f"{CACHE_VARIABLE} must be a number of MiB, got {text[:20]!r}.")
    wanted = int(text) << 20 if text else _DEFAULT_CACHE_BYTES
    return min(wanted, shutil.disk_usage(tempfile.gettempdir()).free // 2)
