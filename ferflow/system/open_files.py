"""Which files other programs are writing, as far as the system says.

>>> find_open_for_writing([Path("recording.mkv")])
{PosixPath('recording.mkv')}
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

import psutil


def find_open_for_writing(paths: Collection[Path]) -> set[Path]:
    """Those of these files that a process on this machine has open for writing.

    Linux only, and of processes of the same user only, unless this one is root's; elsewhere none is found. A process
    on another machine that writes to a network share is not seen.
    """
    if sys.platform != "linux" or not paths:
        return set()
    by_real_path: dict[str, set[Path]] = {}
    for path in paths:
        by_real_path.setdefault(os.path.realpath(path), set()).add(path)
    found: set[Path] = set()
    for process in psutil.process_iter():
        try:
            opened = process.open_files()
        except (psutil.Error, OSError):  # another user's, or it has ended
            continue
        for file in opened:
            if file.mode != "r":
                found |= by_real_path.get(file.path, set())
    return found
