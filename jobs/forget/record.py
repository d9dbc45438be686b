"""Which videos must not be analysed in a folder again: those that were forgotten there, as hashes.

Without such a record, the next `ferflow analyze sessions/` would bring back what somebody asked to erase. A record
holds a salt, and for each video a hash of salt, size and first and last MiB: whoever has the video can find out that it
was forgotten here, and nobody else learns anything from it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from ferflow.errors import RecordsError, VideoError
from ferflow.media.inputs import content_key
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import VideoTask
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize

log = logging.getLogger(__name__)

_MOST_BYTES = 64 << 20


class ForgottenVideos(msgspec.Struct, frozen=True, kw_only=True):
    """`forgotten.json`."""

    schema_version: int = 1
    salt: str
    """Hexadecimal."""
    videos: tuple[str, ...] = ()
    """Hashes, hexadecimal, sorted."""

    @classmethod
    def load(cls, folder: OutputFolder) -> Self | None:
        """Read it; None: nothing was forgotten.

        Raises:
            RecordsError: it cannot be read.
        """
        try:
            return msgspec.json.decode(read_plain_file(folder.forgotten, _MOST_BYTES), type=cls)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RecursionError, msgspec.DecodeError) as error:
            raise RecordsError(
                f"{folder.forgotten}: cannot be read ({sanitize(str(error))[:100]}). Without it, videos that were "
                "forgotten would be analysed again: restore it, or delete it."
            ) from error

    def with_video(self, source: Path) -> Self:
        """With one more.

        Raises:
            OSError, VideoError: the video cannot be read.
        """
        return msgspec.structs.replace(self, videos=tuple(sorted({*self.videos, self._hash(source)})))

    def has(self, source: Path) -> bool:
        """Whether a video is among them; False for one that cannot be read, which cannot be analysed either."""
        try:
            return bool(self.videos) and self._hash(source) in self.videos
        except (OSError, VideoError):
            return False

    def save(self, folder: OutputFolder) -> None:
        """Write it.

        Raises:
            RecordsError: it cannot be written.
        """
        with atomic_write(folder.forgotten, out=folder.path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    def _hash(self, source: Path) -> str:
        return hashlib.blake2b(content_key(source), key=bytes.fromhex(self.salt), digest_size=16).hexdigest()


def record_video(folder: OutputFolder, source: Path) -> bool:
    """Add a video; False: it is not there any more, so that it cannot be recognised, nor analysed by its path.

    Raises:
        RecordsError: the record cannot be read or written.
    """
    known = ForgottenVideos.load(folder) or ForgottenVideos(salt=secrets.token_hex(16))
    try:
        known.with_video(source).save(folder)
    except (OSError, VideoError):
        return False
    return True


def leave_out_forgotten(
    folder: OutputFolder, tasks: Sequence[VideoTask], *, overwrite: bool
) -> list[VideoTask]:
    """The inputs of a run without videos that were forgotten in its folder, with a warning for each.

    They get no entry in `run.json`, which would name them again.

    Args:
        folder: the output folder.
        tasks: the inputs.
        overwrite: leave out finished sessions from which somebody was removed, too.

    Raises:
        RecordsError: the record cannot be read.
    """
    record = ForgottenVideos.load(folder)
    kept = []
    for task in tasks:
        if record is not None and record.has(task.source):
            log.warning("%s", describe_forgotten(task.source, folder, "Use another -o"))
        else:
            kept.append(task)
    return leave_out_erased(kept) if overwrite else kept


def describe_forgotten(source: Path, folder: OutputFolder, remedy: str) -> str:
    """Why a video is left out, and what to do.

    Args:
        source: the video.
        folder: where it was forgotten.
        remedy: how to do without this folder, an imperative.
    """
    return (
        f"{sanitize(source.name)}: left out. It was forgotten in this folder on request (ferflow forget). {remedy}, "
        f"or, to withdraw all such requests, delete {sanitize(folder.forgotten)}."
    )


def leave_out_erased(tasks: Sequence[VideoTask]) -> list[VideoTask]:
    """The tasks without finished sessions from which somebody was removed, with a warning for each."""
    kept = []
    for task in tasks:
        if task.files is not None and _is_erased(task.files):
            log.warning(
                "%s: not analysed again. Somebody was removed from its results on request (ferflow forget), and a "
                "new analysis would find that face again. Use another -o.",
                sanitize(task.source.name),
            )
        else:
            kept.append(task)
    return kept


def _is_erased(files: VideoFiles) -> bool:
    with suppress(RecordsError):
        return files.is_finished and read_metadata(files.faces).erasure is not None
    return False
