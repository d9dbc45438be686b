"""Texts of others, such as names of people and markers, as other formats can hold them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAKS = re.compile(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]+")


def clean_text(text: str) -> str:
    """A text without what XML, and so most formats, cannot hold: control characters and halves of surrogate pairs."""
    return _NOT_IN_XML.sub("\ufffd", text)


def clean_line(text: str) -> str:
    """The same on one line."""
    return clean_text(_BREAKS.sub(" ", text))


def name_uniquely(names: Iterable[str], spell: Callable[[str], str]) -> dict[str, str]:
    """Spellings of names that a format allows, each different, also if only case differs.

    Args:
        names: texts; each gets one spelling.
        spell: what a format makes of a name.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = spell(name)
        number, candidate = 1, plain
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{plain}{number}"
        taken.add(candidate.casefold())
        found[name] = candidate
    return found
