"""Whether a source is a file that can be read, without a decoder: the process that plans a run loads none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ferflow.errors import VideoError
from ferflow.store.object_store import is_object, parse_address, stat_object


def check_is_file(path: Path) -> None:
    """Refuse what has no content to read; reading from a pipe could block forever.

    Raises:
        VideoError: missing, not a regular file, empty, or not readable.
    """
    if is_object(path):
        _check_object(path)
        return
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(f"{path.name}: {error.strerror or error}. Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{path.name}: not a regular file.")
    if status.st_size == 0:
        raise VideoError(f"{path.name}: the file is empty (0 bytes). Copy or export it again.")
    if not os.access(path, os.R_OK):
        raise VideoError(f"{path.name}: may not be read. Check its permissions.")


def _check_object(path: Path) -> None:
    try:
        size = stat_object(parse_address(path)).size
    except FileNotFoundError as error:
        raise VideoError(f"{path.name}: {error.strerror}. Check the address.") from error
    except OSError as error:
        raise VideoError(
            f"{path.name}: {error.strerror}. Run the same command again, or check access."
        ) from error
    if size == 0:
        raise VideoError(f"{path.name}: the object is empty (0 bytes). Copy or export it again.")
