"""A time of day with its date, as the user gives the start of a recording. Imports nothing large.

>>> parse_clock("2024-05-12T10:00:01+02:00")
datetime.datetime(2024, 5, 12, 10, 0, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=7200)))
"""

from __future__ import annotations

from datetime import datetime

from ferflow.errors import OptionsError
from ferflow.text import sanitize

_YEARS = range(1970, 2200)
"""Of a recording; beyond, time zones of the operating system may be unknown."""


def parse_clock(text: str) -> datetime:
    """Read a date with a time of day in ISO 8601; without a zone it is local time.

    Raises:
        OptionsError: anything else.
    """
    try:
        # Decimal commas are ISO 8601, too.
        found = datetime.fromisoformat(text.strip().replace(",", "."))
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS or ":" not in text:
        raise OptionsError(
            f"{sanitize(text[:60])!r} is no date with a time of day: give ISO 8601, such as 2024-05-12T10:00:01+02:00."
        )
    return found
