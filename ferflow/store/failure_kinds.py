"""What kind of failure an error is, and how to describe it: the kind decides whether a retry makes sense.

>>> failure_of(MemoryError())
'transient'
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Literal

from ferflow.errors import ChildDiedError, FerflowError
from ferflow.store.atomic_files import is_disk_full
from ferflow.text import sanitize

log = logging.getLogger(__name__)

Failure = Literal["input", "transient", "disk_full", "unexpected"]
"""`input`: wrong with the input or the request; a retry would fail in the same way. `transient`: for example a network
share that did not respond, too little memory, a killed worker. `unexpected`: most likely a bug."""

_TRANSIENT = {
    errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ESTALE,
    errno.ETIMEDOUT, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET,
    errno.ENOTCONN, errno.EREMOTEIO,
}  # fmt: skip


def failure_of(error: BaseException) -> Failure:
    """The kind of a failure, by the error and what caused it."""
    # First, because a full disk often comes wrapped in a FerflowError, which alone would count as bad input.
    if is_disk_full(error):
        return "disk_full"
    if any(_is_transient(cause) for cause in list_causes(error)):
        return "transient"
    return "input" if isinstance(error, FerflowError) else "unexpected"


def describe_failure(source: Path, error: Exception) -> str:
    """One line about a failed input: what, why, what to do."""
    kind = failure_of(error)
    if kind == "disk_full":
        return f"{source.name}: no space left for its tables. Free some and run the same command again."
    if isinstance(error, ChildDiedError):
        return f"{source.name}: {error}"
    if isinstance(error, FerflowError):
        return str(error)
    # The trace goes to the log only: an unexpected error in one video must not end the run.
    log.debug("unexpected error in %s", source, exc_info=error)
    advice = (
        "It may be transient: run the same command again."
        if kind == "transient"
        else "Run with -v, and report it."
    )
    detail = " ".join(str(error).split())
    return f"{source.name}: unexpected {type(error).__name__}{f': {detail}' if detail else ''}. {advice}"


def describe_system_error(error: OSError | MemoryError) -> str:
    """One line about what the system refused to a command, other than for one input: what, why, what to do."""
    if isinstance(error, MemoryError):
        return (
            "too little memory. Close other programs, or use fewer --workers, and run the same command again."
        )
    where = f"{sanitize(error.filename)}: " if error.filename is not None else ""
    if is_disk_full(error):
        return f"{where}no space left. Free some and run the same command again."
    reason = error.strerror or type(error).__name__
    advice = "Check the disk and its permissions, and run the same command again."
    return f"{where}cannot be read or written ({reason}). {advice}"


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _TRANSIENT


def list_causes(error: BaseException | None) -> list[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
