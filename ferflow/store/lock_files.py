"""Locks between processes, as files: the operating system releases a lock when its process ends, however it ends.

>>> with hold_lock(FileLock(path, timeout=0.5), busy="another program is writing here.", remedy="Use another folder."):
...     write()
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ferflow.errors import OptionsError, RecordsError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
"""Time between two attempts to get a lock."""


@contextmanager
def hold_lock(lock: FileLock, busy: str, remedy: str) -> Iterator[None]:
    """Hold a lock file.

    Args:
        lock: with the time to wait for another process.
        busy: the message if that was not enough.
        remedy: what to do if the file cannot be written.

    Raises:
        RecordsError: another process holds it, or it cannot be written.
    """
    path = Path(lock.lock_file)
    if os.path.lexists(path) and not is_lock_file(path):
        raise RecordsError(f"{path}: not a file of ferflow. Remove it.")
    try:
        lock.acquire()
    except Timeout:
        raise RecordsError(busy) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordsError(f"{path}: cannot be written ({reason}). {remedy}") from error
    try:
        yield
    finally:
        lock.release()


def check_shared_locks() -> None:
    """Refuse a system on which several processes cannot share a lock.

    Raises:
        OptionsError: this is one.
    """
    if fcntl is None:
        raise OptionsError("--shard needs file locks that several processes share, which Windows lacks.")


def share_lock(path: Path, timeout_s: float) -> int:
    """Lock a file together with other processes; returns its descriptor, and closing that releases the lock.

    On a file system without locks the file is only opened, and a warning says so.

    Raises:
        Timeout: after `timeout_s`, a process still holds the lock alone.
        OSError: the file cannot be opened, or is a link.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        _wait_for_share(file, path, timeout_s)
    except BaseException:
        os.close(file)
        raise
    return file


def _wait_for_share(file: int, path: Path, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise Timeout(str(path)) from None
            time.sleep(POLL_SECONDS)
        except OSError as error:
            log.warning(
                "%s: its file system has no locks (%s). Start nothing but shards of this run there.",
                path.parent, error.strerror,
            )  # fmt: skip
            return None


def is_lock_file(path: Path) -> bool:
    """Whether it may be opened as a lock: some versions of `filelock` empty what they open."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file, which is not changed."""
    # FileLock would create the file, and open it for writing; a question must not change the folder.
    if not is_lock_file(path):
        return False
    if fcntl is None:
        return _is_held(path)
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks, or one that locks only what may be written
            return os.access(path, os.W_OK) and _is_held(path)
    return False


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
