"""The one way to read a small file of somebody else: a regular file of a limited size.

A pipe blocks the process that reads it, reading a device may act on it, and a file without end fills the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class TooLargeError(OSError):
    """A file is larger than it may be."""

    def __init__(self, most_bytes: int) -> None:
        size = f"{most_bytes >> 20} MiB" if most_bytes >= 1 << 20 else f"{most_bytes >> 10} KiB"
        super().__init__(errno.EINVAL, f"larger than {size}")


def read_plain_file(path: Path, most_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        TooLargeError: it has more than `most_bytes`.
        OSError: missing, not a regular file, or not readable; `strerror` says so.
    """
    check_plain_file(path, most_bytes)
    with open(path, "rb", opener=_open_without_waiting) as file:
        _check(os.fstat(file.fileno()), most_bytes)  # it may have been exchanged since
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise TooLargeError(most_bytes)
    return content


def check_plain_file(path: Path, most_bytes: int | None = None) -> None:
    """Refuse what is not a regular file, before a library opens it; raises as `read_plain_file`."""
    _check(path.stat(), most_bytes)


def local_path(path: Path) -> str:
    """A path for Arrow, which takes a relative one such as `file:a` or `s3:a` for an address, and would open it."""
    return str(path.absolute())


def _check(status: os.stat_result, most_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if most_bytes is not None and status.st_size > most_bytes:
        raise TooLargeError(most_bytes)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
