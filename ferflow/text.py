r"""Times as timecodes, and text from outside made safe to print.

>>> timecode(83.25), sanitize("a\\nb")
('01:23.3', 'a\ufffdb')
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable

UNKNOWN = "–"

_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode: control characters, lone surrogates, separators of lines, and characters without a width, of
which some rearrange the text around them ("Trojan Source", CVE-2021-42574)."""

# Two letters at least: one is a drive of Windows. One slash is what a path keeps of two.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE | re.ASCII)


def is_address(text: object) -> bool:
    """Whether a text is an address, such as `s3://bucket/a` or `https://host/a`, also after it was made a path."""
    return _ADDRESS.match(str(text)) is not None


def timecode(seconds: float | None) -> str:
    """`mm:ss.s`, or `h:mm:ss.s` from an hour on."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    # Halves are rounded up: round() rounds them to even digits, 0.25 down and 0.35 up. 1e-6 absorbs floating point.
    tenths = math.floor(max(seconds, 0.0) * 10 + 0.5 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    hours, minutes_left = divmod(minutes, 60)
    clock = f"{minutes_left:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{clock}" if hours else clock


def pluralize(
    number: int, one: str, several: str | None = None, *, format_number: Callable[[int], str] = str
) -> str:
    """`1 face`, `2 faces`."""
    return f"{format_number(number)} {one if number == 1 else several or one + 's'}"


def sanitize(text: object) -> str:
    """Replace control characters, and others without a width, of a text from outside by U+FFFD; its length is kept.

    The result is safe to print in a terminal, a log or a message. It is not escaped for HTML: templates do that.
    """
    return "".join("\ufffd" if unicodedata.category(char) in _UNPRINTABLE else char for char in str(text))
