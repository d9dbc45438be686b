"""`shards/<I>-of-<N>.json`: what one shard of a run records, until all are merged into `run.json`.

Each shard writes a file of its own, so that no two processes write the same one.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import msgspec

from ferflow.errors import RecordsError
from ferflow.options import MOST_SHARDS
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest

_NAME = re.compile(r"([1-9]\d{0,8})-of-([1-9]\d{0,8})\.json", re.ASCII)


class InputsDigest(msgspec.Struct, frozen=True, kw_only=True):
    """Identifies the list of all inputs of a run, as one of its shards found it."""

    n_inputs: int
    sha256: str
    """Of paths and sizes; equal in all shards that found the same inputs."""


class ShardManifest(RunManifest, kw_only=True):
    """Contents of a shard's file: a run manifest of its part of the inputs."""

    number: int
    """From 1."""
    count: int
    """Number of shards."""
    inputs: InputsDigest
    places: dict[str, int] = msgspec.field(default_factory=dict)
    """Place among all inputs of each source of this shard, from 0."""
    model_sha256: str
    """sha256 of the expression model; known before any video is finished, unlike `model`."""

    def __post_init__(self) -> None:
        """Check what shards are counted and sorted by.

        Raises:
            ValueError: it cannot be used.
        """
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            raise ValueError(f"shard {self.number} of {self.count}")
        if self.start_time.tzinfo is None:
            raise ValueError("started has no time zone")

    @property
    def start_time(self) -> datetime:
        """When the shard began, with time zone."""
        return datetime.fromisoformat(self.started)


def shard_path(folder: OutputFolder, number: int, count: int) -> Path:
    """The file of one shard."""
    return folder.shards / _name_of(number, count)


def _name_of(number: int, count: int) -> str:
    return f"{number}-of-{count}.json"


def list_shards(folder: OutputFolder) -> list[Path]:
    """Files of all shards that have begun, by number of shards and number."""
    found = [(path, match) for path in folder.shards.glob("*.json") if (match := _NAME.fullmatch(path.name))]
    return [path for path, match in sorted(found, key=lambda item: (int(item[1][2]), int(item[1][1])))]


def describe_unmerged(folder: OutputFolder) -> str | None:
    """A warning if shards recorded something since `run.json` was written; None: they did not.

    By the times of the files: reading all of them takes seconds where there are many videos.
    """
    shards = list_shards(folder)
    try:
        merged_at = folder.manifest.stat().st_mtime_ns if folder.manifest.exists() else 0
        if not any(path.lstat().st_mtime_ns > merged_at for path in shards):
            return None
    except OSError:  # replaced at this moment
        pass
    return (
        f"{folder.path}: what shards recorded is not joined yet, such as stimuli and inputs that failed. Run first: "
        f"ferflow merge {folder.path}"
    )


def load_shard(path: Path) -> ShardManifest:
    """Read one file.

    Raises:
        RecordsError: it cannot be read as one.
    """
    try:
        found = ShardManifest.load(path)
    except RecordsError as error:
        raise RecordsError(f"{str(error).partition('. Rebuild')[0]}. Run that shard again.") from error
    if found is None:
        raise RecordsError(f"{path}: no such file. Run that shard again.")
    if path.name != _name_of(found.number, found.count):
        raise RecordsError(f"{path}: the record of shard {found.number} of {found.count}. Remove this file.")
    return found
