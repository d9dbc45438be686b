"""What can go wrong, each with the exit code a script can act on.

    FerflowError             1   never raised itself
    ├── OptionsError         2   the request cannot be carried out as asked
    ├── VideoError           3   this input cannot be analysed
    │   ├── DecodeError      3   it opened, but no frame of it could be read
    │   └── ChildDiedError   3   the process that read it crashed
    ├── ModelError           4   a model or detector file is missing, altered or of the wrong kind
    └── RecordsError         5   files in the output folder cannot be read or must not be mixed
        └── FolderInUseError 5   another process is writing there

A message says what, why and what to do, in one line; the library raises, only `cli` prints.
"""

from __future__ import annotations


class FerflowError(Exception):
    """Base of every error ferflow raises on purpose."""

    exit_code = 1


class OptionsError(FerflowError, ValueError):
    """An option has a value that cannot be used; nothing was done."""

    exit_code = 2


class VideoError(FerflowError):
    """One input cannot be analysed; the others go on."""

    exit_code = 3


class DecodeError(VideoError):
    """The container opened, but its frames cannot be decoded."""


class ChildDiedError(VideoError):
    """A process that read the input crashed; the message names no file, since the caller knows it."""


class ModelError(FerflowError):
    """A model or detector file is missing, altered or of the wrong kind."""

    exit_code = 4


class RecordsError(FerflowError):
    """Files in the output folder cannot be read, or must not be mixed with new ones."""

    exit_code = 5


class FolderInUseError(RecordsError):
    """Another process is writing into the output folder."""


EXIT_PARTIAL = 10
"""Some inputs failed or have gaps, the others are done."""

EXIT_INTERRUPTED = 130
"""Ended by Ctrl+C or SIGTERM; what was finished stays (128 + SIGINT)."""
