"""Digests of what pages and exports were made from, in `.pages/`."""

from __future__ import annotations

from ferflow.plain_file import read_plain_file
from ferflow.store.output_folder import OutputFolder

_MOST_BYTES = 1024


def read_status(folder: OutputFolder, name: str) -> str:
    """A stored digest; empty without one."""
    try:
        return read_plain_file(folder.page_status(name), _MOST_BYTES).decode()
    # ValueError: the file is damaged and no valid text.
    except (OSError, ValueError):
        return ""
