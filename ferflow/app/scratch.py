"""The temporary folder of an application: gone when it ends, or, if it was killed, when the next one starts."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "ferflow-app-"
_LOCK = ".lock"


@contextmanager
def make_scratch() -> Iterator[Path]:
    """An empty folder, after those of killed applications of the same user are removed: they may show faces."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            _remove_abandoned(path)
    # A lock, not the number of a process: containers may share the folder for temporary files.
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder,
        FileLock(Path(folder) / _LOCK),
    ):
        yield Path(folder)


def _remove_abandoned(path: Path) -> None:
    """Remove a folder that no application uses."""
    status = path.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and (not hasattr(os, "getuid") or status.st_uid == os.getuid())
    # One without a lock file is being made just now.
    if is_ours and (path / _LOCK).is_file():
        with FileLock(path / _LOCK, timeout=0):
            shutil.rmtree(path)
