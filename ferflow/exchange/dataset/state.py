"""State of a data set, and where its files are.

    DATASET/<table>/bucket=<bucket>/part-0.parquet
    DATASET/_ferflow/dataset.json, plan.parquet

Readers of folders leave out names that begin with `_`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock

from ferflow.errors import OptionsError, RecordsError
from ferflow.exchange.dataset.tables import BUCKET, DATASET_VERSION, FILE
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write, make_folder, name_write_errors, remove, remove_folder
from ferflow.store.contained import check_contained
from ferflow.store.lock_files import hold_lock
from ferflow.store.output_folder import OutputFolder, find_maker
from ferflow.text import sanitize
from ferflow.version import __version__

_OWN = "_ferflow"
_MOST_BYTES = 1 << 20
_LOCK_TIMEOUT_SECONDS = 0.5


class DatasetState(msgspec.Struct, frozen=True, kw_only=True):
    """`dataset.json`."""

    dataset_version: int = DATASET_VERSION
    ferflow_version: str = __version__
    out: str
    """Absolute path of the output folder."""
    digits: Mapping[str, int]
    """Number of digits in the names of buckets, by table."""
    is_complete: bool = False
    """False while files are being replaced, and after an interruption."""
    finished: str | None = None
    """ISO 8601."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Paths of a data set."""

    path: Path

    @property
    def state(self) -> Path:
        """See `DatasetState`."""
        return self.path / _OWN / "dataset.json"

    @property
    def plan(self) -> Path:
        """What is known of each video; see `plan.PLAN`."""
        return self.path / _OWN / "plan.parquet"

    def file(self, table: str, bucket: str) -> Path:
        """The file of a partition."""
        return self.path / table / f"{BUCKET}={bucket}" / FILE

    def load_state(self) -> DatasetState | None:
        """Read the state; None: not a data set.

        Raises:
            RecordsError: it is there, but cannot be read.
        """
        try:
            return msgspec.json.decode(read_plain_file(self.state, _MOST_BYTES), type=DatasetState)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RecursionError, msgspec.DecodeError) as error:
            raise RecordsError(
                f"{self.state}: cannot be read ({sanitize(str(error))[:100]}). Remove {self.path}, and run the same "
                "command again."
            ) from error

    def save_state(self, state: DatasetState) -> None:
        """Write the state.

        Raises:
            RecordsError: it cannot be written.
        """
        with atomic_write(self.state, out=self.path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))

    def check_place(self, out: Path, *, overwrite: bool) -> None:
        """Refuse a folder that is not for this data set, before any work.

        Args:
            out: the output folder that is to be read.
            overwrite: whether a data set of another output folder may be replaced.

        Raises:
            OptionsError: the folder is not empty and not a data set, is a part of an output folder, or was made from
                another output folder.
            RecordsError: as `load_state`, or the folder within the output folder leads out of it.
        """
        shown = sanitize(self.path)
        inside = OutputFolder(out).dataset
        if self.path.absolute() == inside.absolute():
            check_contained(self.state, out)  # in the place of the folder, there may be a link
        real, default = (Path(os.path.realpath(path)) for path in (self.path, inside))
        if real != default and (maker := find_maker(self.path)) is not None:
            raise OptionsError(f"{shown}: a folder of {sanitize(maker)}. Give another one with -o.")
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise OptionsError(f"{shown}: not a folder. Give another one with -o.")
        state = self.load_state()
        if state is None and self.path.is_dir() and any(one.name != _OWN for one in self.path.iterdir()):
            raise OptionsError(
                f"{shown}: not empty, and not a data set of ferflow. Give another folder with -o."
            )
        if state is not None and state.out != os.path.realpath(out) and not overwrite:
            raise OptionsError(
                f"{shown}: made from {sanitize(state.out)}. Give another folder with -o, or --overwrite to write it "
                f"again from {sanitize(out)}."
            )

    def list_buckets(self, table: str) -> list[str]:
        """The partitions that are there, sorted."""
        prefix = f"{BUCKET}="
        folders = (self.path / table).glob(f"{prefix}*")
        return sorted(folder.name.removeprefix(prefix) for folder in folders)

    def remove_buckets(self, table: str, kept: Set[str]) -> int:
        """Remove the partitions that are not among these; returns their number.

        Raises:
            RecordsError: one cannot be removed, or leads out of the data set.
        """
        others = [bucket for bucket in self.list_buckets(table) if bucket not in kept]
        for bucket in others:
            path = self.file(table, bucket)
            # Only our file, then the folder if it is empty: files of the user stay, and links are not followed.
            remove(path, out=self.path)
            remove_folder(path.parent, out=self.path)
        return len(others)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing the same data set.

        Raises:
            RecordsError: another one does, or the folder cannot be written.
        """
        path = self.path / _OWN / "write.lock"
        with name_write_errors(path):
            make_folder(path.parent, out=self.path)
        busy = f"{self.path}: another ferflow compact is writing here. Wait for it, or use another -o."
        with hold_lock(FileLock(path, timeout=_LOCK_TIMEOUT_SECONDS), busy, "Use another -o."):
            yield
