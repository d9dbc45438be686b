"""Files of one content among the sessions: one recording would count several times."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path

from ferflow.text import sanitize


def describe_copies(files: Iterable[tuple[str, Hashable]]) -> list[str]:
    """A warning for each content that several files have.

    Args:
        files: the path of each, and what two copies have in common: their content, and which part of it is analysed.
    """
    found: dict[Hashable, list[str]] = {}
    for path, content in files:
        found.setdefault(content, []).append(path)
    return [_describe(paths) for paths in found.values() if len(paths) > 1]


def _describe(paths: list[str]) -> str:
    names = [Path(path).name for path in paths]
    shown = [sanitize(name) for name in (names if len(set(names)) == len(names) else paths)]
    return (
        f"{', '.join(shown[:-1])} and {shown[-1]} have the same content, so one recording counts {len(paths)} times. "
        "Leave the copies out; if they are analysed already, use another -o."
    )
