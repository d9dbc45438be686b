"""Digests of what pages and exports were made from, in `.pages/`."""

from __future__ import annotations

from ferflow.store.output_folder import OutputFolder


def read_status(folder: OutputFolder, name: str) -> str:
    """A stored digest; empty without one."""
    try:
        return folder.page_status(name).read_text(encoding="utf-8")
    # ValueError: the file is damaged and no valid text.
    except (OSError, ValueError):
        return ""
