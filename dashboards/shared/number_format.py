"""Numbers as people read them. Rounded here and nowhere before.

A rounded number never claims more than the data: 0 % and 100 % are written only where they are exact.

>>> timecode(83.25), score(0.126), signed(-0.2)
('01:23.3', '0.13', '−0.20')
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ferflow import text as plain_text
from ferflow.analytics.measures import Format, Measure
from ferflow.text import UNKNOWN, sanitize, timecode

__all__ = [
    "UNKNOWN", "count", "format_measure", "join_words", "percent", "percent_of", "pluralize", "sanitize", "score",
    "shorten", "signed", "size", "sort_key", "timecode",
]  # fmt: skip

# A narrow space at which no line breaks: a number stays with its unit.
_THIN = "\u202f"


def percent(share: float | None) -> str:
    """A share in [0, 1] as a percentage without decimals."""
    if share is None or math.isnan(share):
        return UNKNOWN
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", f"{_THIN}%")
    if share < 0.01:
        return f"<1{_THIN}%"
    return f">99{_THIN}%" if share > 0.99 else f"{round(100 * share)}{_THIN}%"


def percent_of(part: float, whole: float) -> str:
    """A part of a whole as a percentage; unknown where the whole is 0."""
    if not whole:
        return UNKNOWN
    # Both are sums of times: of all of it, the part may be a little more or less.
    share = part / whole
    return percent(1.0 if share > 1 - 1e-9 else share)


def score(value: float | None) -> str:
    """A number in [0, 1] with two digits."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value in (0.0, 1.0):
        return f"{value:.0f}"
    if value < 0.005:
        return "<0.01"
    return ">0.99" if value >= 0.995 else f"{value:.2f}"


def signed(value: float | None) -> str:
    """A number in [-1, 1] with sign and two digits; a value that rounds to zero keeps its sign, only 0 is `0`."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value == 0:
        return "0"
    sign = "+" if value > 0 else "−"
    # "<+0.01" and ">−0.01" are true as well, but hard to read.
    if abs(value) < 0.005:
        return f"{sign}0.00"
    if 0.995 <= abs(value) < 1:
        return f">{sign}0.99" if value > 0 else f"<{sign}0.99"
    return sign + score(abs(value))


def number(value: float | None) -> str:
    """Any number with three significant digits, without an exponent; digits before the point are never cut."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if abs(value) >= 100:
        return count(value)
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.6f}".rstrip("0")


_FORMATS: Mapping[Format, Callable[[float | None], str]] = {
    "score": score,
    "share": percent,
    "signed": signed,
    "number": number,
}


def format_measure(measure: Measure, value: float | None) -> str:
    """A value of a measure in the format that the measure names, with its unit."""
    text = _FORMATS[measure.format](value)
    return f"{text}{_THIN}{measure.unit}" if measure.unit and text != UNKNOWN else text


def sort_key(value: float | None) -> str:
    """The value as text by which a script sorts; empty if it is unknown."""
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def count(number: float | None) -> str:
    """An integer, with its thousands separated."""
    return UNKNOWN if number is None or math.isnan(number) else f"{round(number):,}".replace(",", _THIN)


def shorten(text: str, letters: int) -> str:
    """A text of at most so many letters; an ellipsis shows that it was cut."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def pluralize(number: int, one: str, several: str | None = None) -> str:
    """`1 face`, `2 faces`, with thousands separated."""
    return plain_text.pluralize(number, one, several, format_number=count)


def size(n_bytes: float | None) -> str:
    """Bytes as kB, MB or GB (powers of 1000)."""
    if n_bytes is None:
        return UNKNOWN
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= step:
            return f"{n_bytes / step:.1f} {unit}"
    return f"{n_bytes:.0f} bytes"


def join_words(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
