"""Files that bear their name only once they are whole.

>>> with whole_file(Path("out/run.json")) as part:
...     part.write_text("{}")
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def temporary(path: Path) -> Path:
    """Where a file is written before it is whole.

    The leading dot keeps readers of whole folders (Arrow, DuckDB, globs) away from it.
    """
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; afterwards the file is made durable and named, or removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(path)
    try:
        yield part
        publish(path)
    finally:
        part.unlink(missing_ok=True)


def publish(path: Path) -> None:
    """Make what lies at `temporary(path)` durable, and give it its name.

    Without the flush to disk, a power cut could leave the name on an empty file.
    """
    part = temporary(path)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)
