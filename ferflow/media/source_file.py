"""Whether a source is a file that can be read, without a decoder: the process that plans a run loads none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ferflow.errors import VideoError


def check_is_file(path: Path) -> None:
    """Refuse what has no content to read; reading from a pipe could block forever.

    Raises:
        VideoError: missing, not a regular file, empty, or not readable.
    """
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
