"""`.fetched.json`: which files of an output folder came from a store, so that fetching again keeps what a user changed.

Names are stored as hashes: they hold ids of videos, and a video may be forgotten in the folder.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import msgspec

from ferflow.errors import RecordsError
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.store.object_store import ObjectStat

NAME = ".fetched.json"
_MOST_BYTES = 512 << 20


class FetchedFile(msgspec.Struct, frozen=True, array_like=True):
    """A file when it was fetched: as it was on the disk, and in the store."""

    size: int
    mtime_ns: int
    stored_size: int
    stored_mtime: float


class _Content(msgspec.Struct, kw_only=True):
    address: str
    salt: str
    files: dict[str, FetchedFile] = {}


@dataclass(slots=True)
class FetchedRecord:
    """What was fetched into a folder."""

    folder: Path
    address: str
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    files: dict[str, FetchedFile] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read it back; None: nothing was fetched into this folder.

        Raises:
            RecordsError: it cannot be read.
        """
        path = folder / NAME
        try:
            found = msgspec.convert(json.loads(read_plain_file(path, _MOST_BYTES)), _Content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise RecordsError(f"{path}: cannot be read. Fetch into another folder.") from error
        return cls(folder, found.address, found.salt, found.files)

    def save(self) -> None:
        """Write it.

        Raises:
            RecordsError: it cannot be written.
        """
        content = _Content(address=self.address, salt=self.salt, files=self.files)
        with atomic_write(self.folder / NAME, out=self.folder) as part:
            part.write_bytes(msgspec.json.encode(content))

    def note(self, name: str, stat: ObjectStat) -> None:
        """Note that a file is now as it is in the store."""
        on_disk = (self.folder / name).stat()
        self.files[self._key(name)] = FetchedFile(on_disk.st_size, on_disk.st_mtime_ns, stat.size, stat.mtime)

    def state_of(
        self, name: str, stat: ObjectStat
    ) -> Literal["new", "same", "outdated", "changed", "removed"]:
        """How a file is, compared with what was fetched: `changed` and `removed` are by the user, or a command here."""
        path, known = self.folder / name, self.files.get(self._key(name))
        if not path.is_file():
            return "new" if known is None else "removed"
        on_disk = path.stat()
        if known is None or (on_disk.st_size, on_disk.st_mtime_ns) != (known.size, known.mtime_ns):
            return "changed"
        return "same" if (stat.size, stat.mtime) == (known.stored_size, known.stored_mtime) else "outdated"

    def _key(self, name: str) -> str:
        return hashlib.sha256(f"{self.salt}{name}".encode(errors="surrogateescape")).hexdigest()[:32]
