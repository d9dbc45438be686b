"""Errors that the application answers: bad input, a full or failing disk, too little memory.

Each ends one request or one analysis with one line; the application continues.
"""

from __future__ import annotations

import errno

from ferflow.errors import FerflowError
from ferflow.store.atomic_files import is_disk_full
from ferflow.store.failure_kinds import failure_of, list_causes
from ferflow.text import sanitize

EXPECTED_ERRORS = (FerflowError, OSError, MemoryError)
"""Errors of the input or of this machine, not of ferflow, that end a request, an analysis or the writing of pages."""

_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def status_of(error: Exception, otherwise: int) -> int:
    """HTTP status for an error: 507 a full disk, 503 a transient failure, 500 files that may not be written.

    Args:
        error: one of `EXPECTED_ERRORS`.
        otherwise: status of every other error.
    """
    kind = failure_of(error)
    if kind in ("disk_full", "transient"):
        return 507 if kind == "disk_full" else 503
    is_denied = any(getattr(cause, "errno", None) in _NOT_ALLOWED for cause in list_causes(error))
    return 500 if is_denied else otherwise


def describe_error(error: Exception) -> str:
    """One line about one of `EXPECTED_ERRORS`: what, why, what to do."""
    if isinstance(error, FerflowError):
        return str(error)
    if not isinstance(error, OSError):
        return "too little memory. Close other programs, and try again."
    where = f"{sanitize(error.filename)}: " if error.filename is not None else ""
    if is_disk_full(error):
        return f"{where}no space left on the disk. Free some, and try again."
    reason = error.strerror or type(error).__name__
    return f"{where}cannot be read or written ({reason}). Check the disk and its permissions, and try again."
