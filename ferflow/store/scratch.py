"""A folder on the local disk for what is on its way to a store; removed at the end, or by the next run after a kill."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "ferflow-scratch-"
_LOCK = ".lock"
_LEAST_AGE_SECONDS = 60
"""A folder that is younger may not be locked yet."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process alone, in the folder for temporary files (TMPDIR), and none of killed runs."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout, NotImplementedError):
            found = folder.lstat()
            is_own = stat.S_ISDIR(found.st_mode) and (
                not hasattr(os, "getuid") or found.st_uid == os.getuid()
            )
            if not is_own or time.time() - found.st_mtime < _LEAST_AGE_SECONDS:
                continue
            with FileLock(folder / _LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
