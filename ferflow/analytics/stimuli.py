"""Stimuli: what the people in a session watched or did, such as a trailer or the level of a game.

Sessions of one stimulus share a clock, and only they do: a common curve of recordings of different things would mean
nothing. A stimulus is named by the session list or by a job, as the path of a video file or as any text.

>>> find_stimulus("Level 1", [])
Stimulus(name='Level 1', path=None)
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ferflow.errors import OptionsError

LONGEST_TEXT = 1000
"""Characters; a path may be long."""


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One stimulus. Two sessions have the same one if these are equal."""

    name: str
    """The file's name, or the text."""
    path: Path | None
    """The file, absolute, if there is one."""


def check_stimulus(text: str) -> str:
    """Return the text without space around it.

    Raises:
        OptionsError: it is too long.
    """
    if len(text) > LONGEST_TEXT:
        raise OptionsError(f"stimulus must have at most {LONGEST_TEXT} characters, got {len(text)}")
    return text.strip()


def locate_stimulus(text: str) -> str:
    """The absolute path of the file that a text names from the current folder; the text if there is no such file."""
    found = find_stimulus(text, [Path.cwd()])
    return str(found.path) if found.path else text


def find_stimulus(text: str, folders: Sequence[Path]) -> Stimulus:
    """Find the file that a text names; without one, the text itself is the stimulus.

    Args:
        text: not empty.
        folders: where a relative path may start, the first that has such a file counts.
    """
    # Lists come from Windows, too.
    for spelling in dict.fromkeys((text, text.replace("\\", "/"))):
        for folder in [Path()] if PurePath(spelling).is_absolute() else folders:
            # Not Path.is_file, which raises for a name that is too long.
            if os.path.isfile(folder / spelling):  # noqa: PTH113
                # Links resolved: two names of one file are one stimulus.
                path = (folder / spelling).resolve()
                return Stimulus(path.name, path)
    return Stimulus(unicodedata.normalize("NFC", text), None)
