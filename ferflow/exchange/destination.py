"""Where exported files are written, and what is there already: nothing is overwritten in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ferflow.errors import OptionsError
from ferflow.store.atomic_files import atomic_write
from ferflow.text import sanitize


@dataclass(slots=True)
class Destination:
    """A folder for exported files; remembers what was written."""

    folder: Path
    out: Path | None = None
    """The output folder that it is in; None: the user has named it."""
    overwrite: bool = False
    """Replace files that are there."""
    written: list[Path] = field(default_factory=list)

    def check(self, places: Iterable[str]) -> None:
        """Refuse to replace files, before any work is done.

        Args:
            places: names of the files and folders that the formats write.

        Raises:
            OptionsError: one of them is there.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise OptionsError(f"{sanitize(self.folder)}: not a folder. Give another one with -o.")
        found = [self.folder / place for place in places if os.path.lexists(self.folder / place)]
        if found and not self.overwrite:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise OptionsError(
                f"{sanitize(found[0])}{more} exists. Give --overwrite to replace it, or another folder with -o."
            )

    @property
    def places_written(self) -> list[Path]:
        """The files, and the folders of files, that were written directly into the destination."""
        return list(
            dict.fromkeys(self.folder / path.relative_to(self.folder).parts[0] for path in self.written)
        )

    @contextmanager
    def write(self, *parts: str) -> Iterator[Path]:
        """Give a path to write a file to, which gets its name when it is complete.

        Args:
            *parts: names of folders and of the file, below the destination.

        Raises:
            RecordsError: it cannot be written.
        """
        path = self.folder.joinpath(*parts)
        with atomic_write(path, out=self.out) as part:
            yield part
        self.written.append(path)
