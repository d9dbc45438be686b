"""The images of a folder, by their names alone: no decoder is loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)


def list_images(folder: Path) -> list[Path]:
    """Numbered images directly in a folder, sorted by the numbers in their names (2 before 10)."""
    found = [path for path in folder.iterdir() if _is_image(path) and _is_numbered(path)]
    return sorted(found, key=lambda path: _natural_key(path.name))


def list_photographs(folder: Path) -> list[Path]:
    """All images in a folder and below, numbered or not, by folder and name; hidden ones are skipped.

    Links to folders are not followed, since they can form a cycle.
    """
    found: list[Path] = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = (Path(where, name) for name in sorted(names, key=_natural_key))
        found += [path for path in here if _is_image(path)]
    return found


def count_images(folder: Path) -> int:
    """Images directly in a folder, numbered or not."""
    return sum(map(_is_image, folder.iterdir()))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_numbered(path: Path) -> bool:
    return any(character.isdecimal() for character in path.stem)


def _natural_key(name: str) -> list[tuple[int, int | str]]:
    # Pairs, because numbers and text cannot be compared with one another: numbers come first.
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name.casefold())]
