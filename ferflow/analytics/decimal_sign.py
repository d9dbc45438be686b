"""Whether numbers in users' tables can be read in one way only.

A point is a decimal sign, and so is a comma: spreadsheets in half of the world write `12,5;smile`. Both also separate
thousands. What may be either is refused, not guessed.

>>> find_ambiguous(pa.array(["12,5", "1.234"]), comma_separates=False)
Ambiguous(row=1, problem="'1.234' may be 1,234 or 1234, since other numbers have decimal commas. Write one of the two.")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.text import sanitize

Texts: TypeAlias = pa.Array | pa.ChunkedArray

_SIGN = r"^[-+\x{2212}]?"
_SPACES = r"[ \x{a0}\x{2009}\x{202f}'\x{2019}]"
_GROUPED = "|".join(
    _SIGN + rest
    for rest in (
        r"[0-9]{1,3}(\.[0-9]{3})+,[0-9]+$",
        r"[0-9]{1,3}(,[0-9]{3})+\.[0-9]+$",
        r"[0-9]{1,3}(\.[0-9]{3}){2,}$",
        r"[0-9]{1,3}(,[0-9]{3}){2,}$",
        rf"[0-9]{{1,3}}({_SPACES}[0-9]{{3}})+([.,][0-9]+)?$",
    )
)
"""Numbers with a thousands separator beyond doubt: 1.234,5 and 1,234.5, 1.234.567, 1 234,5 with any space, 1'234."""
_DECIMAL_COMMA = r"[0-9],[0-9]+$"
_MAY_BE_THOUSANDS = {sign: rf"{_SIGN}[1-9][0-9]{{0,2}}{pattern}[0-9]{{3}}$" for sign, pattern in (
    (",", ","), (".", r"\."),
)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The first number that may be another one."""

    row: int
    """Place among the texts."""
    problem: str
    """What it is and what to write, in two sentences."""


def find_ambiguous(texts: Texts, *, comma_separates: bool) -> Ambiguous | None:
    """Find a number in cells that can be read in two ways, or that has a thousands separator.

    Args:
        texts: cells of columns of numbers, (N,), without spaces around them; other texts are passed over.
        comma_separates: whether the file separates cells by commas, so that one within a cell was put into quotes: by
            a spreadsheet as a thousands separator, or by a person as a decimal sign. Elsewhere it is a decimal sign.
    """
    if (row := _first(texts, _GROUPED)) is not None:
        text = texts[row].as_py()
        return Ambiguous(
            row, f"{sanitize(text)!r} has a thousands separator. Write the number without it (1234.5)."
        )
    sign = "," if comma_separates else "."
    row = _first(texts, _MAY_BE_THOUSANDS[sign])
    if row is None or (sign == "." and _first(texts, _DECIMAL_COMMA) is None):
        return None
    text = texts[row].as_py()
    why = "" if comma_separates else ", since other numbers have decimal commas"
    as_decimal = text.replace(",", ".") if comma_separates else text.replace(".", ",")
    return Ambiguous(
        row,
        f"{sanitize(text)!r} may be {as_decimal} or {text.replace(sign, '')}{why}. Write one of the two.",
    )


def _first(texts: Texts, pattern: str) -> int | None:
    found = np.flatnonzero(np.asarray(pc.match_substring_regex(texts, pattern)))
    return int(found[0]) if len(found) else None
