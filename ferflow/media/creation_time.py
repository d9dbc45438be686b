"""When a recording was made, as its file says."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

from ferflow.errors import VideoError
from ferflow.media.source_file import check_is_file

_TAGS = ("com.apple.quicktime.creationdate", "creation_time")
"""The first with the local time zone; on export, only the second changes."""
_EARLIEST_YEAR = 1990
"""A clock that was never set, or no clock, gives 1904, 1970 or 1980."""


def read_creation_time(path: Path) -> datetime | None:
    """The creation time in a video file, with a time zone; None if there is none, or it cannot be read.

    Most cameras write when the recording started; Android writes when it ended; a program that converts a video may
    write when it did so.
    """
    from ferflow.media.container import open_container  # here: only a child process loads a decoder for it

    try:
        check_is_file(path)
        with closing(open_container(path)) as container:
            stated = [container.metadata.get(tag) for tag in _TAGS]
    except VideoError:
        return None
    return next((time for text in stated if text and (time := _parse(text)) is not None), None)


def _parse(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo is not None and time.year >= _EARLIEST_YEAR else None
