"""Files that get their name only when they are complete, also after a power cut.

>>> with atomic_write(Path("out/run.json"), out=Path("out")) as part:
...     part.write_text("{}")

A name and the content of its file reach the disk separately: a file is flushed before it is renamed, and the folder
after, so that no name is ever found on a half-written file and none that was given is lost.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ferflow.errors import RecordsError
from ferflow.store.contained import check_contained

TEMPORARY_SUFFIX = ".tmp"
DATABASE_LOG = ".wal"
"""What DuckDB adds to the name of a file that it writes, for what is not in it yet."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_FOR_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
"""How file systems say that folders cannot be flushed there."""


def temporary_path(path: Path) -> Path:
    """Where a file is written before it is complete.

    The leading dot keeps readers of folders (Arrow, DuckDB, globs) away from it.
    """
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def is_temporary(path: Path) -> bool:
    """Whether a file has a name that `temporary_path` or `atomic_write` gives, or is DuckDB's log of such a file."""
    part = path.with_name(path.name.removesuffix(DATABASE_LOG))
    # The second dot is in every name of ours; `.notes.tmp` belongs to the user and must not be removed.
    return part.name.startswith(".") and part.suffix == TEMPORARY_SUFFIX and part.stem.count(".") > 1


@contextmanager
def atomic_write(path: Path, *, out: Path | None = None) -> Iterator[Path]:
    """Give a path to write to; afterwards the file is made durable and named, or removed after an error.

    The path is this process's own: several may write the same file at once, and the last one's stays. A pipe or a
    device that the user names, `/dev/stdout` say, has no content to replace and is written to as it is.

    Args:
        path: the file; a link of that name is replaced.
        out: the output folder that it is in; None: the user has named the file.

    Raises:
        RecordsError: it cannot be written, or leads out of the output folder.
    """
    with name_write_errors(path):
        if out is None and _is_stream(path):
            yield path
            return
        make_folder(path.parent, out=out)
        part = temporary_path(path.with_name(f"{path.name}.{os.getpid()}"))
        remove_abandoned(path)
        part.unlink(missing_ok=True)  # if it is a link, its target must not be overwritten
        try:
            yield part
            publish(path, part, out=out)
        finally:
            remove(part, out=out, durable=False)


@contextmanager
def name_write_errors(path: Path) -> Iterator[None]:
    """Say in one line which file could not be written and why.

    Raises:
        RecordsError: in place of each OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = (
            "Free some space and run the same command again."
            if is_disk_full(error)
            else "Check what lies there, and its permissions."
        )
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
        raise RecordsError(f"{path}: cannot be written ({reason}). {remedy}") from error


def _is_stream(path: Path) -> bool:
    # /dev/stdout may lead to a plain file that a shell has opened: what is replaced there never reaches the shell.
    led_there = path.is_symlink() and path.is_relative_to("/dev")
    return led_there or path.is_fifo() or path.is_char_device()


def publish(path: Path, part: Path | None = None, *, out: Path | None) -> None:
    """Make the file at `part` (None: at `temporary_path(path)`) durable, and give it its name."""
    part = part or temporary_path(path)
    # Content first: after a power cut, a name that is on the disk must not belong to a file without its content.
    flush(part)
    rename(part, path, out=out)


def rename(path: Path, target: Path, *, out: Path | None) -> None:
    """Give a file another name in its folder, in place of a file or link of that name, and make that durable.

    Raises:
        RecordsError: it leads out of the output folder.
    """
    if out is not None:
        check_contained(target, out)
    path.replace(target)
    flush_folder(target.parent)


def remove(path: Path, *, out: Path | None, durable: bool = True) -> None:
    """Remove a file or a link, if it is there; `durable`: also after a power cut.

    Raises:
        RecordsError: it cannot be removed, or leads out of the output folder.
    """
    with name_write_errors(path):
        if out is not None:
            check_contained(path, out)
        if os.path.lexists(path):
            path.unlink(missing_ok=True)
            if durable:
                flush_folder(path.parent)


def make_folder(folder: Path, *, out: Path | None) -> None:
    """Make a folder and those above it, and make their names durable.

    Raises:
        RecordsError: it leads out of the output folder.
    """
    if out is not None:
        check_contained(folder / "file", out)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    # A new folder is an entry in its parent. If that were lost, the files in it would be lost with it.
    for made in missing:
        flush_folder(made.parent)


def remove_folder(folder: Path, *, out: Path) -> None:
    """Remove a folder if it is there and empty; a user may have put something into it.

    Raises:
        RecordsError: it leads out of the output folder.
    """
    check_contained(folder, out)
    with suppress(OSError):
        folder.rmdir()


def remove_tree(folder: Path, *, out: Path) -> None:
    """Remove a folder of ferflow's own with all that is in it, if it is there; links in it are not followed.

    Raises:
        RecordsError: it cannot be removed, or leads out of the output folder.
    """
    with name_write_errors(folder):
        check_contained(folder / "file", out)
        if folder.exists():
            shutil.rmtree(folder)
            flush_folder(folder.parent)


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file left behind."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY_SUFFIX}"):
        if is_abandoned(part):
            part.unlink(missing_ok=True)


def is_abandoned(path: Path) -> bool:
    """Whether `atomic_write` gave a file its name in a process that has ended.

    Several processes may write one file at the same time, so the part of a living one stays.
    """
    owner = _owner(path)
    return owner is not None and not _is_running(owner)


def is_being_written(path: Path) -> bool:
    """Whether `atomic_write` gave a file its name in a process that still runs."""
    owner = _owner(path)
    return owner is not None and _is_running(owner)


def _owner(path: Path) -> int | None:
    """Number of the process whose `atomic_write` gave a file its name."""
    owner = path.stem.rpartition(".")[2]
    return int(owner) if is_temporary(path) and owner.isdecimal() else None


def _is_running(pid: int) -> bool:
    """Whether a process can still write; one that was killed keeps its number until its parent asks how it ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that a disk, a quota or a size limit is exhausted."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return True
        error = error.__cause__ or error.__context__
    return False
